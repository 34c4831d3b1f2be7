//! Whole-path tests: the real binary as a process, real components, real servers on loopback.
//!
//! Nothing is mocked and nothing sleeps: a test waits for an answer or an event, with a bound.
//! Every answer that the kit gets is checked against the service's own OpenAPI document.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests say what they expect")]

mod kit;

mod actions;
mod admission;
mod afferent;
mod audit;
mod authors;
mod chaos;
mod cli;
mod delivery;
mod durability;
mod events;
mod gate;
mod guests;
mod hostile;
mod http_protocol;
mod limits;
mod protocols;
mod roles;
mod secrets;
mod signatures;
mod skew;
mod tokens;
mod transforms;
mod upgrades;
mod wasi;
mod webhooks;
mod whole_path;
