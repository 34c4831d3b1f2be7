//! How much one peer may hold of what all share: connections of a listener, large deliveries.
//!
//! A fixed number would be too small for a proxy or an office behind one address, or too large to
//! leave others anything. So it depends on what is free: a peer may hold [`TIMES_FREE`] times as many
//! as are. One that is alone gets three quarters, two get three sevenths each, and however many take
//! all they can, something is left for the next.

use crate::Peer;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A peer may hold so many times as many places as are free.
pub(crate) const TIMES_FREE: usize = 3;

/// How many places each peer holds.
#[derive(Default)]
pub(crate) struct Shares(Mutex<HashMap<Peer, usize>>);

impl Shares {
    /// One more place for a peer, where so many are `free` with it; `None` if it has its share.
    pub(crate) fn place(self: &Arc<Self>, peer: Peer, free: usize) -> Option<Place> {
        let mut held = self.held();
        let own = held.get(&peer).copied().unwrap_or_default();
        if own >= TIMES_FREE.saturating_mul(free) {
            return None;
        }
        held.insert(peer, own + 1);
        Some(Place { shares: self.clone(), peer })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Peer, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One place of a peer, until it is dropped.
pub(crate) struct Place {
    shares: Arc<Shares>,
    peer: Peer,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.shares.held();
        if let Some(own) = held.get_mut(&self.peer) {
            *own -= 1;
            // Nobody is remembered who holds nothing.
            if *own == 0 {
                held.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> Peer {
        Peer::new([192, 0, 2, last].into())
    }

    /// Takes all that each of them gets, in turns.
    fn taken(peers: &[Peer], max: usize) -> (Vec<usize>, Vec<Place>) {
        let shares = Arc::new(Shares::default());
        let (mut counts, mut places) = (vec![0; peers.len()], Vec::new());
        loop {
            let before = places.len();
            for (peer, count) in peers.iter().zip(&mut counts) {
                if let Some(place) = (places.len() < max).then(|| shares.place(*peer, max - places.len())).flatten() {
                    places.push(place);
                    *count += 1;
                }
            }
            if places.len() == before {
                return (counts, places);
            }
        }
    }

    #[test]
    fn one_gets_most_and_something_is_left_for_the_next() {
        assert_eq!(taken(&[peer(1)], 1024).0, [768]);
        assert_eq!(taken(&[peer(1), peer(2)], 1024).0, [439, 439]);
        let many: Vec<Peer> = (0..20).map(peer).collect();
        let (counts, places) = taken(&many, 1024);
        assert!(places.len() < 1024 && counts.iter().all(|count| *count >= 48), "{counts:?}");
        assert_eq!(taken(&[peer(1)], 1).0, [1], "who is alone on a listener of one gets it");
    }

    #[test]
    fn what_ends_is_given_back_and_forgotten() {
        let shares = Arc::new(Shares::default());
        let places: Vec<_> = (0..3).map(|_| shares.place(peer(1), 1).unwrap()).collect();
        assert!(shares.place(peer(1), 1).is_none());
        assert!(shares.place(peer(2), 1).is_some(), "another one's are its own");
        drop(places);
        assert!(shares.place(peer(1), 1).is_some());
        assert!(shares.held().is_empty());
    }
}
