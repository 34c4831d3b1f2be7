//! What the settings mean. Every wrong one is named, all at once.

use super::{OidcSettings, Place, SettingsError, Sources, egress, keys, names, oidc};
use action_domain::{
    audit::{PublicKey, SealKey},
    egress::EgressPolicy,
    limits::{LEASE, SEAL_EVERY},
};
use action_queue_nats::{NatsBroker, NatsOptions};
use action_vault::Keyring;
use std::{
    fmt,
    net::{SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tracing_subscriber::EnvFilter;
use zeroize::Zeroizing;

/// Attempts at once where nothing is said.
const CONCURRENCY_DEFAULT: u32 = 64;
/// More than this is a mistake: tens of thousands of parked attempts is what one process can
/// map at all.
const CONCURRENCY_MAX: u32 = 16_384;
/// Container platforms kill 30 s after the first signal, and the end takes a moment too.
const SHUTDOWN_GRACE_MS_DEFAULT: u64 = 25_000;
/// More than an hour is a mistake in the unit.
const SHUTDOWN_GRACE_MS_MAX: u64 = 3_600_000;
/// Longer, and a lost process would be found when nobody waits for it any more.
const LEASE_SECONDS_MAX: u64 = 600;
/// Longer, and an anchor would be old before it is taken.
const AUDIT_SECONDS_MAX: u64 = 3600;
/// A shorter token could be guessed.
const TOKEN_BYTES_MIN: usize = 16;

/// What the service runs with.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Database, compile cache, admin token.
    pub(crate) data_dir: PathBuf,
    /// Where state lives.
    pub(crate) database: Database,
    /// What carries due executions to workers; `None` for the database itself.
    pub(crate) queue: Option<Place>,
    /// Where the outside world calls.
    pub(crate) public_addr: SocketAddr,
    /// Where orchestrators and people call.
    pub(crate) private_addr: SocketAddr,
    /// Instead of the one that is made at the first start.
    pub(crate) admin_token: Option<String>,
    /// The file that it comes from, where it does.
    pub(crate) admin_token_file: Option<PathBuf>,
    /// What seals secrets, where it is set.
    pub(crate) secret_keys: Option<Arc<Keyring>>,
    /// Whether to start although some secrets cannot be opened.
    pub(crate) secret_key_lost: bool,
    /// An identity provider whose tokens are taken too.
    pub(crate) oidc: Option<OidcSettings>,
    /// What actions may reach, whatever they grant.
    pub(crate) egress: EgressPolicy,
    /// Who is asked for the addresses of remotes; none for the system.
    pub(crate) dns_servers: Vec<SocketAddr>,
    /// What seals the log.
    pub(crate) audit_keys: Given<Vec<SealKey>>,
    /// How long a period is that one seal covers.
    pub(crate) audit_period: Duration,
    /// Whose components are let in.
    pub(crate) trusted_keys: Given<Vec<PublicKey>>,
    /// Whether large built-in protocols are prepared although nobody has asked for them yet.
    pub(crate) prepare_unasked: bool,
    /// Attempts at once.
    pub(crate) concurrency: u32,
    /// As long a process may be silent before others take up its attempts.
    pub(crate) lease: Duration,
    /// How long what runs may go on after the first signal.
    pub(crate) shutdown_grace: Duration,
    /// What is logged.
    pub(crate) log: String,
    /// How it is logged.
    pub(crate) log_format: LogFormat,
}

/// Something that is set by itself, or in a file.
#[derive(Debug, Clone)]
pub(crate) enum Given<T> {
    /// Neither.
    Nothing,
    /// By itself.
    Value(T),
    /// In this file.
    File(PathBuf),
}

/// Where state lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Database {
    /// In this file.
    Sqlite(PathBuf),
    /// On this server, for any number of processes.
    Postgres(Place),
    /// Nowhere: it is gone with the process.
    Memory,
}

impl Database {
    /// Whether other processes can have it open at the same time.
    pub(crate) const fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }
}

