//! Takes what comes to a webhook: believes it or not, lets its filter look, and sets the action off.
//!
//! What is believed is recorded whole, like any other trigger. What is not is recorded so that a
//! stranger cannot fill the log: without its headers, with its body only where that is small, and not
//! more than so many times a minute.

use crate::{
    Dispatched, Engine, EngineError,
    cache::Ready,
    dispatch_action::{Occurrence, is_malformed},
};
use action_domain::{
    digest::Digest,
    id::ActionId,
    limits::WAIT_MAX,
    payload::Payload,
    repositories::{ActionKey, Write},
    secret::SecretValue,
    services::{GuestTrigger, WebhookRequest},
    time::Timestamp,
    trigger::{Trigger, identities},
    webhook::{
        Respond, Scheme, Webhook, request,
        verify::{DeliveryId, Proof, Unproved, verify},
    },
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Largest body of a delivery that nobody vouches for that is kept, in bytes.
const STRANGER_BYTES_MAX: usize = 4 << 10;
/// Most refused deliveries of one webhook that are recorded in a minute, in this process.
const REFUSALS_PER_MINUTE_MAX: u32 = 60;

/// A webhook that was found by its path.
pub struct Hook {
    ready: Arc<Ready>,
    webhook: Webhook,
    place: u32,
    identity: Digest,
}

/// What came to a webhook.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its head, all of it; names of headers in lower case.
    pub request: WebhookRequest,
    /// Its body.
    pub input: Payload,
    /// Taken over, else the execution's id.
    pub correlation_id: Option<Arc<str>>,
    /// W3C trace context of the sender.
    pub traceparent: Option<Arc<str>>,
}

/// What became of a delivery.
#[derive(Debug)]
pub enum Received {
    /// It set an execution off, or did so before.
    Dispatched {
        /// The execution.
        dispatched: Box<Dispatched>,
        /// What the sender is to be answered.
        respond: Respond,
        /// Whether the component says who sent it.
        component_verifies: bool,
    },
    /// The filter does not hold for it.
    Filtered,
    /// It is not believed.
    Refused {
        /// Stable word.
        code: &'static str,
        /// For people.
        message: String,
        /// Whether it looks like a guess: it claims to prove who sent it, and does not.
        guessed: bool,
    },
}

impl Hook {
    /// What a delivery with this head says to be the key, where a key proves it. That may be guessed: a key is
    /// what somebody made up, and a signature is not.
    pub fn key(&self, head: &WebhookRequest) -> Option<String> {
        let header = || head.headers.iter().find(|(name, _)| name == "x-webhook-key").map(|(_, value)| value.clone());
        let is_key = self.webhook.verify.scheme() == Scheme::Key;
        is_key.then(|| header().or_else(|| request::key(&head.path_with_query)))?
    }
}

/// How many deliveries were refused in the minute that is now, by webhook.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<Minute>);

#[derive(Default)]
struct Minute {
    /// Since 1970.
    number: i64,
    refused: HashMap<(ActionId, u32), u32>,
}

impl Refusals {
    /// Counts one more; which one it is in its minute.
    fn count(&self, webhook: (ActionId, u32), now: Timestamp) -> u32 {
        let minute = now.as_micros().div_euclid(60_000_000);
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.number != minute {
            *counted = Minute { number: minute, refused: HashMap::new() };
        }
        let count = counted.refused.entry(webhook).or_default();
        *count = count.saturating_add(1);
        *count
    }
}

impl Engine {
    /// The webhook that listens at a path.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] where none does; nothing is recorded then, or whoever guesses paths
    /// would fill the log.
    pub async fn hook(&self, path: &str) -> Result<Hook, EngineError> {
        let not_found = || EngineError::NotFound("webhook");
        let owner = self.hook_owner(path).await?.ok_or_else(not_found)?;
        let ready = self.ready(&ActionKey::Id(owner)).await?;
        // By its path, since the action may have been saved in between.
        let at_path = |(place, trigger): (usize, &Trigger)| match trigger {
            Trigger::Webhook(webhook) if webhook.path == path => Some((u32::try_from(place).ok()?, webhook.clone())),
            _ => None,
        };
        let triggers = &ready.action.spec.triggers;
        let (place, webhook) = triggers.iter().enumerate().find_map(at_path).ok_or_else(not_found)?;
        let identity = identities(triggers).get(place as usize).copied().flatten().ok_or_else(not_found)?;
        Ok(Hook { ready, webhook, place, identity })
    }

