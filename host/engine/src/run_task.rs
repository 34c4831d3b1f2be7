//! One attempt, from the claim to its end; what comes next is decided in [`conclude`](crate::conclude).

use crate::{
    Engine, EngineError,
    arm::Armed,
    cache::Ready,
    conclude::Concluded,
    dispatch_action::context_of,
    running::{Place, Stop},
    view::ExecutionView,
};
use action_domain::{
    event::{EventType, Fact, NewEvent, TriggerData},
    execution::{Execution, Lease},
    failure::{ErrorCode, ExecutionError},
    id::ExecutionId,
    limits::{CONTINUOUS_MAX, Limits},
    payload::Payload,
    repositories::{CommitError, UnitOfWork, Write},
    services::{AttemptReport, AttemptRequest, Entry, GuestTrigger, Journal, Sending, SendingRefused},
};
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};
use tokio::sync::OwnedSemaphorePermit;

/// How often what a long attempt did is written down while it still runs.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// The wall time of what is kept running: ten years.
const ENDLESS_MS: u64 = 10 * 365 * 24 * 3600 * 1000;
/// What is to be kept running and has no place waits this long, and twice as long each time.
const PLACE_WAIT: Duration = Duration::from_millis(2_500);
/// As often: to 40 seconds.
const PLACE_WAIT_DOUBLED_MAX: u32 = 4;

impl Engine {
    /// Runs an attempt that a worker claimed. Gives what became of the execution, for
    /// [`Self::announce`]; `None` if nothing could be written.
    pub(crate) async fn run_claimed(
        &self,
        execution: Execution,
        permit: OwnedSemaphorePermit,
        mut place: Place,
    ) -> Option<ExecutionView> {
        let id = execution.id;
        let prepared = async {
            let ready = self.ready_revision(execution.action, execution.revision).await?;
            Ok::<_, EngineError>((ready, self.trigger_of(id).await?))
        };
        match place.unless_stopped(prepared).await {
            Ok(Ok((ready, (trigger, input)))) => {
                let Some(_permit) = self.permit_for(&trigger, permit) else {
                    return self.wait_for_a_place(execution).await;
                };
                self.run_attempt(&ready, execution, trigger, input, &mut place).await
            }
            // Nothing was tried. The lease runs out and somebody takes it up again.
            Ok(Err(error @ EngineError::Unavailable(_))) => {
                tracing::error!(execution = %id, %error, "engine.run_task.prepare");
                None
            }
            Ok(Err(error)) => {
                tracing::error!(execution = %id, %error, "engine.run_task.prepare");
                let error = ExecutionError::new(ErrorCode::HostError, error.to_string());
                self.conclude(execution, &Concluded::of_error(error), Vec::new(), None).await
            }
            Err(why) => self.stopped_before(execution, why).await,
        }
    }

    /// What is kept running takes no place of those that end, and has some of its own, if there are any left.
    fn permit_for(&self, trigger: &GuestTrigger, permit: OwnedSemaphorePermit) -> Option<OwnedSemaphorePermit> {
        if *trigger != GuestTrigger::Continuous {
            return Some(permit);
        }
        self.inner.endless.clone().try_acquire_owned().ok()
    }

    /// This process keeps as many running as it can: another one may take it, or this one later.
    async fn wait_for_a_place(&self, execution: Execution) -> Option<ExecutionView> {
        let wait = PLACE_WAIT.saturating_mul(1 << execution.attempt.min(PLACE_WAIT_DOUBLED_MAX));
        tracing::warn!(execution = %execution.id, most = CONTINUOUS_MAX, "engine.run_task.no_place");
        self.put_back(execution, self.now().plus(wait)).await
    }

    /// Stopped before anything of it ran.
    async fn stopped_before(&self, execution: Execution, why: Stop) -> Option<ExecutionView> {
        match why {
            Stop::Cancelled => self.conclude_cancelled(execution, Vec::new()).await,
            Stop::Released => self.put_back(execution, self.now()).await,
            Stop::LeaseLost => {
                tracing::warn!(execution = %execution.id, attempt = execution.attempt, "engine.run_task.lease_lost");
                None
            }
        }
    }

    /// Runs an attempt whose beginning is recorded, and records how it ended.
    pub(crate) async fn run_attempt(
        &self,
        ready: &Ready,
        execution: Execution,
        trigger: GuestTrigger,
        input: Payload,
        place: &mut Place,
    ) -> Option<ExecutionView> {
        let endless = trigger == GuestTrigger::Continuous;
        if endless {
            place.mark_endless(execution.action);
        }
        let given = async {
            let given = self.transformed_input(ready, &trigger, input).await?;
            let armed = Arc::new(self.arm(ready).await?);
            // Its action may have been saved or removed while it waited for its turn.
            let wanted = !endless || self.is_kept_running(execution.id, execution.action).await;
            Ok::<_, ExecutionError>((given, armed, wanted))
        };
        let (given, armed) = match place.unless_stopped(given).await {
            Ok(Ok((given, armed, true))) => (given, armed),
            Ok(Ok((_, _, false))) => return self.stopped_before(execution, Stop::Cancelled).await,
            Ok(Err(error)) => {
                return self.conclude(execution, &Concluded::of_error(error), Vec::new(), Some(ready)).await;
            }
            Err(why) => return self.stopped_before(execution, why).await,
        };
        let journal = Arc::new(Journal::without(armed.secrets.clone()));
        let mut request = self.attempt_request(ready, &armed, &execution, trigger.clone(), given.clone(), &journal);
        request.capturing = execution.lease.map(|lease| self.keeper(&execution, lease, &armed));
        request.sending = execution.lease.map(|lease| {
            Arc::new(RecordSending { engine: self.clone(), execution: execution.clone(), lease }) as Arc<dyn Sending>
        });
        let (ran, mut events) = self.run_and_flush(&execution, request, &journal, place).await;
        events.extend(self.journal_events(&execution, journal.finish()));
        let ended = match ran {
            Ok(report) => {
                let mut ended = Concluded { endless, ..Concluded::of_report(armed.clean(report)) };
                let came = Some((trigger.clone(), given));
                match self.ask_if_in_doubt(ready, &execution, &mut ended, came, &mut events, place).await {
                    Ok(()) => {
                        self.transform_output(ready, &execution, Some(&trigger), &mut ended).await;
                        Ok(ended)
                    }
                    Err(why) => Err(why),
                }
            }
            Err(why) => Err(why),
        };
        match ended {
            Ok(concluded) => self.conclude(execution, &concluded, events, Some(ready)).await,
            Err(Stop::Cancelled) => self.conclude_cancelled(execution, events).await,
            Err(Stop::Released) => self.hand_on(execution, events, ready).await,
            Err(Stop::LeaseLost) => {
                tracing::warn!(execution = %execution.id, attempt = execution.attempt, "engine.run_task.lease_lost");
                None
            }
        }
    }

