//! The conformance suite on the memory store.

use action_store_memory::MemoryStore;
use action_testkit::conformance::Subject;
use std::sync::Arc;

async fn make() -> Subject {
    Subject { store: Arc::new(MemoryStore::new()), keep: Box::new(()) }
}

action_testkit::conformance_suite!(make);