/// For people and logs: without a password.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::Postgres(place) => place.fmt(f),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people on a terminal, JSON elsewhere.
    Auto,
    /// One object a line.
    Json,
    /// For people.
    Text,
}

impl Settings {
    /// Reads every setting.
    ///
    /// # Errors
    /// Everything that is wrong, each with its name.
    pub(crate) fn from_sources(sources: &Sources) -> Result<Self, SettingsError> {
        let mut problems: Vec<String> = sources.not_available().collect();
        let data_dir = data_dir(sources);
        let lost = Self::read(sources, names::SECRET_KEY_LOST, &mut problems, accepted).unwrap_or(false);
        let settings = Self {
            database: Self::read(sources, names::DATABASE_URL, &mut problems, database)
                .unwrap_or_else(|| Database::Sqlite(data_dir.join("action-service.db"))),
            queue: Self::read(sources, names::QUEUE_URL, &mut problems, queue),
            public_addr: Self::read(sources, names::PUBLIC_ADDR, &mut problems, address)
                .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080))),
            private_addr: Self::read(sources, names::PRIVATE_ADDR, &mut problems, address)
                .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8081))),
            admin_token: Self::admin_token(sources, &mut problems),
            admin_token_file: sources.get(names::ADMIN_TOKEN_FILE).map(PathBuf::from),
            secret_keys: Self::secret_keys(sources, lost, &mut problems),
            secret_key_lost: lost,
            oidc: oidc::read(sources, &mut problems),
            egress: egress::policy(sources, &mut problems),
            dns_servers: Self::read(sources, names::DNS_SERVERS, &mut problems, egress::dns_servers)
                .unwrap_or_default(),
            audit_keys: Self::given(sources, names::AUDIT_KEY, names::AUDIT_KEY_FILE, &mut problems, keys::seal_keys),
            audit_period: Self::read(sources, names::AUDIT_SECONDS, &mut problems, audit_period).unwrap_or(SEAL_EVERY),
            trusted_keys: Self::given(
                sources,
                names::TRUSTED_KEYS,
                names::TRUSTED_KEYS_FILE,
                &mut problems,
                keys::public_keys,
            ),
            prepare_unasked: Self::read(sources, names::PREPARE, &mut problems, prepare).unwrap_or(true),
            concurrency: Self::read(sources, names::CONCURRENCY, &mut problems, concurrency)
                .unwrap_or(CONCURRENCY_DEFAULT),
            lease: Self::read(sources, names::LEASE_SECONDS, &mut problems, lease).unwrap_or(LEASE),
            shutdown_grace: Self::read(sources, names::SHUTDOWN_GRACE_MS, &mut problems, grace)
                .unwrap_or(Duration::from_millis(SHUTDOWN_GRACE_MS_DEFAULT)),
            log: Self::read(sources, names::LOG, &mut problems, filter).unwrap_or_else(|| "info".to_owned()),
            log_format: Self::read(sources, names::LOG_FORMAT, &mut problems, log_format).unwrap_or(LogFormat::Auto),
            data_dir,
        };
        let (public, private) = (settings.public_addr, settings.private_addr);
        if public == private && public.port() != 0 {
            problems.push(format!("{} and {} are both {public}", names::PUBLIC_ADDR, names::PRIVATE_ADDR));
        }
        if settings.queue.is_some() && settings.database == Database::Memory {
            problems
                .push(format!("{} needs a database that keeps what is queued, and memory: does not", names::QUEUE_URL));
        }
        if problems.is_empty() { Ok(settings) } else { Err(SettingsError::new(problems)) }
    }

    fn admin_token(sources: &Sources, problems: &mut Vec<String>) -> Option<String> {
        let set = Self::read(sources, names::ADMIN_TOKEN, problems, token);
        let in_file = Self::read(sources, names::ADMIN_TOKEN_FILE, problems, |path| {
            let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
            token(text.trim())
        });
        if set.is_some() && in_file.is_some() {
            problems.push(format!("{} and {}: set one of the two", names::ADMIN_TOKEN, names::ADMIN_TOKEN_FILE));
        }
        set.or(in_file)
    }

    fn secret_keys(sources: &Sources, lost: bool, problems: &mut Vec<String>) -> Option<Arc<Keyring>> {
        let set = Self::read(sources, names::SECRET_KEY, problems, secret_keys);
        let in_file = Self::read(sources, names::SECRET_KEY_FILE, problems, |path| {
            let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
            secret_keys(&Zeroizing::new(text))
        });
        if set.is_some() && in_file.is_some() {
            problems.push(format!("{} and {}: set one of the two", names::SECRET_KEY, names::SECRET_KEY_FILE));
        }
        set.or(in_file).map(|keys| Arc::new(if lost { keys.without_others() } else { keys }))
    }

    /// What may stand in a setting or in a file.
    fn given<T>(
        sources: &Sources,
        name: &'static str,
        file: &'static str,
        problems: &mut Vec<String>,
        parse: fn(&str) -> Result<T, String>,
    ) -> Given<T> {
        match (sources.get(name), sources.get(file)) {
            (Some(_), Some(_)) => {
                problems.push(format!("{name} and {file} are both set; one of them is enough"));
                Given::Nothing
            }
            (None, Some(path)) => Given::File(path.into()),
            _ => Self::read(sources, name, problems, parse).map_or(Given::Nothing, Given::Value),
        }
    }

    fn read<T>(
        sources: &Sources,
        name: &'static str,
        problems: &mut Vec<String>,
        parse: fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let parsed = parse(sources.get(name)?);
        parsed.map_err(|reason| problems.push(format!("{}: {reason}", sources.place(name)))).ok()
    }
}

