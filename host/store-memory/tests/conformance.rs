//! The conformance suite on the memory store.

use action_store_memory::MemoryStore;
use action_testkit::conformance::Subject;
use std::sync::Arc;

#[expect(clippy::unused_async, reason = "the suite awaits its stores")]
async fn make() -> Subject {
    Subject { store: Arc::new(MemoryStore::new()), keep: Box::new(()) }
}

action_testkit::conformance_suite!(make);