    /// Runs the component and writes down what it does, about every second. Where it is stopped,
    /// the component ends at once, with whatever it holds. Gives also what could not be written yet.
    async fn run_and_flush(
        &self,
        execution: &Execution,
        request: AttemptRequest,
        journal: &Journal,
        place: &mut Place,
    ) -> (Result<AttemptReport, Stop>, Vec<NewEvent>) {
        let mut run = self.inner.parts.runtime.run(request);
        let mut unwritten = Vec::new();
        loop {
            tokio::select! {
                biased;
                report = &mut run => return (Ok(report), unwritten),
                why = place.stopped() => return (Err(why), unwritten),
                () = tokio::time::sleep(FLUSH_EVERY) => {}
            }
            unwritten.extend(self.journal_events(execution, journal.drain()));
            let Some(lease) = execution.lease.filter(|_| !unwritten.is_empty()) else { continue };
            let writes = vec![Write::RequireLease(execution.id, lease)];
            let mut writing = self.store().commit(UnitOfWork { writes, events: unwritten.clone() });
            // The component goes on while the store is slow, and can be stopped.
            let (written, ran) = tokio::select! {
                biased;
                written = &mut writing => (written, None),
                report = &mut run => (writing.await, Some(Ok(report))),
                why = place.stopped() => {
                    drop(run);
                    let written = writing.await;
                    return (Err(why), if written.is_ok() { Vec::new() } else { unwritten });
                }
            };
            match written {
                Ok(_) => unwritten.clear(),
                Err(CommitError::Conflict(_)) => return (Err(Stop::LeaseLost), Vec::new()),
                Err(error) => tracing::error!(execution = %execution.id, %error, "engine.run_task.flush"),
            }
            if let Some(ran) = ran {
                return (ran, unwritten);
            }
        }
    }

    pub(crate) fn attempt_request(
        &self,
        ready: &Ready,
        armed: &Armed,
        execution: &Execution,
        trigger: GuestTrigger,
        input: Payload,
        journal: &Arc<Journal>,
    ) -> AttemptRequest {
        let limits = match trigger {
            // It ends when somebody stops it.
            GuestTrigger::Continuous => Limits { timeout_ms: ENDLESS_MS, fuel: u64::MAX / 2, ..ready.limits },
            _ => ready.limits,
        };
        AttemptRequest {
            component: ready.protocol.digest,
            action: execution.action,
            execution: execution.id,
            correlation_id: execution.correlation_id.clone(),
            attempt: execution.attempt,
            deadline: self.now().plus(limits.timeout()),
            traceparent: execution.traceparent.clone(),
            trigger,
            config: armed.config.clone(),
            secrets: armed.secrets.clone(),
            input,
            egress: ready.egress.clone(),
            limits,
            journal: journal.clone(),
            sending: None,
            capturing: None,
            plan: None,
        }
    }

    /// What set an execution off, and what came with it.
    pub(crate) async fn trigger_of(&self, id: ExecutionId) -> Result<(GuestTrigger, Payload), EngineError> {
        let event = self.reader().event_of(id, EventType::TriggerReceived).await?;
        let event = event.ok_or_else(|| EngineError::Internal("its trigger is gone".into()))?;
        let trigger: TriggerData = serde_json::from_str(event.data.get())
            .map_err(|error| EngineError::Internal(format!("its trigger is damaged: {error}")))?;
        let input = self.payload(&trigger.input).await?;
        Ok((trigger.trigger, input))
    }

    pub(crate) fn journal_events(&self, execution: &Execution, entries: Vec<Entry>) -> Vec<NewEvent> {
        let context = context_of(execution, None);
        let random = &self.inner.parts.random;
        let to_event = |entry: Entry| NewEvent::new(random.event_id(), entry.time, context.clone(), &entry.fact);
        entries.into_iter().map(to_event).collect()
    }
}

/// Records that an attempt is about to send what must not be sent twice.
struct RecordSending {
    engine: Engine,
    execution: Execution,
    lease: Lease,
}

#[async_trait]
impl Sending for RecordSending {
    async fn begins(&self) -> Result<(), SendingRefused> {
        let event = self.engine.event(context_of(&self.execution, None), &Fact::AttemptSending {});
        // Under the lease: what is recorded late, when somebody else has the execution, is refused.
        let unit = UnitOfWork::new().write(Write::RequireLease(self.execution.id, self.lease)).event(event);
        self.engine.store().commit(unit).await.map(drop).map_err(|error| SendingRefused(error.to_string()))
    }
}
