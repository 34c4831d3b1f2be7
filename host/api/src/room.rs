//! Room for bodies that are large, each of which takes a part of the process's memory.

use crate::{
    Peer,
    shares::{Place, Shares},
};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room for so many.
pub(crate) struct Room {
    permits: Arc<Semaphore>,
    /// Where one peer does not get all of it.
    shares: Option<Arc<Shares>>,
}

/// The right to hold one, given back when dropped.
pub(crate) struct Held {
    _permit: OwnedSemaphorePermit,
    _place: Option<Place>,
}

impl Room {
    /// For whoever comes.
    pub(crate) fn of(max: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(max)), shares: None }
    }

    /// Of which each peer gets its share.
    pub(crate) fn shared(max: usize) -> Self {
        Self { shares: Some(Arc::default()), ..Self::of(max) }
    }

    /// Room for one more body of a peer; `None` where there is none.
    pub(crate) fn take(&self, peer: Peer) -> Option<Held> {
        let place = match &self.shares {
            Some(shares) => Some(shares.place(peer, self.permits.available_permits())?),
            None => None,
        };
        let permit = self.permits.clone().try_acquire_owned().ok()?;
        Some(Held { _permit: permit, _place: place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stranger_does_not_get_all_of_it() {
        let peer = |last: u8| Peer::new([192, 0, 2, last].into());
        let taken = |room: &Room, peer: Peer| std::iter::from_fn(|| room.take(peer)).take(100).collect::<Vec<_>>();
        let room = Room::shared(8);
        let one = taken(&room, peer(1));
        assert_eq!(one.len(), 6);
        assert_eq!(taken(&room, peer(2)).len(), 2, "and gives it back");
        drop(one);
        assert_eq!(taken(&room, peer(2)).len(), 6);
        assert_eq!(taken(&Room::of(8), peer(1)).len(), 8);
    }
}
