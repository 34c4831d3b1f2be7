//! Every name under `ACTION_SERVICE_`, in one table.
//!
//! To add a setting: a line here, a field in [`super::Settings`], and its use in `compose.rs`.

/// Where relative settings begin: database, compile cache, admin token.
pub(crate) const DATA_DIR: &str = "ACTION_SERVICE_DATA_DIR";
/// `sqlite://path`, `postgres://…` or `memory:`.
pub(crate) const DATABASE_URL: &str = "ACTION_SERVICE_DATABASE_URL";
/// `nats://…`; where it is not set, workers ask the database.
pub(crate) const QUEUE_URL: &str = "ACTION_SERVICE_QUEUE_URL";
/// Where the outside world calls.
pub(crate) const PUBLIC_ADDR: &str = "ACTION_SERVICE_PUBLIC_ADDR";
/// Where orchestrators and people call.
pub(crate) const PRIVATE_ADDR: &str = "ACTION_SERVICE_PRIVATE_ADDR";
/// Instead of the token that is made at the first start.
pub(crate) const ADMIN_TOKEN: &str = "ACTION_SERVICE_ADMIN_TOKEN";
/// The same, in a file.
pub(crate) const ADMIN_TOKEN_FILE: &str = "ACTION_SERVICE_ADMIN_TOKEN_FILE";
/// The keys that seal secrets, separated by commas; the first seals, all open.
pub(crate) const SECRET_KEY: &str = "ACTION_SERVICE_SECRET_KEY";
/// The same, in a file.
pub(crate) const SECRET_KEY_FILE: &str = "ACTION_SERVICE_SECRET_KEY_FILE";
/// `accept`: start although some secrets cannot be opened.
pub(crate) const SECRET_KEY_LOST: &str = "ACTION_SERVICE_SECRET_KEY_LOST";
/// Whose JSON Web Tokens are taken too.
pub(crate) const OIDC_ISSUER: &str = "ACTION_SERVICE_OIDC_ISSUER";
/// For whom they have to be.
pub(crate) const OIDC_AUDIENCE: &str = "ACTION_SERVICE_OIDC_AUDIENCE";
/// Where the issuer's keys are: a URL or a file.
pub(crate) const OIDC_JWKS: &str = "ACTION_SERVICE_OIDC_JWKS";
/// `allow` or `deny`.
pub(crate) const EGRESS_PRIVATE: &str = "ACTION_SERVICE_EGRESS_PRIVATE";
/// What may be reached at all: hosts, addresses and networks, with or without a port.
pub(crate) const EGRESS_ALLOW: &str = "ACTION_SERVICE_EGRESS_ALLOW";
/// What may not be reached, whoever grants it.
pub(crate) const EGRESS_DENY: &str = "ACTION_SERVICE_EGRESS_DENY";
/// Who is asked for the addresses of remotes, instead of the system.
pub(crate) const DNS_SERVERS: &str = "ACTION_SERVICE_DNS_SERVERS";
/// Seeds of the keys that seal the log; the first one signs.
pub(crate) const AUDIT_KEY: &str = "ACTION_SERVICE_AUDIT_KEY";
/// The file that holds them instead.
pub(crate) const AUDIT_KEY_FILE: &str = "ACTION_SERVICE_AUDIT_KEY_FILE";
/// How long a period is that one seal covers.
pub(crate) const AUDIT_SECONDS: &str = "ACTION_SERVICE_AUDIT_SECONDS";
/// Public keys of those whose components are let in.
pub(crate) const TRUSTED_KEYS: &str = "ACTION_SERVICE_TRUSTED_KEYS";
/// The file that holds them instead.
pub(crate) const TRUSTED_KEYS_FILE: &str = "ACTION_SERVICE_TRUSTED_KEYS_FILE";
/// When large built-in protocols are prepared: `start` or `wanted`.
pub(crate) const PREPARE: &str = "ACTION_SERVICE_PREPARE";
/// Attempts at once.
pub(crate) const CONCURRENCY: &str = "ACTION_SERVICE_CONCURRENCY";
/// As long a process may be silent before others take up its attempts.
pub(crate) const LEASE_SECONDS: &str = "ACTION_SERVICE_LEASE_SECONDS";
/// How long what runs may go on after the first signal.
pub(crate) const SHUTDOWN_GRACE_MS: &str = "ACTION_SERVICE_SHUTDOWN_GRACE_MS";
/// What is logged.
pub(crate) const LOG: &str = "ACTION_SERVICE_LOG";
/// `auto`, `json` or `text`.
pub(crate) const LOG_FORMAT: &str = "ACTION_SERVICE_LOG_FORMAT";
/// The service that the client commands talk to.
pub(crate) const URL: &str = "ACTION_SERVICE_URL";
/// The token that the client commands use.
pub(crate) const TOKEN: &str = "ACTION_SERVICE_TOKEN";

/// What begins with this and is not in the table is a mistake.
pub(crate) const PREFIX: &str = "ACTION_SERVICE_";

/// What a name is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Read by this release.
    Setting,
    /// Known, and for something that this release does not have: refused rather than ignored.
    Later(&'static str),
    /// Read by the build and the scripts around it. In the environment it does no harm.
    Build,
}

