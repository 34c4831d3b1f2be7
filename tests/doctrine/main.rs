//! The rules of the house, as tests. Each test's name states its rule.
//!
//! What is absent cannot be seen by reading code: that no crate but one knows WebAssembly, that
//! no SQL stands outside the stores, that a document names no file that is gone. These tests
//! look at the workspace's manifests and texts and build none of it.
//!
//! To add a rule: a function in the file of its kind, named as a sentence, that collects every
//! breach and hands them to [`none`].

#![expect(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

mod documents;
mod frozen;
mod sources;
mod walls;
mod workspace;

/// Fails with every breach at once.
fn none(breaches: &[String]) {
    assert!(breaches.is_empty(), "{} breach(es):\n  {}", breaches.len(), breaches.join("\n  "));
}
