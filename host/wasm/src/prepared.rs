//! Components that are ready to run: in memory by digest, else from disk, else compiled.

use crate::{
    bindings::{reconciler::ReconcilingIndices, transform::ActionTransformPre, v0_1::ActionProtocolPre},
    cache::Cache,
    compile::Workshop,
    inspect,
    native::{self, Trusted},
    state::State,
};
use action_domain::{
    digest::Digest,
    services::{ComponentSource, RuntimeError},
};
use moka::policy::EvictionPolicy;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::task::spawn_blocking;
use wasmtime::{
    Engine,
    component::{Component, Linker},
};

/// Most compiled code in memory, in KiB. What was used least lately goes first; it is loaded
/// again in milliseconds. Much less than [`action_domain::limits::COMPILED_BYTES_MAX`], so that
/// what is in use finds room on disk.
const KIB_MAX: u64 = 512 << 10;

/// A component, linked.
pub(crate) struct Prepared {
    exports: Exports,
    code_bytes: usize,
}

/// What can be called; the types were compared when it was admitted.
enum Exports {
    Protocol { pre: ActionProtocolPre<State>, reconciler: Option<ReconcilingIndices> },
    Transform(ActionTransformPre<State>),
}

impl Prepared {
    /// As a protocol, if it is one.
    pub(crate) fn protocol(&self) -> wasmtime::Result<&ActionProtocolPre<State>> {
        match &self.exports {
            Exports::Protocol { pre, .. } => Ok(pre),
            Exports::Transform(_) => Err(wasmtime::Error::msg("the component is a transform and no protocol")),
        }
    }

    /// As a transform, if it is one.
    pub(crate) fn transform(&self) -> wasmtime::Result<&ActionTransformPre<State>> {
        match &self.exports {
            Exports::Transform(pre) => Ok(pre),
            Exports::Protocol { .. } => Err(wasmtime::Error::msg("the component is a protocol and no transform")),
        }
    }

    /// What it can reconcile by, if it can.
    pub(crate) fn reconciler(&self) -> Option<&ReconcilingIndices> {
        match &self.exports {
            Exports::Protocol { reconciler, .. } => reconciler.as_ref(),
            Exports::Transform(_) => None,
        }
    }
}

/// All that are ready, and how to get more.
pub(crate) struct Store {
    ready: moka::future::Cache<Digest, Arc<Prepared>>,
    shared: Arc<Shared>,
    workshop: Workshop,
    components: Arc<dyn ComponentSource>,
}

struct Shared {
    engine: Engine,
    linker: Linker<State>,
    disk: Option<Cache>,
    /// What was linked; what of it is still in memory, or run by an attempt, is in use.
    linked: Mutex<HashMap<Digest, Weak<Prepared>>>,
}

impl Shared {
    fn link(&self, digest: &Digest, code: &Trusted) -> wasmtime::Result<Arc<Prepared>> {
        self.link_loaded(digest, code, &native::load(&self.engine, code)?)
    }

    fn link_loaded(&self, digest: &Digest, code: &Trusted, component: &Component) -> wasmtime::Result<Arc<Prepared>> {
        let pre = self.linker.instantiate_pre(component)?;
        let exports = match ActionTransformPre::new(pre.clone()) {
            Ok(pre) => Exports::Transform(pre),
            Err(_) => {
                Exports::Protocol { reconciler: ReconcilingIndices::new(&pre).ok(), pre: ActionProtocolPre::new(pre)? }
            }
        };
        let prepared = Arc::new(Prepared { exports, code_bytes: code.bytes().len() });
        let mut linked = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        linked.retain(|_, prepared| prepared.strong_count() > 0);
        linked.insert(*digest, Arc::downgrade(&prepared));
        Ok(prepared)
    }

    fn in_use(&self, digest: &Digest) -> bool {
        let linked = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        linked.get(digest).is_some_and(|prepared| prepared.strong_count() > 0)
    }

    fn load_from_disk(&self, digest: &Digest) -> Option<Arc<Prepared>> {
        let code = self.disk.as_ref()?.load(digest)?;
        match self.link(digest, &code) {
            Ok(prepared) => Some(prepared),
            Err(error) => {
                tracing::warn!(%digest, error = %error.root_cause(), "compiled code is not of use; compiling anew");
                None
            }
        }
    }

    fn keep(&self, digest: &Digest, code: &Trusted) {
        if let Some(disk) = &self.disk
            && let Err(error) = disk.store(digest, code.bytes(), |other| self.in_use(other))
        {
            tracing::warn!(%digest, %error, "compiled code could not be kept; it will be compiled again");
        }
    }
}

/// A component that is linked, and was not kept yet.
pub(crate) struct Candidate {
    pub(crate) prepared: Arc<Prepared>,
    /// `None`: it came from disk.
    code: Option<Trusted>,
}

