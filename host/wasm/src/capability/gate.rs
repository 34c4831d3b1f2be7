//! The gate: the only way to the outside, whichever interface a component uses.
//!
//! A name is checked before it is resolved, every address after, and the address that was
//! checked is the one connected to. `outbound`, wasi:http and wasi:sockets all come through
//! here. It is closed while a component says what it is and whether it likes its config.

mod sockets;

use super::{meter::Meter, resolver::Resolver, sending::Permission, tls::Trust, tls_failure::TlsFailure, vouched};
use crate::bindings::v0_1::julee::action::outbound::TlsOptions;
use action_domain::{
    egress::{Admitted, Denial, DenialReason, Egress, EgressPolicy, Host},
    id::ActionId,
    limits::{CONNECT_TIMEOUT, REQUESTS_MAX},
    secret::AttemptSecrets,
    services::{Clock, Journal, NOTHING_IS_SENT, Plan, Sending, SendingRefused, Stage, StageKind},
    time::Timestamp,
};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, time::timeout};

/// By which of an action's rules something is let through.
type Rules = for<'a> fn(&'a Egress, &str, u16, &EgressPolicy) -> Result<Admitted<'a>, Denial>;

/// What is the same for every attempt's way out.
#[derive(Clone)]
pub(crate) struct Outside {
    /// The operator's word.
    pub(crate) policy: Arc<EgressPolicy>,
    /// Who is asked for the addresses of names.
    pub(crate) resolver: Arc<dyn Resolver>,
    /// Whom the service trusts when it does TLS.
    pub(crate) trust: Arc<Trust>,
}

/// Where one attempt may go, and what it did on the way.
pub(crate) struct Gate {
    pub(crate) journal: Arc<Journal>,
    pub(crate) meter: Meter,
    /// Whose grants these are: connections are kept for the same action only.
    pub(crate) action: Option<ActionId>,
    /// Whom the service trusts when it does TLS.
    pub(crate) trust: Arc<Trust>,
    /// What the handles in the config stand for; put into requests that were let through.
    pub(crate) secrets: Arc<AttemptSecrets>,
    /// The config, as the component has it.
    config: Arc<str>,
    egress: Arc<Egress>,
    policy: Arc<EgressPolicy>,
    resolver: Arc<dyn Resolver>,
    clock: Arc<dyn Clock>,
    open: AtomicBool,
    permission: Permission,
    test: Option<Test>,
    /// Where is written down what would be sent.
    plan: Option<Arc<Plan>>,
    met: Mutex<sockets::Met>,
}

/// What is special about a connection test.
struct Test {
    methods: Vec<String>,
    stages: Mutex<Vec<Stage>>,
}

/// A name and port that the grants allow, and that were counted.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) host: Host,
    pub(crate) port: u16,
}

impl Target {
    /// As it is written: `host:port`.
    pub(crate) fn authority(&self) -> String {
        match &self.host {
            Host::Address(address) => SocketAddr::new(*address, self.port).to_string(),
            Host::Name(name) => format!("{name}:{}", self.port),
        }
    }
}

/// Why the outside was not reached.
#[derive(Debug, Clone)]
pub(crate) enum Refusal {
    Denied(Denial),
    NameUnknown(String),
    ConnectFailed(String),
    TlsFailed(TlsFailure),
    TimedOut,
    BadRequest(String),
}

impl Refusal {
    /// For the record.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Denied(denial) => denial.to_string(),
            Self::NameUnknown(text) => format!("the name is not known: {text}"),
            Self::ConnectFailed(text) => format!("no connection: {text}"),
            Self::TlsFailed(failure) => format!("TLS failed: {failure}"),
            Self::TimedOut => "timed out".to_owned(),
            Self::BadRequest(text) => text.clone(),
        }
    }
}

