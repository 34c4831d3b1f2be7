//! The broker on NATS JetStream: a work queue that carries the ids of due executions.
//!
//! ```text
//! publish ──> stream (work queue, on disk, bounded) ──> one durable consumer ──> pull, by all workers
//! ```
//!
//! A message is `<execution>/<attempt>`, and its id is the same: JetStream drops a pair that comes
//! again within [`NatsOptions::duplicate_window`]. A message is gone when it is acknowledged, and
//! comes again after [`NatsOptions::ack_wait`] when it is not. A stream that is full refuses what
//! is new. The store knows everything that is here, so all of it may be lost.
//!
//! [`NatsBroker`] connects when it is used, makes the stream and the consumer where they are
//! missing, and forgets the connection with the first error that says that anything of this is
//! gone. There is no loop in the background: an error is the caller's at once, and the next call
//! begins anew. How long to wait before that is the caller's decision as well.
//!
//! `address.rs` reads the URL, `session.rs` is one connection, `pull.rs` takes a batch from it.

mod address;
mod options;
mod pull;
mod session;

pub use address::InvalidUrl;
pub use options::NatsOptions;

use action_domain::{
    id::ExecutionId,
    services::{Broker, BrokerUnavailable, Carried},
};
use address::Address;
use async_nats::jetstream;
use async_trait::async_trait;
use session::{Session, Trouble};
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// Carries the ids of due executions over JetStream. Connects when it is first used.
pub struct NatsBroker {
    address: Address,
    options: NatsOptions,
    connection: Mutex<Connection>,
}

#[derive(Default)]
struct Connection {
    session: Option<Arc<Session>>,
    /// When the last try to connect ended in vain, and why.
    failed: Option<(Instant, BrokerUnavailable)>,
}

impl NatsBroker {
    /// A broker at `url`; nothing is contacted yet.
    ///
    /// ```text
    /// nats://[user:password@ | token@]host[:port][,host[:port]…][?stream=…&subject=…&ca=…]
    /// ```
    ///
    /// `tls://` insists on TLS; with `nats://` the server decides. Certificates are checked against
    /// those that the system trusts, or against the PEM file `ca`. `stream` and `subject` go before
    /// those of `options`; the subject of a stream `s` is `s.due` unless it is named.
    pub fn new(url: &str, options: NatsOptions) -> Result<Self, InvalidUrl> {
        let (address, options) = Address::parse(url, options)?;
        Ok(Self { address, options, connection: Mutex::default() })
    }

    /// The connection, made anew where the last one is gone.
    async fn session(&self) -> Result<Arc<Session>, BrokerUnavailable> {
        let asked = Instant::now();
        let mut connection = self.connection.lock().await;
        if let Some(session) = connection.session.as_ref().filter(|session| session.is_alive()) {
            return Ok(Arc::clone(session));
        }
        // Those who waited while somebody else tried do not try one after another.
        if let Some((_, why)) = connection.failed.as_ref().filter(|(ended, _)| *ended > asked) {
            return Err(why.clone());
        }
        connection.session = None;
        match Session::open(&self.address, &self.options).await {
            Ok(session) => {
                let session = Arc::new(session);
                connection.session = Some(Arc::clone(&session));
                Ok(session)
            }
            Err(why) => {
                connection.failed = Some((Instant::now(), why.clone()));
                Err(why)
            }
        }
    }
}

#[async_trait]
impl Broker for NatsBroker {
    async fn publish(&self, due: &[(ExecutionId, u32)]) -> Result<(), BrokerUnavailable> {
        if due.is_empty() {
            return Ok(());
        }
        let session = self.session().await?;
        session.attempt(session.publish(due)).await
    }

    async fn backlog(&self) -> Result<u64, BrokerUnavailable> {
        let session = self.session().await?;
        session.attempt(session.answered(session.backlog())).await
    }

    /// A call that is dropped before it returns may leave messages with nobody; they come again
    /// after [`NatsOptions::ack_wait`].
    async fn pull(&self, limit: usize, wait: Duration) -> Result<Vec<Box<dyn Carried>>, BrokerUnavailable> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let session = self.session().await?;
        let messages = session.attempt(session.pull(limit, wait)).await?;
        let carried = messages.into_iter().map(|(execution, message)| -> Box<dyn Carried> {
            Box::new(CarriedByNats { execution, message, session: Arc::clone(&session) })
        });
        Ok(carried.collect())
    }
}

impl fmt::Debug for NatsBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsBroker")
            .field("address", &self.address)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

struct CarriedByNats {
    execution: ExecutionId,
    message: jetstream::Message,
    session: Arc<Session>,
}

#[async_trait]
impl Carried for CarriedByNats {
    fn execution(&self) -> ExecutionId {
        self.execution
    }

    /// Hands the acknowledgement to the connection and waits for nothing: one that gets lost costs
    /// a second delivery.
    async fn done(self: Box<Self>) -> Result<(), BrokerUnavailable> {
        let ack = async { self.message.ack().await.map_err(Trouble::lost) };
        self.session.attempt(self.session.answered(ack)).await
    }
}
