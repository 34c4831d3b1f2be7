//! From bytes to a usable protocol.

use crate::{
    Engine, EngineError,
    schema::{Schemas, issues_of},
};
use action_domain::{
    actor::Actor,
    digest::Digest,
    event::{Context, Fact},
    failure::Issue,
    limits::ISSUES_MAX,
    name::Name,
    protocol::{Descriptor, Example, Kind, Pin, Protocol},
    repositories::{CommitError, Conflict, UnitOfWork, Write},
    secret,
    services::{Admitted, RawDescriptor, RuntimeError},
};
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;

/// Longest documentation and schema, in bytes each.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Longest summary, in bytes.
const SUMMARY_BYTES_MAX: usize = 500;
/// What an example's secrets look like to its schema.
const EXAMPLE_HANDLE: &str = "sec_00000000000000000000000000000000";
/// Most examples.
const EXAMPLES_MAX: usize = 100;

/// A protocol that is there now.
#[derive(Debug, Clone)]
pub struct AdmittedProtocol {
    /// The protocol.
    pub protocol: Arc<Protocol>,
    /// Whether this call added it; `false`: the same bytes were there already.
    pub created: bool,
}

/// What whoever uploads a transform says of it.
#[derive(Debug, Clone, Default)]
pub struct Named {
    /// The language's name.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// One line for a list.
    pub summary: String,
    /// Markdown.
    pub documentation: String,
}

/// Where a component comes from.
#[derive(Debug, Clone, Copy)]
enum Origin {
    Uploaded,
    BuiltIn,
}

impl Engine {
    /// Inspects a component, and keeps it as a protocol if it is acceptable. A refused one
    /// leaves nothing behind but its event.
    /// A transform does not describe itself: `named` says what it is; of a protocol it says nothing.
    pub async fn admit_protocol(
        &self,
        component: Bytes,
        named: Option<Named>,
        correlation_id: Option<Arc<str>>,
        by: &Actor,
    ) -> Result<AdmittedProtocol, EngineError> {
        self.admit(component, named, correlation_id, Origin::Uploaded, by).await
    }

    /// The same for a component that comes with the binary, which vouches for it.
    pub async fn admit_builtin(&self, component: Bytes, named: Option<Named>) -> Result<AdmittedProtocol, EngineError> {
        self.admit(component, named, None, Origin::BuiltIn, &Actor::System).await
    }

    async fn admit(
        &self,
        component: Bytes,
        named: Option<Named>,
        correlation_id: Option<Arc<str>>,
        origin: Origin,
        by: &Actor,
    ) -> Result<AdmittedProtocol, EngineError> {
        let bytes = component.len() as u64;
        let hashed = component.clone();
        // Hashing 64 MiB takes a tenth of a second: not on a thread that serves requests.
        let digest = tokio::task::spawn_blocking(move || Digest::of(&hashed))
            .await
            .map_err(|error| EngineError::Internal(error.to_string()))?;
        if let Some(protocol) = self.reader().protocols_with(&digest).await?.into_iter().next() {
            return Ok(AdmittedProtocol { protocol, created: false });
        }
        let context = Context { correlation_id, ..Context::default() };
        let runtime = &self.inner.parts.runtime;
        let admitted = match origin {
            Origin::Uploaded => runtime.admit(component.clone()).await,
            Origin::BuiltIn => runtime.admit_builtin(component.clone()).await,
        };
        let checked = match admitted {
            Ok(admitted) => describe(&admitted, named).map(|(kind, descriptor)| (admitted, kind, descriptor)),
            Err(RuntimeError::Refused(issues)) => Err(issues),
            Err(error) => return Err(error.into()),
        };
        let (admitted, kind, descriptor) = match checked {
            Ok(checked) => checked,
            Err(mut errors) => {
                self.inner.parts.runtime.forget(digest).await;
                errors.truncate(ISSUES_MAX);
                let fact = Fact::ProtocolRefused { digest, bytes, errors: errors.clone() };
                self.store().commit(UnitOfWork::new().event(self.event_by(by, context, &fact))).await?;
                return Err(EngineError::ComponentRefused(errors));
            }
        };
        let versions = match origin {
            // The name of a built-in protocol is taken also while that is on its way.
            Origin::Uploaded => self.protocol_versions(&descriptor.name).await?,
            Origin::BuiltIn => self.reader().protocol_versions(&descriptor.name).await?,
        };
        if versions.iter().any(|version| version.kind != kind) {
            self.inner.parts.runtime.forget(digest).await;
            let message = format!("`{}` is the name of {}", descriptor.name, other_kind(kind));
            return Err(EngineError::Conflict { code: "name_taken", message });
        }
        let Admitted { digest, imports, reconciles, .. } = admitted;
        let protocol = Protocol { kind, descriptor, digest, bytes, imports, reconciles, uploaded_at: self.now() };
        let fact = Fact::ProtocolUploaded { protocol: protocol.pin(), digest, bytes };
        let unit = UnitOfWork::new()
            .write(Write::AddProtocol(Box::new(protocol.clone()), component))
            .event(self.event_by(by, context, &fact));
        match self.store().commit(unit).await {
            Ok(_) => Ok(AdmittedProtocol { protocol: Arc::new(protocol), created: true }),
            Err(CommitError::Conflict(Conflict::VersionExists)) => self.same_or_conflict(&protocol).await,
            Err(error) => {
                self.inner.parts.runtime.forget(protocol.digest).await;
                Err(error.into())
            }
        }
    }

