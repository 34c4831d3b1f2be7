//! The words, decisions and traits of the action service; pure.
//!
//! Nothing here knows a database, a web framework, an async runtime or a WebAssembly
//! engine: the crates around it do, and they meet in the traits of [`repositories`]
//! (what is stored) and [`services`] (what acts). Time, randomness and ids come in as
//! parameters. The one decision that everything turns on is [`decide::next_step`].
//!
//! To add a trigger kind: a variant in [`trigger::Trigger`], and what the compiler lists.
//! To add an event type: a variant of [`event::Fact`], and its snapshot.

pub mod action;
pub mod actor;
pub mod audit;
pub mod capture;
pub mod chain;
pub mod cloud_event;
pub mod consumer;
pub mod decide;
pub mod digest;
pub mod egress;
pub mod event;
pub mod execution;
pub mod failure;
pub mod id;
pub mod limits;
pub mod name;
pub mod payload;
pub mod protocol;
pub mod receipt;
pub mod repositories;
pub mod rounds;
pub mod schedule;
pub mod secret;
pub mod services;
pub mod time;
pub mod token;
pub mod transform;
pub mod trigger;
pub mod turn;
pub mod upgrade;
pub mod webhook;
