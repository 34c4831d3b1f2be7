//! The rules, in the order of the report: each looks at what the ones before it let it see.

mod configs;
mod remote;
mod says;
mod secrets;
mod time;

use super::{
    cases::{Case, cases},
    leaks::Leaks,
    report::{Finding, Measured, Problems, Rule, not_checked},
    subject::{Bench, Subject},
};
use action_domain::{
    event::Fact,
    failure::{ErrorCode, ExecutionError, Issue},
    payload::Payload,
    services::{Entry, RuntimeError},
};
use action_engine::{Form, check_descriptor};
use anyhow::bail;
use serde_json::Value;

/// All that was found.
pub(super) struct Checked {
    pub(super) protocol: Option<String>,
    pub(super) findings: Vec<Finding>,
    pub(super) measured: Option<Measured>,
}

/// Checks a component.
///
/// # Errors
/// Where the checker itself does not work.
pub(super) async fn check(bench: Bench, given: &[(String, Value)], input: Option<Payload>) -> anyhow::Result<Checked> {
    let (admitted, took) = bench.admit().await;
    let mut findings = Vec::new();
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(RuntimeError::Refused(issues)) => {
            findings.extend(refused(&issues));
            return Ok(ended(None, findings, "the component cannot be used"));
        }
        Err(error) => bail!("the component could not be tried: {error}"),
    };
    let Some(described) = &admitted.descriptor else {
        bail!(
            "the component is a transform, which the service would take: the rules that are checked are for protocols"
        );
    };
    let kib = bench.component_bytes() >> 10;
    let imports = admitted.imports.len();
    let message =
        format!("{kib} KiB, exports the contract's world, imports {} that are offered", count(imports, "interface"));
    findings.push(Problems::default().finding(Rule::Component, "", &message));
    findings.push(Problems::default().finding(Rule::Describe, "", "ends, and gives a descriptor"));
    let (deterministic, met) = says::deterministic(&bench, described).await;
    findings.push(deterministic);
    let descriptor = match check_descriptor(described) {
        Ok(descriptor) => descriptor,
        Err(issues) => {
            findings.push(says::pure("watched describe", &met));
            findings.push(says::descriptor(Err(&issues)));
            return Ok(ended(None, findings, "its descriptor cannot be used"));
        }
    };
    let schema_form = |schema: &Value| Form::new(schema).map_err(|issue| anyhow::anyhow!("{}", issue.message));
    let form = schema_form(&descriptor.config_schema)?;
    let output_form = descriptor.output_schema.as_ref().map(schema_form).transpose()?;
    let examples: Vec<_> =
        descriptor.examples.iter().map(|example| (example.name.clone(), example.config.clone())).collect();
    let pin = format!("{}@{}", descriptor.name, descriptor.version);
    let (imports, reconciles) = (admitted.imports, admitted.reconciles);
    let subject = Subject { bench, descriptor, imports, reconciles, form, output_form, input, leaks: Leaks::default() };

    let made = || subject.made();
    let cases = cases(&examples, given, made);
    let mut tried = met;
    for case in &cases {
        tried.extend(subject.validate(&subject.disguised(&case.config)).await.1);
    }
    findings.push(says::pure("watched describe and validate-config", &tried));
    findings.push(says::descriptor(Ok(&subject.descriptor)));
    findings.push(says::schema(&subject));
    findings.push(configs::examples(&subject, &cases).await);
    findings.extend(configs::mutants(&subject, &cases).await);
    findings.push(remote::connection_test(&subject, &cases).await);
    findings.extend(remote::execute(&subject, &cases).await);
    findings.push(remote::odd_inputs(&subject, &cases).await);
    findings.push(remote::trouble(&subject, &cases).await);
    findings.push(secrets::redirects(&subject, &cases).await);
    findings.push(time::deadline(&subject, &cases).await);
    findings.push(time::cancellation(&subject, &cases).await);
    findings.push(time::reconcile(&subject, &cases).await);
    let (cost, measured) = time::cost(&subject, &cases, took).await;
    findings.push(cost);
    // Last, since it tells what all of the others left; the report keeps its order.
    findings.push(secrets::secrets(&subject, &cases).await);
    findings.sort_by_key(|finding| Rule::ALL.iter().position(|rule| *rule == finding.rule));
    Ok(Checked { protocol: Some(pin), findings, measured: Some(measured) })
}

/// What admission found, by the rule that it is about.
fn refused(issues: &[Issue]) -> Vec<Finding> {
    let (of_describe, of_component): (Vec<_>, Vec<_>) =
        issues.iter().partition(|issue| issue.code.starts_with("describe_"));
    let told = |issues: &[&Issue], rule, message: &str| {
        let mut problems = Problems::default();
        for issue in issues {
            problems.fail(format!("{}: {}", issue.code, issue.message));
        }
        problems.finding(rule, message, "")
    };
    let mut findings = vec![if of_component.is_empty() {
        Problems::default().finding(Rule::Component, "", "exports the contract's world, imports what is offered")
    } else {
        told(&of_component, Rule::Component, "the service would refuse it")
    }];
    if !of_describe.is_empty() {
        findings.push(told(&of_describe, Rule::Describe, "describe does not say what the component is"));
    }
    findings
}

/// Ends early: what was not looked at is said.
fn ended(protocol: Option<String>, mut findings: Vec<Finding>, why: &str) -> Checked {
    for rule in Rule::ALL {
        if !findings.iter().any(|finding| finding.rule == rule) {
            findings.push(not_checked(rule, why));
        }
    }
    Checked { protocol, findings, measured: None }
}

/// Whether an attempt ended as a protocol must not end: it said nothing by itself.
fn broke(error: &ExecutionError) -> bool {
    matches!(
        error.code,
        ErrorCode::Trapped
            | ErrorCode::FuelExhausted
            | ErrorCode::MemoryExceeded
            | ErrorCode::OutputTooLarge
            | ErrorCode::HostError
    )
}

/// What an attempt wanted to reach in vain, as `host:port`.
fn denied(entries: &[Entry]) -> Vec<String> {
    let denied = entries.iter().filter_map(|entry| match &entry.fact {
        Fact::EgressDenied { host, port, .. } => Some(format!("{host}:{port}")),
        _ => None,
    });
    denied.collect()
}

/// Of one case, in front of what is said about it.
fn of(case: &Case, text: impl std::fmt::Display) -> String {
    format!("{}: {text}", case.name)
}

/// `1 case`, `3 cases`.
fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
