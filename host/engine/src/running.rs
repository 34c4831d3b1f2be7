//! The attempts that this process has, and how to stop one: from the claim on, before anything of it runs.

use action_domain::{
    id::{ActionId, ExecutionId},
    time::Timestamp,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// Why an attempt is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Somebody cancelled the execution.
    Cancelled,
    /// The process ends, and others shall go on.
    Released,
    /// The lease may have run out: somebody else may have the execution.
    LeaseLost,
}

/// The attempts that this process has.
#[derive(Debug, Default)]
pub(crate) struct Running {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Of one execution there may be an attempt that is lost and does not know it yet, and the next one.
    attempts: HashMap<ExecutionId, Vec<Attempt>>,
    entered: u64,
}

#[derive(Debug)]
struct Attempt {
    number: u64,
    stop: watch::Sender<Option<Stop>>,
    /// It is kept running for this action, and does not end by itself.
    endless: Option<ActionId>,
    /// Until when nobody else takes the execution up.
    until: Timestamp,
}

/// An attempt's place among them, until it is dropped.
pub(crate) struct Place {
    running: Arc<Running>,
    id: ExecutionId,
    number: u64,
    stop: watch::Receiver<Option<Stop>>,
}

impl Running {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This process has the execution from now on, until then or longer. Whatever it had of it before has lost it.
    pub(crate) fn enter(self: &Arc<Self>, id: ExecutionId, until: Timestamp) -> Place {
        let (sender, stop) = watch::channel(None);
        let mut state = self.state();
        state.entered += 1;
        let number = state.entered;
        let attempts = state.attempts.entry(id).or_default();
        for lost in attempts.iter() {
            let _ = lost.stop.send(Some(Stop::LeaseLost));
        }
        attempts.push(Attempt { number, stop: sender, endless: None, until });
        Place { running: Arc::clone(self), id, number, stop }
    }

    /// Stops the attempt of an execution, if it is here.
    pub(crate) fn stop(&self, id: ExecutionId, why: Stop) {
        for attempt in self.state().attempts.get(&id).into_iter().flatten() {
            let _ = attempt.stop.send(Some(why));
        }
    }

    /// Stops those of which this holds.
    fn stop_those(&self, why: Stop, which: impl Fn(&Attempt) -> bool) {
        for attempt in self.state().attempts.values().flatten().filter(|attempt| which(attempt)) {
            let _ = attempt.stop.send(Some(why));
        }
    }

    /// Stops everything.
    pub(crate) fn stop_all(&self, why: Stop) {
        self.stop_those(why, |_| true);
    }

    /// Stops what does not end by itself.
    pub(crate) fn stop_endless(&self, why: Stop) {
        self.stop_those(why, |attempt| attempt.endless.is_some());
    }

    /// Stops whatever others may have taken up by now.
    pub(crate) fn stop_lapsed(&self, now: Timestamp) {
        self.stop_those(Stop::LeaseLost, |attempt| attempt.until <= now);
    }

    /// What does not end by itself, with the action that it is kept running for.
    pub(crate) fn endless(&self) -> Vec<(ExecutionId, ActionId)> {
        let state = self.state();
        let all = state.attempts.iter().flat_map(|(id, attempts)| attempts.iter().map(|attempt| (*id, attempt)));
        all.filter_map(|(id, attempt)| Some((id, attempt.endless?))).collect()
    }

    /// The executions that this process has.
    pub(crate) fn ids(&self) -> Vec<ExecutionId> {
        self.state().attempts.keys().copied().collect()
    }

    /// The leases of these last until then.
    pub(crate) fn renewed(&self, ids: &[ExecutionId], until: Timestamp) {
        let mut state = self.state();
        for id in ids {
            // Only the last one can have it.
            if let Some(attempt) = state.attempts.get_mut(id).and_then(|attempts| attempts.last_mut()) {
                attempt.until = attempt.until.max(until);
            }
        }
    }

    /// Until when nobody else takes an execution up that this process has.
    pub(crate) fn until(&self, id: ExecutionId) -> Option<Timestamp> {
        self.state().attempts.get(&id)?.last().map(|attempt| attempt.until)
    }

    /// Whether this process has an execution.
    pub(crate) fn has(&self, id: ExecutionId) -> bool {
        self.state().attempts.contains_key(&id)
    }

    /// Whether it has none.
    pub(crate) fn is_empty(&self) -> bool {
        self.state().attempts.is_empty()
    }
}

impl Place {
    /// The attempt does not end by itself: it is kept running for this action.
    pub(crate) fn mark_endless(&self, action: ActionId) {
        let mut state = self.running.state();
        let attempts = state.attempts.get_mut(&self.id).into_iter().flatten();
        for own in attempts.filter(|attempt| attempt.number == self.number) {
            own.endless = Some(action);
        }
    }

    /// Waits until the attempt is to be stopped.
    pub(crate) async fn stopped(&mut self) -> Stop {
        loop {
            let why = *self.stop.borrow_and_update();
            if let Some(why) = why {
                return why;
            }
            if self.stop.changed().await.is_err() {
                // Its entry went, which only its drop does.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Works at something unless the attempt is to be stopped, now or meanwhile.
    pub(crate) async fn unless_stopped<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Stop> {
        tokio::select! {
            biased;
            why = self.stopped() => Err(why),
            done = work => Ok(done),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.running.state();
        let Some(attempts) = state.attempts.get_mut(&self.id) else { return };
        attempts.retain(|attempt| attempt.number != self.number);
        if attempts.is_empty() {
            state.attempts.remove(&self.id);
        }
    }
}
