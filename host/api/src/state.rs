//! What the handlers share.

use crate::{Authenticator, auth::FailedLogins, openapi::Documents, room::Room};
use action_engine::Engine;
use std::sync::{Arc, OnceLock};
use tokio::sync::{Semaphore, watch};

/// Components that are uploaded at once. Each may hold `COMPONENT_BYTES_MAX` in memory, and
/// compiling one takes a core.
pub(crate) const UPLOADS_MAX: usize = 2;
/// Bodies over [`SMALL_BYTES_MAX`] of callers with tokens that are held at once; with the largest input that is
/// 256 MiB.
const LARGE_BODIES_MAX: usize = 16;
/// The same of deliveries to webhooks, which anybody may send: they take no caller's place. 128 MiB.
const LARGE_DELIVERIES_MAX: usize = 8;
/// A body up to this size is taken without asking; the connections are bounded already.
pub(crate) const SMALL_BYTES_MAX: usize = 256 << 10;
/// Event streams at once: each holds a connection for as long as its reader likes.
const STREAMS_MAX: usize = 256;

/// What the handlers share. Cheap to clone.
#[derive(Clone)]
pub struct ApiState(Arc<Inner>);

struct Inner {
    engine: Engine,
    auth: Arc<dyn Authenticator>,
    logins: FailedLogins,
    deliveries: FailedLogins,
    readiness: Readiness,
    uploads: Arc<Semaphore>,
    large_bodies: Room,
    large_deliveries: Room,
    streams: Arc<Semaphore>,
    documents: OnceLock<Documents>,
}

impl ApiState {
    /// The state of one process's routers; give both the same.
    pub fn new(engine: Engine, auth: Arc<dyn Authenticator>, readiness: Readiness) -> Self {
        Self(Arc::new(Inner {
            engine,
            auth,
            logins: FailedLogins::new(),
            deliveries: FailedLogins::new(),
            readiness,
            uploads: Arc::new(Semaphore::new(UPLOADS_MAX)),
            large_bodies: Room::of(LARGE_BODIES_MAX),
            large_deliveries: Room::shared(LARGE_DELIVERIES_MAX),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            documents: OnceLock::new(),
        }))
    }

    /// The use cases.
    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// Who knows tokens.
    pub(crate) fn auth(&self) -> &dyn Authenticator {
        &*self.0.auth
    }

    /// Who failed to log in.
    pub(crate) fn logins(&self) -> &FailedLogins {
        &self.0.logins
    }

    /// Whose deliveries to webhooks did not prove who sent them. Counted apart: behind one proxy a stranger who
    /// guesses keys would make callers with tokens wait.
    pub(crate) fn deliveries(&self) -> &FailedLogins {
        &self.0.deliveries
    }

    /// Failed logins since the process began.
    pub fn failed_logins(&self) -> u64 {
        self.0.logins.count()
    }

    /// In which part of its life the process is.
    pub(crate) fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    /// A permit for each upload.
    pub(crate) fn uploads(&self) -> &Arc<Semaphore> {
        &self.0.uploads
    }

    /// Room for bodies over [`SMALL_BYTES_MAX`].
    pub(crate) fn large_bodies(&self) -> &Room {
        &self.0.large_bodies
    }

    /// The same for those of strangers.
    pub(crate) fn large_deliveries(&self) -> &Room {
        &self.0.large_deliveries
    }

    /// A permit for each event stream.
    pub(crate) fn streams(&self) -> &Arc<Semaphore> {
        &self.0.streams
    }

    /// `/openapi.json` and `/docs`; filled when the private router is made.
    pub(crate) fn documents(&self) -> &OnceLock<Documents> {
        &self.0.documents
    }
}

/// A part of the process's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not everything is there yet.
    Starting,
    /// Requests are welcome.
    Ready,
    /// Requests should go elsewhere; streams end.
    Stopping,
}

/// Tells `/readyz` and the streams in which part of its life the process is. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Readiness(Arc<watch::Sender<Phase>>);

impl Readiness {
    /// [`Phase::Starting`].
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Phase::Starting)))
    }

    /// Moves on.
    pub fn set(&self, phase: Phase) {
        self.0.send_replace(phase);
    }

    /// Where it is.
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Follows it.
    pub(crate) fn follow(&self) -> watch::Receiver<Phase> {
        self.0.subscribe()
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}
