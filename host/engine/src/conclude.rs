//! What comes after an attempt: decided by the action's rules, and written in one unit, if the lease still
//! holds.

use crate::{Engine, cache::Ready, dispatch_action::context_of, view::ExecutionView};
use action_domain::{
    capture::Captured,
    decide::{Circumstances, Ended, Reconciled, Step, next_step},
    event::{Fact, NewEvent, Position},
    execution::{Execution, Status},
    failure::{ErrorCode, ExecutionError},
    id::ExecutionId,
    payload::{Payload, RecordedPayload},
    repositories::{CommitError, Conflict, UnitOfWork, Write},
    services::{AttemptReport, WebhookReply},
    time::Timestamp,
};
use std::time::Duration;

/// Between tries to write an outcome to a store that is unavailable.
const COMMIT_RETRY: Duration = Duration::from_millis(200);

impl Engine {
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

    /// Gives an attempt back of which nothing ran: it is due again at this time, for anybody.
    pub(crate) async fn put_back(&self, mut execution: Execution, at: Timestamp) -> Option<ExecutionView> {
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
    pub(crate) fn of_report(report: AttemptReport) -> Self {
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
    pub(crate) fn of_error(error: ExecutionError) -> Self {
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
