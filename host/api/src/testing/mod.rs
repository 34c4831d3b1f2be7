//! What the tests below the handlers share: a real engine over the memory store, with a runtime
//! that only pretends.

mod runtime;

use crate::{
    AdminToken, ApiState, Authenticator, Doors, Oidc, Peer, Phase, Principal, Readiness, Router, Scope, Scopes,
    Stranger, Tokens, private_router, public_router,
};
use action_domain::{
    actor::Actor,
    egress::EgressPolicy,
    limits::LimitsPolicy,
    services::{Clock, Random},
    time::Timestamp,
};
use action_engine::{Engine, EngineError, Parts};
use action_store_memory::MemoryStore;
use action_vault::{Key, Keyring};
use async_trait::async_trait;
use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use runtime::FakeRuntime;
use serde_json::Value;
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc::unbounded_channel;
use tower::ServiceExt as _;
use uuid::Uuid;

/// A token with this scope alone.
pub(crate) fn tokens(scope: Scope) -> &'static str {
    match scope {
        Scope::Admin => "admin-token",
        Scope::Configure => "configure-token",
        Scope::Invoke => "invoke-token",
        Scope::Read => "read-token",
    }
}

/// The real ways in, and beside them a token for each scope.
struct Known(Doors);

#[async_trait]
impl Authenticator for Known {
    async fn authenticate(&self, bearer: &str) -> Result<Principal, Stranger> {
        match Scope::ALL.into_iter().find(|scope| *scope != Scope::Admin && tokens(*scope) == bearer) {
            Some(scope) => Ok(Principal {
                actor: Actor::Subject(bearer.into()),
                scopes: Scopes::of(&[scope]),
                reach: None,
                expires_at: None,
            }),
            None => self.0.authenticate(bearer).await,
        }
    }

    async fn knows(&self, principal: &Principal) -> Result<bool, EngineError> {
        Ok(matches!(principal.actor, Actor::Subject(_)) || self.0.knows(principal).await?)
    }

    fn can_be_guessed(&self, bearer: &str) -> bool {
        self.0.can_be_guessed(bearer)
    }
}

/// A second passes each time somebody looks.
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.fetch_add(1_000_000, Ordering::Relaxed))
    }
}

struct Counting(AtomicU64);

impl Random for Counting {
    fn uuid(&self) -> Uuid {
        let count = self.0.fetch_add(1, Ordering::Relaxed);
        // The form of a UUIDv7 whose time is the count.
        Uuid::from_u64_pair((count << 16) | 0x7000, 1 << 63)
    }

    fn secret(&self) -> [u8; 32] {
        let mut bytes = [0x5e; 32];
        bytes[..8].copy_from_slice(&self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        bytes
    }

    fn fraction(&self) -> f64 {
        0.5
    }
}

/// A service of its own for each test.
pub(crate) struct Api {
    pub(crate) router: Router,
    pub(crate) runtime: Arc<FakeRuntime>,
    pub(crate) readiness: Readiness,
    pub(crate) engine: Engine,
    pub(crate) state: ApiState,
}

impl Api {
    pub(crate) fn new() -> Self {
        Self::with(Arc::new(Ticking(AtomicI64::new(1_800_000_000_000_000))), None, true)
    }

    /// With a clock of the test's own, an issuer, and other processes that may have the store open.
    pub(crate) fn with(clock: Arc<dyn Clock>, oidc: Option<Oidc>, exclusive_store: bool) -> Self {
        let runtime = Arc::new(FakeRuntime::default());
        let engine = Engine::new(Parts {
            store: Arc::new(MemoryStore::new()),
            runtime: runtime.clone(),
            vault: Arc::new(Keyring::new(vec![Key::random().unwrap()])),
            clock,
            random: Arc::new(Counting(AtomicU64::new(1_800_000_000_000))),
            limits: LimitsPolicy::default(),
            egress: EgressPolicy::default(),
            concurrency: 8,
            waiters_max: 8,
            runs_attempts: true,
            broker: None,
            lease: action_domain::limits::LEASE,
            exclusive_store,
            seal_keys: vec![action_domain::audit::SealKey::from_seed(&[7; 32])],
            seal_every: action_domain::limits::SEAL_EVERY,
            seal_mark: None,
        });
        let readiness = Readiness::new();
        readiness.set(Phase::Ready);
        let admin = AdminToken::new(tokens(Scope::Admin));
        let auth = Arc::new(Known(Doors::new(admin, Tokens::new(engine.clone()), oidc)));
        let state = ApiState::new(engine.clone(), auth, readiness.clone());
        Self { router: private_router(state.clone()), runtime, readiness, engine, state }
    }

    /// The same service's public listener.
    pub(crate) fn public(&self) -> Self {
        let (runtime, readiness) = (self.runtime.clone(), self.readiness.clone());
        let (engine, state) = (self.engine.clone(), self.state.clone());
        Self { router: public_router(state.clone()), runtime, readiness, engine, state }
    }

    /// The listener of the same service, if it only worked.
    pub(crate) fn worker(&self) -> Self {
        let (runtime, readiness) = (self.runtime.clone(), self.readiness.clone());
        let (engine, state) = (self.engine.clone(), self.state.clone());
        Self { router: crate::worker_router(state.clone()), runtime, readiness, engine, state }
    }

