//! Puts the parts together: the one place that says `new`.
//!
//! To add a store: an arm in [`open_store`].

use crate::{
    capacity::Capacity,
    config::{Database, Settings},
    system::{SystemClock, SystemRandom},
};
use action_domain::{
    digest::Digest,
    egress::EgressPolicy,
    limits::LimitsPolicy,
    repositories::{Store, StoreUnavailable},
    services::ComponentSource,
};
use action_engine::{Engine, Parts};
use action_store_memory::MemoryStore;
use action_store_sqlite::SqliteStore;
use action_wasm::{Compiler, RuntimeConfig, WasmRuntime};
use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// The subcommand in which this program compiles a component for its parent.
pub(crate) const COMPILE_COMPONENT: &str = "compile-component";

/// The service without its listeners.
pub(crate) struct Service {
    /// What it can do.
    pub(crate) engine: Engine,
    store: OpenStore,
}

/// A store, and what it takes to close it.
enum OpenStore {
    Sqlite(Arc<SqliteStore>),
    Memory(Arc<MemoryStore>),
}

impl OpenStore {
    fn as_store(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(store) => store.clone(),
            Self::Memory(store) => store.clone(),
        }
    }
}

impl Service {
    /// As the settings say.
    ///
    /// # Errors
    /// Where the database cannot be opened, or the sandbox cannot be made.
    pub(crate) async fn open(settings: &Settings, capacity: Capacity) -> anyhow::Result<Self> {
        let store = open_store(&settings.database).await?;
        let program = std::env::current_exe().context("this program's own file cannot be found")?;
        let compiler = Compiler::Child { program, args: vec![COMPILE_COMPONENT.into()] };
        let egress = EgressPolicy { private_networks: settings.egress_private };
        Self::compose(store, node_folder(&settings.data_dir), compiler, egress, capacity)
    }

    /// For `run`: in memory, with everything else in `folder`.
    ///
    /// # Errors
    /// Where the sandbox cannot be made.
    pub(crate) fn in_memory(folder: &Path, egress: EgressPolicy) -> anyhow::Result<Self> {
        let store = OpenStore::Memory(Arc::new(MemoryStore::new()));
        let capacity = Capacity { carries: 1, concurrency: 1, waiters: 1, connections: 0 };
        Self::compose(store, node_folder(folder), Compiler::InProcess, egress, capacity)
    }

    fn compose(
        store: OpenStore,
        (cache_dir, cache_key_file): (PathBuf, PathBuf),
        compiler: Compiler,
        egress: EgressPolicy,
        capacity: Capacity,
    ) -> anyhow::Result<Self> {
        let clock = Arc::new(SystemClock);
        let runtime = WasmRuntime::new(RuntimeConfig {
            cache_dir,
            cache_key_file,
            compiler,
            concurrency: capacity.concurrency,
            egress_policy: egress,
            clock: clock.clone(),
            components: Arc::new(StoredComponents(store.as_store())),
        })?;
        let engine = Engine::new(Parts {
            store: store.as_store(),
            concurrency: runtime.concurrency(),
            runtime: Arc::new(runtime),
            clock,
            random: Arc::new(SystemRandom::new()),
            limits: LimitsPolicy::default(),
            egress,
            waiters_max: capacity.waiters,
            // Both stores of this release belong to one process.
            exclusive_store: true,
        });
        Ok(Self { engine, store })
    }

    /// Gives the store free. Everything that was answered is in it already.
    pub(crate) async fn close(self) {
        match self.store {
            OpenStore::Sqlite(store) => store.close().await,
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
        Database::Memory => {
            tracing::warn!("everything is kept in memory, and gone with this process");
            Ok(OpenStore::Memory(Arc::new(MemoryStore::new())))
        }
    }
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
