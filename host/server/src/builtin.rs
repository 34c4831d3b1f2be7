//! The protocols that come inside the binary: registered at the first start, and after an
//! upgrade that brings newer ones.

use action_domain::digest::Digest;
use action_engine::{Engine, EngineError, Named};
use anyhow::Context as _;
use bytes::Bytes;

/// File names and components; `build.rs` makes the list.
static COMPONENTS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/builtin.rs"));

/// The version of the transforms that come with this release.
const TRANSFORMS_VERSION: &str = "0.1.0";

/// Transforms do not describe themselves: file, name, summary and documentation of each.
const TRANSFORMS: [[&str; 4]; 2] = [
    [
        "transform_jq.wasm",
        "jq",
        "jq expressions over JSON and text",
        include_str!("../../../protocols/transform-jq/README.md"),
    ],
    [
        "transform_template.wasm",
        "template",
        "Texts in the manner of Jinja",
        include_str!("../../../protocols/transform-template/README.md"),
    ],
];

fn named(file: &str) -> Option<Named> {
    let [_, name, summary, documentation] = TRANSFORMS.into_iter().find(|[of, ..]| *of == file)?;
    let [name, version, summary, documentation] =
        [name, TRANSFORMS_VERSION, summary, documentation].map(ToOwned::to_owned);
    Some(Named { name, version, summary, documentation })
}

/// What was done about a built-in protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Registered {
    /// It is new.
    Added(String),
    /// It was there.
    There(String),
    /// Its version is there with other bytes, which stay: versions are immutable.
    Kept(String),
}

impl Registered {
    /// The protocol.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Added(name) | Self::There(name) | Self::Kept(name) => name,
        }
    }
}

/// Registers what is not there yet. A warm start compiles nothing: a digest is looked up.
///
/// # Errors
/// Where the store or the sandbox cannot be used. A protocol that is refused is logged, and
/// is missing then: the others still work.
pub(crate) async fn register(engine: &Engine) -> anyhow::Result<Vec<Registered>> {
    let mut done = Vec::new();
    for (file, bytes) in COMPONENTS {
        let bytes = Bytes::from_static(bytes);
        if let Some(registered) = register_one(engine, file, bytes).await.with_context(|| (*file).to_owned())? {
            done.push(registered);
        }
    }
    Ok(done)
}

async fn register_one(engine: &Engine, file: &str, bytes: Bytes) -> anyhow::Result<Option<Registered>> {
    let digest = Digest::of(&bytes);
    if let Some(protocol) = engine.reader().protocols_with(&digest).await?.first() {
        return Ok(Some(Registered::There(protocol.pin().to_string())));
    }
    match engine.admit_builtin(bytes, named(file)).await {
        Ok(admitted) => {
            let pin = admitted.protocol.pin().to_string();
            tracing::info!(protocol = %pin, %digest, "built-in protocol registered");
            Ok(Some(Registered::Added(pin)))
        }
        Err(EngineError::Conflict { message, .. }) => {
            tracing::warn!(file, %message, "built-in protocol not registered: the version that is there stays");
            Ok(Some(Registered::Kept(file.trim_end_matches(".wasm").to_owned())))
        }
        Err(EngineError::ComponentRefused(issues)) => {
            for issue in issues {
                tracing::error!(file, pointer = issue.pointer, code = issue.code, "{}", issue.message);
            }
            Ok(None)
        }
        Err(error @ (EngineError::Unavailable(_) | EngineError::Internal(_))) => Err(error.into()),
        Err(error) => {
            tracing::error!(file, %error, "built-in protocol not registered");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transforms_have_the_version_of_their_sources() {
        let manifest = include_str!("../../../protocols/Cargo.toml");
        assert!(manifest.contains(&format!("[workspace.package]\nversion = \"{TRANSFORMS_VERSION}\"")));
    }
}
