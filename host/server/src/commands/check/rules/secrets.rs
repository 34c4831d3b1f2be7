//! Whether a secret stays where it belongs: in requests to the hosts that the config names.
//!
//! The protocol runs as if the action lets it see its secrets, and as if it does not. Nothing is taken
//! out of what it leaves, as the service does it, so that all of it can be looked through.

use super::{
    Case, Finding, Problems, Rule, Subject, count, not_checked, of,
    remote::{PATIENCE, THOROUGH_CASES_MAX},
};
use crate::commands::check::{
    cases::{Armed, Reveal},
    peer::{Manner, is_http},
    subject::Ran,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Where a secret is only odd.
const PATH: &str = "a request's path";

/// Secrets in outputs, failures, logs, progress, paths and names.
pub(super) async fn secrets(subject: &Subject, cases: &[Case]) -> Finding {
    let mut problems = Problems::default();
    let (mut all, mut used, mut last) = (BTreeSet::new(), BTreeSet::new(), String::new());
    for case in with_secrets(cases) {
        for reveal in [Reveal::No, Reveal::Yes] {
            let armed = match subject.arm(case, reveal).await {
                Ok(armed) => armed,
                Err(why) => {
                    last = of(case, why);
                    continue;
                }
            };
            all.extend(armed.canaries.iter().map(|(name, _)| name.to_string()));
            for manner in [Manner::Answers, Manner::Status(401), Manner::Closes] {
                subject.bench.begin(&manner);
                let ran = subject.execute(&armed, PATIENCE).await;
                look_through(case, &armed, &left_by(&ran), &mut problems);
                look_at_bytes(case, &armed, &ran, &mut problems);
                used.extend(arrived(subject, case, &armed, &mut problems));
                subject.bench.begin(&manner);
                if let Ok(test) = subject.test(&armed, PATIENCE).await {
                    let test = serde_json::to_value(&test).unwrap_or_default();
                    look_through(case, &armed, &[("the connection test", test)], &mut problems);
                    used.extend(arrived(subject, case, &armed, &mut problems));
                }
            }
        }
    }
    if all.is_empty() {
        return if !last.is_empty() {
            not_checked(Rule::Secrets, last)
        } else if subject.descriptor.config_schema.to_string().contains(r#""writeOnly":true"#) {
            not_checked(Rule::Secrets, "no example has a secret, and the schema has room for one; --config gives one")
        } else {
            problems.finding(Rule::Secrets, "", "the schema has no room for a secret")
        };
    }
    let unused: Vec<_> = all.difference(&used).cloned().collect();
    if unused.is_empty() || !problems.is_empty() {
        return problems.finding(
            Rule::Secrets,
            &format!("followed {}", names(&all)),
            "sent to the config's hosts and found nowhere else",
        );
    }
    // What never came up could not leak either: that is no proof.
    let message = format!(
        "found nowhere, but {} never reached the checker's peer as it is: what becomes of it was not seen",
        names(&unused)
    );
    not_checked(Rule::Secrets, message)
}

fn names<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn with_secrets(cases: &[Case]) -> impl Iterator<Item = &Case> {
    let has = |case: &&Case| !action_domain::secret::reference::names(&case.config).is_empty();
    cases.iter().filter(has).take(THOROUGH_CASES_MAX)
}

/// Everything that an attempt leaves in the record, by where it stands.
fn left_by(ran: &Ran) -> Vec<(&'static str, Value)> {
    let mut left: Vec<(&'static str, Value)> = Vec::new();
    match &ran.report.result {
        Ok(outcome) => left.push((
            "the output",
            serde_json::from_slice(&outcome.output.data)
                .unwrap_or_else(|_| json!(String::from_utf8_lossy(&outcome.output.data))),
        )),
        Err(error) => left.push(("the failure", json!(error))),
    }
    for entry in &ran.entries {
        let fact = serde_json::to_value(&entry.fact).unwrap_or_default();
        let place = match entry.fact.event_type().as_str() {
            "message_logged" => "the log",
            "progress_reported" => "the progress",
            "request_made" => PATH,
            _ => "a host that it wanted to reach",
        };
        left.push((place, fact));
    }
    left
}

/// What it says, with the secrets taken out.
fn excerpt(armed: &Armed, document: &Value) -> String {
    const CHARS_MAX: usize = 200;
    let mut document = document.clone();
    armed.canaries.iter().for_each(|(_, canary)| {
        canary.redactor().json(&mut document);
    });
    document.to_string().chars().take(CHARS_MAX).collect()
}

fn look_through(case: &Case, armed: &Armed, left: &[(&'static str, Value)], problems: &mut Problems) {
    for (place, document) in left {
        for name in armed.values_in_json(document) {
            let told = format!("the secret `{name}` stands in {place}");
            if *place == PATH {
                // Some remotes want it there.
                problems.warn(of(case, format!("{told}, which the remote may write into its logs")));
            } else {
                problems.fail(of(case, format!("{told}: {}", excerpt(armed, document))));
            }
        }
        // In a path it is what the service puts the value in for.
        if *place != PATH {
            for name in armed.handles_in(&document.to_string()) {
                problems.warn(of(case, format!("the handle of `{name}` stands in {place}: no secret, but noise")));
            }
        }
    }
}

/// An output that is neither JSON nor text.
fn look_at_bytes(case: &Case, armed: &Armed, ran: &Ran, problems: &mut Problems) {
    if let Ok(outcome) = &ran.report.result {
        for name in armed.values_in(&outcome.output.data) {
            problems.fail(of(case, format!("the secret `{name}` stands in the output")));
        }
    }
}

/// The secrets that came to a peer. One that came to several may have come to somebody else's.
fn arrived(subject: &Subject, case: &Case, armed: &Armed, problems: &mut Problems) -> Vec<String> {
    let mut names = Vec::new();
    for (name, canary) in &armed.canaries {
        let is_at = |peer: usize| {
            subject.bench.peers[peer]
                .was_sent(|bytes| matches!(canary.redactor().bytes(bytes), std::borrow::Cow::Owned(_)))
        };
        let mut places: Vec<&str> = Vec::new();
        let mut met = BTreeSet::new();
        for (pointer, peer) in &armed.hosts {
            if met.insert(*peer) && is_at(*peer) {
                places.push(pointer);
            }
        }
        if !places.is_empty() {
            names.push(name.to_string());
        }
        if places.len() > 1 {
            problems.warn(of(case, format!("the secret `{name}` is sent to several hosts: {}", places.join(", "))));
        }
    }
    names
}

/// Whether a secret goes along to where a redirect leads.
pub(super) async fn redirects(subject: &Subject, cases: &[Case]) -> Finding {
    let (mut problems, mut redirected, mut followed) = (Problems::default(), 0, 0);
    for case in with_secrets(cases) {
        for reveal in [Reveal::No, Reveal::Yes] {
            let Ok(armed) = subject.arm(case, reveal).await else { continue };
            let armed = subject.with_elsewhere(armed);
            let scheme = if armed.is_tls { "https" } else { "http" };
            let to = format!("{scheme}://{}/elsewhere", subject.bench.elsewhere.address);
            subject.bench.begin(&Manner::Redirects(to));
            subject.execute(&armed, PATIENCE).await;
            redirected += usize::from(subject.bench.peers.iter().any(|peer| peer.was_sent(is_http)));
            followed += usize::from(subject.bench.elsewhere.connections() > 0);
            for (name, canary) in &armed.canaries {
                let came = |bytes: &[u8]| matches!(canary.redactor().bytes(bytes), std::borrow::Cow::Owned(_));
                if subject.bench.elsewhere.was_sent(came) {
                    problems.fail(of(case, format!("a redirect to another host takes the secret `{name}` along")));
                }
            }
        }
    }
    if redirected == 0 {
        return not_checked(Rule::Redirects, "no execution with a secret asked a remote over HTTP");
    }
    let done = format!("{} sent to another host", count(redirected, "execution"));
    problems.finding(Rule::Redirects, &done, &format!("{followed} went there, without the secret"))
}
