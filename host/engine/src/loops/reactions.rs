//! Sets actions off by events: follows the log with a cursor that is kept, and looks at each event once.
//!
//! What one event sets off bears that event's id as its idempotency key, so that a process that dies
//! before the cursor is moved, and others that follow beside it, set nothing off twice.

use crate::{Engine, EngineError, dispatch_action::Occurrence};
use action_domain::{
    chain::{Admission, CHAIN_DEPTH_MAX, Chain},
    cloud_event::CloudEvent,
    consumer::EVENT_TRIGGERS,
    digest::Digest,
    event::{Event, EventType, ItemData, Position},
    id::ActionId,
    limits::PAGE_ITEMS_MAX,
    name::Name,
    payload::Payload,
    repositories::{ActionKey, CommitError, Conflict, EventFilter, Page, UnitOfWork, Write},
    services::GuestTrigger,
    time::Timestamp,
    trigger::{EventTrigger, Standing, StandingKind, Trigger, known_by},
};
use futures_util::{StreamExt as _, stream};
use std::{sync::Arc, time::Duration};

/// Executions that are set off at once: their writes share commits.
const AT_ONCE: usize = 16;
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

/// Whose events a trigger listens to.
#[derive(Clone, Copy)]
enum Of {
    Anybody,
    Action(ActionId),
    /// It names an action that is not there.
    Nobody,
}

impl Of {
    fn is(self, action: Option<ActionId>) -> bool {
        match self {
            Self::Anybody => true,
            Self::Action(of) => action == Some(of),
            Self::Nobody => false,
        }
    }
}

/// A trigger that listens to events.
struct Listener {
    action: ActionId,
    identity: Digest,
    trigger: EventTrigger,
    of: Of,
    /// What happened before it was saved, or enabled again, does not set it off.
    since: Timestamp,
}