    /// Takes a delivery. Where the outcome is the answer, it waits for it, [`WAIT_MAX`] at most.
    pub async fn receive(&self, hook: Hook, delivery: Delivery) -> Result<Received, EngineError> {
        let Hook { ready, webhook, place, identity } = hook;
        let scheme = webhook.verify.scheme();
        let id = match self.proved(&webhook, &delivery).await? {
            Ok(id) => id,
            Err(unproved) => {
                self.refuse_stranger(&ready, place, delivery, unproved).await?;
                let guessed = unproved == Unproved::Wrong;
                return Ok(Received::Refused { code: unproved.code(), message: unproved.to_string(), guessed });
            }
        };
        let trigger = GuestTrigger::Webhook(request::shown(&delivery.request, scheme));
        let mut occurrence = Occurrence::noticed(trigger, delivery.input);
        occurrence.correlation_id = delivery.correlation_id;
        occurrence.traceparent = delivery.traceparent;
        if let Some(DeliveryId { id, is_proved }) = id {
            // No caller can send a control character.
            occurrence.idempotency_key = Some(format!("\u{1}webhook {} {id}", webhook.path).into());
            let same = if is_proved { id.as_bytes() } else { &occurrence.input.data };
            occurrence.fingerprint = Some(Digest::of(same));
        }
        // What is refused for another reason needs no filter to say so.
        let looks = ready.action.spec.enabled && !is_malformed(&occurrence.input);
        if let Some(filter) = webhook.filter.as_deref().filter(|_| looks)
            && !self.passes(&ready, &occurrence, filter).await?
        {
            return Ok(Received::Filtered);
        }
        if let Some(most) = webhook.verify.max_uses() {
            occurrence.writes.push(Write::UseTrigger(ready.action.id, identity, most));
        }
        let respond = webhook.responds();
        let wait = (respond == Respond::Outcome).then_some(WAIT_MAX);
        let used_up = Occurrence { writes: Vec::new(), ..occurrence.clone() };
        match self.occur(ready.clone(), occurrence, wait).await {
            Ok(dispatched) => {
                let component_verifies = scheme == Scheme::Protocol;
                Ok(Received::Dispatched { dispatched: Box::new(dispatched), respond, component_verifies })
            }
            Err(EngineError::Conflict { code: "used_up", .. }) => {
                let (code, message) = ("webhook_used_up", "the key was used as often as it may be".to_owned());
                if self.may_record(&ready, place) {
                    self.refuse(&ready.action, &used_up, code, message.clone(), Vec::new()).await?;
                }
                Ok(Received::Refused { code, message, guessed: false })
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a delivery is believed, and by which id its sender knows it.
    async fn proved(
        &self,
        webhook: &Webhook,
        delivery: &Delivery,
    ) -> Result<Result<Option<DeliveryId>, Unproved>, EngineError> {
        let secret = self.secret_of(webhook).await?;
        let key = request::key(&delivery.request.path_with_query);
        let proof = Proof { headers: &delivery.request.headers, key: key.as_deref(), body: &delivery.input.data };
        Ok(verify(&webhook.verify, secret.as_ref(), &proof, self.now()))
    }

    /// Opened for each delivery, so that a new value counts from the next one on.
    async fn secret_of(&self, webhook: &Webhook) -> Result<Option<SecretValue>, EngineError> {
        let Some(name) = webhook.verify.secret() else { return Ok(None) };
        let found = self.secrets_named(std::slice::from_ref(name)).await?;
        // A secret that a current revision names cannot be removed.
        let secret = found.first().ok_or_else(|| EngineError::Internal(format!("the secret `{name}` is gone")))?;
        let opened = self.inner.parts.vault.open(secret);
        opened.map(Some).map_err(|error| EngineError::Internal(format!("the secret `{name}`: {error}")))
    }

    /// Whether a filter holds. Where it does not, or fails, that is recorded.
    async fn passes(&self, ready: &Ready, occurrence: &Occurrence, filter: &str) -> Result<bool, EngineError> {
        match self.matches(ready, &occurrence.trigger, filter, &occurrence.input).await {
            Ok(true) => Ok(true),
            Ok(false) => {
                let message = "the webhook's filter does not hold for it".to_owned();
                self.refuse(&ready.action, occurrence, "filtered", message, Vec::new()).await?;
                Ok(false)
            }
            Err(error) => Err(self.refuse_failed(ready, occurrence, error).await?),
        }
    }

    async fn refuse_stranger(
        &self,
        ready: &Ready,
        place: u32,
        delivery: Delivery,
        why: Unproved,
    ) -> Result<(), EngineError> {
        if !self.may_record(ready, place) {
            return Ok(());
        }
        let bytes = delivery.input.data.len();
        let (message, input) = if bytes > STRANGER_BYTES_MAX {
            let message = format!("{why}; its body of {bytes} bytes was not kept");
            (message, Payload { data: bytes::Bytes::new(), ..delivery.input })
        } else {
            (why.to_string(), delivery.input)
        };
        let trigger = GuestTrigger::Webhook(request::of_stranger(&delivery.request));
        let mut occurrence = Occurrence::noticed(trigger, input);
        occurrence.correlation_id = delivery.correlation_id;
        Ok(self.refuse(&ready.action, &occurrence, why.code(), message, Vec::new()).await?)
    }

    /// Whether one more refusal is recorded. The first one that is not is told of.
    fn may_record(&self, ready: &Ready, place: u32) -> bool {
        let count = self.inner.refusals.count((ready.action.id, place), self.now());
        if count == REFUSALS_PER_MINUTE_MAX + 1 {
            tracing::warn!(action = %ready.action.id, place, "engine.webhook.refusals_not_recorded");
        }
        count <= REFUSALS_PER_MINUTE_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_by_webhook_and_minute() {
        let (refusals, action): (_, ActionId) =
            (Refusals::default(), "act_01h455vb4pex5vsknk084sn02q".parse().unwrap());
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        assert_eq!([refusals.count((action, 0), at(0)), refusals.count((action, 0), at(59))], [1, 2]);
        assert_eq!(refusals.count((action, 1), at(59)), 1);
        assert_eq!(refusals.count((action, 0), at(60)), 1);
    }
}
