//! The HTTP face of the service: it authenticates, bounds, parses, and decides nothing.
//!
//! Two routers for two listeners: [`private_router`] for those who run the service and
//! [`public_router`] for those who only call actions; a process that only works has [`worker_router`]. [`serve()`] puts a router on a listener.
//! No other crate knows axum.
//!
//! To add a route:
//! 1. a file in `private/` (or `public/`): its `//!`, the handler with `#[utoipa::path]`, tests;
//!    bodies that others see go into `wire`;
//! 2. one line in the folder's `mod.rs`, which says by `routes::Routes` what scope it needs, and
//!    whether it is there for tokens that are limited to actions (then it has to ask
//!    `request::caller::Caller` which): a route cannot be registered without saying so;
//! 3. `UPDATE_SNAPSHOT=1 cargo test -p action-api snapshot`, and read what changed.

mod auth;
mod error;
mod guard;
mod openapi;
mod private;
mod public;
mod request;
mod room;
mod routes;
mod serve;
mod shares;
mod state;
#[cfg(test)]
mod testing;
#[doc(hidden)]
pub mod untrusted;
mod wire;
mod worker;

pub use action_domain::token::{Scope, Scopes};
pub use auth::{
    AdminToken, Authenticator, Doors, KeySource, Nobody, Oidc, OidcOptions, Peer, Principal, Stranger, Tokens,
};
pub use axum::Router;
pub use private::private_router;
pub use public::public_router;
pub use serve::{ServeOptions, serve};
pub use state::{ApiState, Phase, Readiness};
pub use wire::draft::ActionDraft;
pub use worker::worker_router;
