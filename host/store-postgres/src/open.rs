//! Reaching a database: the settings of each connection, the schema.
//!
//! The store keeps three kinds of connections, and all of them want the server itself or a
//! pooler in session mode. PgBouncer in transaction mode does not do: it refuses the settings
//! below (`ignore_startup_parameters = options` would drop them), the listener would never hear
//! anything, and prepared statements need its release 1.21.

use crate::error::OpenError;
use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, SqlSafeStr as _,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    postgres::PgConnectOptions,
};
use std::{cmp::Ordering, time::Duration};

/// How a store is opened. [`PostgresOptions::default`] is what `serve` uses.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// What the server calls these connections in `pg_stat_activity`.
    pub application_name: String,
    /// Connections that read, at most. The process has two more: one writes, one listens.
    pub readers: u32,
    /// Units that are written in one transaction, at most.
    pub batch_units_max: usize,
    /// How long a reader waits for a connection.
    pub acquire_timeout_ms: u64,
    /// How long the server works on one statement.
    pub statement_timeout_ms: u64,
    /// How long a statement waits for what another process holds.
    pub lock_timeout_ms: u64,
    /// How long a transaction may stand still: a process that is stopped, or whose network is
    /// gone, holds the end of the log no longer than this.
    pub idle_in_transaction_timeout_ms: u64,
    /// How long a batch is tried again while there is no connection. Then its units are
    /// refused, and nothing of them was written.
    pub reconnect_ms: u64,
    /// How long the writer asks what became of a commit whose answer was lost. Only after this
    /// is a unit refused of which nobody knows.
    pub commit_unknown_ms: u64,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            application_name: "action-service".to_owned(),
            // Reads are short. Servers allow a hundred connections, for all processes together.
            readers: 8,
            // Some 20 ms of writing: the longest that a unit should wait for the batch before it.
            batch_units_max: 512,
            acquire_timeout_ms: 5_000,
            statement_timeout_ms: 30_000,
            lock_timeout_ms: 5_000,
            idle_in_transaction_timeout_ms: 10_000,
            reconnect_ms: 10_000,
            commit_unknown_ms: 60_000,
        }
    }
}

/// A database and how it is spoken to.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    address: PgConnectOptions,
    /// Where it is, without the password.
    place: String,
    pub(crate) options: PostgresOptions,
}

impl Server {
    pub(crate) fn new(url: &str, options: PostgresOptions) -> Result<Self, OpenError> {
        let address = address(url)?;
        let host = address.get_socket().map_or_else(|| address.get_host().into(), |path| path.display().to_string());
        let name = address.get_database().unwrap_or(address.get_username());
        let place = format!("postgres://{}@{host}:{}/{name}", address.get_username(), address.get_port());
        let address = address.application_name(&options.application_name).disable_statement_logging();
        Ok(Self { address, place, options })
    }

    pub(crate) fn unusable(&self, message: impl ToString) -> OpenError {
        OpenError::Unusable { place: self.place.clone(), message: message.to_string() }
    }

    fn connection(&self) -> PgConnectOptions {
        let ms = |ms: u64| format!("{ms}ms");
        self.address.clone().statement_cache_capacity(256).options([
            ("statement_timeout", ms(self.options.statement_timeout_ms)),
            ("lock_timeout", ms(self.options.lock_timeout_ms)),
            ("idle_in_transaction_session_timeout", ms(self.options.idle_in_transaction_timeout_ms)),
            // Each statement has its index. A plan is made once for a prepared statement, perhaps
            // while the table is still small: it must not be a walk through the whole table then.
            ("enable_seqscan", "off".to_owned()),
            ("enable_bitmapscan", "off".to_owned()),
            ("enable_hashjoin", "off".to_owned()),
            ("enable_mergejoin", "off".to_owned()),
            // Compiling takes longer than any of these statements.
            ("jit", "off".to_owned()),
        ])
    }

    /// For connections that read.
    pub(crate) fn reader(&self) -> PgConnectOptions {
        self.connection()
    }

    /// For the one that writes. Its statements are the same for few rows and for many: they find
    /// each row by its key, and planning them each time would be a third of their cost.
    pub(crate) fn writer(&self) -> PgConnectOptions {
        self.connection().options([("plan_cache_mode", "force_generic_plan")])
    }

    /// For the one that listens.
    pub(crate) fn listener(&self) -> PgConnectOptions {
        self.connection()
    }