/// Why bytes do not leave that the grants would allow.
#[derive(Debug)]
pub(crate) enum Withheld {
    /// Whoever has to agree does not. The attempt ends, wherever it is.
    Refused(SendingRefused),
    /// The attempt's report is made.
    Over,
}

impl Withheld {
    /// For the record.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.to_string(),
            Self::Over => "the attempt is over".to_owned(),
        }
    }
}

impl Gate {
    /// A closed gate.
    pub(crate) fn new(
        egress: Arc<Egress>,
        journal: Arc<Journal>,
        outside: &Outside,
        clock: Arc<dyn Clock>,
        action: Option<ActionId>,
    ) -> Self {
        let Outside { policy, resolver, trust } = outside.clone();
        Self {
            journal,
            meter: Meter::default(),
            action,
            trust,
            secrets: Arc::default(),
            config: "".into(),
            egress,
            policy,
            resolver,
            clock,
            open: AtomicBool::new(false),
            permission: Permission::default(),
            test: None,
            plan: None,
            met: Mutex::default(),
        }
    }

    /// With the secrets of an attempt, and the config that has their handles.
    pub(crate) fn holding(mut self, secrets: Arc<AttemptSecrets>, config: Arc<str>) -> Self {
        (self.secrets, self.config) = (secrets, config);
        self
    }

    /// Why secrets do not go to whoever passes for this host by these options. A protocol that could say whom
    /// to believe could send them to anybody between here and there.
    ///
    /// # Errors
    /// The denial, which is written down only where there are secrets in what would be sent.
    pub(crate) fn vouched(&self, target: &Target, options: Option<&TlsOptions>) -> Result<(), Denial> {
        let Some(options) = options else { return Ok(()) };
        vouched::check(options, &target.host, &self.config, &self.secrets)
            .map_err(|rule| denial(&target.host.to_string(), target.port, rule, vouched::HINT))
    }

    /// For a connection test: the stages are written down, and only safe methods and these pass.
    pub(crate) fn for_test(mut self, methods: Vec<String>) -> Self {
        self.test = Some(Test { methods, stages: Mutex::default() });
        self
    }

    /// For a plan, where there is one: nothing leaves, not even a question for an address.
    pub(crate) fn planning(mut self, plan: Option<Arc<Plan>>) -> Self {
        self.plan = plan;
        self
    }

    /// The plan, where nothing is to leave.
    pub(crate) fn plan(&self) -> Option<&Plan> {
        self.plan.as_deref()
    }

    /// From now on requests are let through, as far as the grants go.
    pub(crate) fn open(&self) {
        self.open.store(true, Ordering::Release);
    }

    /// Nothing is sent unless this one agrees, who is asked before the first byte.
    pub(crate) fn require(&self, sending: Arc<dyn Sending>) {
        self.permission.require(sending);
    }

    /// Bytes are about to be handed to a socket: the one place that all of them come through. A
    /// connection and its TLS handshake have no effect at the other end and stand before this.
    pub(crate) async fn begin_sending(&self) -> Result<(), Withheld> {
        self.permission.get().await.map_err(Withheld::Refused)?;
        self.meter.begin_sending().map_err(|_| Withheld::Over)
    }

    /// Waits until the permission to send is refused, for ever where it is not.
    pub(crate) async fn refused(&self) -> SendingRefused {
        self.permission.refused().await
    }

    /// The refusal of the permission to send.
    pub(crate) fn refusal(&self) -> Option<&SendingRefused> {
        self.permission.refusal()
    }

    /// The time, for the journal.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether this is a connection test.
    pub(crate) fn is_test(&self) -> bool {
        self.test.is_some()
    }

    /// Checks the name and counts the connection. Nothing is resolved before this.
    pub(crate) fn admit(&self, host: &str, port: u16) -> Result<Target, Denial> {
        self.admit_by(host, port, Egress::admit)
    }

    /// The same for an HTTP request: without TLS it needs a rule that does not say https.
    pub(crate) fn admit_request(&self, https: bool, host: &str, port: u16) -> Result<Target, Denial> {
        self.admit_by(host, port, if https { Egress::admit } else { Egress::admit_plain })
    }

