//! Fires schedules that are due. Every process looks; what one has fired the others find fired, since
//! firing is a part of the trigger's own unit.

use crate::{Engine, EngineError, dispatch_action::Occurrence};
use action_domain::{
    action::Action,
    limits::{CLOCK_AHEAD_MAX, PAGE_ITEMS_MAX},
    payload::Payload,
    repositories::{ActionKey, CommitError, Conflict, Fire, Page, UnitOfWork, Write},
    schedule::{Calendar, Overlap, Schedule, fires},
    services::GuestTrigger,
    time::Timestamp,
    trigger::{Standing, StandingKind, Trigger, known_by},
};
use futures_util::{StreamExt as _, stream};
use std::time::Duration;
use tokio::time::Instant;

/// Schedules that are looked at in one go.
const BATCH: u32 = 100;
/// How many of them fire at once: their writes share commits.
const AT_ONCE: usize = 16;
/// How often is looked, if nothing is due and nobody says that a schedule changed.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The same where other processes change schedules, and do not say so.
const LOOK_SHARED_EVERY: Duration = Duration::from_secs(1);
/// How often is looked for schedules that a wrong clock has put off, if no clock was seen to be wrong.
const PUT_RIGHT_EVERY: Duration = Duration::from_mins(10);
/// After the store was unavailable, or a schedule could not be fired.
const BACK_OFF: Duration = Duration::from_secs(1);

