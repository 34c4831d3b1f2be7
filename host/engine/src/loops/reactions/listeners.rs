//! Who listens to events, and to which.

use crate::{Engine, EngineError};
use action_domain::{
    digest::Digest,
    event::{Event, ItemData},
    id::ActionId,
    limits::{CLOCK_AHEAD_MAX, PAGE_ITEMS_MAX},
    name::Name,
    repositories::{ActionKey, EventFilter, Page},
    time::Timestamp,
    trigger::{EventTrigger, Standing, StandingKind, Trigger, known_by},
};
use std::sync::Arc;

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
pub(super) struct Listener {
    pub(super) action: ActionId,
    pub(super) identity: Digest,
    trigger: EventTrigger,
    of: Of,
    /// What happened before it was saved, or enabled again, does not set it off.
    since: Timestamp,
}

impl Listener {
    pub(super) fn hears(&self, event: &Event) -> bool {
        event.time >= self.since
            && self.trigger.types.iter().any(|of| of.as_str() == &*event.r#type)
            && self.of.is(event.context.action)
            && fits(&self.trigger, event)
    }

    /// Whether it listens to one action.
    pub(super) fn names_one(&self) -> bool {
        self.trigger.action.is_some()
    }
}

/// Whether an event is what a trigger wants to be set off by, of all that it hears.
pub(super) fn fits(trigger: &EventTrigger, event: &Event) -> bool {
    trigger
        .kind
        .as_ref()
        .is_none_or(|kind| serde_json::from_str::<ItemData>(event.data.get()).is_ok_and(|item| item.kind == *kind))
        && trigger.success.is_none_or(|success| {
            serde_json::from_str::<Ended>(event.data.get()).is_ok_and(|ended| ended.success == success)
        })
}

#[derive(serde::Deserialize)]
struct Ended {
    success: bool,
}

/// What has to be read so that these miss nothing, and not much more.
pub(super) fn filter_of(listeners: &[Listener]) -> EventFilter {
    let mut types: Vec<_> = listeners.iter().flat_map(|listener| listener.trigger.types.iter().copied()).collect();
    types.sort_unstable_by_key(|of| of.as_str());
    types.dedup();
    let mut of = listeners.iter().map(|listener| match listener.of {
        Of::Action(action) => Some(action),
        Of::Anybody | Of::Nobody => None,
    });
    let first = of.next().flatten();
    EventFilter { types, action: first.filter(|_| of.all(|of| of == first)), ..EventFilter::default() }
}

impl Engine {
    /// All of them.
    pub(super) async fn listeners(&self) -> Result<Vec<Listener>, EngineError> {
        let mut listeners = Vec::new();
        let mut after = None;
        loop {
            let page = Page { after, limit: PAGE_ITEMS_MAX };
            let standings = self.reader().triggers(StandingKind::Event, page).await?;
            let full = standings.len() == PAGE_ITEMS_MAX as usize;
            after = standings.last().map(|standing| (standing.action, standing.place));
            for standing in standings {
                listeners.extend(self.listener(&standing).await?);
            }
            if !full {
                return Ok(listeners);
            }
        }
    }

    /// Those of one action.
    pub(super) async fn listeners_of(&self, action: ActionId) -> Result<Vec<Listener>, EngineError> {
        let mut listeners = Vec::new();
        for standing in self.reader().triggers_of(action).await? {
            if standing.kind == StandingKind::Event {
                listeners.extend(self.listener(&standing).await?);
            }
        }
        Ok(listeners)
    }

    async fn listener(&self, standing: &Standing) -> Result<Option<Listener>, EngineError> {
        let Some(since) = standing.since else { return Ok(None) };
        let action = match self.ready(&ActionKey::Id(standing.action)).await {
            Ok(ready) => ready.action.clone(),
            Err(EngineError::NotFound("action")) => return Ok(None),
            Err(error @ EngineError::Unavailable(_)) => return Err(error),
            // What is refused for it names the error.
            Err(_) => match self.action(&ActionKey::Id(standing.action)).await {
                Err(EngineError::NotFound("action")) => return Ok(None),
                action => action?,
            },
        };
        let Some(Trigger::Event(trigger)) = known_by(&action.spec.triggers, standing.identity) else {
            return Ok(None);
        };
        let of = match &trigger.action {
            Some(text) => self.named(text).await?.map_or(Of::Nobody, Of::Action),
            None => Of::Anybody,
        };
        // A clock that was wrong when it was saved says nothing: it hears of what is still to be looked at.
        let is_to_come = since > self.now().plus(CLOCK_AHEAD_MAX);
        let since = if is_to_come { Timestamp::from_micros(0) } else { since };
        let Standing { action, identity, .. } = *standing;
        Ok(Some(Listener { action, identity, trigger: trigger.clone(), of, since }))
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