/// The data folder: client commands look there for the admin token too.
pub(crate) fn data_dir(sources: &Sources) -> PathBuf {
    Path::new(sources.get(names::DATA_DIR).unwrap_or("./data")).to_owned()
}

fn database(text: &str) -> Result<Database, String> {
    if text == "memory:" {
        return Ok(Database::Memory);
    }
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        action_store_postgres::check_address(text).map_err(|error| error.to_string())?;
        return Place::parse(text, &["postgres", "postgresql"]).map(Database::Postgres);
    }
    match text.strip_prefix("sqlite://") {
        Some("") => Err("after sqlite:// the path of a file is needed".into()),
        Some(path) if path.contains('?') => Err("options after `?` are not known; only a path is".into()),
        Some(path) => Ok(Database::Sqlite(path.into())),
        // The text may hold a password: it is not repeated.
        None => Err("sqlite://PATH, postgres://USER@HOST/NAME or memory: is needed".into()),
    }
}

fn queue(text: &str) -> Result<Place, String> {
    let place = Place::parse(text, &["nats", "tls"])?;
    // It contacts nobody.
    NatsBroker::new(text, NatsOptions::default()).map_err(|error| error.to_string())?;
    Ok(place)
}

fn lease(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (1..=LEASE_SECONDS_MAX).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| format!("`{text}` is no number between 1 and {LEASE_SECONDS_MAX}"))
}

fn audit_period(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (1..=AUDIT_SECONDS_MAX).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| format!("`{text}` is no number between 1 and {AUDIT_SECONDS_MAX}"))
}

fn grace(text: &str) -> Result<Duration, String> {
    let ms = text.parse().ok().filter(|ms| *ms <= SHUTDOWN_GRACE_MS_MAX);
    ms.map(Duration::from_millis).ok_or_else(|| format!("`{text}` is no number between 0 and {SHUTDOWN_GRACE_MS_MAX}"))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let found = text.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    found.ok_or_else(|| format!("`{text}` is no address with a port, for instance 127.0.0.1:8080 or [::]:8080"))
}

fn token(text: &str) -> Result<String, String> {
    if text.len() < TOKEN_BYTES_MIN {
        return Err(format!("a token has at least {TOKEN_BYTES_MIN} characters"));
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("a token has only visible ASCII characters, and no space".into());
    }
    Ok(text.to_owned())
}