impl Engine {
    pub(crate) async fn fire_schedules(self) {
        // When that was done, and what the clock said then.
        let (mut put_right, mut shown) = (None::<Instant>, self.now());
        loop {
            // Asked for before the look, so that nothing that changes meanwhile is missed.
            let changed = self.inner.triggers.notified();
            let (before, now) = (shown, self.now());
            shown = now;
            if now < before || put_right.is_none_or(|then| then.elapsed() >= PUT_RIGHT_EVERY) {
                put_right = Some(Instant::now());
                if let Err(error) = self.put_schedules_right().await {
                    tracing::error!(%error, "engine.schedules.put_right");
                }
            }
            let pause = match self.fire_due().await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::error!(%error, "engine.schedules");
                    BACK_OFF
                }
            };
            tokio::select! {
                () = self.inner.stopping.cancelled() => return,
                () = changed => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Fires what is due. How long to wait then.
    async fn fire_due(&self) -> Result<Duration, EngineError> {
        let due = self.reader().due_schedules(self.now(), BATCH).await?;
        let full = due.len() == BATCH as usize;
        let fire = async |standing: Standing| (standing.action, self.fire(standing).await);
        let mut fired = stream::iter(due).map(fire).buffer_unordered(AT_ONCE);
        let (mut unavailable, mut failed) = (None, false);
        // All of them, or what is under way would be dropped in the midst.
        while let Some((action, fired)) = fired.next().await {
            match fired {
                Ok(()) => {}
                Err(error @ EngineError::Unavailable(_)) => unavailable = Some(error),
                // The others are not to wait for it.
                Err(error) => {
                    tracing::error!(%action, %error, "engine.schedules.action");
                    failed = true;
                }
            }
        }
        match unavailable {
            Some(error) => Err(error),
            None if failed => Ok(BACK_OFF),
            None if full => Ok(Duration::ZERO),
            None => Ok(self.until_schedule().await),
        }
    }

    /// Looks whether any schedule is due only when no clock that is right would say so.
    async fn put_schedules_right(&self) -> Result<(), EngineError> {
        let mut after = None;
        loop {
            let page = Page { after, limit: PAGE_ITEMS_MAX };
            let standings = self.reader().triggers(StandingKind::Schedule, page).await?;
            after = standings.last().map(|standing| (standing.action, standing.place));
            for standing in &standings {
                if !self.may_be_put_off(standing) {
                    continue;
                }
                match self.action(&ActionKey::Id(standing.action)).await {
                    Ok(action) => self.put_right(&action, std::slice::from_ref(standing)).await?,
                    Err(EngineError::NotFound(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            if standings.len() < PAGE_ITEMS_MAX as usize {
                return Ok(());
            }
        }
    }

    fn may_be_put_off(&self, standing: &Standing) -> bool {
        standing.due_at.is_some_and(|due_at| due_at > self.now().plus(CLOCK_AHEAD_MAX))
    }

    /// The same of one action's triggers.
    pub(crate) async fn put_right(&self, action: &Action, standings: &[Standing]) -> Result<(), EngineError> {
        for standing in standings.iter().filter(|standing| self.may_be_put_off(standing)) {
            let (Some(schedule), Some(due_at)) = (schedule_of(action, standing), standing.due_at) else { continue };
            let Ok(calendar) = Calendar::of(schedule) else { continue };
            let next = calendar.put_right(due_at, self.now());
            if next == Some(due_at) {
                continue;
            }
            let unit = UnitOfWork::new().write(fire(standing, due_at, next, standing.last));
            match self.store().commit(unit).await {
                Ok(_) => tracing::warn!(action = %action.id, was = %due_at, "engine.schedules.put_right"),
                // Another process was quicker, or it was saved.
                Err(CommitError::Conflict(Conflict::FiredBefore)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn until_schedule(&self) -> Duration {
        let at_most = if self.inner.parts.exclusive_store { LOOK_EVERY } else { LOOK_SHARED_EVERY };
        match self.reader().next_schedule().await {
            Ok(Some(due)) => due.since(self.now()).clamp(Duration::from_millis(1), at_most),
            Ok(None) => at_most,
            Err(_) => BACK_OFF,
        }
    }

    async fn fire(&self, mut standing: Standing) -> Result<(), EngineError> {
        // One that was removed meanwhile has no triggers any more.
        let ready = self.ready_or_refuse(standing.action, |action| self.unready(action, &standing)).await?;
        let Some(ready) = ready else { return Ok(()) };
        let (Some(schedule), Some(due_at)) = (schedule_of(&ready.action, &standing), standing.due_at) else {
            return Ok(());
        };
        let Ok(calendar) = Calendar::of(schedule) else { return Ok(()) };
        let plan = fires(&calendar, schedule.missed, due_at, self.now());
        let mut due_at = due_at;
        if let Some(missed) = plan.missed {
            let next = plan.run.first().copied().or(plan.next);
            let mut occurrence = occurrence(schedule, missed);
            let last = standing.last;
            occurrence.writes.push(fire(&standing, due_at, next, last));
            let (at_least, count) = (if plan.at_least { "at least " } else { "" }, plan.missed_count);
            let message = format!(
                "{at_least}{count} fires were missed, the last of them at {missed}: the service was not running"
            );
            if !Self::fired(self.refuse(&ready.action, &occurrence, "schedule_missed", message, Vec::new()).await)? {
                return Ok(());
            }
            due_at = next.unwrap_or(due_at);
        }
        // One unit each: a process that dies between two leaves the rest due.
        for (index, time) in plan.run.iter().enumerate() {
            let next = plan.run.get(index + 1).copied().or(plan.next);
            if !self.fire_once(&ready, schedule, &mut standing, (due_at, *time), next).await? {
                return Ok(());
            }
            due_at = next.unwrap_or(due_at);
        }
        Ok(())
    }

    /// The fire of an action that cannot be made ready, and of those that are due beside it.
    fn unready(&self, action: &Action, standing: &Standing) -> Option<Occurrence> {
        let (schedule, due_at) = (schedule_of(action, standing)?, standing.due_at?);
        let next = Calendar::of(schedule).ok()?.after(self.now().max(due_at));
        let mut occurrence = occurrence(schedule, due_at);
        occurrence.writes.push(fire(standing, due_at, next, standing.last));
        Some(occurrence)
    }

    /// Whether it was this process that fired it.
    async fn fire_once(
        &self,
        ready: &std::sync::Arc<crate::cache::Ready>,
        schedule: &Schedule,
        standing: &mut Standing,
        (due_at, time): (Timestamp, Timestamp),
        next: Option<Timestamp>,
    ) -> Result<bool, EngineError> {
        let mut occurrence = occurrence(schedule, time);
        if schedule.overlap == Overlap::Skip && self.is_running_still(standing).await? {
            occurrence.writes.push(fire(standing, due_at, next, standing.last));
            let message = "the execution of the fire before has not ended".to_owned();
            return Self::fired(self.refuse(&ready.action, &occurrence, "overlap", message, Vec::new()).await);
        }
        let id = self.inner.parts.random.execution_id();
        occurrence.execution = Some(id);
        occurrence.writes.push(fire(standing, due_at, next, Some(id)));
        if schedule.overlap == Overlap::Queue {
            occurrence.ordering_key = Some(format!("schedule {:.16}", standing.identity.hex()).into());
        }
        let jitter = Duration::from_millis((schedule.jitter_ms as f64 * self.inner.parts.random.fraction()) as u64);
        occurrence.run_at = Some(time.plus(jitter));
        standing.last = Some(id);
        match self.occur(ready.clone(), occurrence, None).await {
            // What was refused is recorded, and so is the fire.
            Ok(_) | Err(EngineError::InvalidInput(_) | EngineError::TransformFailed(_)) => Ok(true),
            Err(EngineError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn is_running_still(&self, standing: &Standing) -> Result<bool, EngineError> {
        let Some(last) = standing.last else { return Ok(false) };
        let execution = self.reader().execution(last).await?;
        Ok(execution.is_some_and(|execution| !execution.status.is_terminal()))
    }

    /// Whether it was this process that fired it, and not another one before.
    fn fired(committed: Result<(), CommitError>) -> Result<bool, EngineError> {
        match committed.map_err(EngineError::from) {
            Ok(()) => Ok(true),
            Err(EngineError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The schedule that a row is of, if the document is the one that the row was saved with.
fn schedule_of<'a>(action: &'a Action, standing: &Standing) -> Option<&'a Schedule> {
    match known_by(&action.spec.triggers, standing.identity) {
        Some(Trigger::Schedule(schedule)) => Some(schedule),
        _ => None,
    }
}

fn fire(
    standing: &Standing,
    due_at: Timestamp,
    next: Option<Timestamp>,
    last: Option<action_domain::id::ExecutionId>,
) -> Write {
    Write::FireIfDue(Box::new(Fire { action: standing.action, identity: standing.identity, due_at, next, last }))
}

fn occurrence(schedule: &Schedule, due_at: Timestamp) -> Occurrence {
    let input = schedule.input.as_ref().map_or_else(|| "null".to_owned(), ToString::to_string);
    let input = Payload { content_type: "application/json".into(), data: input.into() };
    Occurrence::noticed(GuestTrigger::Schedule { due_at }, input)
}
