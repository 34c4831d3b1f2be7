//! What comes in from outside, and where its reading stands.
//!
//! Nothing given here is visible to anyone until the attempt succeeds or [`checkpoint`]
//! returns; then all of it is, at once, with the state that was set.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::julee::action::capture;
pub use crate::bindings::julee::action::capture::{CaptureError, Item};
use crate::{Failure, Payload};

/// Captures a piece of information. `kind` is a short snake_case name.
pub fn emit(kind: &str, content: Payload) -> Result<(), CaptureError> {
    capture::emit(&Item { key: None, kind: kind.into(), content })
}

/// Captures a piece of information once: if the action captured one with this key before,
/// it is dropped.
pub fn emit_once(kind: &str, key: impl Into<String>, content: Payload) -> Result<(), CaptureError> {
    capture::emit(&Item { key: Some(key.into()), kind: kind.into(), content })
}

/// What the action's store holds under this name.
pub fn state(key: &str) -> Result<Option<Vec<u8>>, CaptureError> {
    capture::get_state(key)
}

/// Puts bytes into the action's store.
pub fn set_state(key: &str, value: &[u8]) -> Result<(), CaptureError> {
    capture::set_state(key, value)
}

/// Takes a name out of the action's store.
pub fn delete_state(key: &str) -> Result<(), CaptureError> {
    capture::delete_state(key)
}

/// What [`set_state_json`] put under this name.
///
/// State that does not parse was written by another version of the protocol; that is a
/// defect of this one, which has to read what its predecessors wrote.
pub fn state_json<T: DeserializeOwned>(key: &str) -> Result<Option<T>, Failure> {
    let Some(bytes) = state(key)? else { return Ok(None) };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| Failure::internal(format!("the state {key} does not parse: {error}")))
}

/// Puts a value into the action's store, as JSON.
pub fn set_state_json(key: &str, value: &impl Serialize) -> Result<(), Failure> {
    let bytes = serde_json::to_vec(value)
        .map_err(|error| Failure::internal(format!("the state {key} is not JSON: {error}")))?;
    Ok(set_state(key, &bytes)?)
}

/// Makes what was emitted and set so far durable. Says how many items were new.
pub fn checkpoint() -> Result<u32, CaptureError> {
    capture::checkpoint()
}
