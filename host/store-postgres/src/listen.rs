//! Hearing what other processes did: the log grew, work is due, an execution is to be stopped.
//!
//! Each batch that appends notifies once, and once more if it leaves work in the queue. The
//! listener hears that on a connection of its own. While it has none, and now and then also
//! when it has one, it looks at the log instead: what notifies makes things quick, and nothing
//! depends on it.

use crate::{
    clock::{DatabaseClock, LOOK},
    open::Server,
};
use action_domain::{
    event::Position,
    id::ExecutionId,
    repositories::{Positions, Signal, Signals},
    time::Timestamp,
};
use async_trait::async_trait;
use sqlx::{
    Executor, Postgres,
    postgres::{PgListener, PgPool, PgPoolOptions},
};
use std::{
    convert::Infallible,
    io::ErrorKind,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{
        broadcast::{self, error::RecvError},
        watch,
    },
    time::{timeout, timeout_at},
};

/// Carries the log's new end.
pub(crate) const LOG_CHANNEL: &str = "action_service_log";
/// Carries the time, in microseconds, when the earliest of the new work is due.
pub(crate) const DUE_CHANNEL: &str = "action_service_due";
/// Carries an execution that is to be stopped.
pub(crate) const CANCEL_CHANNEL: &str = "action_service_cancel";

/// Signals that a listener may be behind by; it is told that work is due if it was further.
const SIGNALS_MAX: usize = 1024;

/// How often the log and the clock are looked at by a listener: its connection may be dead, or go
/// through a pooler that passes no notifications on.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often a new connection is tried, and the log looked at meanwhile.
const RETRY_EVERY: Duration = Duration::from_secs(1);

pub(crate) const LAST_POSITION: &str = "SELECT position FROM log WHERE one";

/// What is known of the log's end and of the queue, for all who follow.
#[derive(Debug)]
pub(crate) struct News {
    positions: watch::Sender<Position>,
    signals: broadcast::Sender<Signal>,
    pub(crate) clock: Arc<DatabaseClock>,
}

impl News {
    pub(crate) fn new(position: Position, clock: DatabaseClock) -> Self {
        let (positions, signals) = (watch::Sender::new(position), broadcast::Sender::new(SIGNALS_MAX));
        Self { positions, signals, clock: Arc::new(clock) }
    }

    pub(crate) fn positions(&self) -> watch::Receiver<Position> {
        self.positions.subscribe()
    }

    pub(crate) fn signals(&self) -> broadcast::Receiver<Signal> {
        self.signals.subscribe()
    }

    /// The log ends here or further on. News overtake each other: the end never goes back.
    pub(crate) fn grown_to(&self, end: Position) {
        self.positions.send_if_modified(|known| {
            let grown = end > *known;
            *known = end.max(*known);
            grown
        });
    }

    fn signal(&self, signal: Signal) {
        // An error means that nobody listens.
        let _ = self.signals.send(signal);
    }
}

/// Follows the end of the log.
pub(crate) struct Follow(pub(crate) watch::Receiver<Position>);

#[async_trait]
impl Positions for Follow {
    async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

/// What is heard of other processes, and of this one too.
pub(crate) struct Heard(pub(crate) broadcast::Receiver<Signal>);

#[async_trait]
impl Signals for Heard {
    async fn next(&mut self) -> Signal {
        match self.0.recv().await {
            Ok(signal) => signal,
            // Some were missed, which may happen: who listens looks too.
            Err(RecvError::Lagged(_)) => Signal::Due,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Listens until it is dropped.
pub(crate) async fn listen(server: Server, news: &News) {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_millis(server.options.acquire_timeout_ms))
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_lazy_with(server.listener());
    let mut told = false;
    loop {
        let Err(error) = hear(&pool, news, &mut told).await;
        if !std::mem::replace(&mut told, true) {
            tracing::warn!(%error, "store.listen.lost");
        }
        tokio::time::sleep(RETRY_EVERY).await;
        // Whether or not it can listen, it may be able to look.
        if look(&pool, news).await.is_ok() {
            news.signal(Signal::Due);
        }
    }
}

/// Listens until the connection is lost.
async fn hear(pool: &PgPool, news: &News, lost: &mut bool) -> sqlx::Result<Infallible> {
    let broken = |kind: ErrorKind| sqlx::Error::Io(kind.into());
    let mut listener = PgListener::connect_with(pool).await?;
    listener.eager_reconnect(false);
    listener.listen_all([LOG_CHANNEL, DUE_CHANNEL, CANCEL_CHANNEL]).await?;
    if std::mem::take(lost) {
        tracing::info!("store.listen.again");
    }
    // What happened before it listened.
    look(&mut listener, news).await?;
    news.signal(Signal::Due);
    let next_look = || tokio::time::Instant::now() + LOOK_EVERY;
    let mut at = next_look();
    loop {
        // Waiting can be given up at any point: a message is taken whole or not at all.
        let Ok(heard) = timeout_at(at, listener.try_recv()).await else {
            let looked = timeout(LOOK_EVERY, look(&mut listener, news)).await;
            looked.map_err(|_| broken(ErrorKind::TimedOut))??;
            at = next_look();
            continue;
        };
        match heard? {
            Some(notification) if notification.channel() == DUE_CHANNEL => news.signal(Signal::Due),
            Some(notification) if notification.channel() == CANCEL_CHANNEL => {
                if let Ok(id) = notification.payload().parse() {
                    news.signal(Signal::Cancel(ExecutionId::from_uuid(id)));
                }
            }
            Some(notification) => {
                if let Ok(end) = notification.payload().parse() {
                    news.grown_to(end);
                }
            }
            None => return Err(broken(ErrorKind::ConnectionReset)),
        }
    }
}

async fn look<'c>(connection: impl Executor<'c, Database = Postgres>, news: &News) -> sqlx::Result<()> {
    let asked_at = Instant::now();
    let (end, time) = sqlx::query_as(LOOK).fetch_one(connection).await?;
    news.clock.heard(asked_at, Instant::now(), Timestamp::from_micros(time));
    news.grown_to(end);
    Ok(())
}
