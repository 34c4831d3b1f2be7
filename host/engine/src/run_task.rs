//! One attempt, from its start to what comes next.

use crate::{
    Engine, EngineError,
    arm::Armed,
    cache::Ready,
    dispatch_action::context_of,
    running::{Place, Stop},
    view::ExecutionView,
};
use action_domain::{
    capture::Captured,
    decide::{Circumstances, Ended, Reconciled, Step, next_step},
    event::{EventType, Fact, NewEvent, Position, TriggerData},
    execution::{Execution, Lease, Status},
    failure::{ErrorCode, ExecutionError},
    id::ExecutionId,
    limits::{CONTINUOUS_MAX, Limits},
    payload::{Payload, RecordedPayload},
    repositories::{CommitError, Conflict, UnitOfWork, Write},
    services::{AttemptReport, AttemptRequest, Entry, GuestTrigger, Journal, Sending, SendingRefused, WebhookReply},
    time::Timestamp,
};
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};
use tokio::sync::OwnedSemaphorePermit;

/// How often what a long attempt did is written down while it still runs.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// The wall time of what is kept running: ten years.
const ENDLESS_MS: u64 = 10 * 365 * 24 * 3600 * 1000;
/// Between tries to write an outcome to a store that is unavailable.
const COMMIT_RETRY: Duration = Duration::from_millis(200);
/// What is to be kept running and has no place waits this long, and twice as long each time.
const PLACE_WAIT: Duration = Duration::from_millis(2_500);
/// As often: to some five minutes.
const PLACE_WAIT_DOUBLED_MAX: u32 = 7;

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

    /// Gives an attempt back of which nothing ran: it is due again at this time, for anybody.
    async fn put_back(&self, mut execution: Execution, at: Timestamp) -> Option<ExecutionView> {
        let lease = execution.lease.take()?;
        execution.status = Status::Waiting;
        execution.run_at = Some(at);
        let queued = self.event(context_of(&execution, None), &Fact::ExecutionQueued { run_at: at });
        let unit = UnitOfWork::new().write(Write::UpdateExecutionIfLeased(Box::new(execution.clone()), lease));
        match self.commit_outcome(&execution, lease.until, unit, None, queued).await {
            Ok(()) => Some(ExecutionView { execution, output: None, reply: None }),
            Err(Unwritten::ToCancel) => {
                execution.lease = Some(lease);
                self.conclude_cancelled(execution, Vec::new()).await
            }
            Err(Unwritten::Lost) => None,
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
            place.is_endless(execution.action);
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

    pub(crate) async fn conclude_cancelled(
        &self,
        mut execution: Execution,
        events: Vec<NewEvent>,
    ) -> Option<ExecutionView> {
        let lease = execution.lease?;
        let mut unit = self.cancelled(&mut execution, None, None);
        unit.events.splice(..0, events);
        let mut unit = unit.write(Write::UpdateExecutionIfLeased(Box::new(execution.clone()), lease));
        let last = unit.events.pop()?;
        self.commit_outcome(&execution, lease.until, unit, None, last).await.ok()?;
        Some(ExecutionView { execution, output: None, reply: None })
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

    /// Decides what comes after an attempt and writes all of it in one unit, if the lease
    /// still holds.
    pub(crate) async fn conclude(
        &self,
        mut execution: Execution,
        concluded: &Concluded,
        events: Vec<NewEvent>,
        ready: Option<&Ready>,
    ) -> Option<ExecutionView> {
        let lease = execution.lease.take()?;
        let now = self.now();
        let step = match ready {
            Some(ready) => self.step(ready, &execution, concluded, now),
            // Its action cannot be read: there is no rule by which to try again.
            None => Step::GiveUp,
        };
        let goes_on = !matches!(step, Step::Succeed | Step::GiveUp);
        if goes_on && execution.cancel_requested {
            execution.lease = Some(lease);
            return self.conclude_cancelled(execution, events).await;
        }
        // In case that somebody wants it stopped before this is written: what ends, ends.
        let so_far = if goes_on { events.clone() } else { Vec::new() };
        execution.receipt = concluded.receipt.or(execution.receipt);
        execution.error.clone_from(&concluded.error);
        let mut unit = UnitOfWork::new();
        if let Some(wait) = concluded.remote_asked_to_wait() {
            let until = now.plus(wait);
            self.inner.pauses.extend(execution.action, until);
            unit = unit.write(Write::SlowDown(execution.action, until));
        }
        let mut output = None;
        // What failed keeps an output only where its transform failed: the effect has taken place.
        let ended = matches!(step, Step::Succeed | Step::GiveUp);
        if let Some((recorded, apart)) = concluded.output.as_ref().filter(|_| ended).map(Payload::recorded) {
            output = Some(recorded);
            if let Some((digest, bytes)) = apart {
                unit = unit.write(Write::AddPayload(digest, bytes));
            }
        }
        let fact = match step {
            Step::Succeed => {
                execution.status = Status::Succeeded;
                execution.ended_at = Some(now);
                Self::executed(true, &execution, output.clone(), concluded.reply.clone())
            }
            Step::GiveUp => {
                execution.status = Status::Failed;
                execution.ended_at = Some(now);
                Self::executed(false, &execution, output.clone(), None)
            }
            Step::RetryAt(at) => {
                execution.status = Status::Waiting;
                execution.run_at = Some(at);
                Fact::AttemptFailed { error: concluded.known_error(), receipt: concluded.receipt, retry_at: at }
            }
            // What cannot be asked is held: see `ask_if_in_doubt`.
            Step::Hold | Step::Reconcile => {
                execution.status = Status::InDoubt;
                Fact::AttemptInDoubt { error: concluded.known_error(), receipt: concluded.receipt }
            }
        };
        let last = self.event(context_of(&execution, None), &fact);
        unit.events = events;
        let unit = unit.write(Write::UpdateExecutionIfLeased(Box::new(execution.clone()), lease));
        let unit = call_back(unit, &execution, now);
        // Where only its transform failed, it has taken from the remote what it captured.
        let captured = concluded.captured.as_ref().filter(|_| ended);
        match self.commit_outcome(&execution, lease.until, unit, captured, last).await {
            Ok(()) => Some(ExecutionView { execution, output, reply: concluded.reply.clone() }),
            Err(Unwritten::ToCancel) => {
                execution.lease = Some(lease);
                self.conclude_cancelled(execution, so_far).await
            }
            Err(Unwritten::Lost) => None,
        }
    }

    /// What comes after an attempt, by the action's rules.
    pub(crate) fn step(&self, ready: &Ready, execution: &Execution, concluded: &Concluded, now: Timestamp) -> Step {
        let unasked = if ready.protocol.reconciles { Reconciled::NotAsked } else { Reconciled::Cannot };
        let given = Circumstances {
            effect: concluded.effect.unwrap_or(ready.action.effect),
            sent: concluded.sent,
            attempt: execution.attempt,
            reconciled: concluded.reconciled.unwrap_or(unasked),
            delivery: &ready.action.spec.delivery,
            ended_at: now,
            random: self.inner.parts.random.fraction(),
        };
        match next_step(concluded.ended(), &given) {
            // It is no fault of the execution that its process ends: others go on with it at once.
            Step::RetryAt(_) if concluded.handed_on => Step::RetryAt(now),
            Step::GiveUp if concluded.handed_on && given.is_harmless_again() => Step::RetryAt(now),
            // Another execution takes its place.
            Step::RetryAt(_) if concluded.endless => Step::GiveUp,
            step => step,
        }
    }

    /// The last event of an execution that ran.
    pub(crate) fn executed(
        success: bool,
        execution: &Execution,
        output: Option<RecordedPayload>,
        reply: Option<WebhookReply>,
    ) -> Fact {
        let (error, receipt) = (execution.error.clone(), execution.receipt);
        Fact::ActionExecuted { success, error, output, receipt, reply: reply.map(Box::new) }
    }

    /// Tells whoever waits for this execution, or wakes the worker if it goes on. Called when
    /// the attempt has given its permit back: who is told may ask for the next one at once.
    pub(crate) fn announce(&self, view: Option<ExecutionView>) {
        let Some(view) = view else { return };
        let ended = view.execution.status.is_terminal() || view.execution.status == Status::InDoubt;
        if ended {
            self.inner.waiting.tell(&view);
        }
        if !ended {
            self.ring();
        } else if view.execution.turn.waits_for_others() {
            // What was called back was offered before, and no broker carries it twice.
            self.inner.queued.notify_one();
        }
    }

    /// Writes an outcome with what was captured, and `last` behind it; as long as the lease holds, again
    /// if the store is unavailable.
    async fn commit_outcome(
        &self,
        execution: &Execution,
        until: Timestamp,
        unit: UnitOfWork,
        captured: Option<&Captured>,
        last: NewEvent,
    ) -> Result<(), Unwritten> {
        let mut tries = 0;
        loop {
            match self.commit_once(execution, unit.clone(), captured, last.clone()).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict(Conflict::ItemKnown)) if tries < crate::capture::TRIES => tries += 1,
                Err(CommitError::Conflict(Conflict::CancelRequested)) => return Err(Unwritten::ToCancel),
                Err(CommitError::Conflict(Conflict::LeaseLost)) => {
                    tracing::warn!(execution = %execution.id, "engine.run_task.lease_lost");
                    return Err(Unwritten::Lost);
                }
                Err(CommitError::Unavailable(error)) if self.still_has(execution.id, until) => {
                    tracing::error!(execution = %execution.id, %error, "engine.run_task.commit");
                    tokio::time::sleep(COMMIT_RETRY).await;
                }
                Err(error) => {
                    tracing::error!(execution = %execution.id, %error, "engine.run_task.commit");
                    return Err(Unwritten::Lost);
                }
            }
        }
    }
}