    /// Somebody has this name and version: the same bytes (sent twice at once), or others.
    async fn same_or_conflict(&self, protocol: &Protocol) -> Result<AdmittedProtocol, EngineError> {
        let there = self.protocol(&protocol.pin()).await?;
        if there.digest == protocol.digest {
            return Ok(AdmittedProtocol { protocol: there, created: false });
        }
        self.inner.parts.runtime.forget(protocol.digest).await;
        Err(EngineError::Conflict {
            code: "version_exists",
            message: format!(
                "{} is there already, with other bytes ({}); versions are immutable",
                there.pin(),
                there.digest
            ),
        })
    }

    /// A protocol by name and version. One that is on its way is waited for.
    pub async fn protocol(&self, pin: &Pin) -> Result<Arc<Protocol>, EngineError> {
        let mut found = self.reader().protocol(pin).await?;
        if found.is_none() && self.await_protocol(&pin.name).await {
            found = self.reader().protocol(pin).await?;
        }
        found.ok_or(EngineError::NotFound("protocol"))
    }

    /// All versions of a protocol; none where there is no such protocol. One that is on its way is
    /// waited for.
    pub async fn protocol_versions(&self, name: &Name) -> Result<Vec<Arc<Protocol>>, EngineError> {
        // Also where there are older ones: after an upgrade the newest is the one that is meant.
        self.await_protocol(name).await;
        Ok(self.reader().protocol_versions(name).await?)
    }
}

const fn other_kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Protocol => "a transform",
        Kind::Transform => "a protocol",
    }
}

/// What a component is, as it says or as whoever uploads it says.
fn describe(admitted: &Admitted, named: Option<Named>) -> Result<(Kind, Descriptor), Vec<Issue>> {
    let wrong = |code: &str, message: &str| vec![Issue::new("/name", code, message)];
    match (&admitted.descriptor, named) {
        (Some(raw), None) => Ok((Kind::Protocol, check_descriptor(raw)?)),
        (Some(_), Some(_)) => Err(wrong("names_itself", "a protocol says its name itself: leave name and version out")),
        (None, None) => {
            let message = "a transform does not describe itself: say ?name=…&version=… with the upload";
            Err(wrong("required", message))
        }
        (None, Some(named)) => {
            let Named { name, version, summary, documentation } = named;
            // No config is valid for what is no protocol.
            let raw = RawDescriptor {
                name,
                version,
                summary,
                documentation,
                config_schema: "false".to_owned(),
                ..RawDescriptor::default()
            };
            Ok((Kind::Transform, check_descriptor(&raw)?))
        }
    }
}

