//! The gate for wasi:sockets, whose interfaces know names and addresses apart: a name is looked
//! up, an address is connected or sent to, and nothing ties the two together but this memory.

use super::{Gate, Refusal, Target, millis};
use action_domain::{egress::Denial, event::Fact};
use std::{
    collections::HashSet,
    net::{IpAddr, SocketAddr},
    sync::{MutexGuard, PoisonError},
    time::Instant,
};

/// What an attempt has met.
#[derive(Default)]
pub(super) struct Met {
    /// Addresses, with the names that they were resolved for. Bounded: lookups are counted.
    resolved: Vec<(IpAddr, String)>,
    /// Where datagrams may go, and may come from. Bounded: each is counted when it is new.
    datagrams: HashSet<SocketAddr>,
}

/// Most addresses that are remembered of one lookup.
const ADDRESSES_MAX: usize = 64;

impl Gate {
    fn met(&self) -> MutexGuard<'_, Met> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves a name that some grant names, whatever the port. It counts as a request and is
    /// recorded: a question goes out, and may carry something.
    pub(crate) async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, Refusal> {
        let started = Instant::now();
        let target = self.admit_lookup(name).map_err(|denial| {
            self.deny(&denial);
            Refusal::Denied(denial)
        })?;
        if let Some(plan) = self.plan() {
            plan.connection("DNS", target.host.to_string());
        }
        let found = self.resolve(&target).await;
        let error = match &found {
            // Asked is asked, whatever came of it.
            Ok(_) | Err(Refusal::Denied(_)) => None,
            Err(refusal) => Some(refusal.message()),
        };
        self.record("DNS", &target, error, started);
        let found: Vec<IpAddr> =
            found?.into_iter().take(ADDRESSES_MAX).map(|address| address.ip().to_canonical()).collect();
        let name = target.host.to_string();
        self.met().resolved.extend(found.iter().map(|address| (*address, name.clone())));
        Ok(found)
    }

    fn admit_lookup(&self, name: &str) -> Result<Target, Denial> {
        self.is_open(name, 0)?;
        let host = self.egress.admit_lookup(name, &self.policy)?.host;
        self.count(Target { host, port: 0 })
    }

    /// Whether a TCP connection to this address may be made.
    pub(crate) async fn admit_address(&self, address: SocketAddr) -> bool {
        let Some(target) = self.admit_known(address) else { return false };
        if let Some(plan) = self.plan() {
            plan.connection("TCP", target.authority());
            return false;
        }
        // What goes over it is not seen here: assume that something does.
        if self.begin_sending().await.is_err() {
            return false;
        }
        self.meter.connected();
        self.record("TCP", &target, None, Instant::now());
        true
    }

    /// Whether datagrams may be sent to this address. The first one is counted and recorded, for
    /// all that follow.
    pub(crate) async fn admit_datagram(&self, address: SocketAddr) -> bool {
        let place = canonical(address);
        if self.met().datagrams.contains(&place) {
            return true;
        }
        let Some(target) = self.admit_known(address) else { return false };
        if let Some(plan) = self.plan() {
            plan.connection("UDP", target.authority());
            return false;
        }
        if self.begin_sending().await.is_err() {
            return false;
        }
        self.met().datagrams.insert(place);
        self.record("UDP", &target, None, Instant::now());
        true
    }

    /// Whether datagrams may come in from this address: from where some may go. Others are
    /// dropped; a socket that sends is no server.
    pub(crate) fn knows_sender(&self, address: SocketAddr) -> bool {
        self.met().datagrams.contains(&canonical(address))
    }

    /// An address that stands in a grant itself, or was resolved for a name that does.
    fn admit_known(&self, address: SocketAddr) -> Option<Target> {
        let (ip, port) = (address.ip().to_canonical(), address.port());
        let is_granted = |name: &str| self.egress.admit(name, port, &self.policy).is_ok();
        let name = self
            .met()
            .resolved
            .iter()
            .find(|(known, name)| *known == ip && is_granted(name))
            .map_or_else(|| ip.to_string(), |(_, name)| name.clone());
        let target = self.admit(&name, port).ok()?;
        if let Err(denial) = self.check_address(&target, ip) {
            self.deny(&denial);
            return None;
        }
        Some(target)
    }

    fn record(&self, method: &str, target: &Target, error: Option<String>, started: Instant) {
        let fact = Fact::RequestMade {
            method: method.to_owned(),
            host: target.host.to_string(),
            port: target.port,
            path: None,
            status: None,
            error,
            bytes_out: 0,
            bytes_in: 0,
            ms: millis(started.elapsed()),
        };
        self.journal.request(self.now(), fact);
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