/// Every known name.
pub(crate) const KNOWN: &[(&str, Kind)] = &[
    (DATA_DIR, Kind::Setting),
    (DATABASE_URL, Kind::Setting),
    (QUEUE_URL, Kind::Setting),
    (PUBLIC_ADDR, Kind::Setting),
    (PRIVATE_ADDR, Kind::Setting),
    (ADMIN_TOKEN, Kind::Setting),
    (ADMIN_TOKEN_FILE, Kind::Setting),
    (OIDC_ISSUER, Kind::Setting),
    (OIDC_AUDIENCE, Kind::Setting),
    (OIDC_JWKS, Kind::Setting),
    (EGRESS_PRIVATE, Kind::Setting),
    (EGRESS_ALLOW, Kind::Setting),
    (EGRESS_DENY, Kind::Setting),
    (DNS_SERVERS, Kind::Setting),
    (AUDIT_KEY, Kind::Setting),
    (AUDIT_KEY_FILE, Kind::Setting),
    (AUDIT_SECONDS, Kind::Setting),
    (TRUSTED_KEYS, Kind::Setting),
    (TRUSTED_KEYS_FILE, Kind::Setting),
    (PREPARE, Kind::Setting),
    (CONCURRENCY, Kind::Setting),
    (LEASE_SECONDS, Kind::Setting),
    (SHUTDOWN_GRACE_MS, Kind::Setting),
    (LOG, Kind::Setting),
    (LOG_FORMAT, Kind::Setting),
    (URL, Kind::Setting),
    (TOKEN, Kind::Setting),
    (SECRET_KEY, Kind::Setting),
    (SECRET_KEY_FILE, Kind::Setting),
    (SECRET_KEY_LOST, Kind::Setting),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", Kind::Later("traces over OTLP are")),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", Kind::Later("traces over OTLP are")),
    ("ACTION_SERVICE_ADVISORIES", Kind::Build),
    ("ACTION_SERVICE_PROTOCOLS_DIR", Kind::Build),
    ("ACTION_SERVICE_CACHE_DIR", Kind::Build),
    ("ACTION_SERVICE_WASM_STD", Kind::Build),
];

/// The table's own copy of a name, and what it is for.
pub(crate) fn find(name: &str) -> Option<(&'static str, Kind)> {
    KNOWN.iter().copied().find(|(known, _)| *known == name)
}

/// The known setting that was meant, if one looks enough like it: at most one character in
/// three of what comes after the prefix is another, and no more than three.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    let settings = KNOWN.iter().filter(|(_, kind)| *kind == Kind::Setting).map(|(known, _)| *known);
    let length = name.strip_prefix(PREFIX).unwrap_or(name).chars().count();
    let (away, known) = settings.map(|known| (distance(known, name), known)).min()?;
    (away <= (length / 3).min(3)).then_some(known)
}

/// Levenshtein's distance: how many characters to add, drop or change.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Whether Kubernetes set it: it gives every container the addresses of the services around
/// it, and for a service called `action-service` these names begin with our prefix.
pub(crate) fn is_service_link(name: &str) -> bool {
    let numbered_port = || {
        let (_, rest) = name.rsplit_once("_PORT_")?;
        let (number, rest) = rest.split_once('_').unwrap_or((rest, ""));
        let protocol = rest.split('_').next().unwrap_or_default();
        let numeric = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        Some(numeric && matches!(protocol, "" | "TCP" | "UDP" | "SCTP"))
    };
    let named_port = || name.contains("_SERVICE_PORT_");
    let ends = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"].iter().any(|end| name.ends_with(end));
    // `_PORT_8080_TCP_PORT` has a `_PORT_` of its own at its end.
    let tail = || name.strip_suffix("_PORT").or(name.strip_suffix("_PROTO")).or(name.strip_suffix("_ADDR"));
    ends || named_port() || numbered_port().unwrap_or(false) || tail().is_some_and(|name| name.contains("_PORT_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_that_was_meant() {
        for (wrong, meant) in [
            ("ACTION_SERVICE_DATABSE_URL", DATABASE_URL),
            ("ACTION_SERVICE_LOGFORMAT", LOG_FORMAT),
            ("ACTION_SERVICE_PRIVATE_ADDRESS", PRIVATE_ADDR),
            ("ACTION_SERVICE_CONCURENCY", CONCURRENCY),
        ] {
            assert_eq!(nearest(wrong), Some(meant), "{wrong}");
        }
        for far in ["ACTION_SERVICE_FOO", "ACTION_SERVICE_LOGO_COLOUR", "ACTION_SERVICE_", "log", "PATH"] {
            assert_eq!(nearest(far), None, "{far}");
        }
    }

    #[test]
    fn what_kubernetes_sets_is_known_by_its_form() {
        for link in [
            "ACTION_SERVICE_SERVICE_HOST",
            "ACTION_SERVICE_SERVICE_PORT",
            "ACTION_SERVICE_SERVICE_PORT_PUBLIC",
            "ACTION_SERVICE_PORT",
            "ACTION_SERVICE_PORT_8080_TCP",
            "ACTION_SERVICE_PORT_8080_TCP_ADDR",
            "ACTION_SERVICE_PORT_8080_TCP_PORT",
            "ACTION_SERVICE_PORT_8080_TCP_PROTO",
        ] {
            assert!(is_service_link(link), "{link}");
        }
        for other in ["ACTION_SERVICE_PRIVATE_ADR", "ACTION_SERVICE_PORTS", "ACTION_SERVICE_IMPORT_DIR"] {
            assert!(!is_service_link(other), "{other}");
        }
        for (known, _) in KNOWN {
            assert!(!is_service_link(known), "{known}");
        }
    }
}
