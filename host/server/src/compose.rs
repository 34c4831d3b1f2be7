//! Puts the parts together: the one place that says `new`.
//!
//! To add a store: an arm in [`open_store`]. To add a broker: an arm in [`broker`].

use crate::{
    capacity::Capacity,
    config::{Database, Place, Settings, audit_keys, names, trusted_keys},
    role::Role,
    seal_mark::MarkFile,
    secret_keys,
    system::{SystemClock, SystemRandom},
    user_cache,
};
use action_domain::{
    audit::{PublicKey, SealKey},
    digest::Digest,
    egress::EgressPolicy,
    limits::{LEASE, LimitsPolicy, SEAL_EVERY},
    repositories::{LogReader, Store, StoreUnavailable},
    services::{Broker, Clock, ComponentSource, SealMark},
};
use action_engine::{Engine, Parts};
use action_queue_nats::{NatsBroker, NatsOptions};
use action_store_memory::MemoryStore;
use action_store_postgres::{PostgresLog, PostgresOptions, PostgresStore};
use action_store_sqlite::{SqliteLog, SqliteStore};
use action_vault::{Key, Keyring};
use action_wasm::{Compiler, RuntimeConfig, WasmRuntime};
use anyhow::{Context as _, bail};
use async_trait::async_trait;
use bytes::Bytes;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The subcommand in which this program compiles a component for its parent.
pub(crate) const COMPILE_COMPONENT: &str = "compile-component";

/// Clocks that differ by more are worth a word: people compare the log with other logs.
const SKEW_TOLD: Duration = Duration::from_secs(1);

/// The service without its listeners.
pub(crate) struct Service {
    /// What it can do.
    pub(crate) engine: Engine,
    store: OpenStore,
}

/// What a service stands on.
struct Ground {
    store: OpenStore,
    broker: Option<Arc<dyn Broker>>,
    compiler: Compiler,
    egress: EgressPolicy,
    dns_servers: Vec<SocketAddr>,
    capacity: Capacity,
    lease: Duration,
    runs_attempts: bool,
    keys: Arc<Keyring>,
    seal_keys: Vec<SealKey>,
    seal_every: Duration,
    seal_mark: Option<Arc<dyn SealMark>>,
    trusted_keys: Vec<PublicKey>,
}

/// A store, and what it takes to close it.
enum OpenStore {
    Sqlite(Arc<SqliteStore>),
    Postgres(Arc<PostgresStore>),
    Memory(Arc<MemoryStore>),
}

impl OpenStore {
    fn as_store(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(store) => store.clone(),
            Self::Postgres(store) => store.clone(),
            Self::Memory(store) => store.clone(),
        }
    }

    /// What time it is. Processes that share a store go by its clock, or each would have a time of
    /// its own for what all of them have to see alike: whether a lease is over, what is due.
    fn clock(&self) -> Arc<dyn Clock> {
        let own = SystemClock;
        let Self::Postgres(store) = self else { return Arc::new(own) };
        let clock = store.clock();
        let (here, there) = (own.now(), clock.now());
        let skew = here.since(there).max(there.since(here));
        if skew > SKEW_TOLD {
            tracing::warn!(?skew, "this machine's clock is not the database's, by which the service goes");
        }
        clock
    }

    /// Whether other processes may have it open.
    const fn is_shared(&self) -> bool {
        match self {
            Self::Postgres(_) => true,
            Self::Sqlite(_) | Self::Memory(_) => false,
        }
    }
}

impl Service {
    /// As the settings say.
    ///
    /// # Errors
    /// Where the database cannot be opened, or the sandbox cannot be made.
    pub(crate) async fn open(settings: &Settings, role: Role, capacity: Capacity) -> anyhow::Result<Self> {
        let store = open_store(&settings.database).await?;
        let keys = secret_keys::open(settings, &*store.as_store()).await?;
        let broker = settings.queue.as_ref().map(broker).transpose()?;
        let program = std::env::current_exe().context("this program's own file cannot be found")?;
        let compiler = Compiler::Child { program, args: vec![COMPILE_COMPONENT.into()] };
        let ground = Ground {
            store,
            broker,
            compiler,
            egress: settings.egress.clone(),
            dns_servers: settings.dns_servers.clone(),
            capacity,
            lease: settings.lease,
            runs_attempts: role.runs_attempts(),
            keys,
            seal_keys: audit_keys(settings)?,
            seal_every: settings.audit_period,
            seal_mark: MarkFile::of(settings).map(|mark| Arc::new(mark) as Arc<dyn SealMark>),
            trusted_keys: trusted_keys(settings)?,
        };
        let service = Self::compose(ground, node_folder(&settings.data_dir))?;
        secret_keys::check(&service.engine.secrets_without_key().await?, settings)?;
        Ok(service)
    }

