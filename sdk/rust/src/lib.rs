//! Write protocols for the action service in Rust.
//!
//! A protocol is a type that implements [`Protocol`], exported once:
//!
//! ```
//! use action_protocol::{
//!     Accepted, Call, ConnectionReport, Descriptor, Failure, HttpRequest, Issue, Outcome,
//!     Payload, Protocol, export_protocol, schemars,
//! };
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     /// Where to look.
//!     #[schemars(extend("x-egress" = "http"))]
//!     url: String,
//! }
//!
//! struct Peek;
//!
//! impl Protocol for Peek {
//!     type Config = Config;
//!
//!     fn describe() -> Descriptor {
//!         Descriptor::new::<Config>("peek", "0.1.0", "Reads a page")
//!     }
//!
//!     fn validate(_config: &Config) -> Result<Accepted, Vec<Issue>> {
//!         Ok(Accepted::read())
//!     }
//!
//!     fn test_connection(config: Config) -> Result<ConnectionReport, Failure> {
//!         let response = HttpRequest::head(&config.url).send()?;
//!         Ok(ConnectionReport::new(format!("answered {}", response.status)))
//!     }
//!
//!     fn execute(call: Call<Config>) -> Result<Outcome, Failure> {
//!         let response = HttpRequest::get(&call.config.url).timeout_ms(5_000).send()?;
//!         Ok(Payload::text(response.text()).into())
//!     }
//! }
//!
//! export_protocol!(Peek);
//! # fn main() {}
//! ```
//!
//! A protocol whose repeat may act twice, and whose remote can tell what it has done, implements
//! [`Reconcile`] beside it.
//!
//! Build it with `crate-type = ["cdylib"]` and `cargo build --release --target wasm32-wasip2`:
//! the file that comes out is the component. On any other target the same code compiles
//! without the exports, so that `cargo test` reaches everything that needs no host. What
//! does, takes a [`http::Transport`], which a test can be.
//!
//! The words ([`Failure`], [`Payload`], [`Descriptor`] …) are those of the contract
//! (`wit/v0.1/action.wit`), with methods added; nothing is renamed.

pub mod capture;
pub mod config;
mod descriptor;
mod failure;
pub mod http;
pub mod journal;
pub mod net;
mod payload;
mod protocol;
mod reconcile;
#[cfg(feature = "schema")]
pub mod schema;
pub mod secrets;
pub mod template;
pub mod tls;

/// The contract, as generated. Public because the macro's expansion names it; protocols use
/// what stands beside it.
#[doc(hidden)]
#[expect(clippy::pedantic, reason = "generated from the contract, whose comments are its documentation")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/v0.1",
        world: "action-protocol",
        pub_export_macro: true,
        default_bindings_module: "action_protocol::bindings",
    });

    /// What a component exports beside that, if it can reconcile.
    pub mod reconciling {
        wit_bindgen::generate!({
            path: "../../wit/v0.1",
            inline: "package action-protocol:sdk; world reconciling { export julee:action/reconciler@0.1.0; }",
            world: "action-protocol:sdk/reconciling",
            with: { "julee:action/model@0.1.0": crate::bindings::julee::action::model },
            pub_export_macro: true,
            export_macro_name: "export_reconciler",
            default_bindings_module: "action_protocol::bindings::reconciling",
        });
    }
}

pub use bindings::julee::action::model::{
    Accepted, Advice, ConnectionReport, Descriptor, Effect, Example, Failure, FailureKind, Header, Issue, Outcome,
    Payload, Reconciliation, Trigger, WebhookReply, WebhookRequest,
};
pub use bindings::julee::action::outbound::{
    self, ClientIdentity, Connection, HttpRequest, HttpResponse, OutboundError, TlsOptions,
};
pub use protocol::{Adapter, Call, Protocol};
pub use reconcile::Reconcile;
#[cfg(feature = "schema")]
pub use schemars;

/// Exports a type that implements [`Protocol`] as the component's protocol. One that implements
/// [`Reconcile`] too is exported with both: `export_protocol!(Mail, reconcile)`.
///
/// Once a crate. On targets other than WebAssembly it exports nothing.
#[macro_export]
macro_rules! export_protocol {
    ($protocol:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            type Exported = $crate::Adapter<$protocol>;
            $crate::bindings::export!(Exported);
        };
        // Elsewhere nobody calls it, and all of it would pass for dead code.
        #[cfg(not(target_family = "wasm"))]
        const _: () = {
            const fn is_used<P: $crate::Protocol>() {}
            is_used::<$protocol>()
        };
    };
    ($protocol:ty, reconcile) => {
        $crate::export_protocol!($protocol);
        #[cfg(target_family = "wasm")]
        const _: () = {
            type Exported = $crate::Adapter<$protocol>;
            $crate::bindings::reconciling::export_reconciler!(Exported);
        };
    };
}