    fn admit_by(&self, host: &str, port: u16, by: Rules) -> Result<Target, Denial> {
        let verdict = self.is_open(host, port).and_then(|()| {
            let admitted = by(&self.egress, host, port, &self.policy)?;
            let told = format!("granted by {}", admitted.by.from);
            Ok((self.count(Target { host: admitted.host, port })?, told))
        });
        match verdict {
            Ok((target, told)) => {
                self.stage(StageKind::Grant, target.authority(), Instant::now(), Ok(told));
                Ok(target)
            }
            Err(denial) => {
                self.deny(&denial);
                Err(denial)
            }
        }
    }

    fn is_open(&self, host: &str, port: u16) -> Result<(), Denial> {
        if self.open.load(Ordering::Acquire) {
            return Ok(());
        }
        let rule = "describe and validate-config get no network";
        Err(denial(host, port, rule, "reach the outside in test-connection or execute"))
    }

    fn count(&self, target: Target) -> Result<Target, Denial> {
        if self.journal.admit_request() {
            return Ok(target);
        }
        let rule = format!("more than {REQUESTS_MAX} requests");
        Err(denial(&target.host.to_string(), target.port, rule, "do less in one execution"))
    }

    /// Checks an HTTP method: a connection test changes nothing at the other end.
    pub(crate) fn admit_method(&self, method: &str, host: &str, port: u16) -> Result<(), Denial> {
        let Some(test) = &self.test else { return Ok(()) };
        if matches!(method, "GET" | "HEAD" | "OPTIONS") || test.methods.iter().any(|declared| declared == method) {
            return Ok(());
        }
        let rule = format!("{method} can change something, and test-connection must not");
        let denial = denial(host, port, rule, "declare the method in the descriptor's test-methods if it is needed");
        self.deny(&denial);
        Err(denial)
    }

    /// Checks an address again, for a connection that was kept from an earlier request.
    pub(crate) fn check_address(&self, target: &Target, address: IpAddr) -> Result<(), Denial> {
        self.egress.check_address(&target.host, address, target.port, &self.policy)
    }

    /// Writes a denial down.
    pub(crate) fn deny(&self, denial: &Denial) {
        self.journal.denied(self.now(), denial);
        let target = match Host::parse(&denial.host) {
            Ok(host) => Target { host, port: denial.port }.authority(),
            Err(_) => format!("{}:{}", denial.host, denial.port),
        };
        self.stage(StageKind::Grant, target, Instant::now(), Err((denial.rule.clone(), Some(denial.hint.clone()))));
    }

    /// Resolves a name that was let through, and keeps only addresses that may be reached.
    pub(crate) async fn resolve(&self, target: &Target) -> Result<Vec<SocketAddr>, Refusal> {
        if self.plan.is_some() {
            return Err(Refusal::ConnectFailed(NOTHING_IS_SENT.to_owned()));
        }
        let started = Instant::now();
        let found = match &target.host {
            Host::Address(address) => vec![SocketAddr::new(*address, target.port)],
            Host::Name(name) => {
                let outcome = match timeout(CONNECT_TIMEOUT, self.resolver.resolve(name)).await {
                    Ok(Ok(found)) => {
                        Ok(found.into_iter().map(|ip| SocketAddr::new(ip, target.port)).collect::<Vec<_>>())
                    }
                    Ok(Err(why)) => Err(Refusal::NameUnknown(format!("{name}: {why}"))),
                    Err(_) => Err(Refusal::TimedOut),
                };
                let told = match &outcome {
                    Ok(found) => Ok(list(found)),
                    Err(refusal) => Err((refusal.message(), Some("check the spelling and the DNS server".to_owned()))),
                };
                self.stage(StageKind::NameResolution, target.authority(), started, told);
                outcome?
            }
        };
        let mut denied = None;
        let admitted: Vec<_> = found
            .into_iter()
            .filter(|address| match self.check_address(target, address.ip()) {
                Ok(()) => true,
                Err(denial) => {
                    denied.get_or_insert(denial);
                    false
                }
            })
            .collect();
        match (admitted.is_empty(), denied) {
            (false, _) => Ok(admitted),
            (true, Some(denial)) => {
                self.deny(&denial);
                Err(Refusal::Denied(denial))
            }
            (true, None) => Err(Refusal::NameUnknown(format!("{}: no address", target.host))),
        }
    }

