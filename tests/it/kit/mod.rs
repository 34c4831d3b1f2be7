//! What the tests stand on: a service process, a client that checks what it is told, remotes,
//! and components.

pub(crate) mod authority;
pub(crate) mod client;
pub(crate) mod components;
pub(crate) mod document;
pub(crate) mod remote;
pub(crate) mod service;

pub(crate) use authority::Authority;
pub(crate) use client::Answer;
pub(crate) use components::fixture;
pub(crate) use remote::Remote;
pub(crate) use service::Service;

use std::{path::PathBuf, time::Duration};

/// No wait in these tests is longer: past it something hangs. Long, since machines are shared.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// The folder for caches of commands that run a component without a service: that of the user who runs the
/// tests is none of theirs.
pub(crate) fn caches() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("caches")
}
