//! For tests only: a clock that tests move, ids that repeat, samples of everything that is
//! stored, and the suites that every store has to pass.
//!
//! [`conformance`] has a case for each rule of [`action_domain::repositories`];
//! [`conformance_suite!`] makes a test of each for one store. [`differential`] drives two
//! stores with the same random work and compares all that can be read. `postgres` and
//! `nats` start servers for the tests of what needs one, [`dns`] is one.
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "tests fail by panicking, and this crate is nothing but tests"
)]

mod clock;
pub mod commit_rate;
pub mod conformance;
pub mod differential;
pub mod dns;
pub mod issuer;
#[cfg(unix)]
pub mod nats;
#[cfg(unix)]
pub mod postgres;
mod random;
mod world;

pub use clock::FakeClock;
pub use random::SeededRandom;
pub use world::World;
