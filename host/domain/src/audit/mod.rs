//! Tamper evidence: what is hashed, what is signed, and how somebody else checks it.
//!
//! Every event has one canonical text ([`LoggedEvent::canonical`]). Runs of events are hashed into
//! a Merkle tree ([`tree`]), whose root stands in a [`Seal`] that names the seal before it and is
//! signed with Ed25519 ([`key`]). [`Verifier`] walks a log with its seals and says everything
//! that is not as it was sealed; a [`Proof`] shows one event to somebody who has only the public
//! key. `docs/audit.md` says the same to those who write a verifier of their own.
//!
//! Pure like the rest of the domain: time and keys come in, and nothing is read here.

mod canonical;
mod finding;
pub mod key;
mod positions;
mod proof;
mod removed;
mod seal;
pub mod tree;
mod verify;

pub use canonical::{Logged, LoggedEvent, absent_leaf};
pub use finding::{Finding, FindingCode};
pub use key::{PublicKey, SealKey};
pub use positions::PositionsDigest;
pub use proof::{Proof, ProofError};
pub use removed::{PruneProof, Removed, RemovedDigest};
pub use seal::{Anchor, Seal, SealDocument, SealHash};
pub use verify::{Row, Summary, Verifier};

/// Most events that one seal covers: its list of leaves has 256 KiB then, and whoever reads it
/// holds that much.
pub const SEAL_EVENTS_MAX: u64 = 8192;
