//! `test-connection`, with what the host saw on the way.

use crate::{
    WasmRuntime,
    attempt::ClosedAtEnd,
    capability::gate::{Gate, millis},
    invoke::Invocation,
    outcome,
};
use action_domain::{
    failure::{ErrorCode, ExecutionError, FailureKind},
    services::{ConnectionReport, ConnectionTest, Journal, RuntimeError, Stage, StageKind, TestRequest, Verdict},
};
use std::{sync::Arc, time::Instant};

impl WasmRuntime {
    pub(crate) async fn test(&self, request: TestRequest) -> Result<ConnectionTest, RuntimeError> {
        let prepared = self.components.get(request.component).await?;
        let shutting_down = || RuntimeError::Host(WasmRuntime::shutting_down().message);
        let place = self.aside.clone().acquire_owned().await.map_err(|_| shutting_down())?;
        let started = Instant::now();
        let journal = Arc::new(Journal::without(request.secrets.clone()));
        let gate = Gate::new(request.egress, journal, &self.outside, self.clock.clone(), None);
        let gate = Arc::new(gate.holding(request.secrets, request.config.clone()).for_test(request.test_methods));
        let limits = request.limits;
        let mut invocation = Invocation::new(&self.engine, gate.clone(), self.pool.clone(), &limits, started)
            .map_err(|error| RuntimeError::Host(WasmRuntime::broken(&error).message))?;
        let config = request.config.as_ref().to_owned();
        gate.open();
        let (of_test, _closed) = (gate.clone(), ClosedAtEnd(gate.clone()));
        let test = async move {
            let (_place, gate) = (place, of_test);
            let (store, stopwatch) = invocation.parts();
            let answer = stopwatch
                .phase(limits.timeout(), async {
                    let protocol = Invocation::instantiate(&mut *store, &prepared).await?;
                    protocol.julee_action_protocol_api().call_test_connection(store, &config).await
                })
                .await;
            let result = match answer {
                Ok(Ok(report)) => Ok(ConnectionReport {
                    summary: report.summary,
                    details: outcome::json(&report.details, gate.secrets.redactor()),
                }),
                Ok(Err(failure)) => Err(outcome::reported(failure, &gate)),
                Err(ended) => Err(outcome::error(&ended, "test-connection", invocation.state(), &limits)),
            };
            gate.meter.seal();
            (result, invocation.finish())
        };
        let (result, receipt) = self.lanes.drive(test).await.ok_or_else(shutting_down)?;
        let mut stages = gate.take_stages();
        let target = stages.last().map_or_else(|| "nobody".to_owned(), |stage| stage.target.clone());
        stages.push(protocol_stage(&result, target, millis(started.elapsed())));
        let verdict = match &result {
            Ok(_) if gate.meter.has_connected() => Verdict::Connected,
            Ok(_) => Verdict::Hollow,
            Err(_) => Verdict::Failed,
        };
        let (report, error) = match result {
            Ok(report) => (Some(report), None),
            Err(error) => (None, Some(error)),
        };
        Ok(ConnectionTest { verdict, report, error, stages, receipt })
    }
}

fn protocol_stage(result: &Result<ConnectionReport, ExecutionError>, target: String, ms: u64) -> Stage {
    let (ok, message, hint) = match result {
        Ok(report) => (true, report.summary.clone(), None),
        Err(error) => (false, error.message.clone(), hint(error)),
    };
    Stage { stage: StageKind::Protocol, target, ok, ms, message, hint: hint.map(str::to_owned) }
}

fn hint(error: &ExecutionError) -> Option<&'static str> {
    match (error.code, error.failure.as_ref().map(|failure| failure.kind)) {
        (ErrorCode::EgressDenied, _) => Some("grant what the protocol has to reach"),
        (ErrorCode::DeadlineExceeded, _) => Some("is the remote slow, or limits.timeout_ms short?"),
        (ErrorCode::InvalidConfig, _) | (_, Some(FailureKind::InvalidConfig)) => Some("correct the config"),
        (_, Some(FailureKind::Unauthenticated)) => Some("check the credentials"),
        (_, Some(FailureKind::Unavailable)) => Some("is the remote running?"),
        (_, Some(FailureKind::RateLimited)) => Some("try again later"),
        _ => None,
    }
}
