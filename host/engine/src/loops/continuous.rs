//! Keeps one execution of each continuous action running in the whole system: looks whether it does,
//! and begins it anew, with a growing wait, where it has ended.

use crate::{Engine, EngineError, dispatch_action::Occurrence};
use action_domain::{
    execution::{Execution, Status},
    id::{ActionId, ExecutionId},
    limits::{CLOCK_AHEAD_MAX, PAGE_ITEMS_MAX},
    payload::Payload,
    repositories::{ActionKey, Page, Write},
    services::GuestTrigger,
    time::Timestamp,
    trigger::{Continuous, Standing, StandingKind, Trigger, known_by},
};
use std::{collections::HashMap, time::Duration};

/// How often is looked, if nobody says that something changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What ran this long was well: the next restart waits as little as the first.
const WELL_AFTER: Duration = Duration::from_mins(1);

/// When what has ended, or was refused, begins again.
struct Restart {
    /// What has ended; of what was refused there is no execution.
    last: Option<ExecutionId>,
    /// Of the action then: another one begins at once.
    revision: u32,
    failures: u32,
    not_before: Timestamp,
}

type Restarts = HashMap<ActionId, Restart>;

impl Engine {
    pub(crate) async fn keep_continuous(self) {
        let mut restarts = Restarts::new();
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

    async fn look_at_continuous(&self, restarts: &mut Restarts) -> Result<(), EngineError> {
        // Asked for before the rows are read: what runs here stands in one of them, or is not wanted.
        let here = self.inner.running.endless();
        let mut there = HashMap::new();
        let mut after = None;
        loop {
            let page = Page { after, limit: PAGE_ITEMS_MAX };
            let standings = self.reader().triggers(StandingKind::Continuous, page).await?;
            let full = standings.len() == PAGE_ITEMS_MAX as usize;
            after = standings.last().map(|standing| (standing.action, standing.place));
            for standing in standings {
                there.insert(standing.action, standing.last.filter(|_| standing.since.is_some()));
                match self.keep_running(&standing, restarts).await {
                    Ok(()) => {}
                    Err(error @ EngineError::Unavailable(_)) => return Err(error),
                    // The others are not to wait for it.
                    Err(error) => tracing::error!(action = %standing.action, %error, "engine.continuous.action"),
                }
            }
            if !full {
                break;
            }
        }
        restarts.retain(|action, _| there.contains_key(action));
        for (id, action) in here {
            if there.get(&action) != Some(&Some(id)) && !self.is_kept_running(id, action).await {
                self.stop_continuous(id).await?;
            }
        }
        Ok(())
    }

    async fn keep_running(&self, standing: &Standing, restarts: &mut Restarts) -> Result<(), EngineError> {
        if standing.since.is_none() {
            return match standing.last {
                Some(last) => self.stop_continuous(last).await,
                None => Ok(()),
            };
        }
        let ready = match self.ready(&ActionKey::Id(standing.action)).await {
            Ok(ready) => ready,
            Err(EngineError::NotFound("action")) => return Ok(()),
            Err(error) => return Err(error),
        };
        let trigger = known_by(&ready.action.spec.triggers, standing.identity);
        let Some(Trigger::Continuous(continuous)) = trigger else { return Ok(()) };
        let (now, revision) = (self.now(), ready.action.revision);
        if let Some(id) = standing.last {
            let last = self.reader().execution(id).await?;
            if let Some(last) = last.as_ref().filter(|last| !has_ended(last.status)) {
                // Another process may know of a later revision.
                return if last.revision < revision { self.stop_continuous(id).await } else { Ok(()) };
            }
            let known = restarts.get(&standing.action);
            if known.is_none_or(|known| known.last != Some(id)) {
                let failures = known.map_or(0, |known| known.failures);
                let restart = restart(continuous, id, last.as_ref(), (failures, revision), now);
                restarts.insert(standing.action, restart);
            }
        }
        match restarts.get(&standing.action) {
            // What was stopped for a new revision begins at once, and so does what that mends.
            Some(restart) if restart.revision < revision => drop(restarts.remove(&standing.action)),
            // One that is further off was set by a clock that was wrong.
            Some(restart) if restart.not_before > now && restart.not_before <= latest(continuous, now) => {
                return Ok(());
            }
            _ => {}
        }
        let id = self.inner.parts.random.execution_id();
        let input = Payload { content_type: "application/json".into(), data: "null".into() };
        let mut occurrence = Occurrence::noticed(GuestTrigger::Continuous, input);
        occurrence.execution = Some(id);
        // Also where it is refused: one process says so, and all of them wait then.
        occurrence.writes.push(Write::RestartIfLast(standing.action, standing.identity, standing.last, id));
        let begun = self.occur(ready.clone(), occurrence, None).await;
        let quicker = |error: &EngineError| matches!(error, EngineError::Conflict { code: "status_changed", .. });
        if let Err(error) = &begun
            && !quicker(error)
            && !matches!(error, EngineError::Unavailable(_))
        {
            let failures = restarts.get(&standing.action).map_or(0, |known| known.failures);
            let restart = restart(continuous, id, None, (failures, revision), now);
            restarts.insert(standing.action, restart);
        }
        match begun {
            // Another process was quicker, or what was refused is recorded.
            Ok(_)
            | Err(EngineError::Conflict { .. } | EngineError::InvalidInput(_) | EngineError::TransformFailed(_)) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether another one may take its place. What is in doubt waits for a person, and runs no more: where
/// that one has it tried again, it is not the last one by then, and is stopped.
fn has_ended(status: Status) -> bool {
    status.is_terminal() || status == Status::InDoubt
}

/// When the next one begins behind this one. None: it was refused at `revision`.
fn restart(
    continuous: &Continuous,
    id: ExecutionId,
    last: Option<&Execution>,
    (failures, revision): (u32, u32),
    now: Timestamp,
) -> Restart {
    let lasted = last
        .map_or(Duration::ZERO, |last| last.ended_at.unwrap_or(now).since(last.started_at.unwrap_or(last.created_at)));
    let failures = if lasted >= WELL_AFTER { 0 } else { failures };
    Restart {
        last: Some(id),
        revision: last.map_or(revision, |last| last.revision),
        failures: failures.saturating_add(1),
        not_before: now.plus(wait(continuous, failures)),
    }
}

/// Later than this nothing begins that is to begin at all.
fn latest(continuous: &Continuous, now: Timestamp) -> Timestamp {
    now.plus(Duration::from_millis(continuous.max_ms)).plus(CLOCK_AHEAD_MAX)
}

fn wait(continuous: &Continuous, failures: u32) -> Duration {
    let doubled = continuous.initial_ms.saturating_mul(1_u64.checked_shl(failures).unwrap_or(u64::MAX));
    Duration::from_millis(doubled.min(continuous.max_ms))
}
