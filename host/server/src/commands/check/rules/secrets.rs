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
};
use std::collections::BTreeSet;

/// Secrets in outputs, failures, logs, progress, items, state, paths and names: of the attempts that are
/// made here, and of those that all other rules made before.
pub(super) async fn secrets(subject: &Subject, cases: &[Case]) -> Finding {
    let mut problems = subject.leaks.take();
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
            let may_see = if reveal == Reveal::Yes { "it may see its secrets" } else { "it may not see its secrets" };
            for (what, manner) in
                [("all is well", Manner::Answers), ("401", Manner::Status(401)), ("it breaks off", Manner::Closes)]
            {
                let situation = format!("secrets, {what}, {may_see}");
                subject.bench.begin(&manner);
                subject.execute(&armed, &situation, PATIENCE).await;
                used.extend(arrived(subject, case, &armed, &mut problems));
                subject.bench.begin(&manner);
                if subject.test(&armed, &situation, PATIENCE).await.is_ok() {
                    used.extend(arrived(subject, case, &armed, &mut problems));
                }
            }
        }
    }
    problems.absorb(subject.leaks.take());
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

/// The secrets that came to a peer. One that came to several may have come to somebody else's.
fn arrived(subject: &Subject, case: &Case, armed: &Armed, problems: &mut Problems) -> Vec<String> {
    let mut names = Vec::new();
    for (name, canary) in &armed.canaries {
        let is_at = |peer: usize| subject.bench.peers[peer].was_sent(|bytes| canary.is_in(bytes));
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
            subject.execute(&armed, "redirects", PATIENCE).await;
            redirected += usize::from(subject.bench.peers.iter().any(|peer| peer.was_sent(is_http)));
            followed += usize::from(subject.bench.elsewhere.connections() > 0);
            for (name, canary) in &armed.canaries {
                if subject.bench.elsewhere.was_sent(|bytes| canary.is_in(bytes)) {
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
