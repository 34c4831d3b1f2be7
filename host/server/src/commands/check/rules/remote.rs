//! What a component does with a remote: one that answers, one that does not, one that nobody would
//! want to meet.

use super::{Case, Finding, Problems, Rule, Subject, broke, count, denied, not_checked, of};
use crate::commands::check::{
    cases::{Armed, Reveal},
    peer::{Manner, is_http},
    subject::Ran,
};
use action_domain::{
    event::Fact,
    failure::{Effect, ErrorCode, ExecutionError},
    payload::Payload,
    services::{ConnectionTest, Entry, Outcome, StageKind, Verdict},
};
use action_engine::Form;
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

/// For what is answered at once, however busy the machine is.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Cases that are tried in many ways.
pub(super) const THOROUGH_CASES_MAX: usize = 3;

/// `test-connection` against a peer that answers.
pub(super) async fn connection_test(subject: &Subject, cases: &[Case]) -> Finding {
    let (mut problems, mut last) = (Problems::default(), String::new());
    let (mut tried, mut named, mut contacted) = (0, 0, 0);
    for case in cases {
        let armed = match subject.arm(case, Reveal::Yes).await {
            Ok(armed) => armed,
            Err(why) => {
                last = why;
                continue;
            }
        };
        tried += 1;
        named += usize::from(!armed.hosts.is_empty());
        subject.bench.begin(&Manner::Answers);
        match subject.test(&armed, "connection-test", PATIENCE).await {
            Ok(test) => {
                look_at_test(subject, case, &armed, &test, &mut problems);
                contacted += usize::from(subject.bench.peers.iter().any(|peer| peer.connections() > 0));
            }
            Err(error) => problems.fail(of(case, error)),
        }
    }
    if tried == 0 {
        return not_checked(Rule::ConnectionTest, last);
    }
    let done = format!("{} tested, {contacted} contacted a host", count(tried, "config"));
    if contacted == 0 && subject.has_a_way_out() && problems.is_empty() {
        let why = if named == 0 { "none of them names one" } else { "it failed before that" };
        return not_checked(Rule::ConnectionTest, format!("{done}: {why}"));
    }
    let well = if contacted > 0 { "with methods that change nothing" } else { "it imports no way out" };
    problems.finding(Rule::ConnectionTest, &done, well)
}

fn look_at_test(subject: &Subject, case: &Case, armed: &Armed, test: &ConnectionTest, problems: &mut Problems) {
    if let Some(error) = test.error.as_ref().filter(|error| broke(error)) {
        problems.fail(of(case, &error.message));
    }
    // Whose config names no host has nobody to contact; the imports say nothing, since some languages
    // import all that there is.
    if test.verdict == Verdict::Hollow && !armed.hosts.is_empty() {
        problems.fail(of(case, "it says that all is well, and has contacted nobody"));
    }
    let peers: Vec<String> = subject.bench.peers.iter().map(|peer| peer.address.to_string()).collect();
    for stage in test.stages.iter().filter(|stage| stage.stage == StageKind::Grant && !stage.ok) {
        let text = of(case, format!("{}: {}", stage.target, stage.message));
        // Of a host that is granted only the method can be refused.
        if peers.contains(&stage.target) { problems.fail(text) } else { problems.warn(text) }
    }
}

/// Executions against a peer that answers: what they give, and where they want to go.
pub(super) async fn execute(subject: &Subject, cases: &[Case]) -> [Finding; 2] {
    let (mut of_egress, mut problems) = (Problems::default(), Problems::default());
    let (mut tried, mut succeeded, mut reached, mut last) = (0, 0, 0, String::new());
    for case in cases {
        let armed = match subject.arm(case, Reveal::Yes).await {
            Ok(armed) => armed,
            Err(why) => {
                last = of(case, why);
                continue;
            }
        };
        tried += 1;
        subject.bench.begin(&Manner::Answers);
        let Ran { report, entries, .. } = subject.execute(&armed, "execute", PATIENCE).await;
        reached += usize::from(subject.bench.peers.iter().any(|peer| peer.connections() > 0));
        for target in denied(&entries) {
            of_egress.warn(of(case, format!("tried to reach {target}, which its config does not name")));
        }
        if report.effect == Some(Effect::Read) {
            for method in changing(&entries) {
                let told = format!("accepted as `read`, and sends {method}: what changes something would be repeated");
                problems.warn(of(case, told));
            }
        }
        match report.result {
            Ok(outcome) => {
                succeeded += 1;
                look_at_output(subject, case, &outcome, &mut problems);
            }
            Err(error) => {
                look_at_error(case, &error, &mut problems);
                last = of(case, &error.message);
            }
        }
    }
    if tried == 0 {
        return [not_checked(Rule::Egress, last.as_str()), not_checked(Rule::Execute, last.as_str())];
    }
    let done = format!("{} executed, {reached} reached a host", count(tried, "config"));
    let egress = match (subject.has_a_way_out(), reached) {
        (false, _) => of_egress.finding(Rule::Egress, "", "imports no way out"),
        (true, 0) if of_egress.is_empty() => not_checked(Rule::Egress, "no execution came as far as to reach anybody"),
        (true, _) => of_egress.finding(Rule::Egress, &done, "no other than its config names"),
    };
    let failed = tried - succeeded;
    let more = if failed == 0 { String::new() } else { format!("; {failed} failed properly, at last with {last}") };
    let done = format!("{} executed, {succeeded} succeeded{more}", count(tried, "config"));
    let execute = if succeeded == 0 && problems.is_empty() {
        not_checked(
            Rule::Execute,
            format!("no execution succeeded, so that no output was seen: {last}; --input may help"),
        )
    } else {
        problems.finding(Rule::Execute, &done, "")
    };
    [egress, execute]
}

