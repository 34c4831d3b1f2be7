//! Keeps a panic of the host's own code from taking the process down.

use futures_util::FutureExt;
use std::{future::Future, panic::AssertUnwindSafe};

/// The future's output; `None` if it panicked. What it worked on must not be used again,
/// other than to read its counters and to drop it.
pub(crate) async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(output) => Some(output),
        Err(panic) => {
            let text = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            tracing::error!(panic = %text, "the host panicked while it served a component");
            None
        }
    }
}
