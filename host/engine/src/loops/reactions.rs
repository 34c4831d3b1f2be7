//! Sets actions off by events: follows the log with a cursor that is kept, and looks at each event once.
//!
//! Each action is set off by its events in their order, one after the other, and actions do not wait for one
//! another: who needs longer than a moment for what was read falls behind, and goes its own way
//! ([`behind`]). What one event sets off, or is refused by, bears that event's id as its idempotency key, so
//! that a process that dies before a cursor is moved, and others that follow beside it, do nothing twice.

mod behind;
mod listeners;
mod set_off;

use crate::{Engine, EngineError};
use action_domain::{
    consumer::{EVENT_TRIGGERS, EVENT_TRIGGERS_BEHIND, event_triggers_of},
    event::{Event, EventType, Position},
    id::ActionId,
    limits::PAGE_ITEMS_MAX,
    repositories::{EventFilter, Page, UnitOfWork, Write},
};
use behind::{Behind, Left, changed};
use futures_util::{StreamExt as _, stream};
use listeners::Listener;
use set_off::Lot;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// Actions that are set off at once: their writes share commits.
const AT_ONCE: usize = 16;
/// How long actions are waited for that are set off by what was read in one go.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long to let events gather.
const GATHER: Duration = Duration::from_millis(10);
/// While no action listens, this often is looked whether one does, and the cursor taken along.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The same where other processes save actions, and do not say so.
const LOOK_SHARED_EVERY: Duration = Duration::from_secs(1);
/// While no action listens, the cursor may be this far behind before it is taken along.
const BEHIND_MAX: Position = 1_000;
/// After the store was unavailable.
const BACK_OFF: Duration = Duration::from_secs(1);

impl Engine {
    pub(crate) async fn react_to_events(self) {
        let mut positions = self.reader().follow();
        let (mut listeners, mut behind) = (Vec::new(), Behind::new());
        loop {
            let changed = self.inner.triggers.notified();
            let looked = self.react(&mut listeners, &mut behind).await;
            let (pause, follows) = match looked {
                Ok(true) => (LOOK_SHARED_EVERY, true),
                Ok(false) if self.inner.parts.exclusive_store => (LOOK_EVERY, false),
                Ok(false) => (LOOK_SHARED_EVERY, false),
                Err(error) => {
                    tracing::error!(%error, "engine.reactions");
                    (BACK_OFF, false)
                }
            };
            tokio::select! {
                () = self.inner.stopping.cancelled() => return,
                () = changed => listeners.clear(),
                open = positions.changed(), if follows => {
                    if !open || !self.pause(GATHER).await {
                        return;
                    }
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Looks at everything that happened since the last look. Whether any action listens.
    async fn react(&self, listeners: &mut Vec<Listener>, behind: &mut Behind) -> Result<bool, EngineError> {
        // In this order: whoever is saved behind the list listens to what is behind this position.
        let end = self.reader().last_position().await?;
        if listeners.is_empty() {
            *listeners = self.listeners().await?;
        }
        while !self.inner.stopping.is_cancelled() {
            // Before the cursor: where somebody catches up behind this look, the cursor is not moved by it.
            self.look_behind(behind, end).await?;
            let Some(cursor) = self.reader().cursor(EVENT_TRIGGERS).await? else {
                let begin = Write::MoveCursorIf(EVENT_TRIGGERS.into(), None, Some(end));
                self.moved(UnitOfWork::new().write(begin)).await?;
                break;
            };
            if listeners.is_empty() {
                if end - cursor > BEHIND_MAX {
                    self.move_on(cursor, end, Vec::new(), behind).await?;
                }
                break;
            }
            if cursor >= end {
                break;
            }
            let page = Page { after: Some(cursor), limit: PAGE_ITEMS_MAX };
            let events = self.reader().events(&EventFilter::default(), page).await?;
            let Some(last) = events.last().map(|event| event.position) else { break };
            // Where another process was quicker, the next look sees where it is.
            self.react_to(events, (cursor, last), listeners, behind).await?;
        }
        Ok(!listeners.is_empty())
    }

    /// Sets off what hears these events, and moves the cursor behind them.
    async fn react_to(
        &self,
        events: Vec<Event>,
        (cursor, last): (Position, Position),
        listeners: &mut Vec<Listener>,
        behind: &mut Behind,
    ) -> Result<(), EngineError> {
        let lots = self.heard(events, cursor, listeners, behind).await?;
        let enough = CancellationToken::new();
        let work = |lot: Arc<Lot>| {
            let (engine, enough) = (self.clone(), enough.clone());
            // Tasks of their own: one that is not waited for any more ends what it has begun.
            self.inner.tasks.spawn(async move { engine.work_off(&lot, &enough).await })
        };
        let until = Instant::now() + PATIENCE;
        let mut unavailable = None;
        let mut working = stream::iter(lots.clone()).map(work).buffer_unordered(AT_ONCE);
        // Who has not even begun by then falls behind too, and begins there.
        while let Ok(Some(worked)) = timeout_at(until, working.next()).await {
            unavailable = unavailable.or(worked.ok().and_then(Result::err));
        }
        enough.cancel();
        if let Some(error) = unavailable {
            return Err(error);
        }
        let late = lots.into_iter().filter(|lot| !lot.is_done()).map(|lot| Left { at: lot.done(), lot }).collect();
        self.move_on(cursor, last, late, behind).await
    }

    /// What each action that is not behind hears of these events.
    async fn heard(
        &self,
        events: Vec<Event>,
        cursor: Position,
        listeners: &mut Vec<Listener>,
        behind: &Behind,
    ) -> Result<Vec<Arc<Lot>>, EngineError> {
        let mut lots: BTreeMap<ActionId, Lot> = BTreeMap::new();
        let mut looked_again = false;
        for event in events {
            if !looked_again && changes_actions(&event) {
                looked_again = true;
                *listeners = self.listeners().await?;
            }
            let keep_up = listeners.iter().filter(|listener| !behind.has(listener.action));
            let mut by_action: BTreeMap<ActionId, Vec<_>> = BTreeMap::new();
            for (action, identity, chain) in self.heard_by(&event, keep_up).await? {
                by_action.entry(action).or_default().push((identity, chain));
            }
            let event = Arc::new(event);
            for (action, by) in by_action {
                lots.entry(action).or_insert_with(|| Lot::behind(action, cursor)).push(event.clone(), by);
            }
        }
        Ok(lots.into_values().map(Arc::new).collect())
    }

    /// Moves the cursor, and leaves those behind that are late; unless another process was quicker.
    async fn move_on(
        &self,
        from: Position,
        to: Position,
        late: Vec<Left>,
        behind: &mut Behind,
    ) -> Result<(), EngineError> {
        let mut unit = UnitOfWork::new().write(Write::MoveCursorIf(EVENT_TRIGGERS.into(), Some(from), Some(to)));
        for Left { lot, at } in &late {
            unit = unit.write(Write::MoveCursorIf(event_triggers_of(lot.action), None, Some(*at)));
        }
        let changes = behind.changes;
        unit = unit.write(match &late[..] {
            [] => Write::MoveCursorIf(EVENT_TRIGGERS_BEHIND.into(), changes, changes),
            _ => changed(changes),
        });
        if self.moved(unit).await? {
            behind.left.extend(late);
        }
        Ok(())
    }
}

/// Whether an event may change who listens.
fn changes_actions(event: &Event) -> bool {
    let types = [EventType::ActionCreated, EventType::ActionUpdated, EventType::ActionDeleted];
    types.iter().any(|of| of.as_str() == &*event.r#type)
}