/// What a component says of itself, checked.
///
/// # Errors
/// Everything that is wrong with it.
pub fn check_descriptor(raw: &RawDescriptor) -> Result<Descriptor, Vec<Issue>> {
    let mut issues = Vec::new();
    let mut wrong = |pointer: &str, code: &str, message: String| issues.push(Issue::new(pointer, code, message));
    let name = raw.name.parse().map_err(|error| wrong("/name", "invalid_name", format!("{error}"))).ok();
    let version = raw
        .version
        .parse()
        .map_err(|error| wrong("/version", "invalid_version", format!("not a semantic version: {error}")))
        .ok();
    if raw.summary.len() > SUMMARY_BYTES_MAX || raw.summary.contains('\n') {
        wrong("/summary", "too_long", format!("one line of at most {SUMMARY_BYTES_MAX} bytes"));
    }
    if raw.documentation.len() > TEXT_BYTES_MAX {
        wrong("/documentation", "too_long", format!("at most {TEXT_BYTES_MAX} bytes"));
    }
    let mut parse = |pointer: &str, text: &str| -> Option<Value> {
        if text.len() > TEXT_BYTES_MAX {
            wrong(pointer, "too_long", format!("at most {TEXT_BYTES_MAX} bytes"));
            return None;
        }
        serde_json::from_str(text).map_err(|error| wrong(pointer, "invalid_json", error.to_string())).ok()
    };
    let config_schema = parse("/config_schema", &raw.config_schema);
    let input_schema = raw.input_schema.as_ref().and_then(|text| parse("/input_schema", text));
    let output_schema = raw.output_schema.as_ref().and_then(|text| parse("/output_schema", text));
    let examples: Vec<Example> = (raw.examples.iter().take(EXAMPLES_MAX).enumerate())
        .filter_map(|(index, example)| {
            let config = parse(&format!("/examples/{index}/config"), &example.config)?;
            Some(Example { name: example.name.clone(), config })
        })
        .collect();
    for (index, method) in raw.test_methods.iter().enumerate() {
        if method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') {
            wrong(&format!("/test_methods/{index}"), "invalid_method", "not an HTTP method in capitals".into());
        }
    }
    if raw.examples.len() > EXAMPLES_MAX {
        wrong("/examples", "too_many", format!("more than {EXAMPLES_MAX} examples"));
    }
    let granting_nothing = config_schema.iter().flat_map(action_domain::egress::issues_of_schema);
    issues.extend(granting_nothing.map(|issue| issue.below("/config_schema")));
    let (Some(name), Some(version), Some(config_schema)) = (name, version, config_schema.clone()) else {
        // What can still be said about the schema is said, although the rest is wrong already.
        if let Some(schema) = config_schema {
            let stand_in = descriptor_of_schema(schema);
            issues.extend(Schemas::compile(&stand_in).err().into_iter().flatten());
        }
        return Err(issues);
    };
    let descriptor = Descriptor {
        name,
        version,
        summary: raw.summary.clone(),
        documentation: raw.documentation.clone(),
        config_schema,
        input_schema,
        output_schema,
        examples,
        test_methods: raw.test_methods.clone(),
    };
    match Schemas::compile(&descriptor) {
        Ok(schemas) => {
            for (index, example) in descriptor.examples.iter().enumerate() {
                let mut found = secret::reference::references(&example.config).1;
                found.extend(secret::reference::misplaced(&descriptor.config_schema, &example.config));
                // As the schema sees it: a text in the place of each secret.
                let seen = secret::reference::replaced(&example.config, &mut |_| EXAMPLE_HANDLE.to_owned());
                found.extend(issues_of(&schemas.config, &seen));
                issues.extend(found.into_iter().map(|issue| issue.below(&format!("/examples/{index}/config"))));
            }
        }
        Err(found) => issues.extend(found),
    }
    if issues.is_empty() { Ok(descriptor) } else { Err(issues) }
}

/// A descriptor that has nothing but this config schema, to look at the schema alone.
fn descriptor_of_schema(config_schema: Value) -> Descriptor {
    #[expect(clippy::unwrap_used, reason = "`x` is a name")]
    let name = "x".parse().unwrap();
    Descriptor {
        name,
        version: semver::Version::new(0, 0, 0),
        summary: String::new(),
        documentation: String::new(),
        config_schema,
        input_schema: None,
        output_schema: None,
        examples: Vec::new(),
        test_methods: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use action_domain::services::RawExample;

    #[test]
    fn every_lie_is_told_at_once() {
        let raw = RawDescriptor {
            name: "Not A Name".into(),
            version: "one".into(),
            summary: "two\nlines".into(),
            config_schema: r#"{"type": "nonsense"}"#.into(),
            input_schema: Some("{".into()),
            examples: vec![RawExample { name: "broken".into(), config: "{".into() }],
            test_methods: vec!["post it".into()],
            ..RawDescriptor::default()
        };
        let mut pointers: Vec<String> = check_descriptor(&raw).unwrap_err().into_iter().map(|i| i.pointer).collect();
        pointers.sort();
        assert_eq!(
            pointers,
            [
                "/config_schema/type",
                "/examples/0/config",
                "/input_schema",
                "/name",
                "/summary",
                "/test_methods/0",
                "/version",
            ]
        );
    }

    #[test]
    fn an_example_has_to_be_valid() {
        let raw = RawDescriptor {
            name: "x".into(),
            version: "1.0.0".into(),
            config_schema: r#"{"required": ["url"]}"#.into(),
            examples: vec![RawExample { name: "empty".into(), config: "{}".into() }],
            ..RawDescriptor::default()
        };
        let issues = check_descriptor(&raw).unwrap_err();
        assert_eq!((issues[0].pointer.as_str(), issues[0].code.as_str()), ("/examples/0/config/url", "required"));
    }
}