/// The text is a secret: it is not repeated.
fn secret_keys(text: &str) -> Result<Keyring, String> {
    Keyring::parse(text).map_err(|error| error.to_string())
}

fn accepted(text: &str) -> Result<bool, String> {
    if text == "accept" { Ok(true) } else { Err(format!("`{text}` is not `accept`")) }
}

fn prepare(text: &str) -> Result<bool, String> {
    match text {
        "start" => Ok(true),
        "wanted" => Ok(false),
        _ => Err(format!("`{text}` is neither `start` nor `wanted`")),
    }
}

fn concurrency(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (1..=CONCURRENCY_MAX).contains(number));
    number.ok_or_else(|| format!("`{text}` is no number between 1 and {CONCURRENCY_MAX}"))
}

fn filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => {
            Err(format!("`{text}` is no log filter, for instance `info` or `info,action_wasm=debug`: {error}"))
        }
    }
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "auto" => Ok(LogFormat::Auto),
        "json" => Ok(LogFormat::Json),
        "text" => Ok(LogFormat::Text),
        _ => Err(format!("`{text}` is none of `auto`, `json`, `text`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let env = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Settings::from_sources(&Sources::collect(None, env).unwrap())
    }

    #[test]
    fn nothing_set_is_the_defaults_of_the_design() {
        let settings = settings(&[]).unwrap();
        assert_eq!(settings.database, Database::Sqlite("./data/action-service.db".into()));
        assert_eq!(settings.public_addr.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.private_addr.to_string(), "127.0.0.1:8081");
        assert_eq!((settings.concurrency, settings.egress), (64, EgressPolicy::default()));
        assert_eq!((settings.log.as_str(), settings.log_format), ("info", LogFormat::Auto));
    }

    #[test]
    fn the_database_follows_the_data_folder() {
        let settings = settings(&[(names::DATA_DIR, "/var/lib/x")]).unwrap();
        assert_eq!(settings.database, Database::Sqlite("/var/lib/x/action-service.db".into()));
    }

    #[test]
    fn databases() {
        let database = |url| settings(&[(names::DATABASE_URL, url)]).map(|settings| settings.database);
        assert_eq!(database("memory:").unwrap(), Database::Memory);
        assert_eq!(database("sqlite://a/b.db").unwrap(), Database::Sqlite("a/b.db".into()));
        assert_eq!(database("sqlite:///a/b.db").unwrap(), Database::Sqlite("/a/b.db".into()));
        let shared = database("postgres://u:hunter2@h/d").unwrap();
        assert!(shared.is_shared() && !format!("{shared} {shared:?}").contains("hunter2"), "{shared}");
        let error = database("mysql://u:hunter2@x").unwrap_err().to_string();
        assert!(error.contains(names::DATABASE_URL) && !error.contains("hunter2"), "{error}");
        assert!(database("sqlite://").is_err());
    }

    /// Before anything is begun, as every other wrong setting.
    #[test]
    fn what_is_no_address_is_named_with_its_setting_and_without_its_password() {
        for (name, url) in [
            (names::DATABASE_URL, "postgres://u:hunter2@h:99999/d"),
            (names::DATABASE_URL, "postgres://u:hunter2@[::1/d"),
            (names::DATABASE_URL, "postgres://u:hunter2@h/d?sslmode=hunter2-no"),
            (names::DATABASE_URL, "postgres://u:hunter2@h/d?port=x"),
            (names::DATABASE_URL, "postgres://h/d?pasword=hunter2"),
            (names::DATABASE_URL, "postgresql://u:hunter2@h:5432x/d"),
            (names::QUEUE_URL, "nats://u:hunter2@n:99999"),
            (names::QUEUE_URL, "nats://u:hunter2@n?colour=blue"),
        ] {
            let error = settings(&[(name, url)]).unwrap_err().to_string();
            assert!(error.contains(&format!("{name} (in the environment): ")), "{url}: {error}");
            assert!(!error.replace("hunter2-no", "").contains("hunter2"), "{url}: {error}");
        }
        for fine in
            ["postgres:///d?host=/run/postgresql&user=u", "postgres://u:p%40@h:1/d?sslmode=require&options[a]=b"]
        {
            assert!(settings(&[(names::DATABASE_URL, fine)]).is_ok(), "{fine}");
        }
    }

    #[test]
    fn a_queue_needs_a_database_that_keeps() {
        let queue = |url, database| settings(&[(names::QUEUE_URL, url), (names::DATABASE_URL, database)]);
        let found = queue("nats://u:hunter2@n:4222", "sqlite://a.db").unwrap().queue.unwrap();
        assert_eq!((found.to_string().as_str(), found.expose()), ("nats://n:4222", "nats://u:hunter2@n:4222"));
        assert!(queue("nats://n", "memory:").unwrap_err().to_string().contains(names::QUEUE_URL));
        let error = queue("amqp://u:hunter2@n", "sqlite://a.db").unwrap_err().to_string();
        assert!(error.contains("nats://… or tls://… is needed") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn the_admin_token_may_stand_in_a_file() {
        let temp = tempfile::TempDir::new().unwrap();
        let file = temp.path().join("token");
        let of = |file: &Path| settings(&[(names::ADMIN_TOKEN_FILE, file.to_str().unwrap())]);
        std::fs::write(&file, "an-operators-own-token\n").unwrap();
        let found = of(&file).unwrap();
        assert_eq!(found.admin_token.as_deref(), Some("an-operators-own-token"));
        assert_eq!(found.admin_token_file.as_deref(), Some(&*file));
        let both = [(names::ADMIN_TOKEN, "an-operators-own-token"), (names::ADMIN_TOKEN_FILE, file.to_str().unwrap())];
        assert!(settings(&both).unwrap_err().to_string().contains("set one of the two"));
        assert!(of(&temp.path().join("none")).unwrap_err().to_string().contains(names::ADMIN_TOKEN_FILE));
        for wrong in ["", "short", "with white space in it"] {
            std::fs::write(&file, wrong).unwrap();
            let error = of(&file).unwrap_err().to_string();
            assert!(error.contains(names::ADMIN_TOKEN_FILE) && (wrong.is_empty() || !error.contains(wrong)), "{error}");
        }
    }

    #[test]
    fn every_bad_value_is_named() {
        let bad = [
            (names::PUBLIC_ADDR, "8080"),
            (names::PRIVATE_ADDR, "nowhere"),
            (names::ADMIN_TOKEN, "short"),
            (names::EGRESS_PRIVATE, "yes"),
            (names::EGRESS_ALLOW, "http://x/"),
            (names::EGRESS_DENY, "10.0.0.0/99"),
            (names::DNS_SERVERS, "dns.example"),
            (names::AUDIT_KEY, "hunter2"),
            (names::AUDIT_SECONDS, "0"),
            (names::TRUSTED_KEYS, "hunter2"),
            (names::CONCURRENCY, "0"),
            (names::SHUTDOWN_GRACE_MS, "25s"),
            (names::LEASE_SECONDS, "0"),
            (names::LOG, "a=b=c"),
            (names::LOG_FORMAT, "xml"),
        ];
        let error = settings(&bad).unwrap_err();
        assert_eq!(error.problems().len(), bad.len(), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        for (name, _) in bad {
            assert!(error.to_string().contains(&format!("{name} (in the environment): ")), "{name}: {error}");
        }
    }

    #[test]
    fn what_comes_later_is_refused_and_not_ignored() {
        for name in ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] {
            let error = settings(&[(name, "x")]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("not available in this release"), "{error}");
        }
    }

    #[test]
    fn the_listeners_differ() {
        let same = [(names::PUBLIC_ADDR, "127.0.0.1:1234"), (names::PRIVATE_ADDR, "127.0.0.1:1234")];
        assert!(settings(&same).is_err());
        let free = [(names::PUBLIC_ADDR, "127.0.0.1:0"), (names::PRIVATE_ADDR, "127.0.0.1:0")];
        assert!(settings(&free).is_ok());
    }
}
