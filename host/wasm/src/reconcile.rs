//! `reconcile`: a protocol finds out what became of an attempt in doubt.
//!
//! An instance of its own, within the limits, the grants and the journal of an attempt. The
//! config was validated when the attempt began, so `reconcile` is all that runs.

use crate::{
    WasmRuntime,
    attempt::{ClosedAtEnd, to_call, to_outcome, unusable},
    bindings::{reconciler::ReconcilingIndices, v0_1::julee::action::model},
    capability::gate::Gate,
    invoke::Invocation,
    outcome,
    prepared::Prepared,
};
use action_domain::{
    failure::{ErrorCode, ExecutionError},
    limits::Limits,
    receipt::Receipt,
    services::{AttemptRequest, ReconcileReport, Reconciliation},
};
use std::time::Instant;

impl WasmRuntime {
    pub(crate) async fn ask_reconciler(&self, request: AttemptRequest) -> ReconcileReport {
        let prepared = match self.components.get(request.component).await {
            Ok(prepared) => prepared,
            Err(error) => return never_ran(unusable(error)),
        };
        let Some(reconciler) = prepared.reconciler().cloned() else {
            let message = "the protocol cannot reconcile: it does not export `reconciler`";
            return never_ran(ExecutionError::new(ErrorCode::HostError, message));
        };
        let Ok(place) = self.attempts.clone().acquire_owned().await else {
            return never_ran(WasmRuntime::shutting_down());
        };
        let gate = self.gate_of(&request);
        let limits = request.limits;
        let made = Invocation::new(&self.engine, gate.clone(), self.pool.clone(), &limits, Instant::now());
        let mut invocation = match made {
            Ok(invocation) => invocation,
            Err(error) => return never_ran(WasmRuntime::broken(&error)),
        };
        let _closed = ClosedAtEnd(gate.clone());
        let question = async move {
            let _place = place;
            let result = run(&mut invocation, &prepared, &reconciler, &gate, &to_call(request), &limits).await;
            // The report is true from here on: what the instance still held may send no more.
            gate.meter.seal();
            ReconcileReport { result, receipt: invocation.finish() }
        };
        self.lanes.drive(question).await.unwrap_or_else(|| never_ran(WasmRuntime::shutting_down()))
    }
}

async fn run(
    invocation: &mut Invocation,
    prepared: &Prepared,
    reconciler: &ReconcilingIndices,
    gate: &Gate,
    call: &model::Call,
    limits: &Limits,
) -> Result<Reconciliation, ExecutionError> {
    gate.open();
    let (store, stopwatch) = invocation.parts();
    let answer = stopwatch
        .phase(limits.timeout(), async {
            let instance = prepared.protocol()?.instance_pre().instantiate_async(&mut *store).await?;
            let reconciling = reconciler.load(&mut *store, &instance)?;
            reconciling.julee_action_reconciler().call_reconcile(store, call).await
        })
        .await;
    match answer {
        Ok(Ok(model::Reconciliation::TookEffect(outcome))) => {
            to_outcome(outcome, limits).map(Reconciliation::TookEffect)
        }
        Ok(Ok(model::Reconciliation::DidNot)) => Ok(Reconciliation::DidNot),
        Ok(Ok(model::Reconciliation::Unknown)) => Ok(Reconciliation::Unknown),
        Ok(Err(failure)) => Err(outcome::reported(failure, gate)),
        Err(ended) => Err(outcome::error(&ended, "reconcile", invocation.state(), limits)),
    }
}

fn never_ran(error: ExecutionError) -> ReconcileReport {
    ReconcileReport { result: Err(error), receipt: Receipt::default() }
}
