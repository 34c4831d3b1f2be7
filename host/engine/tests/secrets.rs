//! Secrets through the engine, over the memory store and a real keyring: what an attempt gets, what
//! of it the record keeps, and what happens when secrets change.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking, also outside the test functions")]

use action_domain::{
    action::{ActionSpec, Delivery, Grants},
    actor::Actor,
    capture::{Captured, Item},
    digest::Digest,
    egress::EgressPolicy,
    event::EventType,
    failure::{Advice, Effect, ErrorCode, ExecutionError, Failure, FailureKind, Sent},
    limits::{LEASE, LimitsPolicy, LimitsSpec},
    payload::Payload,
    receipt::Receipt,
    repositories::{ActionKey, EventFilter, Page, Reader as _},
    secret::{HANDLE_BYTES, Secret},
    services::{
        Accepted, Admitted, AttemptReport, AttemptRequest, ConnectionReport, ConnectionTest, Outcome, ProtocolRuntime,
        RawDescriptor, RuntimeError, Stage, StageKind, TestRequest, ValidateError, Vault as _, VaultError, Verdict,
        WebhookReply,
    },
};
use action_engine::{Dispatch, Dispatched, Editor, Engine, EngineError, Parts};
use action_store_memory::MemoryStore;
use action_testkit::{FakeClock, SeededRandom};
use action_vault::Keyring;
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use std::{
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Semaphore;

const VALUE: &str = "open-sesame-4711";
const OLD_KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";
const NEW_KEY: &str = "0202020202020202020202020202020202020202020202020202020202020202";

/// Puts the value of its handle wherever an attempt can put anything.
#[derive(Default)]
struct Leaky {
    /// The configs that it was given, validations too.
    configs: Mutex<Vec<Value>>,
    fails: bool,
    /// Whether it captures, past what a sandbox would refuse.
    captures: bool,
    /// What a connection test waits for; without one it does not.
    answers: Option<Arc<Semaphore>>,
    /// Whether a connection test ends with a defect of the host.
    breaks: bool,
}

impl Leaky {
    fn note(&self, config: &str) -> String {
        let config: Value = serde_json::from_str(config).unwrap();
        let token = config["token"].as_str().unwrap_or_default().to_owned();
        self.configs.lock().unwrap().push(config);
        token
    }

    fn configs(&self) -> Vec<Value> {
        std::mem::take(&mut self.configs.lock().unwrap())
    }
}

#[async_trait]
impl ProtocolRuntime for Leaky {
    async fn admit(&self, component: Bytes) -> Result<Admitted, RuntimeError> {
        let schema = json!({
            "type": "object", "additionalProperties": false,
            "properties": {"token": {"type": "string", "minLength": 10, "writeOnly": true}, "plain": {"type": "string"}}
        });
        let descriptor = RawDescriptor {
            name: "leaky".into(),
            version: "1.0.0".into(),
            config_schema: schema.to_string(),
            ..RawDescriptor::default()
        };
        Ok(Admitted {
            digest: Digest::of(&component),
            imports: Vec::new(),
            reconciles: false,
            descriptor: Some(descriptor),
        })
    }

    async fn prepare(&self, _: Digest) -> Result<(), RuntimeError> {
        Ok(())
    }

    async fn validate_config(&self, _: Digest, config: Arc<str>) -> Result<Accepted, ValidateError> {
        let token = self.note(&config);
        let warning = action_domain::failure::Issue::new("/token", "seen", format!("it is {token}"));
        Ok(Accepted { effect: Effect::Read, warnings: vec![warning] })
    }

    async fn test_connection(&self, request: TestRequest) -> Result<ConnectionTest, RuntimeError> {
        let value = revealed(&request.secrets, &self.note(&request.config));
        if let Some(answers) = &self.answers {
            answers.acquire().await.unwrap().forget();
        }
        if self.breaks {
            return Err(RuntimeError::Host(format!("it broke at {value}")));
        }
        let stage = Stage {
            stage: StageKind::Protocol,
            target: format!("{value}:1"),
            ok: true,
            ms: 1,
            message: value.clone(),
            hint: Some(value.clone()),
        };
        Ok(ConnectionTest {
            verdict: Verdict::Connected,
            report: Some(ConnectionReport { summary: value.clone(), details: json!({"v": [value]}) }),
            error: None,
            stages: vec![stage],
            receipt: Receipt::default(),
        })
    }

    async fn run(&self, request: AttemptRequest) -> AttemptReport {
        let value = revealed(&request.secrets, &self.note(&request.config));
        let now = request.deadline;
        request.journal.log(now, "info", &format!("the value is {value}"));
        request.journal.log(now, "info", &value[..12]);
        request.journal.log(now, "info", &value[12..]);
        request.journal.progress(now, 1, None, &value);
        let mut captured = Captured::default();
        if self.captures {
            let content = Payload { content_type: "text/plain".into(), data: value.clone().into() };
            let text: Arc<str> = value.as_str().into();
            captured.items.push(Item { key: Some(text.clone()), kind: text, content });
            captured.values.insert(format!("key {value}"), Some(format!("next={value}&page=2").into()));
            captured.values.insert("handle".to_owned(), Some(Bytes::from_static(b"\x00as it is\xff")));
        }
        let result = if self.fails {
            let details = Some(json!({"body": value}));
            let failure = Failure { kind: FailureKind::Rejected, message: value, advice: Advice::GiveUp, details };
            Err(ExecutionError::reported(failure))
        } else {
            let data = json!({"value": value}).to_string().into();
            let reply =
                WebhookReply { status: 200, headers: vec![(format!("x-{value}"), value.clone())], body: value.into() };
            Ok(Outcome { output: Payload { content_type: "application/json".into(), data }, reply: Some(reply) })
        };
        AttemptReport { result, receipt: Receipt::default(), sent: Sent::NotSent, effect: Some(Effect::Read), captured }
    }
}

fn revealed(secrets: &action_domain::secret::AttemptSecrets, text: &str) -> String {
    let value = secrets.revealed(text).map(|value| String::from_utf8(value.to_vec()).unwrap());
    value.unwrap_or_else(|error| format!("{error:?}, so here is something else"))
}

struct World {
    store: Arc<MemoryStore>,
    runtime: Arc<Leaky>,
    clock: FakeClock,
}

impl World {
    fn new(runtime: Leaky) -> Self {
        Self { store: Arc::new(MemoryStore::new()), runtime: Arc::new(runtime), clock: FakeClock::default() }
    }

    fn engine(&self, keys: Keyring, seed: u16) -> Engine {
        Engine::new(Parts {
            store: self.store.clone(),
            runtime: self.runtime.clone(),
            vault: Arc::new(keys),
            seal_keys: Vec::new(),
            seal_every: action_domain::limits::SEAL_EVERY,
            seal_mark: None,
            clock: Arc::new(self.clock.clone()),
            random: Arc::new(SeededRandom::new(self.clock.clone(), seed)),
            limits: LimitsPolicy::default(),
            egress: EgressPolicy::default(),
            concurrency: 4,
            waiters_max: 4,
            runs_attempts: true,
            broker: None,
            lease: LEASE,
            exclusive_store: true,
        })
    }

    /// An engine with a secret `token`, and the protocol.
    async fn with_token(&self) -> Engine {
        let engine = self.engine(keys(OLD_KEY), 1);
        engine.admit_protocol(Bytes::from_static(b"leaky"), None, None, &Actor::System).await.unwrap();
        engine.set_secret(&name("token"), VALUE.as_bytes(), &Actor::System).await.unwrap();
        engine
    }

    /// Everything that was recorded, as one text.
    async fn record(&self) -> String {
        let page = Page { after: None, limit: 500 };
        let events = self.store.events(&EventFilter::default(), page).await.unwrap();
        let lines: Vec<_> = events.iter().map(|event| format!("{} {}", event.r#type, event.data.get())).collect();
        lines.join("\n")
    }
}

fn keys(text: &str) -> Keyring {
    Keyring::parse(text).unwrap()
}

fn name(text: &str) -> action_domain::name::Name {
    text.parse().unwrap()
}

fn spec(config: Value, reveal: &[&str]) -> ActionSpec {
    ActionSpec {
        name: name("a"),
        enabled: true,
        description: String::new(),
        labels: std::collections::BTreeMap::new(),
        protocol: "leaky".into(),
        config,
        triggers: Vec::new(),
        input_transform: None,
        output_transform: None,
        grants: Grants { reveal: reveal.iter().map(ToString::to_string).collect(), ..Grants::default() },
        limits: LimitsSpec::default(),
        delivery: Delivery { max_attempts: 1, ..Delivery::default() },
    }
}

fn with_prefix() -> Value {
    json!({"token": {"$secret": "token", "prefix": "Bearer "}})
}

async fn execute(engine: &Engine) -> Dispatched {
    engine.dispatch(dispatch(Some(Duration::from_secs(5)))).await.unwrap()
}

fn dispatch(wait: Option<Duration>) -> Dispatch {
    Dispatch {
        by: Actor::System,
        action: ActionKey::Name(name("a")),
        input: Payload { content_type: "text/plain".into(), data: Bytes::new() },
        correlation_id: None,
        traceparent: None,
        idempotency_key: None,
        wait,
    }
}

async fn output(engine: &Engine, dispatched: &Dispatched) -> String {
    let output = engine.output(dispatched.view.execution.id).await.unwrap().unwrap();
    String::from_utf8(output.data.to_vec()).unwrap()
}

#[tokio::test]
async fn each_attempt_gets_a_handle_of_its_own_and_the_current_value() {
    let world = World::new(Leaky::default());
    let engine = world.with_token().await;
    let saved = engine.create_action(spec(with_prefix(), &["token"]), Editor::unlimited(&Actor::System)).await.unwrap();
    assert_eq!(saved.warnings[0].message, "it is Bearer [secret:token]");
    let first = execute(&engine).await;
    assert_eq!(output(&engine, &first).await, r#"{"value":"Bearer [secret:token]"}"#);
    engine.set_secret(&name("token"), b"another-sesame", &Actor::System).await.unwrap();
    let second = execute(&engine).await;
    assert_eq!(output(&engine, &second).await, r#"{"value":"Bearer [secret:token]"}"#, "the new value is taken out");
    let handles: Vec<String> = world.runtime.configs().iter().map(|it| it["token"].as_str().unwrap().into()).collect();
    assert_eq!(handles.len(), 3);
    for (index, handle) in handles.iter().enumerate() {
        assert!(handle.starts_with("Bearer sec_") && handle.len() == "Bearer ".len() + HANDLE_BYTES, "{handle}");
        assert!(!handles[..index].contains(handle));
    }
    assert!(!world.record().await.contains("another-sesame"));
}

#[tokio::test]
async fn nothing_that_an_attempt_leaves_has_the_value_in_it() {
    for fails in [false, true] {
        let world = World::new(Leaky { fails, ..Leaky::default() });
        let engine = world.with_token().await;
        engine.create_action(spec(with_prefix(), &["token"]), Editor::unlimited(&Actor::System)).await.unwrap();
        let ran = execute(&engine).await;
        let execution = &ran.view.execution;
        assert_eq!(execution.error.is_some(), fails);
        let record = world.record().await;
        assert!(!record.contains("open-sesame") && !record.contains("sesame-4711"), "{record}");
        assert!(record.contains("the value is Bearer [secret:token]"), "{record}");
        // Two lines that have it only together, progress, and the output or the error.
        assert!(record.matches("[secret:token]").count() >= 5, "{record}");
        assert!(!format!("{:?}", execution.error).contains("sesame"));
        let reply = ran.view.reply.map(|reply| format!("{:?} {:?}", reply.headers, reply.body));
        assert_eq!(reply.is_some(), !fails);
        assert!(!reply.unwrap_or_default().contains("sesame"));
    }
}

/// A sandbox refuses it before; what is kept does not rest on that.
#[tokio::test]
async fn nothing_that_an_attempt_captures_has_the_value_in_it() {
    let world = World::new(Leaky { captures: true, ..Leaky::default() });
    let engine = world.with_token().await;
    let saved = engine.create_action(spec(with_prefix(), &["token"]), Editor::unlimited(&Actor::System)).await.unwrap();
    execute(&engine).await;
    let record = world.record().await;
    assert!(!record.contains("sesame"), "{record}");
    assert!(record.contains(r#""kind":"redacted","key":"Bearer [secret:token]""#), "{record}");
    let kept = world.store.values(saved.action.id).await.unwrap();
    let kept: Vec<(&str, &[u8])> = kept.iter().map(|(key, value)| (key.as_str(), &value[..])).collect();
    let next = ("key Bearer [secret:token]", &b"next=Bearer [secret:token]&page=2"[..]);
    assert_eq!(kept, [("handle", &b"\x00as it is\xff"[..]), next]);
}

#[tokio::test]
async fn what_is_not_granted_is_not_revealed() {
    let world = World::new(Leaky::default());
    let engine = world.with_token().await;
    engine.create_action(spec(with_prefix(), &[]), Editor::unlimited(&Actor::System)).await.unwrap();
    let ran = execute(&engine).await;
    assert!(output(&engine, &ran).await.contains("NotGranted"));
}

#[tokio::test]
async fn a_connection_test_knows_secrets_and_tells_none() {
    let world = World::new(Leaky::default());
    let engine = world.with_token().await;
    let grants = || Grants { reveal: vec!["token".into()], ..Grants::default() };
    let pin = "leaky@1.0.0".parse().unwrap();
    let test = engine.test_protocol(&pin, with_prefix(), grants(), &Actor::System).await.unwrap();
    assert_eq!(test.report.unwrap().summary, "Bearer [secret:token]");
    engine.create_action(spec(with_prefix(), &["token"]), Editor::unlimited(&Actor::System)).await.unwrap();
    engine.test_action(&ActionKey::Name(name("a")), &Actor::System).await.unwrap();
    assert!(!world.record().await.contains("sesame"));
    let missing = json!({"token": {"$secret": "nothing"}});
    let refused = engine.test_protocol(&pin, missing, grants(), &Actor::System).await.unwrap_err();
    assert!(matches!(&refused, EngineError::Invalid(issues) if issues[0].code == "secret_missing"), "{refused:?}");
}

#[tokio::test]
async fn a_connection_test_is_recorded_wherever_its_caller_is_and_however_it_ends() {
    let answers = Arc::new(Semaphore::new(0));
    for breaks in [false, true] {
        let world = World::new(Leaky { answers: Some(answers.clone()), breaks, ..Leaky::default() });
        let engine = world.with_token().await;
        engine.create_action(spec(with_prefix(), &["token"]), Editor::unlimited(&Actor::System)).await.unwrap();
        world.runtime.configs();
        let key = ActionKey::Name(name("a"));
        {
            let mut caller = pin!(engine.test_action(&key, &Actor::System));
            while world.runtime.configs().is_empty() {
                assert!(futures_util::poll!(&mut caller).is_pending());
                tokio::task::yield_now().await;
            }
        }
        answers.add_permits(1);
        assert!(engine.stop(Duration::from_secs(30)).await, "the test has ended");
        let record = world.record().await;
        let verdict = if breaks { r#""verdict":"failed""# } else { r#""verdict":"connected""# };
        assert!(record.contains("connection_tested") && record.contains(verdict), "{record}");
        assert!(!record.contains("sesame") && record.contains("Bearer [secret:token]"), "{record}");
    }
}

#[tokio::test]
async fn a_config_counts_as_if_its_secrets_were_texts() {
    let world = World::new(Leaky::default());
    let engine = world.with_token().await;
    // A handle is long enough for the schema, and so is a prefix with it.
    engine
        .create_action(spec(json!({"token": {"$secret": "token"}}), &[]), Editor::unlimited(&Actor::System))
        .await
        .unwrap();
    for (config, told) in [
        (json!({"plain": {"$secret": "token"}}), "/config/plain secret_misplaced"),
        (json!({"token": {"$secret": "none"}}), "/config/token secret_missing"),
        (json!({"token": {"$secret": "token", "x": 1}}), "/config/token/x invalid_secret_reference"),
        (json!({"token": "short"}), "/config/token min_length"),
    ] {
        let key = ActionKey::Name(name("a"));
        let refused = engine
            .put_action(&key, spec(config, &[]), action_engine::Expected::Anything, Editor::unlimited(&Actor::System))
            .await
            .unwrap_err();
        let EngineError::Invalid(issues) = refused else { panic!("{refused:?}") };
        assert_eq!(format!("{} {}", issues[0].pointer, issues[0].code), told);
    }
}

#[tokio::test]
async fn a_secret_that_is_gone_by_then_ends_the_execution() {
    let world = World::new(Leaky::default());
    let engine = world.with_token().await;
    engine.create_action(spec(with_prefix(), &[]), Editor::unlimited(&Actor::System)).await.unwrap();
    let refused = engine.remove_secret(&name("token"), &Actor::System).await.unwrap_err();
    assert!(matches!(&refused, EngineError::Conflict { code: "in_use", message } if message.ends_with(": a")));
    // It keeps the revision that it began with, which still names the secret.
    let queued = engine.dispatch(dispatch(None)).await.unwrap().view.execution.id;
    let key = ActionKey::Name(name("a"));
    engine
        .put_action(&key, spec(json!({}), &[]), action_engine::Expected::Anything, Editor::unlimited(&Actor::System))
        .await
        .unwrap();
    engine.remove_secret(&name("token"), &Actor::System).await.unwrap();
    let mut positions = world.store.follow();
    engine.start().await.unwrap();
    let ended = loop {
        let execution = world.store.execution(queued).await.unwrap().unwrap();
        if execution.status.is_terminal() {
            break execution;
        }
        tokio::time::timeout(Duration::from_secs(10), positions.changed()).await.unwrap();
    };
    let error = ended.error.unwrap();
    assert_eq!(error.code, ErrorCode::SecretMissing);
    assert!(error.message.contains("`token`"), "{}", error.message);
    let executed = world.store.event_of(queued, EventType::ActionExecuted).await.unwrap().unwrap();
    assert!(executed.data.get().contains("secret_missing"));
    engine.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn after_a_rewrap_the_old_key_can_be_taken_away() {
    let world = World::new(Leaky::default());
    let old = world.with_token().await;
    for n in 0..150 {
        old.set_secret(&name(&format!("s{n}")), b"some other value", &Actor::System).await.unwrap();
    }
    old.create_action(spec(with_prefix(), &["token"]), Editor::unlimited(&Actor::System)).await.unwrap();
    let both = world.engine(keys(&format!("{NEW_KEY},{OLD_KEY}")), 2);
    assert!(both.secrets_without_key().await.unwrap().is_empty());
    assert_eq!(world.engine(keys(NEW_KEY), 3).secrets_without_key().await.unwrap().len(), 151);

    let done = both.rewrap_secrets(&Actor::System).await.unwrap();
    assert_eq!((done.secrets, done.unreadable.len()), (151, 0));
    assert_eq!(both.rewrap_secrets(&Actor::System).await.unwrap().secrets, 0);
    let record = world.record().await;
    let key = &*done.key;
    assert!(
        record.contains(&format!(r#"secrets_rewrapped {{"secrets":100,"key":"{key}","by":"system"}}"#)),
        "{record}"
    );
    let new = world.engine(keys(NEW_KEY), 4);
    assert!(new.secrets_without_key().await.unwrap().is_empty());
    let ran = execute(&new).await;
    assert!(ran.view.execution.error.is_none(), "{:?}", ran.view.execution.error);
    // And the old one opens nothing any more.
    let error = execute(&world.engine(keys(OLD_KEY), 5)).await.view.execution.error.unwrap();
    assert_eq!(error.code, ErrorCode::HostError);
    assert!(error.message.contains("ACTION_SERVICE_SECRET_KEY"), "{}", error.message);
    let unreadable = world.engine(keys(OLD_KEY), 6).rewrap_secrets(&Actor::System).await.unwrap().unreadable;
    assert_eq!(unreadable.len(), 151);
}

#[tokio::test]
async fn without_a_key_only_secrets_are_refused() {
    let world = World::new(Leaky::default());
    let engine = world.engine(Keyring::default(), 1);
    let refused = engine.set_secret(&name("token"), VALUE.as_bytes(), &Actor::System).await.unwrap_err();
    assert!(matches!(&refused, EngineError::Conflict { code: "secret_key_missing", .. }), "{refused:?}");
    engine.admit_protocol(Bytes::from_static(b"leaky"), None, None, &Actor::System).await.unwrap();
    engine.create_action(spec(json!({}), &[]), Editor::unlimited(&Actor::System)).await.unwrap();
    assert!(execute(&engine).await.view.execution.error.is_none());
    assert!(!world.record().await.contains("secret_set"));
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_who_sets_at_once_gets_a_version() {
    let world = World::new(Leaky::default());
    let engine = world.engine(keys(OLD_KEY), 1);
    let sets = (0..8).map(|n| {
        let engine = engine.clone();
        tokio::spawn(async move {
            engine.set_secret(&name("token"), format!("value {n}").as_bytes(), &Actor::System).await.unwrap()
        })
    });
    let mut versions = Vec::new();
    for set in sets.collect::<Vec<_>>() {
        versions.push(set.await.unwrap().secret.version);
    }
    versions.sort_unstable();
    assert_eq!(versions, (1..=8).collect::<Vec<_>>());
}

/// What is sealed is bound to name and version, so a version that came back would open what was there before.
#[tokio::test]
async fn a_name_goes_on_behind_its_last_version() {
    let world = World::new(Leaky::default());
    let engine = world.with_token().await;
    engine.set_secret(&name("token"), b"the-second-value", &Actor::System).await.unwrap();
    let old = world.store.secrets_named(&[name("token")]).await.unwrap().pop().unwrap();
    for (next, value) in [(3, b"the-third-value"), (4, b"the-fourth-one!")] {
        engine.remove_secret(&name("token"), &Actor::System).await.unwrap();
        let set = engine.set_secret(&name("token"), value, &Actor::System).await.unwrap();
        assert_eq!((set.secret.version, set.created), (next, true));
        // Somebody puts back what was sealed before, in the place of what is there now.
        let swapped = Secret { sealed: old.sealed.clone(), ..(*set.secret).clone() };
        assert_eq!(keys(OLD_KEY).open(&swapped).unwrap_err(), VaultError::Damaged);
    }
}
