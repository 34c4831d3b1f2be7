//! The trait of a protocol that can find out what became of an attempt in doubt.

use crate::bindings::julee::action::model;
use crate::bindings::reconciling::exports::julee::action::reconciler::Guest;
use crate::{Adapter, Call, Failure, Outcome, Protocol, Reconciliation};

/// A protocol that can find out what became of an attempt in doubt.
///
/// An attempt is in doubt when something had left for the outside, nobody saw the answer, and a
/// repeat may act twice (the effect is `unsafe`). Where the protocol reconciles, the service asks
/// it before it asks a person.
///
/// ```
/// # use action_protocol::{
/// #     Accepted, ConnectionReport, Descriptor, Effect, Issue, Protocol, schemars,
/// # };
/// use action_protocol::{
///     Call, Failure, HttpRequest, Outcome, Payload, Reconcile, Reconciliation, export_protocol,
/// };
///
/// # #[derive(serde::Deserialize, schemars::JsonSchema)]
/// # struct Config {
/// #     #[schemars(extend("x-egress" = "http"))]
/// #     url: String,
/// # }
/// #
/// struct Order;
///
/// impl Protocol for Order {
/// #    type Config = Config;
/// #
/// #    fn describe() -> Descriptor {
/// #        Descriptor::new::<Config>("order", "0.1.0", "Orders something")
/// #    }
/// #
/// #    fn validate(_config: &Config) -> Result<Accepted, Vec<Issue>> {
/// #        Ok(Accepted::new(Effect::Unsafe))
/// #    }
/// #
/// #    fn test_connection(config: Config) -> Result<ConnectionReport, Failure> {
/// #        let response = HttpRequest::head(&config.url).send()?;
/// #        Ok(ConnectionReport::new(format!("answered {}", response.status)))
/// #    }
/// #
///     // …
///     fn execute(call: Call<Config>) -> Result<Outcome, Failure> {
///         let order = HttpRequest::post(&call.config.url).header("X-Reference", call.idempotency_key);
///         Ok(Payload::text(order.body(call.input.data).send()?.text()).into())
///     }
/// }
///
/// impl Reconcile for Order {
///     fn reconcile(call: Call<Config>) -> Result<Reconciliation, Failure> {
///         let url = format!("{}?reference={}", call.config.url, call.idempotency_key);
///         let found = HttpRequest::get(url).send()?;
///         Ok(match found.status {
///             200 => Reconciliation::took_effect(Payload::text(found.text())),
///             404 => Reconciliation::DidNot,
///             _ => Reconciliation::Unknown,
///         })
///     }
/// }
///
/// export_protocol!(Order, reconcile);
/// # fn main() {}
/// ```
pub trait Reconcile: Protocol {
    /// Asks the outside system what became of an execution, without changing anything there.
    ///
    /// `call` is the one that `execute` had, in an instance of its own: `validate` was not called
    /// in it. [`Reconciliation::DidNot`] lets the service try again, so it has to be known:
    /// where the remote may still be at work, the answer is [`Reconciliation::Unknown`].
    fn reconcile(call: Call<Self::Config>) -> Result<Reconciliation, Failure>;
}

impl<P: Reconcile> Guest for Adapter<P> {
    fn reconcile(call: model::Call) -> Result<Reconciliation, Failure> {
        P::reconcile(Call::parse(call)?)
    }
}

impl Reconciliation {
    /// It took effect, and this is what it would have given.
    pub fn took_effect(outcome: impl Into<Outcome>) -> Self {
        Self::TookEffect(outcome.into())
    }
}
