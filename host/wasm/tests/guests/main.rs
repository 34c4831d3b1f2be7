//! The sandbox with real guests: those of `tests/fixtures`, which `make guests` builds.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod authority;
mod connection_tests;
mod egress;
mod ends;
mod generated;
mod kept;
mod kit;
mod reconcile;
mod sandbox;
mod sending;
mod tls;
