//! Protocols: what a component says of itself, and how an action names one.

use crate::{digest::Digest, name::Name, time::Timestamp};
use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{fmt, str::FromStr};

/// What a component is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It speaks to one type of outside system.
    #[default]
    Protocol,
    /// It is a language of expressions over data. It does not describe itself: whoever uploads it
    /// names it, and no config is valid for it.
    Transform,
}

impl Kind {
    /// The word by which documents know it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Protocol => "protocol",
            Self::Transform => "transform",
        }
    }
}

/// What a protocol says of itself, checked when it was admitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Descriptor {
    /// The protocol's name.
    pub name: Name,
    /// The version of this implementation.
    pub version: Version,
    /// One line for a list.
    pub summary: String,
    /// Markdown.
    pub documentation: String,
    /// JSON Schema 2020-12 of the config, with the annotations `writeOnly` and `x-egress`.
    pub config_schema: Value,
    /// JSON Schema of an input that is JSON.
    pub input_schema: Option<Value>,
    /// JSON Schema of an output that is JSON.
    pub output_schema: Option<Value>,
    /// Configs to start from.
    pub examples: Vec<Example>,
    /// HTTP methods beside GET, HEAD and OPTIONS that `test-connection` needs.
    pub test_methods: Vec<String>,
}

/// A config to start from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// What it shows.
    pub name: String,
    /// The config.
    pub config: Value,
}

/// A component that was admitted. Immutable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Protocol {
    /// What it is for.
    #[serde(default)]
    pub kind: Kind,
    /// What it says of itself.
    pub descriptor: Descriptor,
    /// Of the component's bytes.
    pub digest: Digest,
    /// The component's size.
    pub bytes: u64,
    /// The interfaces that it imports, for instance `wasi:http/types@0.2.6`.
    pub imports: Vec<String>,
    /// Whether it exports `reconciler`.
    pub reconciles: bool,
    /// When it was admitted.
    pub uploaded_at: Timestamp,
}

impl Protocol {
    /// Its name and version.
    pub fn pin(&self) -> Pin {
        Pin { name: self.descriptor.name.clone(), version: self.descriptor.version.clone() }
    }
}

/// Exactly one protocol: `http@0.1.0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pin {
    /// The protocol's name.
    pub name: Name,
    /// Its version.
    pub version: Version,
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

impl FromStr for Pin {
    type Err = InvalidReference;
    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let (name, version) = text.split_once('@').ok_or(InvalidReference)?;
        Ok(Self {
            name: name.parse().map_err(|_| InvalidReference)?,
            version: version.parse().map_err(|_| InvalidReference)?,
        })
    }
}

impl TryFrom<String> for Pin {
    type Error = InvalidReference;
    fn try_from(text: String) -> Result<Self, InvalidReference> {
        text.parse()
    }
}

impl From<Pin> for String {
    fn from(pin: Pin) -> Self {
        pin.to_string()
    }
}

/// How an action may name a protocol: `http`, `http@^0.1` or `http@0.1.0`. It is resolved
/// to a [`Pin`] when the action is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The protocol's name.
    pub name: Name,
    /// Which of its versions.
    pub requirement: Requirement,
}

/// Which versions will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    /// The newest that is no pre-release.
    Newest,
    /// This one and no other.
    Exactly(Version),
    /// The newest that matches.
    Matching(VersionReq),
}

/// The text names no protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a protocol is named `name`, `name@1.2.3` or `name@^1.2`")]
pub struct InvalidReference;

impl FromStr for Reference {
    type Err = InvalidReference;
    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        let requirement = match version {
            None => Requirement::Newest,
            Some(text) => match text.parse::<Version>() {
                Ok(version) => Requirement::Exactly(version),
                Err(_) => Requirement::Matching(text.parse().map_err(|_| InvalidReference)?),
            },
        };
        Ok(Self { name: name.parse().map_err(|_| InvalidReference)?, requirement })
    }
}

impl Reference {
    /// Whether what somebody has already is what is named. Who says no version is content with any.
    pub fn fits(&self, pin: &Pin) -> bool {
        self.name == pin.name
            && match &self.requirement {
                Requirement::Newest => true,
                Requirement::Exactly(wanted) => pin.version == *wanted,
                Requirement::Matching(requirement) => requirement.matches(&pin.version),
            }
    }

    /// The best of `versions`, if any will do.
    pub fn choose<'a>(&self, versions: impl IntoIterator<Item = &'a Version>) -> Option<&'a Version> {
        let fits = |version: &&Version| match &self.requirement {
            Requirement::Newest => version.pre.is_empty(),
            Requirement::Exactly(wanted) => *version == wanted,
            Requirement::Matching(requirement) => requirement.matches(version),
        };
        versions.into_iter().filter(fits).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_takes_the_newest_that_fits() {
        let versions: Vec<Version> =
            ["0.1.0", "0.1.2", "0.2.0", "1.0.0-rc.1"].iter().map(|v| v.parse().unwrap()).collect();
        let choose = |text: &str| text.parse::<Reference>().unwrap().choose(&versions).map(ToString::to_string);
        assert_eq!(choose("http").as_deref(), Some("0.2.0"));
        assert_eq!(choose("http@^0.1").as_deref(), Some("0.1.2"));
        assert_eq!(choose("http@0.1.0").as_deref(), Some("0.1.0"));
        assert_eq!(choose("http@1.0.0-rc.1").as_deref(), Some("1.0.0-rc.1"));
        assert_eq!(choose("http@^3"), None);
        let fits = |text: &str, pin: &str| text.parse::<Reference>().unwrap().fits(&pin.parse().unwrap());
        for (text, pin, expected) in [
            ("http", "http@0.1.0", true),
            ("http", "http@1.0.0-rc.1", true),
            ("http", "https@0.1.0", false),
            ("http@^0.1", "http@0.1.0", true),
            ("http@^0.2", "http@0.1.0", false),
            ("http@0.1.0", "http@0.1.0", true),
            ("http@0.1.1", "http@0.1.0", false),
        ] {
            assert_eq!(fits(text, pin), expected, "{text} {pin}");
        }
        assert!("http@".parse::<Reference>().is_err());
        assert!("ht tp".parse::<Reference>().is_err());
    }
}