    /// Resolves and connects, to an address that was checked.
    pub(crate) async fn connect(&self, target: &Target) -> Result<TcpStream, Refusal> {
        let addresses = self.resolve(target).await?;
        let started = Instant::now();
        let mut tried = Vec::new();
        let mut last = Refusal::TimedOut;
        let left = addresses.len() as u32;
        for (number, address) in addresses.into_iter().enumerate() {
            // Each gets its share, so that a dead first address leaves time for the others.
            let share = CONNECT_TIMEOUT / (left - number as u32).max(1);
            let outcome = match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => Ok(stream),
                Ok(Err(error)) => Err(Refusal::ConnectFailed(format!("{address}: {}", plain(&error)))),
                Err(_) => Err(Refusal::TimedOut),
            };
            match outcome {
                Ok(stream) => {
                    tried.insert(0, format!("connected to {address}"));
                    self.stage(StageKind::Connect, target.authority(), started, Ok(tried.join("; ")));
                    self.meter.connected();
                    // Requests are written whole; waiting for more to send would only cost time.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(refusal) => {
                    tried.push(match &refusal {
                        Refusal::TimedOut => format!("{address}: timed out"),
                        refusal => refusal.message(),
                    });
                    last = refusal;
                }
            }
        }
        let hint = "is it running, and does a firewall let us through?".to_owned();
        self.stage(StageKind::Connect, target.authority(), started, Err((tried.join("; "), Some(hint))));
        Err(last)
    }

    /// Writes down a step towards a remote, where somebody wants to see it. A step that is taken
    /// again, for a second request or because its address is denied now, stands where it stood.
    pub(crate) fn stage(
        &self,
        stage: StageKind,
        target: String,
        started: Instant,
        outcome: Result<String, (String, Option<String>)>,
    ) {
        const STAGES_MAX: usize = 64;
        let Some(test) = &self.test else { return };
        let ms = millis(started.elapsed());
        let stage = match outcome {
            Ok(message) => Stage { stage, target, ok: true, ms, message, hint: None },
            Err((message, hint)) => Stage { stage, target, ok: false, ms, message, hint },
        };
        let mut stages = test.stages.lock().unwrap_or_else(PoisonError::into_inner);
        match stages.iter().position(|known| known.stage == stage.stage && known.target == stage.target) {
            Some(known) => stages[known] = stage,
            None if stages.len() < STAGES_MAX => stages.push(stage),
            None => {}
        }
    }

    /// The steps so far.
    pub(crate) fn take_stages(&self) -> Vec<Stage> {
        let stages = self.test.as_ref().map(|test| &test.stages);
        stages
            .map_or_else(Vec::new, |stages| std::mem::take(&mut stages.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A denial that no grant could have prevented.
pub(crate) fn denial(host: &str, port: u16, rule: impl Into<String>, hint: &str) -> Denial {
    Denial { host: host.to_owned(), port, reason: DenialReason::Other, rule: rule.into(), hint: hint.to_owned() }
}

/// An I/O error in words, without the number that the system gives it.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((text, _)) => text.to_owned(),
        None => text,
    }
}

fn list(addresses: &[SocketAddr]) -> String {
    let texts: Vec<_> = addresses.iter().take(8).map(|address| address.ip().to_string()).collect();
    texts.join(", ")
}
