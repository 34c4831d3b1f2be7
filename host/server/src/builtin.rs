//! The protocols that come inside the binary: registered at the first start, and after an
//! upgrade that brings newer ones.
//!
//! Compiling takes from half a second to half a minute each, so what is new is prepared by [`prepare`] while
//! the service is at work already; whoever names it before waits for it (`Engine::expect_protocol`).

use action_domain::{digest::Digest, name::Name};
use action_engine::{Engine, EngineError, Expectation, Named};
use anyhow::Context as _;
use bytes::Bytes;
use std::io::Read as _;
use tokio_util::sync::CancellationToken;

include!(concat!(env!("OUT_DIR"), "/builtin.rs"));

/// A built-in protocol; `build.rs` makes the list.
struct Component {
    /// Its name, as its folder has it.
    name: &'static str,
    /// Of the component, so that nothing is unpacked to find out that it is there.
    digest: &'static str,
    /// Its size.
    bytes: usize,
    /// The component, packed by zstd.
    packed: &'static [u8],
}

impl Component {
    fn digest(&self) -> anyhow::Result<Digest> {
        self.digest.parse().with_context(|| format!("the digest of {}", self.name))
    }

    fn unpack(&self) -> anyhow::Result<Bytes> {
        let mut component = Vec::with_capacity(self.bytes);
        let mut unpacked = ruzstd::decoding::StreamingDecoder::new(self.packed)
            .map_err(|error| anyhow::anyhow!("{}: {error}", self.name))?;
        unpacked.read_to_end(&mut component).with_context(|| self.name.to_owned())?;
        Ok(component.into())
    }
}

/// The version of the transforms that come with this release.
const TRANSFORMS_VERSION: &str = "0.1.0";

/// Transforms do not describe themselves: folder, name, summary and documentation of each.
const TRANSFORMS: [[&str; 4]; 2] = [
    [
        "transform-jq",
        "jq",
        "jq expressions over JSON and text",
        include_str!("../../../protocols/transform-jq/README.md"),
    ],
    [
        "transform-template",
        "template",
        "Texts in the manner of Jinja",
        include_str!("../../../protocols/transform-template/README.md"),
    ],
];

fn named(folder: &str) -> Option<Named> {
    let [_, name, summary, documentation] = TRANSFORMS.into_iter().find(|[of, ..]| *of == folder)?;
    let [name, version, summary, documentation] =
        [name, TRANSFORMS_VERSION, summary, documentation].map(ToOwned::to_owned);
    Some(Named { name, version, summary, documentation })
}

/// What a built-in of this folder is called once it is registered.
fn registered_as(folder: &'static str) -> &'static str {
    TRANSFORMS.into_iter().find(|[of, ..]| *of == folder).map_or(folder, |[_, name, ..]| name)
}

/// Looks up which are there, and expects the others; says what all are called. Nothing is compiled.
///
/// # Errors
/// Where the store cannot be used.
pub(crate) async fn register(engine: &Engine) -> anyhow::Result<Vec<String>> {
    let mut done = Vec::new();
    for component in COMPONENTS {
        if let Some(protocol) = engine.reader().protocols_with(&component.digest()?).await?.first() {
            done.push(protocol.pin().to_string());
        } else {
            let name = registered_as(component.name);
            engine.expect_protocol(name.parse()?, component.bytes as u64, Expectation::Waiting);
            done.push(name.to_owned());
        }
    }
    for name in NOT_BUILT {
        engine.expect_protocol(registered_as(name).parse()?, 0, Expectation::NotBuilt);
    }
    Ok(done)
}

/// Prepares what [`register`] left, one after the other, until there is nothing more or the service
/// stops. `unasked`: those too that nobody has asked for.
pub(crate) async fn prepare(engine: Engine, unasked: bool, stopping: CancellationToken) {
    let work = async {
        while let Some(name) = engine.next_expected(unasked).await {
            let outcome = prepare_one(&engine, &name).await;
            engine.protocol_prepared(&name, outcome);
        }
    };
    // What is being compiled is given up: the next start takes it up again.
    stopping.run_until_cancelled(work).await;
}

async fn prepare_one(engine: &Engine, name: &Name) -> Result<(), String> {
    let component = COMPONENTS.iter().find(|component| registered_as(component.name) == name.as_str());
    let component = component.ok_or_else(|| "it is not in this binary".to_owned())?;
    match admit(engine, component).await {
        Ok(admitted) => admitted,
        Err(error) => {
            tracing::error!(protocol = %name, %error, "built-in protocol not registered");
            Err(format!("{error:#}"))
        }
    }
}

/// The inner error says why it is refused.
async fn admit(engine: &Engine, component: &'static Component) -> anyhow::Result<Result<(), String>> {
    let (name, digest) = (component.name, component.digest);
    let bytes = tokio::task::spawn_blocking(|| component.unpack()).await??;
    match engine.admit_builtin(bytes, named(component.name)).await {
        Ok(admitted) => {
            let pin = admitted.protocol.pin().to_string();
            tracing::info!(protocol = %pin, %digest, "built-in protocol registered");
            Ok(Ok(()))
        }
        Err(EngineError::Conflict { message, .. }) => {
            tracing::warn!(name, %message, "built-in protocol not registered: the version that is there stays");
            Ok(Ok(()))
        }
        Err(EngineError::ComponentRefused(issues)) => {
            for issue in &issues {
                tracing::error!(name, pointer = issue.pointer, code = issue.code, "{}", issue.message);
            }
            let told: Vec<String> = issues.into_iter().map(|issue| issue.message).collect();
            Ok(Err(told.join("; ")))
        }
        Err(error @ (EngineError::Unavailable(_) | EngineError::Internal(_))) => Err(error.into()),
        Err(error) => {
            tracing::error!(name, %error, "built-in protocol not registered");
            Ok(Err(error.to_string()))
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
