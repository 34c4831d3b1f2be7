//! The trait that a protocol implements, and the adapter that makes the contract's four
//! functions of it.

use std::any::Any;
use std::cell::RefCell;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use crate::bindings::exports::julee::action::protocol_api::Guest;
use crate::bindings::julee::action::model;
use crate::config;
use crate::{Accepted, ConnectionReport, Descriptor, Failure, Issue, Outcome, Payload, Trigger};

/// A protocol: knows how to speak to one type of outside system.
///
/// Every call gets a fresh instance; nothing survives in memory from one to the next.
pub trait Protocol {
    /// The config of an action, checked against the descriptor's schema by the service and
    /// parsed by the SDK. Secrets in it are opaque handles (see [`crate::secrets`]).
    type Config: DeserializeOwned + 'static;

    /// Says what the protocol is. Gets no capability and must not trap.
    fn describe() -> Descriptor;

    /// Says everything that is wrong with a config, not the first thing. Gets no network.
    ///
    /// What the type itself refuses is reported by the SDK, together with what this finds.
    fn validate(config: &Self::Config) -> Result<Accepted, Vec<Issue>>;

    /// Reaches the outside system without changing anything there.
    fn test_connection(config: Self::Config) -> Result<ConnectionReport, Failure>;

    /// Does the work.
    fn execute(call: Call<Self::Config>) -> Result<Outcome, Failure>;
}

/// What `execute` is called with, and `reconcile` too.
#[derive(Debug)]
pub struct Call<C> {
    /// Id of the action.
    pub action: String,
    /// Id of the execution.
    pub execution: String,
    /// Id that everything set off by one cause shares.
    pub correlation: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The same for every attempt of one execution.
    pub idempotency_key: String,
    /// RFC 3339, UTC. The attempt is ended at this time, wherever it is.
    pub deadline: String,
    /// W3C trace context of the attempt, for outgoing requests.
    pub traceparent: Option<String>,
    /// What set the execution off.
    pub trigger: Trigger,
    /// The action's config.
    pub config: C,
    /// The input, of any media type.
    pub input: Payload,
}

impl<C: DeserializeOwned + 'static> Call<C> {
    /// The contract's call, with its config parsed.
    pub(crate) fn parse(call: model::Call) -> Result<Self, Failure> {
        Ok(Self {
            config: config_of(&call.config)?,
            action: call.action,
            execution: call.execution,
            correlation: call.correlation,
            attempt: call.attempt,
            idempotency_key: call.idempotency_key,
            deadline: call.deadline,
            traceparent: call.traceparent,
            trigger: call.trigger,
            input: call.input,
        })
    }
}

/// Implements the contract for a [`Protocol`]. Named by `export_protocol!` only.
#[doc(hidden)]
pub struct Adapter<P>(PhantomData<P>);

thread_local! {
    /// The config that this instance parsed last, with its text. An attempt has its config
    /// validated in the instance that then executes it: the second parse can be left out.
    static PARSED: RefCell<Option<(String, Box<dyn Any>)>> = const { RefCell::new(None) };
}

fn remember<C: 'static>(text: String, config: C) {
    PARSED.with(|parsed| *parsed.borrow_mut() = Some((text, Box::new(config))));
}

/// The remembered config, if it is the one of this text.
fn recall<C: 'static>(text: &str) -> Option<C> {
    let (remembered, config) = PARSED.with(|parsed| parsed.borrow_mut().take())?;
    if remembered != text {
        return None;
    }
    config.downcast().ok().map(|config| *config)
}

fn config_of<C: DeserializeOwned + 'static>(text: &str) -> Result<C, Failure> {
    match recall(text) {
        Some(config) => Ok(config),
        None => config::parse(text).map_err(|issue| Failure::from_issues(&[issue])),
    }
}

impl<P: Protocol> Guest for Adapter<P> {
    fn describe() -> Descriptor {
        P::describe()
    }

    fn validate_config(text: String) -> Result<Accepted, Vec<Issue>> {
        match config::parse::<P::Config>(&text) {
            Ok(config) => {
                let accepted = P::validate(&config)?;
                remember(text, config);
                Ok(accepted)
            }
            Err(_) => Err(config::every_issue(&text, P::validate)),
        }
    }

    fn test_connection(text: String) -> Result<ConnectionReport, Failure> {
        P::test_connection(config_of(&text)?)
    }

    fn execute(call: model::Call) -> Result<Outcome, Failure> {
        P::execute(Call::parse(call)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_is_recalled_once_and_for_its_own_text_only() {
        remember("1".into(), 1_u32);
        assert_eq!(recall::<u32>("1"), Some(1));
        assert_eq!(recall::<u32>("1"), None);
        remember("1".into(), 1_u32);
        assert_eq!(recall::<u32>("2"), None);
        remember("1".into(), 1_u32);
        assert_eq!(recall::<String>("1"), None);
    }
}
