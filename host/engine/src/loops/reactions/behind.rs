//! Actions that do not keep up with the events that set them off: each goes its own way through the log,
//! from a cursor of its own, until it has caught up with the others.
//!
//! Only so many take their turn at once, and a turn is short, so that one that is slow for ever does not
//! hold up those that only had much to do. An action falls behind in the unit that moves the others on, and
//! catches up in a unit that believes where they are; each change of who is behind is counted under
//! [`EVENT_TRIGGERS_BEHIND`], and whoever moves the others on believes that count. So nobody passes over
//! an event of an action that has caught up meanwhile.

use super::{
    listeners::{Listener, filter_of},
    set_off::Lot,
};
use crate::{Engine, EngineError};
use action_domain::{
    consumer::{EVENT_TRIGGERS, EVENT_TRIGGERS_BEHIND, before_event_triggers, event_triggers_by, event_triggers_of},
    event::Position,
    id::ActionId,
    limits::PAGE_ITEMS_MAX,
    repositories::{CommitError, Conflict, Page, UnitOfWork, Write},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

/// Actions that go their own way at once.
const TURNS_AT_ONCE: usize = 8;
/// How long a turn is; an event that was begun is ended.
const TURN: Duration = Duration::from_secs(1);
/// Events that are read for a turn.
const EVENTS_A_TURN: u32 = 100;
/// Who is further behind than this, in events of the whole log, is told of.
const FAR_BEHIND: Position = 1_000;
/// How often it is told of, if there is one.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// What an action was at when it fell behind.
pub(super) struct Left {
    pub(super) lot: Arc<Lot>,
    /// Where its cursor is.
    pub(super) at: Position,
}

/// Who is behind, as far as this process knows.
pub(super) struct Behind {
    /// How often that changed.
    pub(super) changes: Option<Position>,
    actions: BTreeMap<ActionId, Position>,
    /// What this process has left some of them with, and where.
    pub(super) left: Vec<Left>,
    /// Those that go their own way here.
    going: BTreeMap<ActionId, JoinHandle<()>>,
    turns: Arc<Semaphore>,
    told: Option<Instant>,
}

impl Behind {
    pub(super) fn new() -> Self {
        Self {
            changes: None,
            actions: BTreeMap::new(),
            left: Vec::new(),
            going: BTreeMap::new(),
            turns: Arc::new(Semaphore::new(TURNS_AT_ONCE)),
            told: None,
        }
    }

    pub(super) fn has(&self, action: ActionId) -> bool {
        self.actions.contains_key(&action)
    }
}

/// A change of who is behind.
pub(super) fn changed(changes: Option<Position>) -> Write {
    Write::MoveCursorIf(EVENT_TRIGGERS_BEHIND.into(), changes, Some(changes.unwrap_or(0) + 1))
}

impl Engine {
    /// Looks who is behind, and sees to it that each of them goes on.
    pub(super) async fn look_behind(&self, behind: &mut Behind, end: Position) -> Result<(), EngineError> {
        // Read before the list, which may only be newer than it.
        let changes = self.reader().cursor(EVENT_TRIGGERS_BEHIND).await?;
        let tells = !behind.actions.is_empty() && behind.told.is_none_or(|told| told.elapsed() >= TELL_EVERY);
        if changes != behind.changes || tells {
            behind.actions = self.all_behind().await?;
            behind.changes = changes;
        }
        if tells {
            tell(behind, end);
        }
        behind.going.retain(|_, going| !going.is_finished());
        let mut left: BTreeMap<ActionId, Left> =
            std::mem::take(&mut behind.left).into_iter().map(|left| (left.lot.action, left)).collect();
        for action in behind.actions.keys() {
            let (engine, turns, left) = (self.clone(), &behind.turns, left.remove(action));
            let go = || self.inner.tasks.spawn(engine.catch_up(*action, left, turns.clone()));
            behind.going.entry(*action).or_insert_with(go);
        }
        Ok(())
    }

    async fn all_behind(&self) -> Result<BTreeMap<ActionId, Position>, EngineError> {
        let mut all = BTreeMap::new();
        let mut after = before_event_triggers();
        loop {
            let page = Page { after: Some(after), limit: PAGE_ITEMS_MAX };
            let cursors = self.reader().cursors(page).await?;
            let full = cursors.len() == PAGE_ITEMS_MAX as usize;
            let Some((last, _)) = cursors.last().cloned() else { return Ok(all) };
            let is_last = !full || event_triggers_by(&last).is_none();
            all.extend(cursors.iter().filter_map(|(name, position)| Some((event_triggers_by(name)?, *position))));
            if is_last {
                return Ok(all);
            }
            after = last;
        }
    }

    async fn catch_up(self, action: ActionId, left: Option<Left>, turns: Arc<Semaphore>) {
        if let Some(Left { lot, at }) = left {
            // The event that it was at is ended, and not looked at a second time.
            lot.ended().await;
            let move_on = Write::MoveCursorIf(event_triggers_of(action), Some(at), Some(lot.done()));
            if let Err(error) = self.moved(UnitOfWork::new().write(move_on)).await {
                tracing::error!(%action, %error, "engine.reactions.behind");
            }
        }
        loop {
            // In the order in which they ask, so that each gets its turn.
            let turn = tokio::select! {
                () = self.inner.stopping.cancelled() => return,
                turn = turns.acquire() => turn,
            };
            let went = self.take_turn(action).await;
            drop(turn);
            match went {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::error!(%action, %error, "engine.reactions.behind");
                    if !self.pause(super::BACK_OFF).await {
                        return;
                    }
                }
            }
            if self.inner.stopping.is_cancelled() {
                return;
            }
        }
    }

    /// Goes a part of the way. Whether there is more of it.
    async fn take_turn(&self, action: ActionId) -> Result<bool, EngineError> {
        let name = event_triggers_of(action);
        let changes = self.reader().cursor(EVENT_TRIGGERS_BEHIND).await?;
        let Some(from) = self.reader().cursor(&name).await? else { return Ok(false) };
        // In this order: what is saved behind the list listens to what is behind this position.
        let end = self.reader().last_position().await?;
        let listeners = self.listeners_of(action).await?;
        let (to, went) = self.go(action, &listeners, (from, end)).await;
        if went.is_ok() && to >= end && self.has_caught_up(&name, (from, to), changes).await? {
            return Ok(false);
        }
        if to != from {
            // Another process may have been quicker.
            self.moved(UnitOfWork::new().write(Write::MoveCursorIf(name, Some(from), Some(to)))).await?;
        }
        went.map(|()| true)
    }

    /// Sets an action off by what it hears between two positions, until the turn is over. How far it came.
    async fn go(
        &self,
        action: ActionId,
        listeners: &[Listener],
        (from, end): (Position, Position),
    ) -> (Position, Result<(), EngineError>) {
        if listeners.is_empty() {
            return (end, Ok(()));
        }
        let page = Page { after: Some(from), limit: EVENTS_A_TURN };
        let events = match self.reader().events(&filter_of(listeners), page).await {
            Ok(events) => events,
            Err(error) => return (from, Err(error.into())),
        };
        let is_all = events.len() < EVENTS_A_TURN as usize;
        let (until, enough) = (Instant::now() + TURN, CancellationToken::new());
        let mut to = from;
        for event in events {
            if event.position > end {
                break;
            }
            if Instant::now() >= until {
                return (to, Ok(()));
            }
            let position = event.position;
            let by = match self.heard_by(&event, listeners.iter()).await {
                Ok(by) => by.into_iter().map(|(_, identity, chain)| (identity, chain)).collect(),
                Err(error) => return (to, Err(error)),
            };
            let mut lot = Lot::behind(action, to);
            lot.push(Arc::new(event), by);
            let worked = self.work_off(&lot, &enough).await;
            if worked.is_err() || !lot.is_done() {
                return (to, worked);
            }
            to = position;
        }
        (if is_all { end } else { to }, Ok(()))
    }

    /// Whether it goes on with the others: they have to be no further than it is.
    async fn has_caught_up(
        &self,
        name: &Arc<str>,
        (from, to): (Position, Position),
        changes: Option<Position>,
    ) -> Result<bool, EngineError> {
        let others = self.reader().cursor(EVENT_TRIGGERS).await?;
        if others.is_none_or(|others| others > to) {
            return Ok(false);
        }
        let unit = UnitOfWork::new()
            .write(Write::MoveCursorIf(EVENT_TRIGGERS.into(), others, others))
            .write(Write::MoveCursorIf(name.clone(), Some(from), None))
            .write(changed(changes));
        self.moved(unit).await
    }

    /// Whether what a unit believes of cursors was so.
    pub(super) async fn moved(&self, unit: UnitOfWork) -> Result<bool, EngineError> {
        match self.store().commit(unit).await {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict(Conflict::CursorMoved)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Of many that are far behind one is named.
fn tell(behind: &mut Behind, end: Position) {
    behind.told = Some(Instant::now());
    let furthest = behind.actions.iter().min_by_key(|(_, position)| **position);
    if let Some((action, position)) = furthest.filter(|(_, position)| end - **position > FAR_BEHIND) {
        let (events, actions) = (end - position, behind.actions.len());
        tracing::warn!(%action, events, actions, "engine.reactions.far_behind");
    }
}
