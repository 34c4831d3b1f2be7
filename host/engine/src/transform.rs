//! Expressions: checked when an action is saved, applied when it runs.
//!
//! They run in the sandbox, whatever their language: one that is endless or explodes ends by its
//! limits. An input transform runs behind the durable trigger, in the worker. An output transform runs
//! before the outcome is recorded; where it fails, the effect has taken place and is not repeated, so
//! the execution fails and its output is what the protocol gave.

use crate::{Engine, EngineError, cache::Ready, conclude::Concluded, schema::issues_of};
use action_domain::{
    action::{Action, ActionSpec, Transform},
    execution::Execution,
    failure::{ErrorCode, ExecutionError, Issue},
    limits::EXPRESSION_BYTES_MAX,
    payload::Payload,
    protocol::{Kind, Pin, Protocol, Reference},
    services::{GuestTrigger, RuntimeError, TransformError, TransformRequest},
    transform::{JQ, VARIABLES},
    turn::{KeyPath, key_of},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// What went wrong with an expression that somebody tries.
const FAILED: &str = "transform_failed";

impl Engine {
    /// Applies an expression for somebody who is writing it.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] with pointers into `{language, expression, input}`.
    pub async fn try_transform(
        &self,
        language: &str,
        expression: &str,
        input: Payload,
        trigger: &Value,
    ) -> Result<Payload, EngineError> {
        let transform = match self.resolve_transform(language, "/language").await? {
            Ok(transform) => transform,
            Err(issue) if issue.code == "transform_not_found" => return Err(EngineError::NotFound("transform")),
            Err(issue) => return Err(EngineError::Invalid(vec![issue])),
        };
        let mut issues = Vec::new();
        if expression.len() > EXPRESSION_BYTES_MAX {
            let message = format!("an expression has at most {EXPRESSION_BYTES_MAX} bytes");
            issues.push(Issue::new("/expression", "too_long", message));
        } else {
            issues = self.mistakes(&transform, expression, "/expression").await?;
        }
        if !issues.is_empty() {
            return Err(EngineError::Invalid(issues));
        }
        let variables = json!({"action": {"id": null, "name": "try"}, "trigger": trigger});
        let request = TransformRequest {
            component: transform.digest,
            expression: expression.into(),
            input,
            variables: variables.to_string().into(),
        };
        self.inner.parts.runtime.transform(request).await.map_err(|error| match error {
            TransformError::Mistake(mistake) => {
                let issue = mistake.issue("/expression", expression);
                EngineError::Invalid(vec![Issue { code: FAILED.to_owned(), ..issue }])
            }
            TransformError::Ended(error) => {
                EngineError::Invalid(vec![Issue::new("/expression", FAILED, error.message)])
            }
            TransformError::Runtime(error) => error.into(),
        })
    }

    /// The transforms that a spec's expressions name, each in the version that is kept, or else in the
    /// newest that fits; what is wrong with the expressions goes to `issues`.
    pub(crate) async fn check_expressions(
        &self,
        spec: &ActionSpec,
        kept: Option<&BTreeMap<String, Pin>>,
        issues: &mut Vec<Issue>,
    ) -> Result<BTreeMap<String, Pin>, EngineError> {
        let mut found: BTreeMap<&str, Arc<Protocol>> = BTreeMap::new();
        for (language_at, text_at, expression) in &spec.expressions() {
            let transform = match found.get(expression.language) {
                Some(transform) => transform.clone(),
                None => match self.transform_of(expression.language, language_at, kept).await? {
                    Ok(transform) => transform,
                    Err(issue) => {
                        issues.push(issue);
                        continue;
                    }
                },
            };
            found.insert(expression.language, transform.clone());
            if expression.text.len() <= EXPRESSION_BYTES_MAX {
                issues.extend(self.mistakes(&transform, expression.text, text_at).await?);
            }
        }
        Ok(found.into_iter().map(|(language, transform)| (language.to_owned(), transform.pin())).collect())
    }

    async fn transform_of(
        &self,
        language: &str,
        at: &str,
        kept: Option<&BTreeMap<String, Pin>>,
    ) -> Result<Result<Arc<Protocol>, Issue>, EngineError> {
        match kept.and_then(|pins| pins.get(language)) {
            Some(pin) => self.protocol(pin).await.map(Ok),
            None => self.resolve_transform(language, at).await,
        }
    }

    /// The newest version of a transform that fits what a document names.
    async fn resolve_transform(&self, language: &str, at: &str) -> Result<Result<Arc<Protocol>, Issue>, EngineError> {
        let Ok(reference) = language.parse::<Reference>() else {
            let message = "a transform is named `name`, `name@1.2.3` or `name@^1.2`";
            return Ok(Err(Issue::new(at, "invalid_reference", message)));
        };
        let mut versions = self.protocol_versions(&reference.name).await?;
        let protocols = versions.len();
        versions.retain(|version| version.kind == Kind::Transform);
        if versions.is_empty() && protocols > 0 {
            let message = format!("`{}` is a protocol and no transform", reference.name);
            return Ok(Err(Issue::new(at, "not_a_transform", message)));
        }
        let chosen = reference.choose(versions.iter().map(|version| &version.descriptor.version)).cloned();
        let transform = versions.iter().find(|version| Some(&version.descriptor.version) == chosen.as_ref());
        Ok(transform.cloned().ok_or_else(|| {
            let message = if versions.is_empty() {
                format!("there is no transform `{}`", reference.name)
            } else {
                let there: Vec<String> = versions.iter().map(|one| one.descriptor.version.to_string()).collect();
                format!("no version of `{}` fits; there are {}", reference.name, there.join(", "))
            };
            Issue::new(at, "transform_not_found", message)
        }))
    }

    async fn mistakes(&self, transform: &Protocol, expression: &str, at: &str) -> Result<Vec<Issue>, EngineError> {
        let checked = self.inner.parts.runtime.check_expression(transform.digest, expression.into(), &VARIABLES).await;
        Ok(checked?.iter().map(|mistake| mistake.issue(at, expression)).collect())
    }

    /// Whether a filter, which is a condition in jq, holds for what came with a trigger: everything but
    /// `false` and `null` is true.
    ///
    /// # Errors
    /// `transform_failed`, or `host_error` where it could not be run.
    pub(crate) async fn matches(
        &self,
        ready: &Ready,
        trigger: &GuestTrigger,
        filter: &str,
        input: &Payload,
    ) -> Result<bool, ExecutionError> {
        let output =
            self.apply(ready, JQ, filter, input.clone(), trigger).await.map_err(|error| named("the filter", error))?;
        Ok(!matches!(output.data.trim_ascii(), b"false" | b"null"))
    }

    /// The ordering key of what came with a trigger, if the action has an order and this has a key.
    pub(crate) async fn ordering_key(
        &self,
        ready: &Ready,
        trigger: &GuestTrigger,
        input: &Payload,
    ) -> Result<Option<Arc<str>>, ExecutionError> {
        let Some(expression) = ready.action.spec.delivery.ordering_key.as_deref() else { return Ok(None) };
        let key = match KeyPath::parse(expression) {
            // A plain path needs no sandbox.
            Ok(path) => serde_json::from_slice(&input.data).ok().and_then(|value| path.key(&value)),
            Err(_) if !input.is_json() => None,
            Err(_) => {
                let output = self.apply(ready, JQ, expression, input.clone(), trigger).await;
                let output = output.map_err(|error| named("the ordering key", error))?;
                serde_json::from_slice(&output.data).ok().and_then(|value| key_of(&value))
            }
        };
        Ok(key.map(Into::into))
    }

    /// What the protocol gets of an input.
    pub(crate) async fn transformed_input(
        &self,
        ready: &Ready,
        trigger: &GuestTrigger,
        input: Payload,
    ) -> Result<Payload, ExecutionError> {
        let Some(Transform { language, expression }) = &ready.action.spec.input_transform else { return Ok(input) };
        let output = self.apply(ready, language, expression, input, trigger).await;
        let output = output.map_err(|error| named("the input transform", error))?;
        if let Some(validator) = ready.schemas.input.as_ref().filter(|_| output.is_json()) {
            let value = serde_json::from_slice(&output.data).unwrap_or_default();
            if let Some(issue) = issues_of(validator, &value).first() {
                let message = format!(
                    "what the input transform gives does not fit the protocol's schema: {}: {}",
                    if issue.pointer.is_empty() { "the whole of it" } else { &issue.pointer },
                    issue.message
                );
                return Err(ExecutionError::new(ErrorCode::TransformFailed, message));
            }
        }
        Ok(output)
    }

    /// Puts what the output transform gives in the place of what the protocol gave. Where it fails, so
    /// does the execution, which keeps what the protocol gave and is not repeated.
    pub(crate) async fn transform_output(
        &self,
        ready: &Ready,
        execution: &Execution,
        trigger: Option<&GuestTrigger>,
        concluded: &mut Concluded,
    ) {
        let Some(Transform { language, expression }) = &ready.action.spec.output_transform else { return };
        let Some(output) = concluded.output.clone() else { return };
        let trigger = match trigger {
            Some(trigger) => trigger.clone(),
            None => self.trigger_of(execution.id).await.map_or(GuestTrigger::Call, |(trigger, _)| trigger),
        };
        match self.apply(ready, language, expression, output, &trigger).await {
            Ok(output) => concluded.output = Some(output),
            Err(error) => {
                let message =
                    format!("{}; the output is what the protocol gave", named("the output transform", error).message);
                concluded.error = Some(ExecutionError::new(ErrorCode::TransformFailed, message));
                concluded.reconciled = None;
            }
        }
    }

    async fn apply(
        &self,
        ready: &Ready,
        language: &str,
        expression: &str,
        input: Payload,
        trigger: &GuestTrigger,
    ) -> Result<Payload, ExecutionError> {
        let Some(component) = ready.transforms.get(language).copied() else {
            let message = format!("the action has no transform `{language}`");
            return Err(ExecutionError::new(ErrorCode::HostError, message));
        };
        let variables = variables(&ready.action, trigger).into();
        let request = TransformRequest { component, expression: expression.into(), input, variables };
        self.inner.parts.runtime.transform(request).await.map_err(|error| {
            let message = match error {
                TransformError::Mistake(mistake) => mistake.told(expression),
                TransformError::Ended(error) | TransformError::Runtime(RuntimeError::Broken(error)) => error.message,
                TransformError::Runtime(error) => {
                    return ExecutionError::new(ErrorCode::HostError, error.to_string());
                }
            };
            ExecutionError::new(ErrorCode::TransformFailed, message)
        })
    }
}

fn named(what: &str, error: ExecutionError) -> ExecutionError {
    ExecutionError { message: format!("{what}: {}", error.message), ..error }
}

fn variables(action: &Action, trigger: &GuestTrigger) -> String {
    json!({"action": {"id": action.id, "name": action.spec.name}, "trigger": trigger}).to_string()
}