/// The methods of requests that may change something.
fn changing(entries: &[Entry]) -> BTreeSet<&str> {
    let methods = entries.iter().filter_map(|entry| match &entry.fact {
        // What is no HTTP has no path.
        Fact::RequestMade { method, path: Some(_), .. } => Some(method.as_str()),
        _ => None,
    });
    methods.filter(|method| !["GET", "HEAD", "OPTIONS"].contains(method)).collect()
}

fn look_at_output(subject: &Subject, case: &Case, outcome: &Outcome, problems: &mut Problems) {
    if !outcome.output.is_json() {
        return;
    }
    match serde_json::from_slice::<Value>(&outcome.output.data) {
        Err(error) => problems.fail(of(case, format!("the output is said to be JSON and is not: {error}"))),
        Ok(output) => {
            let issues = subject.output_form.as_ref().map(|form| form.issues(&output)).unwrap_or_default();
            for issue in issues {
                problems.fail(of(
                    case,
                    format!("the output is not as its schema says: {}: {}", issue.pointer, issue.message),
                ));
            }
        }
    }
}

fn look_at_error(case: &Case, error: &ExecutionError, problems: &mut Problems) {
    match error.code {
        ErrorCode::InvalidConfig => {
            problems.fail(of(case, format!("accepted, and refused when it runs: {}", error.message)));
        }
        ErrorCode::DeadlineExceeded => problems.warn(of(case, "did not end although the peer answered")),
        _ if broke(error) => problems.fail(of(case, &error.message)),
        _ => {}
    }
}

/// Inputs that nobody meant.
pub(super) async fn odd_inputs(subject: &Subject, cases: &[Case]) -> Finding {
    let (mut problems, mut tried) = (Problems::default(), 0);
    let form = subject.descriptor.input_schema.as_ref().and_then(|schema| Form::new(schema).ok());
    let mut last = String::new();
    for case in cases.iter().take(THOROUGH_CASES_MAX) {
        let armed = match subject.arm(case, Reveal::Yes).await {
            Ok(armed) => armed,
            Err(why) => {
                last = of(case, why);
                continue;
            }
        };
        for (what, input) in inputs() {
            tried += 1;
            subject.bench.begin(&Manner::Answers);
            // The service lets nothing through to a protocol that its input schema refuses.
            let json = serde_json::from_slice::<Value>(&input.data).ok().filter(|_| input.is_json());
            let is_refused = form.as_ref().is_some_and(|form| json.is_none_or(|json| !form.issues(&json).is_empty()));
            let Ran { report, .. } =
                subject.execute_with(&armed, &format!("odd-inputs, {what}"), input, PATIENCE).await;
            if let Err(error) = report.result
                && broke(&error)
            {
                let text = of(case, format!("{what}: {}", error.message));
                if is_refused { problems.warn(text) } else { problems.fail(text) }
            }
        }
    }
    if tried == 0 {
        return not_checked(Rule::OddInputs, last);
    }
    problems.finding(
        Rule::OddInputs,
        &format!("{} tried", count(tried, "odd input")),
        "each gets an output or a failure",
    )
}

fn inputs() -> Vec<(&'static str, Payload)> {
    const NESTED: usize = 100;
    // What an interpreted language gets through with the fuel that an action has by default.
    const LONG_TEXT_BYTES: usize = 100_000;
    let of = |kind: &str, data: Vec<u8>| Payload { content_type: kind.into(), data: data.into() };
    let json = |value: Value| of("application/json", value.to_string().into_bytes());
    let nested = format!("{}1{}", "[".repeat(NESTED), "]".repeat(NESTED));
    vec![
        ("nothing", of("application/octet-stream", Vec::new())),
        ("bytes that are no text", of("application/octet-stream", vec![0xff, 0xfe, 0, 0x80, 0xc3])),
        ("plain text", of("text/plain; charset=utf-8", b"hello".to_vec())),
        ("a long text", of("text/plain", vec![b'x'; LONG_TEXT_BYTES])),
        ("null", json(Value::Null)),
        ("a number", json(json!(1e308))),
        ("an empty list", json(json!([]))),
        ("an empty object", json(json!({}))),
        ("odd members", json(json!({"": {"\u{0}": "\u{202e}"}, "name": ["x", {"y": null}], "text": -0.0}))),
        ("deep lists", of("application/json", nested.into_bytes())),
    ]
}

