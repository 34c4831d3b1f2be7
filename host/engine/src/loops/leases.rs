//! Renews the leases of the attempts that run here, as long as this process lives.

use crate::{Engine, running::Stop};
use action_domain::repositories::{UnitOfWork, Write};

impl Engine {
    pub(crate) async fn keep_leases(self) {
        // Goes on while attempts finish at the end: their leases still count.
        let lease = self.inner.parts.lease;
        let mut kept_until = self.now().plus(lease);
        loop {
            // Two renewals may fail before the third comes too late.
            tokio::time::sleep(lease / 3).await;
            if self.inner.stopping.is_cancelled() && self.inner.running.is_empty() {
                return;
            }
            let until = self.now().plus(lease);
            // A process that runs no attempts has leases only while it asks about those of others.
            if !self.inner.parts.runs_attempts && self.inner.running.is_empty() {
                kept_until = until;
                continue;
            }
            let renew = Write::RenewLeases(self.inner.worker, until);
            match self.store().commit(UnitOfWork::new().write(renew)).await {
                Ok(_) => kept_until = until,
                Err(error) => {
                    tracing::error!(%error, "engine.leases.renew");
                    // Others may have taken over: what would be written is refused anyway, and what
                    // would be done is stopped here.
                    if self.now() >= kept_until {
                        self.inner.running.stop_all(Stop::LeaseLost);
                    }
                }
            }
        }
    }
}
