//! The words of the command line.
//!
//! To add a command: a file in `commands/` with its arguments and `run`, and a line here and in
//! `commands/mod.rs`.

use crate::{
    client::Client,
    commands::{action, audit, check, events, execution, new, protocol, prune, run, secret, token},
    config::{SettingsError, Sources, data_dir, names},
    data_dir as data_folder, exit,
};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Where the service is when nobody says.
const SERVER_DEFAULT: &str = "http://127.0.0.1:8081";

/// Runs protocols in a sandbox, and records what they do.
#[derive(Debug, Parser)]
#[command(name = "action-service", version, max_term_width = 100, after_help = exit::HELP)]
pub(crate) struct Cli {
    /// Print JSON for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the service: all of it in this process
    Serve(SettingsFile),
    /// Run the part of the service that takes calls; workers run what is called (Postgres)
    Api(SettingsFile),
    /// Run the part of the service that runs what was called (Postgres)
    Worker(SettingsFile),
    /// Bring the database's schema up to date
    Migrate(SettingsFile),
    /// Ask a running service whether it is well
    Healthcheck(Connection),
    /// Begin a protocol: a project that builds, with a test
    New(new::Arguments),
    /// Check a component for what a protocol owes its users
    Check(check::Arguments),
    /// Run a component once, without a service
    Run(run::Arguments),
    /// Protocols: push, list, show, delete
    Protocol(Group<protocol::Command>),
    /// Actions: apply, list, show, execute, test, delete
    Action(Group<action::Command>),
    /// Executions: list, show, cancel, retry, resolve
    Execution(Group<execution::Command>),
    /// Events: tail, list
    Events(Group<events::Command>),
    /// Secrets: set, list, delete, rewrap
    Secret(Group<secret::Command>),
    /// Tokens: create, list, revoke
    Token(Group<token::Command>),
    /// The record's proof: verify, anchor, prove, check-proof, seal
    Audit(Group<audit::Command>),
    /// Remove executions that ended long ago, with their events
    Prune(prune::Arguments),
    /// Compile a component from standard input to standard output
    #[command(hide = true)]
    CompileComponent,
}

/// Where settings are, beside the environment.
#[derive(Debug, Args)]
pub(crate) struct SettingsFile {
    // `run` has a `--config` of its own, so this one is not the whole program's.
    /// A TOML file with settings
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Which service to talk to.
#[derive(Debug, Args)]
pub(crate) struct Connection {
    #[command(flatten)]
    settings: SettingsFile,
    /// The service's private address [default: ACTION_SERVICE_URL, else http://127.0.0.1:8081]
    #[arg(long, global = true, value_name = "URL")]
    server: Option<String>,
    /// The token to send [default: ACTION_SERVICE_TOKEN; for a service on this machine also
    /// ACTION_SERVICE_ADMIN_TOKEN or the data folder's admin-token]
    #[arg(long, global = true, value_name = "TOKEN")]
    token: Option<String>,
}

/// Commands about one kind of thing, of one service.
#[derive(Debug, Args)]
pub(crate) struct Group<C: Subcommand> {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(subcommand)]
    pub(crate) command: C,
}

impl SettingsFile {
    /// Everything that was set.
    ///
    /// # Errors
    /// See [`Sources::load`].
    pub(crate) fn sources(&self) -> Result<Sources, SettingsError> {
        Sources::load(self.config.as_deref())
    }
}

impl Connection {
    /// Everything that was set.
    ///
    /// # Errors
    /// See [`Sources::load`].
    pub(crate) fn sources(&self) -> Result<Sources, SettingsError> {
        self.settings.sources()
    }

    /// A client of the service that was named.
    ///
    /// # Errors
    /// Where a setting is wrong or the token cannot be read.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        let sources = self.settings.sources()?;
        let server = self.server.as_deref().or(sources.get(names::URL)).unwrap_or(SERVER_DEFAULT);
        let given = self.token.as_deref().or(sources.get(names::TOKEN));
        let client = Client::new(server, given.map(str::to_owned))?;
        // The admin token of this machine's service is for nobody else.
        if given.is_some() || !client.is_on_this_machine() {
            return Ok(client);
        }
        let own = match (sources.get(names::ADMIN_TOKEN), sources.get(names::ADMIN_TOKEN_FILE)) {
            (Some(token), _) => Some(token.to_owned()),
            (None, Some(file)) => data_folder::read_token(file.as_ref())?,
            (None, None) => data_folder::read_token(&data_folder::token_file(&data_dir(&sources)))?,
        };
        Ok(client.with_token(own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_words_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn config_is_the_settings_everywhere_and_the_protocols_in_run() {
        for words in [
            "action-service serve --config s.toml",
            "action-service action list --config s.toml --server http://x --token t --json",
            "action-service --json action --config s.toml list",
            "action-service run x.wasm --config {} --input -",
        ] {
            Cli::try_parse_from(words.split(' ')).unwrap_or_else(|error| panic!("{words}: {error}"));
        }
    }

    #[test]
    fn the_help_says_how_a_command_ends() {
        let help = Cli::command().render_help().to_string();
        assert!(help.contains("Exit codes:") && !help.contains("compile-component"), "{help}");
    }
}