/// What a remote may do beside answering.
fn troubles() -> Vec<(&'static str, Manner)> {
    // What parsers that call themselves for each level do not come back from.
    const NESTED: usize = 100_000;
    const JSON: &str = "application/json";
    let nested = format!("{}{}", "[".repeat(NESTED), "]".repeat(NESTED));
    let surrogate =
        r#"{"\ud800": "\udfff", "id": "\ud800", "error": "\ud800", "message": "\ud800", "items": ["\ud800"]}"#;
    vec![
        ("it answers 401", Manner::Status(401)),
        ("it answers 429", Manner::Status(429)),
        ("it answers 500", Manner::Status(500)),
        ("it answers nonsense", Manner::Garbage),
        ("it breaks off", Manner::Closes),
        ("it answers 200 with broken JSON", Manner::Says(JSON, r#"{"items": [{"id": 1,"#.into())),
        ("it answers 200 with deep JSON", Manner::Says(JSON, nested.into())),
        ("it answers 200 with JSON of half characters", Manner::Says(JSON, surrogate.into())),
        ("it answers 200 with a page", Manner::Says("text/html", "<!doctype html><title>Log in</title>".into())),
        ("it answers 200 with nothing", Manner::Says(JSON, "".into())),
    ]
}

/// Remotes that refuse, break off and talk nonsense.
pub(super) async fn trouble(subject: &Subject, cases: &[Case]) -> Finding {
    let (mut problems, mut met, mut last) = (Problems::default(), 0, String::from("no config names a host"));
    for case in cases.iter().take(THOROUGH_CASES_MAX) {
        match subject.arm_at_nobody(case).await {
            Ok(armed) if armed.hosts.is_empty() => {}
            Ok(armed) => {
                met += usize::from(try_trouble(subject, case, &armed, "nobody listens", &mut problems).await);
            }
            Err(why) => {
                last = of(case, why);
                continue;
            }
        }
        let Ok(armed) = subject.arm(case, Reveal::Yes).await else { continue };
        let mut speaks_http = true;
        for (what, manner) in troubles() {
            if armed.hosts.is_empty() {
                break;
            }
            if matches!(manner, Manner::Says(..)) && !speaks_http {
                continue;
            }
            subject.bench.begin(&manner);
            met += usize::from(try_trouble(subject, case, &armed, what, &mut problems).await);
            speaks_http = subject.bench.peers.iter().any(|peer| peer.was_sent(is_http));
        }
    }
    if !subject.has_a_way_out() {
        return problems.finding(Rule::RemoteTrouble, "", "imports no way out");
    }
    if met == 0 {
        return not_checked(Rule::RemoteTrouble, format!("no execution asked a remote: {last}"));
    }
    problems.finding(
        Rule::RemoteTrouble,
        &format!("met {}", count(met, "time")),
        "no trap, and no success that was none",
    )
}

/// Whether it tried to reach the remote.
async fn try_trouble(subject: &Subject, case: &Case, armed: &Armed, what: &str, problems: &mut Problems) -> bool {
    let Ran { report, entries, .. } = subject.execute(armed, &format!("remote-trouble, {what}"), PATIENCE).await;
    // A server over UDP may be gone and nobody knows: only what the host saw counts.
    let saw_trouble = entries.iter().any(|entry| match &entry.fact {
        Fact::RequestMade { error, status, .. } => error.is_some() || status.is_some_and(|status| status >= 400),
        _ => false,
    });
    match &report.result {
        Err(error) if broke(error) => problems.fail(of(case, format!("{what}: {}", error.message))),
        Err(error) if error.code == ErrorCode::DeadlineExceeded => {
            problems.warn(of(case, format!("{what}: it waited until its time was over")));
        }
        Err(error) if error.failure.as_ref().is_some_and(|failure| failure.message.trim().is_empty()) => {
            problems.warn(of(case, format!("{what}: the failure says nothing")));
        }
        Ok(_) if saw_trouble => problems.warn(of(case, format!("{what}: it says that it worked"))),
        _ => {}
    }
    entries.iter().any(|entry| matches!(&entry.fact, Fact::RequestMade { .. }))
}
