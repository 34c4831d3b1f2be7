//! Renews the leases of the attempts that this process has, as long as it lives. What it does not have any more,
//! for whatever reason, is not renewed, and others take it up.

use crate::Engine;
use action_domain::repositories::{UnitOfWork, Write};

impl Engine {
    pub(crate) async fn keep_leases(self) {
        // Goes on while attempts finish at the end: their leases still count.
        let lease = self.inner.parts.lease;
        let running = &self.inner.running;
        loop {
            // Two renewals may fail before the third comes too late.
            tokio::time::sleep(lease / 3).await;
            if self.inner.stopping.is_cancelled() && running.is_empty() {
                return;
            }
            // Others may have taken over, where the store was away for long or this process was held up: what
            // would be written is refused anyway, and what would be done is stopped here.
            running.stop_lapsed(self.now());
            let ids = running.ids();
            if ids.is_empty() {
                continue;
            }
            let until = self.now().plus(lease);
            let renew = Write::RenewLeases(self.inner.worker, ids.clone(), until);
            match self.store().commit(UnitOfWork::new().write(renew)).await {
                Ok(_) => running.renewed(&ids, until),
                Err(error) => tracing::error!(%error, "engine.leases.renew"),
            }
        }
    }
}
