//! Takes up what a lost worker left behind.
//!
//! What may be repeated is decided about at once. An execution whose repeat may do harm is taken over
//! first, and looked at and asked about apart: a remote that does not answer holds up nobody but itself.

use crate::{
    Engine, EngineError,
    cache::Ready,
    conclude::Concluded,
    running::{Place, Stop},
    view::ExecutionView,
};
use action_domain::{
    decide::Step,
    event::{Fact, NewEvent},
    execution::{Execution, WorkerId},
    failure::{Effect, ErrorCode, ExecutionError, Sent},
    repositories::{CommitError, Conflict, UnitOfWork, Write},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::{sync::Arc, time::Duration};

/// How many are looked at in one go.
const BATCH: u32 = 100;
/// How many of them are taken up at once: their writes share commits.
const AT_ONCE: usize = 16;
/// How many protocols are asked at once. Each takes the place of an attempt as well; with a few,
/// what a large worker left behind does not keep everything else from running.
pub(crate) const QUESTIONS_AT_ONCE: usize = 8;
/// Between looks at what an attempt has said, while the store is unavailable.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Engine {
    /// Ends every attempt whose worker is gone, and decides what comes next like after any
    /// other attempt. `except`: whatever another worker than this one has is lost.
    ///
    /// How many were taken up.
    pub(crate) async fn recover_abandoned(&self, except: Option<WorkerId>) -> Result<usize, EngineError> {
        let mut recovered = 0;
        loop {
            let mut abandoned = self.reader().abandoned(self.now(), except, BATCH).await?;
            let found = abandoned.len();
            // What runs here is not lost, whatever the clock says.
            abandoned.retain(|execution| !self.inner.running.has(execution.id));
            let taken = abandoned.len();
            let all = stream::iter(abandoned).map(|execution| self.recover(execution));
            all.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
            recovered += taken;
            if found < BATCH as usize || taken == 0 || self.inner.stopping.is_cancelled() {
                return Ok(recovered);
            }
        }
    }

    async fn recover(&self, execution: Execution) -> Result<(), EngineError> {
        let Some(lease) = execution.lease else { return Ok(()) };
        let ready = match self.ready_revision(execution.action, execution.revision).await {
            Ok(ready) => Some(ready),
            Err(error @ EngineError::Unavailable(_)) => return Err(error),
            Err(error) => {
                tracing::error!(execution = %execution.id, %error, "engine.recover.action");
                None
            }
        };
        tracing::warn!(execution = %execution.id, attempt = execution.attempt, worker = %lease.worker, "engine.recover.worker_lost");
        match ready {
            Some(ready) if ready.action.effect == Effect::Unsafe && !execution.cancel_requested => {
                self.recover_apart(execution, ready);
            }
            ready => {
                let (lost, abandoned) = self.lost(&execution, false, Sent::MaybeSent);
                let view = if execution.cancel_requested {
                    self.conclude_cancelled(execution, vec![abandoned]).await
                } else {
                    self.conclude(execution, &lost, vec![abandoned], ready.as_deref()).await
                };
                self.announce(view);
            }
        }
        Ok(())
    }

    /// An attempt of which nobody will hear any more, and the event that says so.
    fn lost(&self, execution: &Execution, handed_on: bool, sent: Sent) -> (Concluded, NewEvent) {
        let lost = Concluded {
            reply: None,
            captured: None,
            endless: false,
            output: None,
            error: Some(ExecutionError::new(ErrorCode::WorkerLost, "the process that ran the attempt is gone")),
            receipt: None,
            sent,
            effect: None,
            handed_on,
            reconciled: None,
        };
        let worker = execution.lease.map_or(self.inner.worker, |lease| lease.worker);
        let context = crate::dispatch_action::context_of(execution, None);
        (lost, self.event(context, &Fact::AttemptAbandoned { worker }))
    }

    /// How far an attempt got of which nobody hears any more: before an unsafe one sends, it says so;
    /// the others do not pay for this.
    async fn sent(&self, execution: &Execution, effect: Effect) -> Result<Sent, EngineError> {
        let silent = effect == Effect::Unsafe && !self.reader().has_sent(execution.id, execution.attempt).await?;
        Ok(if silent { Sent::NotSent } else { Sent::MaybeSent })
    }

    /// Decides about an attempt whose repeat may do harm, while others go on.
    fn recover_apart(&self, execution: Execution, ready: Arc<Ready>) {
        // From here on it runs here: it is not taken up once more, and can be stopped.
        let until = self.lease_for(&ready.limits, execution.attempt, self.now()).until;
        let place = self.inner.running.enter(execution.id, until);
        let engine = self.clone();
        // A task for all of it: whoever has taken an execution over has to see it through.
        self.inner.tasks.spawn(async move {
            let view = engine.take_over_and_ask(execution, &ready, place).await;
            engine.announce(view);
        });
    }

    /// The lease first: a worker that was only late can say no more that it is about to send, and
    /// what it has said is there to be seen. Only then is looked, and asked as soon as there is room.
    async fn take_over_and_ask(
        &self,
        mut execution: Execution,
        ready: &Ready,
        mut place: Place,
    ) -> Option<ExecutionView> {
        let old = execution.lease?;
        let (_, abandoned) = self.lost(&execution, false, Sent::MaybeSent);
        let mut events = vec![abandoned];
        execution.lease = Some(self.lease_for(&ready.limits, execution.attempt, self.now()));
        let take_over = Write::UpdateExecutionIfLeased(Box::new(execution.clone()), old);
        match self.store().commit(UnitOfWork::new().write(take_over)).await {
            Ok(_) => {}
            Err(CommitError::Conflict(Conflict::CancelRequested)) => {
                execution.lease = Some(old);
                return self.conclude_cancelled(execution, events).await;
            }
            // Somebody else was faster; or it is found again.
            Err(error) => {
                tracing::warn!(execution = %execution.id, %error, "engine.recover.take_over");
                return None;
            }
        }
        let sent = loop {
            match self.sent(&execution, ready.action.effect).await {
                Ok(sent) => break sent,
                Err(error) => tracing::error!(execution = %execution.id, %error, "engine.recover.sent"),
            }
            if !self.pause(LOOK_AGAIN).await {
                return None;
            }
        };
        let (mut lost, _) = self.lost(&execution, false, sent);
        if self.step(ready, &execution, &lost, self.now()) != Step::Reconcile {
            return self.conclude(execution, &lost, events, Some(ready)).await;
        }
        let room = async {
            let question = self.inner.questions.clone().acquire_owned().await;
            (question, self.attempt_permit().await)
        };
        let asked = tokio::select! {
            room = room => {
                let asked = self.ask_if_in_doubt(ready, &execution, &mut lost, None, &mut events, &mut place).await;
                drop(room);
                asked
            }
            why = place.stopped() => Err(why),
            // Nothing was asked: others do when the lease is over.
            () = self.inner.stopping.cancelled() => Err(Stop::Released),
        };
        match asked {
            Ok(()) => {
                self.transform_output(ready, &execution, None, &mut lost).await;
                self.conclude(execution, &lost, events, Some(ready)).await
            }
            Err(Stop::Cancelled) => self.conclude_cancelled(execution, events).await,
            Err(Stop::Released | Stop::LeaseLost) => None,
        }
    }

    /// Ends an attempt that is given up here because the process ends. The lease is fenced: if the
    /// attempt ended after all, nothing is written.
    pub(crate) async fn hand_on(
        &self,
        execution: Execution,
        mut events: Vec<NewEvent>,
        ready: &Ready,
    ) -> Option<ExecutionView> {
        let sent = match self.sent(&execution, ready.action.effect).await {
            Ok(sent) => sent,
            Err(error) => {
                tracing::error!(execution = %execution.id, %error, "engine.recover.sent");
                return None;
            }
        };
        let (mut lost, abandoned) = self.lost(&execution, true, sent);
        events.push(abandoned);
        // A place of its own: the attempt's has been told to stop.
        let until = execution.lease.map_or_else(|| self.now(), |lease| lease.until);
        let until = self.inner.running.until(execution.id).unwrap_or(until);
        let mut place = self.inner.running.enter(execution.id, until);
        self.ask_if_in_doubt(ready, &execution, &mut lost, None, &mut events, &mut place).await.ok()?;
        self.transform_output(ready, &execution, None, &mut lost).await;
        self.conclude(execution, &lost, events, Some(ready)).await
    }
}