impl Engine {
    pub(crate) async fn react_to_events(self) {
        let mut positions = self.reader().follow();
        let mut listeners = Vec::new();
        loop {
            let changed = self.inner.triggers.notified();
            let looked = self.react(&mut listeners).await;
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
    async fn react(&self, listeners: &mut Vec<Listener>) -> Result<bool, EngineError> {
        // In this order: whoever is saved behind the list listens to what is behind this position.
        let end = self.reader().last_position().await?;
        if listeners.is_empty() {
            *listeners = self.listeners().await?;
        }
        let Some(mut cursor) = self.reader().cursor(EVENT_TRIGGERS).await? else {
            self.move_cursor(None, end).await?;
            return Ok(!listeners.is_empty());
        };
        if listeners.is_empty() {
            if end - cursor > BEHIND_MAX {
                self.move_cursor(Some(cursor), end).await?;
            }
            return Ok(false);
        }
        while cursor < end {
            let page = Page { after: Some(cursor), limit: PAGE_ITEMS_MAX };
            let events = self.reader().events(&EventFilter::default(), page).await?;
            let Some(last) = events.last().map(|event| event.position) else { break };
            self.react_to(&events, listeners).await?;
            if !self.move_cursor(Some(cursor), last).await? {
                // Another process is at it.
                break;
            }
            cursor = last;
        }
        Ok(!listeners.is_empty())
    }

    async fn react_to(&self, events: &[Event], listeners: &mut Vec<Listener>) -> Result<(), EngineError> {
        let mut set_off = Vec::new();
        let mut looked_again = false;
        for event in events {
            if !looked_again && changes_actions(event) {
                looked_again = true;
                *listeners = self.listeners().await?;
            }
            let matching: Vec<&Listener> = listeners.iter().filter(|listener| listener.hears(event)).collect();
            if matching.is_empty() {
                continue;
            }
            let chain = self.chain_behind(event).await?;
            for listener in matching {
                let chain = chain.by(listener.trigger.action.is_some());
                let (action, identity) = (listener.action, listener.identity);
                set_off.push(async move { (action, self.set_off(action, identity, event, chain).await) });
            }
        }
        let mut set_off = stream::iter(set_off).buffer_unordered(AT_ONCE);
        let mut unavailable = None;
        while let Some((action, set_off)) = set_off.next().await {
            match set_off {
                Ok(()) => {}
                Err(error @ EngineError::Unavailable(_)) => unavailable = Some(error),
                // The others are not to wait for it, and the cursor is theirs too.
                Err(error) => tracing::error!(%action, %error, "engine.reactions.action"),
            }
        }
        unavailable.map_or(Ok(()), Err)
    }

    async fn set_off(
        &self,
        action: ActionId,
        identity: Digest,
        event: &Event,
        chain: Chain,
    ) -> Result<(), EngineError> {
        let admission = chain.admits(action);
        if admission == Admission::No {
            return Ok(());
        }
        let data = serde_json::to_vec(&CloudEvent::from(event))
            .map_err(|error| EngineError::Internal(format!("event {}: {error}", event.id)))?;
        let input = Payload { content_type: CloudEvent::MEDIA_TYPE.into(), data: data.into() };
        let mut occurrence = Occurrence::noticed(GuestTrigger::Event { event: event.id, chain }, input);
        occurrence.cause = Some(event.id);
        occurrence.correlation_id.clone_from(&event.context.correlation_id);
        let ready = self.ready_or_refuse(action, |_| Some(occurrence.clone())).await?;
        let Some(ready) = ready else { return Ok(()) };
        // It may have been saved meanwhile, without this trigger.
        let Some(Trigger::Event(trigger)) = known_by(&ready.action.spec.triggers, identity) else { return Ok(()) };
        if let Some(filter) = &trigger.filter {
            match self.matches(&ready, &occurrence.trigger, filter, &occurrence.input).await {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => return recorded(self.refuse_failed(&ready, &occurrence, error).await?),
            }
        }
        if admission == Admission::TooDeep {
            let message = format!("{CHAIN_DEPTH_MAX} executions set one another off before this one");
            return Ok(self.refuse(&ready.action, &occurrence, "chain_too_deep", message, Vec::new()).await?);
        }
        // No caller can send a control character.
        occurrence.idempotency_key = Some(format!("\u{1}event {} {:.16}", event.id, identity.hex()).into());
        match self.occur(ready, occurrence, None).await {
            Ok(_) => Ok(()),
            Err(error) => recorded(error),
        }
    }

    /// Whether it was this process that moved it.
    async fn move_cursor(&self, from: Option<Position>, to: Position) -> Result<bool, EngineError> {
        let write = Write::MoveCursorIf(EVENT_TRIGGERS.into(), from, Some(to));
        match self.store().commit(UnitOfWork::new().write(write)).await {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict(Conflict::CursorMoved)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn listeners(&self) -> Result<Vec<Listener>, EngineError> {
        let mut listeners = Vec::new();
        let mut after = None;
        loop {
            let page = Page { after, limit: PAGE_ITEMS_MAX };
            let standings = self.reader().triggers(StandingKind::Event, page).await?;
            let full = standings.len() == PAGE_ITEMS_MAX as usize;
            after = standings.last().map(|standing| (standing.action, standing.place));
            for standing in standings {
                let Some(since) = standing.since else { continue };
                let action = match self.ready(&ActionKey::Id(standing.action)).await {
                    Ok(ready) => ready.action.clone(),
                    Err(EngineError::NotFound("action")) => continue,
                    Err(error @ EngineError::Unavailable(_)) => return Err(error),
                    // What is refused for it names the error.
                    Err(_) => self.action(&ActionKey::Id(standing.action)).await?,
                };
                let trigger = known_by(&action.spec.triggers, standing.identity);
                let Some(Trigger::Event(trigger)) = trigger else { continue };
                let of = match &trigger.action {
                    Some(text) => self.named(text).await?.map_or(Of::Nobody, Of::Action),
                    None => Of::Anybody,
                };
                let Standing { action, identity, .. } = standing;
                listeners.push(Listener { action, identity, trigger: trigger.clone(), of, since });
            }
            if !full {
                return Ok(listeners);
            }
        }
    }

    async fn named(&self, text: &str) -> Result<Option<ActionId>, EngineError> {
        if let Ok(id) = text.parse() {
            return Ok(Some(id));
        }
        let Ok(name) = text.parse::<Name>() else { return Ok(None) };
        let action = self.reader().action(&ActionKey::Name(name)).await?;
        Ok(action.map(|action: Arc<_>| action.id))
    }
}

/// What was refused is recorded, and is nothing that keeps the cursor.
fn recorded(error: EngineError) -> Result<(), EngineError> {
    match error {
        EngineError::InvalidInput(_) | EngineError::TransformFailed(_) | EngineError::Conflict { .. } => Ok(()),
        error => Err(error),
    }
}

/// Whether an event may change who listens.
fn changes_actions(event: &Event) -> bool {
    let types = [EventType::ActionCreated, EventType::ActionUpdated, EventType::ActionDeleted];
    types.iter().any(|of| of.as_str() == &*event.r#type)
}

impl Listener {
    fn hears(&self, event: &Event) -> bool {
        let trigger = &self.trigger;
        event.time >= self.since
            && trigger.types.iter().any(|of| of.as_str() == &*event.r#type)
            && self.of.is(event.context.action)
            && trigger.kind.as_ref().is_none_or(|kind| {
                serde_json::from_str::<ItemData>(event.data.get()).is_ok_and(|item| item.kind == *kind)
            })
            && trigger.success.is_none_or(|success| {
                serde_json::from_str::<Ended>(event.data.get()).is_ok_and(|ended| ended.success == success)
            })
    }
}

#[derive(serde::Deserialize)]
struct Ended {
    success: bool,
}