impl Engine {
    /// Whether nobody else can have taken up what this process has of an execution, under a lease until then that
    /// may have been renewed.
    fn still_has(&self, id: ExecutionId, until: Timestamp) -> bool {
        let until = self.inner.running.until(id).map_or(until, |renewed| renewed.max(until));
        self.inner.parts.exclusive_store || self.now() < until
    }

    async fn commit_once(
        &self,
        execution: &Execution,
        mut unit: UnitOfWork,
        captured: Option<&Captured>,
        last: NewEvent,
    ) -> Result<Position, CommitError> {
        if let Some(captured) = captured.filter(|captured| !captured.is_empty()) {
            self.new_of(execution, captured).await?.put_into(&mut unit);
        }
        self.store().commit(unit.event(last)).await
    }
}

/// Why an outcome was not written.
enum Unwritten {
    /// Somebody wants the execution stopped, and it would have gone on.
    ToCancel,
    /// Somebody else has it now, or the store is not to be had.
    Lost,
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

/// Calls back what waits for this execution's end.
pub(crate) fn call_back(unit: UnitOfWork, execution: &Execution, now: Timestamp) -> UnitOfWork {
    let turn = &execution.turn;
    if turn.max_concurrent.is_none() && turn.ordering_key.is_none() {
        return unit;
    }
    unit.write(Write::CallBack(execution.action, turn.ordering_key.clone(), now))
}

/// How an attempt ended, in the form in which the decision needs it.
pub(crate) struct Concluded {
    pub(crate) output: Option<Payload>,
    pub(crate) reply: Option<WebhookReply>,
    pub(crate) captured: Option<Captured>,
    pub(crate) error: Option<ExecutionError>,
    pub(crate) receipt: Option<action_domain::receipt::Receipt>,
    pub(crate) sent: action_domain::failure::Sent,
    pub(crate) effect: Option<action_domain::failure::Effect>,
    /// It was kept running.
    pub(crate) endless: bool,
    /// The process ends in an orderly way, and gives back what it cannot finish.
    pub(crate) handed_on: bool,
    /// What the protocol found out, if it was asked.
    pub(crate) reconciled: Option<Reconciled>,
}

impl Concluded {
    fn of_report(report: AttemptReport) -> Self {
        let (output, reply, error) = match report.result {
            Ok(outcome) => (Some(outcome.output), outcome.reply, None),
            Err(error) => (None, None, Some(error)),
        };
        Self {
            output,
            reply,
            captured: Some(report.captured),
            error,
            receipt: Some(report.receipt),
            sent: report.sent,
            effect: report.effect,
            endless: false,
            handed_on: false,
            reconciled: None,
        }
    }

    /// Nothing was tried.
    fn of_error(error: ExecutionError) -> Self {
        Self {
            output: None,
            reply: None,
            captured: None,
            error: Some(error),
            receipt: None,
            sent: action_domain::failure::Sent::NotSent,
            effect: None,
            endless: false,
            handed_on: false,
            reconciled: None,
        }
    }

    fn known_error(&self) -> ExecutionError {
        self.error.clone().unwrap_or_else(|| ExecutionError::new(ErrorCode::HostError, "it ended without a reason"))
    }

    /// How long the remote wants to be left alone, if it said so: then the whole action waits, also
    /// where this execution is not tried again.
    fn remote_asked_to_wait(&self) -> Option<Duration> {
        match self.ended() {
            Ended::Reported(advice) => advice.asked_wait(),
            _ => None,
        }
    }

    fn ended(&self) -> Ended {
        match &self.error {
            None => Ended::Succeeded,
            Some(error) => match (&error.failure, error.code) {
                (Some(failure), ErrorCode::ProtocolFailed) => Ended::Reported(failure.advice),
                (_, code) => Ended::Broken(code),
            },
        }
    }
}