    /// A token like this: its id, and what callers send.
    pub(crate) async fn token(&self, wish: &Value) -> (String, String) {
        let made = self.post("/v1/tokens").json(wish).send().await;
        made.is(201);
        let text = |member: &str| made.json()[member].as_str().unwrap().to_owned();
        (text("id"), text("token"))
    }

    /// Begins the work that nobody calls for.
    pub(crate) async fn start(&self) {
        self.engine.start().await.unwrap();
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> Call {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        Call { router: self.router.clone(), request }.bearer(tokens(Scope::Admin))
    }

    pub(crate) fn get(&self, path: &str) -> Call {
        self.request("GET", path)
    }

    pub(crate) fn post(&self, path: &str) -> Call {
        self.request("POST", path)
    }

    /// Uploads what [`FakeRuntime`] takes for a component: `name version`.
    pub(crate) async fn upload(&self, component: &'static str) -> Answer {
        self.post("/v1/protocols").wasm().body(component).send().await
    }

    /// An action of the protocol `echo`; its id.
    pub(crate) async fn action(&self, name: &str, config: Value) -> String {
        self.upload("echo 0.1.0").await;
        let body = serde_json::json!({"name": name, "protocol": "echo", "config": config});
        let made = self.post("/v1/actions").json(&body).send().await;
        made.is(201);
        made.json()["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn protocol_and_action(&self, name: &str) -> String {
        self.action(name, serde_json::json!({})).await
    }

    /// Runs an action and gives the execution.
    pub(crate) async fn execute(&self, action: &str) -> Value {
        let ran = self.post(&format!("/v1/actions/{action}/execute")).body("x").send().await;
        ran.is(200);
        ran.json()
    }

    /// The items of all pages of a list.
    pub(crate) async fn all_pages(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut next = path.to_owned();
        for _ in 0..1000 {
            let page = self.get(&next).send().await;
            page.is(200);
            let mut page = page.json();
            items.append(page["items"].as_array_mut().unwrap());
            let Some(after) = page["next"].as_str() else { return items };
            next = format!("{path}{}after={after}", if path.contains('?') { '&' } else { '?' });
        }
        panic!("the list does not end");
    }

    /// Looks until what is there is as it should be.
    pub(crate) async fn until(&self, path: &str, done: impl Fn(&Value) -> bool) {
        for _ in 0..500 {
            if done(&self.get(path).send().await.json()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{path} never was as it should be");
    }
}

/// A request that is being made.
pub(crate) struct Call {
    router: Router,
    request: Request<Body>,
}

impl Call {
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.request.headers_mut().insert(HeaderName::from_static(name), value.parse().unwrap());
        self
    }

    /// A header that may be there already.
    pub(crate) fn and(mut self, name: &'static str, value: &str) -> Self {
        self.request.headers_mut().append(HeaderName::from_static(name), value.parse().unwrap());
        self
    }

    /// With another token than the admin's; empty for none.
    pub(crate) fn bearer(mut self, token: &str) -> Self {
        if token.is_empty() {
            self.request.headers_mut().remove(header::AUTHORIZATION);
            return self;
        }
        self.with("authorization", &format!("Bearer {token}"))
    }

    /// Over a connection from this address.
    pub(crate) fn from(mut self, address: &str) -> Self {
        self.request.extensions_mut().insert(Peer::new(address.parse().unwrap()));
        self
    }

    pub(crate) fn content_type(self, content_type: &str) -> Self {
        self.with("content-type", content_type)
    }

    pub(crate) fn wasm(self) -> Self {
        self.content_type("application/wasm")
    }

    pub(crate) fn body(self, body: impl Into<Bytes>) -> Self {
        self.stream(Body::from(body.into()))
    }

    pub(crate) fn stream(mut self, body: Body) -> Self {
        *self.request.body_mut() = body;
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.content_type("application/json").body(body.to_string())
    }

    /// With a body whose second half comes after `meanwhile`, when the first one was taken.
    pub(crate) async fn send_slowly(self, meanwhile: impl AsyncFnOnce()) -> Answer {
        let (part, parts) = unbounded_channel();
        let (ask, mut asked) = unbounded_channel();
        let body = stream::unfold((parts, ask), async |(mut parts, ask)| {
            ask.send(()).ok();
            let part: &'static str = parts.recv().await?;
            Some((Ok::<_, Infallible>(part), (parts, ask)))
        });
        let sent = tokio::spawn(self.stream(Body::from_stream(body)).send());
        part.send("hel").unwrap();
        for _ in ["the first half", "the second"] {
            asked.recv().await.unwrap();
        }
        meanwhile().await;
        part.send("lo").unwrap();
        drop(part);
        sent.await.unwrap()
    }

    /// The answer without its body.
    pub(crate) async fn open(self) -> Stream {
        Stream(self.router.oneshot(self.request).await.unwrap())
    }

    pub(crate) async fn send(self) -> Answer {
        let (parts, body) = self.router.oneshot(self.request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, bytes }
    }
}

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Answer {
    #[track_caller]
    pub(crate) fn is(&self, status: u16) {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.bytes));
    }

    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str) {
        self.is(status);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], "about:blank");
        assert!(!problem["detail"].as_str().unwrap().is_empty() && !problem["title"].as_str().unwrap().is_empty());
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }
}

/// An answer whose body is read piece by piece.
pub(crate) struct Stream(Response);

impl Stream {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.0.headers()[name].to_str().unwrap()
    }

    pub(crate) async fn chunk(&mut self) -> Option<String> {
        let frame = self.0.body_mut().frame().await?.unwrap();
        Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
    }
}