    /// For `run`: in memory, with everything else in `folder`, but for compiled code.
    ///
    /// # Errors
    /// Where the sandbox cannot be made.
    pub(crate) fn in_memory(folder: &Path, egress: EgressPolicy) -> anyhow::Result<Self> {
        let store = OpenStore::Memory(Arc::new(MemoryStore::new()));
        let capacity = Capacity { carries: 1, concurrency: 1, waiters: 1, connections: 0 };
        let program = std::env::current_exe().context("this program's own file cannot be found")?;
        // With the limits of a service: what it would refuse is refused here too, and not kept.
        let compiler = Compiler::Child { program, args: vec![COMPILE_COMPONENT.into()] };
        let ground = Ground {
            store,
            broker: None,
            compiler,
            egress,
            dns_servers: Vec::new(),
            capacity,
            lease: LEASE,
            runs_attempts: true,
            // Gone with the process, as what it seals is.
            keys: Arc::new(Keyring::new(vec![Key::random()?])),
            seal_keys: Vec::new(),
            seal_every: SEAL_EVERY,
            seal_mark: None,
            trusted_keys: Vec::new(),
        };
        Self::compose(ground, node_folder(&user_cache::folder(folder)))
    }

    fn compose(ground: Ground, (cache_dir, cache_key_file): (PathBuf, PathBuf)) -> anyhow::Result<Self> {
        let Ground {
            store,
            broker,
            compiler,
            egress,
            dns_servers,
            capacity,
            lease,
            runs_attempts,
            keys,
            seal_keys,
            seal_every,
            seal_mark,
            trusted_keys,
        } = ground;
        let clock = store.clock();
        let mut runtime = WasmRuntime::new(RuntimeConfig {
            cache_dir,
            cache_key_file,
            compiler,
            concurrency: capacity.concurrency,
            egress_policy: egress.clone(),
            trusted_keys,
            clock: clock.clone(),
            components: Arc::new(StoredComponents(store.as_store())),
        })?;
        if !dns_servers.is_empty() {
            runtime = runtime.asking(&dns_servers)?;
        }
        let engine = Engine::new(Parts {
            store: store.as_store(),
            concurrency: runtime.concurrency(),
            runtime: Arc::new(runtime),
            vault: keys,
            clock: clock.clone(),
            random: Arc::new(SystemRandom::new(clock.clone())),
            limits: LimitsPolicy::default(),
            egress,
            waiters_max: capacity.waiters,
            lease,
            runs_attempts,
            broker,
            exclusive_store: !store.is_shared(),
            seal_keys,
            seal_every,
            seal_mark,
        });
        Ok(Self { engine, store })
    }

    /// Gives the store free. Everything that was answered is in it already.
    pub(crate) async fn close(self) {
        match self.store {
            OpenStore::Sqlite(store) => store.close().await,
            OpenStore::Postgres(store) => store.close().await,
            OpenStore::Memory(_) => {}
        }
    }
}

/// Compiled code, and the key that seals it.
fn node_folder(data_dir: &Path) -> (PathBuf, PathBuf) {
    (data_dir.join("compiled"), data_dir.join("compiled.key"))
}

async fn open_store(database: &Database) -> anyhow::Result<OpenStore> {
    match database {
        Database::Sqlite(path) => Ok(OpenStore::Sqlite(Arc::new(SqliteStore::open(path).await?))),
        Database::Postgres(place) => {
            let store = PostgresStore::open(place.expose(), PostgresOptions::default());
            let store = store.await.with_context(|| format!("the database (from {})", names::DATABASE_URL))?;
            Ok(OpenStore::Postgres(Arc::new(store)))
        }
        Database::Memory => {
            tracing::warn!("everything is kept in memory, and gone with this process");
            Ok(OpenStore::Memory(Arc::new(MemoryStore::new())))
        }
    }
}

/// The log of a database, for reading only.
///
/// # Errors
/// Where it cannot be opened, or has another release's schema.
pub(crate) async fn open_log(database: &Database) -> anyhow::Result<Box<dyn LogReader>> {
    match database {
        Database::Sqlite(path) => Ok(Box::new(SqliteLog::open(path).await?)),
        Database::Postgres(place) => Ok(Box::new(PostgresLog::open(place.expose()).await?)),
        Database::Memory => bail!("memory: keeps no log that outlives its process"),
    }
}

/// Nothing is contacted yet: the service starts without it, and asks the database until it is there.
fn broker(place: &Place) -> anyhow::Result<Arc<dyn Broker>> {
    let broker = NatsBroker::new(place.expose(), NatsOptions::default());
    Ok(Arc::new(broker.with_context(|| format!("{place} (from {})", names::QUEUE_URL))?))
}

/// What was done to bring a database's schema up to date.
pub(crate) enum Migrated {
    /// So many steps; none if it was up to date.
    Steps(usize),
    /// There is no schema.
    NothingToMigrate,
}

/// Brings the database's schema up to date.
///
/// # Errors
/// Where it cannot be opened, is in use, or is a newer release's.
pub(crate) async fn migrate(database: &Database) -> anyhow::Result<Migrated> {
    match database {
        Database::Sqlite(path) => Ok(Migrated::Steps(action_store_sqlite::migrate(path).await?)),
        Database::Postgres(place) => {
            let steps = action_store_postgres::migrate(place.expose()).await;
            Ok(Migrated::Steps(steps.with_context(|| format!("the database (from {})", names::DATABASE_URL))?))
        }
        Database::Memory => Ok(Migrated::NothingToMigrate),
    }
}

/// The sandbox fetches components from where they are stored.
struct StoredComponents(Arc<dyn Store>);

#[async_trait]
impl ComponentSource for StoredComponents {
    async fn component(&self, digest: &Digest) -> Result<Option<Bytes>, StoreUnavailable> {
        self.0.component(digest).await
    }
}
