//! Sets an action off by an event: once, in whatever process, and also where it is refused.

use super::listeners::{Listener, fits};
use crate::{Engine, EngineError, dispatch_action::Occurrence};
use action_domain::{
    chain::{Admission, CHAIN_DEPTH_MAX, Chain},
    cloud_event::CloudEvent,
    digest::Digest,
    event::{Event, Position},
    id::ActionId,
    payload::Payload,
    services::GuestTrigger,
    trigger::{Trigger, known_by},
};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// An event, what came before it, and which of an action's triggers hear it.
pub(super) struct Heard {
    event: Arc<Event>,
    by: Vec<(Digest, Chain)>,
}

impl Heard {
    pub(super) fn position(&self) -> Position {
        self.event.position
    }
}

/// What an action has heard, in its order, and up to where it is done.
pub(super) struct Lot {
    pub(super) action: ActionId,
    pub(super) heard: Vec<Heard>,
    done: AtomicI64,
    /// Held as long as somebody sets it off by these.
    under_way: Mutex<()>,
}

impl Lot {
    /// Everything behind this position is still to do.
    pub(super) fn behind(action: ActionId, position: Position) -> Self {
        Self { action, heard: Vec::new(), done: AtomicI64::new(position), under_way: Mutex::default() }
    }

    pub(super) fn push(&mut self, event: Arc<Event>, by: Vec<(Digest, Chain)>) {
        self.heard.push(Heard { event, by });
    }

    /// The position of the last event that is done with.
    pub(super) fn done(&self) -> Position {
        self.done.load(Ordering::Acquire)
    }

    /// Waits until nobody sets it off by these any more.
    pub(super) async fn ended(&self) {
        drop(self.under_way.lock().await);
    }

    pub(super) fn is_done(&self) -> bool {
        self.heard.last().is_none_or(|last| last.position() <= self.done())
    }
}

impl Engine {
    /// Which of these hear an event, by action; the chain behind it is read where any does.
    pub(super) async fn heard_by<'l>(
        &self,
        event: &Event,
        listeners: impl Iterator<Item = &'l Listener>,
    ) -> Result<Vec<(ActionId, Digest, Chain)>, EngineError> {
        let hear: Vec<&Listener> = listeners.filter(|listener| listener.hears(event)).collect();
        if hear.is_empty() {
            return Ok(Vec::new());
        }
        let chain = self.chain_behind(event).await?;
        let by = |listener: &&Listener| (listener.action, listener.identity, chain.by(listener.names_one()));
        Ok(hear.iter().map(by).collect())
    }

    /// Sets an action off by what it has heard, one event after the other, until it has had enough or the
    /// service stops. An error is the action's own matter, unless the store is not there.
    pub(super) async fn work_off(&self, lot: &Lot, enough: &CancellationToken) -> Result<(), EngineError> {
        let _under_way = lot.under_way.lock().await;
        for Heard { event, by } in &lot.heard {
            if enough.is_cancelled() || self.inner.stopping.is_cancelled() {
                break;
            }
            for (identity, chain) in by {
                match self.set_off(lot.action, *identity, event, chain.clone()).await {
                    Ok(()) => {}
                    Err(error @ EngineError::Unavailable(_)) => return Err(error),
                    // The events behind it are not to wait for it.
                    Err(error) => tracing::error!(action = %lot.action, %error, "engine.reactions.action"),
                }
            }
            lot.done.store(event.position, Ordering::Release);
        }
        Ok(())
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
        // No caller can send a control character.
        occurrence.idempotency_key = Some(format!("\u{1}event {} {:.16}", event.id, identity.hex()).into());
        let ready = self.ready_or_refuse(action, |_| Some(occurrence.clone())).await?;
        let Some(ready) = ready else { return Ok(()) };
        // As the document is now: it may have been saved meanwhile, with another condition or without this
        // trigger.
        let Some(Trigger::Event(trigger)) = known_by(&ready.action.spec.triggers, identity) else { return Ok(()) };
        if !fits(trigger, event) {
            return Ok(());
        }
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
        match self.occur(ready, occurrence, None).await {
            // It was refused before, by this process or another one: of that there is no execution.
            Ok(_) | Err(EngineError::NotFound("execution")) => Ok(()),
            Err(error) => recorded(error),
        }
    }
}

/// What was refused is recorded, and is nothing that keeps anybody from going on.
fn recorded(error: EngineError) -> Result<(), EngineError> {
    match error {
        EngineError::InvalidInput(_) | EngineError::TransformFailed(_) | EngineError::Conflict { .. } => Ok(()),
        error => Err(error),
    }
}