impl Store {
    /// Nothing is ready yet.
    pub(crate) fn new(
        engine: Engine,
        linker: Linker<State>,
        disk: Option<Cache>,
        workshop: Workshop,
        components: Arc<dyn ComponentSource>,
    ) -> Self {
        let shared = Arc::new(Shared { engine, linker, disk, linked: Mutex::default() });
        let evicted = shared.clone();
        let ready = moka::future::Cache::builder()
            .max_capacity(KIB_MAX)
            .eviction_policy(EvictionPolicy::lru())
            // As long as code is in memory its file is not looked at, and this is when that ends.
            .eviction_listener(move |digest: Arc<Digest>, _, cause| {
                if cause.was_evicted()
                    && let Some(disk) = &evicted.disk
                {
                    disk.touch(&digest);
                }
            })
            .weigher(|_, prepared: &Arc<Prepared>| u32::try_from(prepared.code_bytes >> 10).unwrap_or(u32::MAX).max(64))
            .build();
        Self { ready, shared, workshop, components }
    }

    /// The component of this digest. Whoever asks for one that is being prepared waits for it.
    pub(crate) async fn get(&self, digest: Digest) -> Result<Arc<Prepared>, RuntimeError> {
        if let Some(prepared) = self.ready.get(&digest).await {
            return Ok(prepared);
        }
        self.ready.try_get_with(digest, self.load(digest)).await.map_err(|error: Arc<RuntimeError>| (*error).clone())
    }

    async fn load(&self, digest: Digest) -> Result<Arc<Prepared>, RuntimeError> {
        let shared = self.shared.clone();
        if let Some(prepared) = blocking(move || shared.load_from_disk(&digest)).await? {
            return Ok(prepared);
        }
        let bytes = self.components.component(&digest).await.map_err(|error| RuntimeError::Host(error.to_string()))?;
        let bytes = bytes.ok_or(RuntimeError::NotFound(digest))?;
        // What was admitted, with its signature, is known by its digest: what somebody put in its place in
        // the database was not.
        let hashed = bytes.clone();
        if blocking(move || Digest::of(&hashed)).await? != digest {
            return Err(RuntimeError::Host(format!("what is stored as the component {digest} is something else")));
        }
        let code = self.workshop.compile(bytes).await?;
        let shared = self.shared.clone();
        blocking(move || {
            // It was admitted once, so whatever is wrong now is not the component's fault.
            let linked =
                shared.link(&digest, &code).map_err(|error| RuntimeError::Host(error.root_cause().to_string()))?;
            shared.keep(&digest, &code);
            Ok(linked)
        })
        .await?
    }

    /// Compiles and links a component that nobody has admitted yet. Keeps nothing.
    pub(crate) async fn try_out(&self, digest: Digest, bytes: bytes::Bytes) -> Result<Candidate, RuntimeError> {
        if let Some(prepared) = self.ready.get(&digest).await {
            return Ok(Candidate { prepared, code: None });
        }
        let shared = self.shared.clone();
        if let Some(prepared) = blocking(move || shared.load_from_disk(&digest)).await? {
            return Ok(Candidate { prepared, code: None });
        }
        let code = self.workshop.compile(bytes).await?;
        let shared = self.shared.clone();
        blocking(move || {
            // Loading compares it with the pool's slots, linking with what the host offers.
            let component =
                native::load(&shared.engine, &code).map_err(|error| inspect::refusal("over_limits", &error))?;
            let prepared = shared
                .link_loaded(&digest, &code, &component)
                .map_err(|error| inspect::refusal("wrong_import_type", &error))?;
            Ok(Candidate { prepared, code: Some(code) })
        })
        .await?
    }

    /// Keeps what was admitted.
    pub(crate) async fn keep(&self, digest: Digest, candidate: Candidate) -> Result<(), RuntimeError> {
        self.ready.insert(digest, candidate.prepared).await;
        let Some(code) = candidate.code else { return Ok(()) };
        let shared = self.shared.clone();
        blocking(move || shared.keep(&digest, &code)).await
    }

    /// Keeps what was admitted where it takes no memory until it is used: on disk.
    pub(crate) async fn keep_aside(&self, digest: Digest, candidate: Candidate) -> Result<(), RuntimeError> {
        if self.shared.disk.is_none() {
            return self.keep(digest, candidate).await;
        }
        // What came from disk is there.
        let Some(code) = candidate.code else { return Ok(()) };
        drop(candidate.prepared);
        let shared = self.shared.clone();
        blocking(move || shared.keep(&digest, &code)).await
    }

    /// Keeps it no longer, neither in memory nor on disk. Who runs it goes on.
    pub(crate) async fn forget(&self, digest: Digest) {
        self.ready.invalidate(&digest).await;
        let shared = self.shared.clone();
        let removed = blocking(move || shared.disk.as_ref().map_or(Ok(()), |disk| disk.remove(&digest))).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(%digest, %error, "compiled code could not be removed");
        }
    }
}

/// Work that would hold a thread of the executor.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, RuntimeError> {
    let ended = |_| RuntimeError::Host("a defect of the service: its log has more".to_owned());
    spawn_blocking(work).await.map_err(ended)
}
