//! The load generator: a number of connections, each with one request under way.
//!
//! A closed loop measures throughput, and the latency at that throughput. It does not show
//! what latency a fixed rate would see.

use crate::{
    http::{Connection, Reply, find},
    process::Server,
};
use anyhow::{Context as _, Result, bail, ensure};
use hdrhistogram::Histogram;
use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::task::{JoinSet, LocalSet};

/// Before anything counts: connections open, caches and pools fill.
const WARM_UP: Duration = Duration::from_millis(300);
/// What every good answer has in it. A failed execution is answered with 200 as well.
const SUCCEEDED: &[u8] = b"\"succeeded\"";

/// What is a success.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Good {
    /// The execution has ended, and well.
    Succeeded,
    /// The execution is kept and will run.
    Accepted,
    /// What was asked for was made.
    Created,
    /// It is answered, and no execution is in it.
    Answered,
}

impl Good {
    fn has(self, reply: &Reply) -> bool {
        match self {
            Self::Succeeded => reply.status == 200 && find(&reply.body, SUCCEEDED).is_some(),
            Self::Accepted => reply.status == 202,
            Self::Created => reply.status == 201,
            Self::Answered => reply.status == 200,
        }
    }
}

/// What was measured in a slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice {
    /// Requests a second.
    pub(crate) rate: f64,
    /// Latency that 99 of 100 requests stayed under.
    pub(crate) p99_ms: f64,
    /// CPU time of the server for each request.
    pub(crate) cpu_us: f64,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    WarmUp,
    Measured,
    Over,
}

struct Shared {
    address: SocketAddr,
    /// One after the other, and from the beginning again.
    requests: Vec<Vec<u8>>,
    next: Cell<usize>,
    good: Good,
    /// Requests that may still be sent.
    left: Cell<u64>,
    phase: Cell<Phase>,
    latencies_us: RefCell<Histogram<u64>>,
    wrong: Cell<u64>,
    first_wrong: RefCell<Option<String>>,
}

impl Shared {
    fn new(address: SocketAddr, requests: Vec<Vec<u8>>, good: Good, left: u64) -> Result<Rc<Self>> {
        ensure!(!requests.is_empty(), "there is nothing to ask");
        Ok(Rc::new(Self {
            address,
            requests,
            next: Cell::new(0),
            good,
            left: Cell::new(left),
            phase: Cell::new(Phase::WarmUp),
            // A minute is longer than any execution may be waited for.
            latencies_us: RefCell::new(Histogram::new_with_bounds(1, 60_000_000, 3)?),
            wrong: Cell::new(0),
            first_wrong: RefCell::default(),
        }))
    }

    fn request(&self) -> &[u8] {
        let next = self.next.get();
        self.next.set((next + 1) % self.requests.len());
        &self.requests[next]
    }

    fn check(&self) -> Result<()> {
        if let Some(first) = self.first_wrong.take() {
            bail!("{} requests were not answered with a success; the first: {first}", self.wrong.get());
        }
        Ok(())
    }
}

/// Loads a server for a while with one request over and over. An answer that is not a success
/// makes the slice worthless, and an error of it.
pub(crate) async fn slice(
    server: &Server,
    request: Vec<u8>,
    good: Good,
    connections: usize,
    length: Duration,
) -> Result<Slice> {
    slice_of(server, server.address, vec![request], good, connections, length).await
}

/// The same with several requests by turns, to one of its listeners.
pub(crate) async fn slice_of(
    server: &Server,
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    good: Good,
    connections: usize,
    length: Duration,
) -> Result<Slice> {
    let shared = Shared::new(address, requests, good, u64::MAX)?;
    let measured = LocalSet::new().run_until(measure(server, shared.clone(), connections, length)).await?;
    shared.check()?;
    Ok(measured)
}

/// Sends one request so many times.
pub(crate) async fn send(server: &Server, request: Vec<u8>, good: Good, connections: usize, times: u64) -> Result<()> {
    send_all(Shared::new(server.address, vec![request], good, times)?, connections).await
}

/// Sends each of several requests once.
pub(crate) async fn send_each(server: &Server, requests: Vec<Vec<u8>>, good: Good, connections: usize) -> Result<()> {
    let times = requests.len() as u64;
    send_all(Shared::new(server.address, requests, good, times)?, connections).await
}

async fn send_all(shared: Rc<Shared>, connections: usize) -> Result<()> {
    let send_all = async {
        let mut tasks = JoinSet::new();
        (0..connections).for_each(|_| drop(tasks.spawn_local(keep_asking(shared.clone()))));
        while let Some(ended) = tasks.join_next().await {
            ended?.context("a connection failed")?;
        }
        shared.check()
    };
    LocalSet::new().run_until(send_all).await
}

async fn measure(server: &Server, shared: Rc<Shared>, connections: usize, length: Duration) -> Result<Slice> {
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        tasks.spawn_local(keep_asking(shared.clone()));
    }
    tokio::time::sleep(WARM_UP).await;
    let (begun, cpu_before) = (Instant::now(), server.cpu()?);
    shared.phase.set(Phase::Measured);
    tokio::time::sleep(length).await;
    shared.phase.set(Phase::Over);
    let (took, cpu) = (begun.elapsed(), server.cpu()?.saturating_sub(cpu_before));
    while let Some(ended) = tasks.join_next().await {
        ended?.context("a connection failed under load")?;
    }
    let latencies = shared.latencies_us.borrow();
    let requests = latencies.len() as f64;
    ensure!(requests > 0.0 || shared.wrong.get() > 0, "not one request was answered in a slice");
    Ok(Slice {
        rate: requests / took.as_secs_f64(),
        p99_ms: latencies.value_at_quantile(0.99) as f64 / 1e3,
        cpu_us: cpu.as_secs_f64() * 1e6 / requests,
    })
}

async fn keep_asking(shared: Rc<Shared>) -> Result<()> {
    let mut connection = Connection::open(shared.address).await?;
    while shared.phase.get() != Phase::Over && shared.left.get() > 0 {
        shared.left.set(shared.left.get() - 1);
        let asked = Instant::now();
        let reply = connection.exchange(shared.request()).await?;
        if !shared.good.has(&reply) {
            shared.wrong.set(shared.wrong.get() + 1);
            let text = || format!("{} {}", reply.status, String::from_utf8_lossy(&reply.body));
            shared.first_wrong.borrow_mut().get_or_insert_with(text);
        } else if shared.phase.get() == Phase::Measured {
            shared.latencies_us.borrow_mut().saturating_record(asked.elapsed().as_micros() as u64);
        }
    }
    Ok(())
}