    /// Brings the schema up to date, one process after the other; gives the number of steps that
    /// it took.
    pub(crate) async fn migrate(&self) -> Result<usize, OpenError> {
        // Without the timeouts: it waits for another process that does the same.
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, self.address.connect()).await;
        let connection = connecting.map_err(|_| self.unusable("no answer"))?;
        let mut connection = connection.map_err(|error| self.unusable(error))?;
        let steps = self.run_migrations(&mut connection).await;
        // There is nothing to do about an error of a connection that goes.
        let _ = connection.close().await;
        steps
    }

    async fn run_migrations(&self, connection: &mut PgConnection) -> Result<usize, OpenError> {
        let release = connection.server_version_num().unwrap_or(0);
        if release < RELEASE_MIN * 10_000 {
            return Err(self.unusable(format!("Postgres {RELEASE_MIN} or newer is needed")));
        }
        let steps = MIGRATIONS.map(|(version, name, sql)| {
            Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
        });
        // Who owns nothing here may not even ask for the table of migrations to be made.
        let applied = applied(connection).await;
        let known = steps.iter().map(|step| (step.version, step.checksum.to_vec()));
        if applied.iter().cloned().eq(known) {
            return Ok(0);
        }
        // It takes an advisory lock of its own for all of its work.
        match Migrator::with_migrations(steps.to_vec()).run_direct(None, connection, false).await {
            Ok(()) => Ok(MIGRATIONS.len() - applied.len().min(MIGRATIONS.len())),
            Err(MigrateError::VersionMissing(found) | MigrateError::VersionTooNew(found, _)) => {
                let known = MIGRATIONS[MIGRATIONS.len() - 1].0;
                Err(OpenError::Newer { place: self.place.clone(), found, known })
            }
            Err(error) => Err(self.unusable(error)),
        }
    }
}

/// Whether this is the address of a database; nothing is contacted.
///
/// # Errors
/// What is wrong with it, without its password.
pub fn check_address(url: &str) -> Result<(), OpenError> {
    address(url).map(drop)
}

fn address(url: &str) -> Result<PgConnectOptions, OpenError> {
    // The driver takes any scheme for its own.
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(OpenError::Address("another scheme".to_owned()));
    }
    // What the driver does not know it would ignore, and log with its value.
    let query = url.split_once('?').map_or("", |(_, query)| query.split('#').next().unwrap_or_default());
    let names = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split('=').next().unwrap_or_default());
    let is_known = |name: &&str| PARAMETERS.contains(name) || name.starts_with("options[");
    if let Some(unknown) = names.into_iter().find(|name| !is_known(name)) {
        return Err(OpenError::Address(format!("the parameter `{unknown}` is not known")));
    }
    url.parse().map_err(|error: sqlx::Error| match error {
        sqlx::Error::Configuration(why) => OpenError::Address(why.to_string()),
        error => OpenError::Address(error.to_string()),
    })
}

/// What the driver reads behind the `?` of an address.
const PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// A server that is there answers sooner, also across the world.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The oldest release that the statements are tested with.
const RELEASE_MIN: u32 = 15;

/// The schema's steps, in their order. Forward only: a released file never changes.
const MIGRATIONS: [(i64, &str, &str); 7] = [
    (1, "everything", include_str!("../../../migrations/postgres/0001_everything.sql")),
    (2, "pauses", include_str!("../../../migrations/postgres/0002_pauses.sql")),
    (3, "retention", include_str!("../../../migrations/postgres/0003_retention.sql")),
    (4, "secrets", include_str!("../../../migrations/postgres/0004_secrets.sql")),
    (5, "tokens", include_str!("../../../migrations/postgres/0005_tokens.sql")),
    (6, "audit", include_str!("../../../migrations/postgres/0006_audit.sql")),
    (7, "afferent", include_str!("../../../migrations/postgres/0007_afferent.sql")),
];

impl Server {
    /// Whether this release can read the database as it is, without bringing it up to date.
    pub(crate) async fn check_schema(&self, connection: &mut PgConnection) -> Result<(), OpenError> {
        let newest = sqlx::query_scalar::<_, Option<i64>>("SELECT max(version) FROM _sqlx_migrations");
        let found = newest.fetch_one(connection).await.map_err(|error| self.unusable(error))?.unwrap_or(0);
        let known = MIGRATIONS[MIGRATIONS.len() - 1].0;
        match found.cmp(&known) {
            Ordering::Equal => Ok(()),
            Ordering::Greater => Err(OpenError::Newer { place: self.place.clone(), found, known }),
            Ordering::Less => Err(self.unusable(format!(
                "its schema is older than this release: version {found} of {known}; `migrate` brings it up to date"
            ))),
        }
    }
}

/// The steps that were applied, each with the checksum of its text.
async fn applied(connection: &mut PgConnection) -> Vec<(i64, Vec<u8>)> {
    // Before the first migration its table is not there: none was applied.
    let applied = "SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version";
    sqlx::query_as(applied).fetch_all(connection).await.unwrap_or_default()
}

/// Brings the schema of a database up to date; gives the number of steps that it took.
pub async fn migrate(url: &str) -> Result<usize, OpenError> {
    Server::new(url, PostgresOptions::default())?.migrate().await
}
