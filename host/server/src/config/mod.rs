//! Settings: names, where they come from, and what they mean.
//!
//! Environment variables `ACTION_SERVICE_*`; a TOML file (`--config`) has the same names as
//! its keys, in the same upper case, so that one search finds both. The environment wins.

mod egress;
mod keys;
pub(crate) mod names;
mod oidc;
pub(crate) mod place;
mod settings;
mod sources;

pub(crate) use egress::policy_of as egress_policy;
pub(crate) use keys::{audit_keys, known_audit_keys, parse_public_keys, trusted_keys};
pub(crate) use oidc::{Jwks, OidcSettings};
pub(crate) use place::Place;
pub(crate) use settings::{Database, Given, LogFormat, Settings, data_dir};
pub(crate) use sources::Sources;

/// Everything that is wrong with the settings.
#[derive(Debug)]
pub(crate) struct SettingsError {
    problems: Vec<String>,
}

impl SettingsError {
    fn new(problems: Vec<String>) -> Self {
        Self { problems }
    }

    fn one(problem: String) -> Self {
        Self { problems: vec![problem] }
    }

    /// Each problem, for people.
    pub(crate) fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl std::fmt::Display for SettingsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.problems.as_slice() {
            [only] => f.write_str(only),
            many => {
                f.write_str("the settings are wrong:")?;
                many.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl std::error::Error for SettingsError {}
