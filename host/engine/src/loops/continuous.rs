//! Keeps one execution of each continuous action running in the whole system: looks whether it does,
//! and begins it anew, with a growing wait, where it has ended.

use crate::{Engine, EngineError, dispatch_action::Occurrence};
use action_domain::{
    id::{ActionId, ExecutionId},
    limits::PAGE_ITEMS_MAX,
    payload::Payload,
    repositories::{ActionKey, Page, Write},
    services::GuestTrigger,
    time::Timestamp,
    trigger::{Continuous, Standing, StandingKind, Trigger},
};
use std::{collections::HashMap, time::Duration};

/// How often is looked, if nobody says that something changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What ran this long was well: the next restart waits as little as the first.
const WELL_AFTER: Duration = Duration::from_mins(1);

/// When what has ended begins again.
struct Restart {
    /// What has ended.
    last: Option<ExecutionId>,
    failures: u32,
    not_before: Timestamp,
}

impl Engine {
    pub(crate) async fn keep_continuous(self) {
        let mut restarts = HashMap::new();
        loop {
            let changed = self.inner.triggers.notified();
            if let Err(error) = self.look_at_continuous(&mut restarts).await {
                tracing::error!(%error, "engine.continuous");
            }
            tokio::select! {
                () = self.inner.stopping.cancelled() => return,
                () = changed => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn look_at_continuous(&self, restarts: &mut HashMap<ActionId, Restart>) -> Result<(), EngineError> {
        let mut there = Vec::new();
        let mut after = None;
        loop {
            let page = Page { after, limit: PAGE_ITEMS_MAX };
            let standings = self.reader().triggers(StandingKind::Continuous, page).await?;
            let full = standings.len() == PAGE_ITEMS_MAX as usize;
            after = standings.last().map(|standing| (standing.action, standing.place));
            for standing in standings {
                there.push(standing.action);
                self.keep_running(&standing, restarts).await?;
            }
            if !full {
                restarts.retain(|action, _| there.contains(action));
                return Ok(());
            }
        }
    }

    async fn keep_running(
        &self,
        standing: &Standing,
        restarts: &mut HashMap<ActionId, Restart>,
    ) -> Result<(), EngineError> {
        let ready = match self.ready(&ActionKey::Id(standing.action)).await {
            Ok(ready) => ready,
            Err(EngineError::NotFound(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        let trigger = ready.action.spec.triggers.get(standing.place as usize);
        let Some(Trigger::Continuous(continuous)) = trigger else { return Ok(()) };
        let last = match standing.last {
            Some(last) => self.reader().execution(last).await?,
            None => None,
        };
        let now = self.now();
        if let Some(last) = &last {
            if !last.status.is_terminal() {
                if last.revision != ready.action.revision {
                    self.stop_continuous(last.id).await;
                }
                return Ok(());
            }
            let known = restarts.get(&standing.action);
            if known.is_none_or(|known| known.last != Some(last.id)) {
                let lasted = last.ended_at.unwrap_or(now).since(last.started_at.unwrap_or(last.created_at));
                // What was stopped for a new revision begins at once.
                let replaced = last.revision != ready.action.revision;
                let before = known.map_or(0, |known| known.failures);
                let failures = if lasted >= WELL_AFTER { 0 } else { before };
                let not_before = if replaced { now } else { now.plus(wait(continuous, failures)) };
                let failures = if replaced { 0 } else { failures.saturating_add(1) };
                restarts.insert(standing.action, Restart { last: Some(last.id), failures, not_before });
            }
        }
        if restarts.get(&standing.action).is_some_and(|restart| restart.not_before > now) {
            return Ok(());
        }
        let id = self.inner.parts.random.execution_id();
        let input = Payload { content_type: "application/json".into(), data: "null".into() };
        let mut occurrence = Occurrence::noticed(GuestTrigger::Continuous, input);
        occurrence.execution = Some(id);
        occurrence.writes.push(Write::RestartIfLast(standing.action, standing.place, standing.last, id));
        match self.occur(ready, occurrence, None).await {
            // Another process was quicker, or what was refused is recorded.
            Ok(_) | Err(EngineError::Conflict { .. } | EngineError::InvalidInput(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn wait(continuous: &Continuous, failures: u32) -> Duration {
    let doubled = continuous.initial_ms.saturating_mul(1_u64.checked_shl(failures).unwrap_or(u64::MAX));
    Duration::from_millis(doubled.min(continuous.max_ms))
}
