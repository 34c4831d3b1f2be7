//! Failed logins, by who they come from: after some of them the next ones are told to wait.
//!
//! A bearer that is right is let in all the same, since behind one address there may be many
//! callers and one of them may be broken. That costs nothing where nobody can guess what is right
//! (a token's 256 random bits, a signature). The admin token may be an operator's own invention:
//! while an address has to wait, it is looked at only if it came from there before.

use action_domain::{digest::Digest, time::Timestamp};
use moka::sync::Cache;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Failures that an address has free.
pub(crate) const BURST: u32 = 20;
/// How long one failure takes to be forgotten.
pub(crate) const INTERVAL: Duration = Duration::from_secs(3);
/// Addresses that are remembered. The count of one that others push out begins anew.
const PEERS_MAX: u64 = 16_384;
/// Guessable bearers that were right, with where they came from.
const RIGHT_MAX: u64 = 4096;
/// Silent ones are forgotten.
const IDLE: Duration = Duration::from_hours(24);

/// Where a request comes from: the address of the connection's other end, which is a proxy's where
/// there is one. What a header says of it anybody could say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Peer(IpAddr);

impl Peer {
    /// Of a request that came over no connection.
    pub(crate) const UNKNOWN: Self = Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED));

    /// Of a connection from this address. Of IPv6 the network counts: whoever has one address of a
    /// /64 has all of it.
    pub fn new(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A bearer together with where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint(Peer, Digest);

impl Fingerprint {
    pub(crate) fn of(peer: Peer, bearer: &str) -> Self {
        Self(peer, Digest::of(bearer.as_bytes()))
    }
}

/// What is known of an address.
struct Seen {
    /// When all that it did wrong is forgotten.
    forgotten_at: Mutex<Timestamp>,
    /// A permit for each of its guesses that is looked at.
    looks: Arc<Semaphore>,
}

impl Default for Seen {
    fn default() -> Self {
        Self { forgotten_at: Mutex::default(), looks: Arc::new(Semaphore::new(BURST as usize)) }
    }
}

/// Counts failed logins.
pub(crate) struct FailedLogins {
    peers: Cache<Peer, Arc<Seen>>,
    right: Cache<Fingerprint, ()>,
    all: AtomicU64,
}

impl FailedLogins {
    pub(crate) fn new() -> Self {
        let peers = Cache::builder().max_capacity(PEERS_MAX).time_to_idle(IDLE).build();
        let right = Cache::builder().max_capacity(RIGHT_MAX).time_to_idle(IDLE).build();
        Self { peers, right, all: AtomicU64::new(0) }
    }

    /// How long this peer has to wait.
    pub(crate) fn wait(&self, peer: Peer, now: Timestamp) -> Option<Duration> {
        let forgotten_at = *self.peers.get(&peer)?.forgotten_at.lock().unwrap_or_else(PoisonError::into_inner);
        // All but one failure fits: then there is room for the next.
        let room_at = forgotten_at.minus(INTERVAL * (BURST - 1));
        (room_at > now).then(|| room_at.since(now))
    }

    /// One more failure. How long the peer has to wait now, if at all.
    pub(crate) fn failed(&self, peer: Peer, now: Timestamp) -> Option<Duration> {
        self.all.fetch_add(1, Ordering::Relaxed);
        let seen = self.peers.get_with(peer, Arc::default);
        {
            let mut forgotten_at = seen.forgotten_at.lock().unwrap_or_else(PoisonError::into_inner);
            // Not beyond the bound: who goes on does not have to wait longer and longer.
            *forgotten_at = (*forgotten_at).max(now).plus(INTERVAL).min(now.plus(INTERVAL * BURST));
        }
        self.wait(peer, now)
    }

    /// A turn for something that may be a guess, to be kept until it has counted. However many come at once, no more
    /// are looked at before the first of them count than an address has free.
    pub(crate) async fn turn(&self, peer: Peer) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        self.peers.get_with(peer, Arc::default).looks.clone().acquire_owned().await.ok()
    }

    /// All failures since the start.
    pub(crate) fn count(&self) -> u64 {
        self.all.load(Ordering::Relaxed)
    }

    /// A bearer that might be guessed was right.
    pub(crate) fn was_right(&self, login: Fingerprint) {
        if !self.right.contains_key(&login) {
            self.right.insert(login, ());
        }
    }

    /// Whether this bearer was right before, from the same place.
    pub(crate) fn is_known(&self, login: &Fingerprint) -> bool {
        self.right.get(login).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Peer {
        Peer::new(text.parse().unwrap())
    }

    #[test]
    fn an_address_has_some_failures_free_and_gets_room_with_time() {
        let logins = FailedLogins::new();
        let (one, other) = (peer("192.0.2.1"), peer("192.0.2.2"));
        let mut now = Timestamp::from_micros(1_800_000_000_000_000);
        for _ in 1..BURST {
            assert_eq!(logins.failed(one, now), None);
        }
        assert_eq!(logins.wait(one, now), None);
        assert_eq!(logins.failed(one, now), Some(INTERVAL));
        for _ in 0..1000 {
            assert_eq!(logins.failed(one, now), Some(INTERVAL), "it does not grow");
        }
        assert_eq!(logins.failed(other, now), None, "another one's are its own");
        now = now.plus(INTERVAL.checked_sub(Duration::from_micros(1)).unwrap());
        assert_eq!(logins.wait(one, now), Some(Duration::from_micros(1)));
        now = now.plus(Duration::from_micros(1));
        assert_eq!(logins.wait(one, now), None);
        assert_eq!(logins.failed(one, now), Some(INTERVAL));
        now = now.plus(INTERVAL * BURST);
        for _ in 1..BURST {
            assert_eq!(logins.failed(one, now), None, "all is forgotten");
        }
        assert_eq!(logins.count(), 2 * u64::from(BURST) + 1001);
    }

    #[test]
    fn of_ipv6_the_network_counts() {
        assert_eq!(peer("2001:db8:1:2::1"), peer("2001:db8:1:2:ffff::"));
        assert_ne!(peer("2001:db8:1:2::1"), peer("2001:db8:1:3::1"));
        assert_eq!(peer("::ffff:192.0.2.1"), peer("192.0.2.1"));
    }

    #[test]
    fn what_was_right_is_known_where_it_was() {
        let logins = FailedLogins::new();
        let (here, there) = (peer("192.0.2.1"), peer("192.0.2.2"));
        logins.was_right(Fingerprint::of(here, "right"));
        assert!(logins.is_known(&Fingerprint::of(here, "right")));
        assert!(!logins.is_known(&Fingerprint::of(there, "right")));
        assert!(!logins.is_known(&Fingerprint::of(here, "wrong")));
    }

    #[test]
    fn memory_is_bounded() {
        let logins = FailedLogins::new();
        let now = Timestamp::from_micros(1);
        for number in 0..u32::try_from(PEERS_MAX).unwrap() * 2 {
            logins.failed(Peer::new(IpAddr::V4(Ipv4Addr::from_bits(number))), now);
        }
        logins.peers.run_pending_tasks();
        assert!(logins.peers.entry_count() <= PEERS_MAX);
    }
}
