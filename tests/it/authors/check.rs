//! The checker: every rule is broken by a component that was made for it, and what comes with the
//! service keeps all of them.

use super::{Ran, action_service};
use crate::kit::components::{core_module, fixture, fixture_path, protocol_path};
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use std::{collections::BTreeSet, path::Path};

/// A component that breaks a rule: with these configs, in this standing, for this reason.
struct Breach {
    fixture: &'static str,
    config: Option<&'static str>,
    rule: &'static str,
    standing: &'static str,
    problem: &'static str,
}

const fn breach(
    fixture: &'static str,
    config: Option<&'static str>,
    rule: &'static str,
    standing: &'static str,
    problem: &'static str,
) -> Breach {
    Breach { fixture, config, rule, standing, problem }
}

/// No component can break `cancellation`: the host drops what it stops. It is seen to hold below.
const UNBREAKABLE: &str = "cancellation";

const TELL: &str = r#"{"mode": "tell", "secret": {"$secret": "api"}, "url": "http://a.test/"}"#;
const TRAPS: &str = r#"{"url": "http://a.test/", "reconcile": "trap"}"#;
const ELSEWHERE: &str = r#"{"url": "http://a.test/", "target": "http://b.test/"}"#;

const BREACHES: [Breach; 33] = [
    breach("forbidden-import", None, "component", "failed", "evil:host/backdoor@1.0.0"),
    breach("wrong-world", None, "component", "failed", "does not export `julee:action/protocol-api@0.1.0`"),
    breach("trap-in-describe", None, "describe", "failed", "describe_trapped"),
    breach("loop-in-describe", None, "describe", "failed", "describe_fuel_exhausted"),
    breach("fickle-describe", None, "deterministic", "failed", "documentation is another one when it is asked again"),
    breach(
        "indiscreet",
        None,
        "deterministic",
        "failed",
        "summary is another one when it is asked again, at another time",
    ),
    breach("network-in-describe", None, "pure", "failed", "tried to reach 127.0.0.1:9"),
    breach("lying-descriptor", None, "descriptor", "failed", "/version: not a semantic version"),
    breach("invalid-schema", None, "descriptor", "failed", "/config_schema"),
    breach("careless", None, "schema", "failed", "/properties/retries: its default is not valid"),
    breach("careless", None, "schema", "failed", "/properties/password looks like a secret"),
    breach("contrary", None, "examples", "failed", "Friendly: refused: /tone: no tone is right"),
    breach("brittle", None, "broken-configs", "failed", "/name left out: validate-config trapped"),
    breach("brittle", None, "odd-configs", "failed", "/name: an empty text: validate-config trapped"),
    breach("hollow", None, "connection-test", "failed", "has contacted nobody"),
    breach("unsafe-test", None, "connection-test", "failed", "POST can change something"),
    breach("wasi-http", Some(ELSEWHERE), "egress", "warning", "tried to reach b.test:80"),
    breach("careless", None, "execute", "failed", "/id: this member is missing"),
    breach("indiscreet", None, "execute", "warning", "accepted as `read`, and sends POST"),
    breach("careless", None, "odd-inputs", "failed", "bytes that are no text: execute trapped"),
    breach("careless", None, "remote-trouble", "warning", "nobody listens: it says that it worked"),
    breach("secretive", Some(TELL), "secrets", "failed", "the secret `api` stands in the log"),
    breach("indiscreet", None, "secrets", "failed", "execute: the secret `api` stands in a captured item"),
    breach("indiscreet", None, "secrets", "failed", "execute: the secret `api` stands in the action's state"),
    breach("indiscreet", None, "secrets", "failed", "execute: the secret `api` stands in the output"),
    breach("indiscreet", None, "secrets", "failed", "odd-inputs, plain text: the secret `api` stands in the log"),
    breach("indiscreet", None, "secrets", "failed", "remote-trouble, nobody listens: the secret `api` stands in the f"),
    breach("indiscreet", None, "secrets", "failed", "remote-trouble, it answers 429: the secret `api` stands in the f"),
    breach("indiscreet", None, "secrets", "failed", "redirects: the secret `api` stands in the failure"),
    breach("indiscreet", None, "secrets", "failed", "deadline, nobody answers: the secret `api` stands in the failure"),
    breach("indiscreet", None, "secrets", "failed", "reconcile, it answers: the secret `api` stands in the output"),
    breach("careless", None, "redirects", "failed", "takes the secret `api-token` along"),
    breach("reconciling", Some(TRAPS), "reconcile", "failed", "reconcile trapped"),
];

/// Those that are about what nobody answers and what it costs: doubtful, not broken.
const DOUBTS: [Breach; 2] = [
    breach("careless", None, "deadline", "warning", "nobody answered, and it says that it worked"),
    breach("careless", None, "cost", "warning", "MiB of memory"),
];

async fn check(component: &Path, more: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let words = [&["--json", "check", component.to_str().unwrap()], more].concat();
    action_service(folder.path(), &words).await
}

fn rule<'r>(report: &'r Value, name: &str) -> &'r Value {
    let rules = report["rules"].as_array().unwrap();
    rules.iter().find(|rule| rule["rule"] == name).unwrap_or_else(|| panic!("no {name}: {report}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_is_broken_by_a_component_and_says_why() {
    let all = BREACHES.iter().chain(&DOUBTS);
    let tried: BTreeSet<_> = all.clone().map(|breach| (breach.fixture, breach.config)).collect();
    let reports = stream::iter(tried).map(async |(name, config)| {
        let more: Vec<&str> = config.into_iter().flat_map(|config| ["--config", config]).collect();
        (name, config, check(&fixture_path(name), &more).await)
    });
    let reports: Vec<_> = reports.buffer_unordered(2).collect().await;
    for Breach { fixture, config, rule: name, standing, problem } in all.clone() {
        let (_, _, ran) = reports.iter().find(|(of, with, _)| of == fixture && with == config).unwrap();
        let report = ran.json();
        let found = rule(&report, name);
        assert_eq!(found["standing"], *standing, "{fixture}: {found}");
        let problems = found["problems"].as_array().unwrap();
        assert!(problems.iter().any(|it| it.as_str().unwrap().contains(problem)), "{fixture}: {found}");
        assert!(found["advice"].is_string(), "it says what to do: {found}");
        let failed = report["rules"].as_array().unwrap().iter().any(|rule| rule["standing"] == "failed");
        assert_eq!((ran.code == 0, &report["passed"]), (!failed, &Value::Bool(!failed)), "{fixture}");
    }
    // A rule that nothing breaks may be one that cannot be broken.
    let told: Vec<Value> = reports.iter().map(|(_, _, ran)| ran.json()).collect();
    let rules: BTreeSet<&str> =
        told.iter().flat_map(|it| it["rules"].as_array().unwrap()).map(|it| it["rule"].as_str().unwrap()).collect();
    let broken: BTreeSet<&str> = all.map(|breach| breach.rule).chain([UNBREAKABLE]).collect();
    assert_eq!(rules, broken);
    // And authors can read what each is about.
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/authors/README.md");
    let page = std::fs::read_to_string(page).unwrap();
    let section = page.split("\n## What is checked").nth(1).unwrap().split("\n## ").next().unwrap();
    let told = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    assert_eq!(told.map(|(name, _)| name).collect::<BTreeSet<_>>(), rules);
}

/// What cannot be tried of the protocols that come with the service, since the checker's peer speaks HTTP and
/// says nothing that they look for. Everything else of them is: a rule that was tried and is no more is a
/// mistake of the checker or of the protocol.
const UNTRIED: [(&str, &[&str]); 12] = [
    ("feed", &["execute"]),
    ("github", &["execute"]),
    ("http", &[]),
    ("imap", &["execute", "redirects", "secrets"]),
    ("mqtt", &["execute", "redirects"]),
    ("postgres", &["execute", "redirects", "secrets"]),
    ("redis", &["execute", "redirects"]),
    ("s3", &["secrets"]),
    ("slack", &["execute"]),
    ("smtp", &["execute", "redirects", "secrets"]),
    ("syslog", &["redirects", "secrets"]),
    ("webhook-out", &["secrets"]),
];
/// What an interpreter is needed for, whose tools cannot be had everywhere.
const SCRIPTED: [&str; 3] = ["feed", "github", "slack"];

#[tokio::test(flavor = "multi_thread")]
async fn every_protocol_that_comes_with_the_service_passes() {
    let folder = protocol_path("http").parent().unwrap().to_owned();
    let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let components: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "wasm")).collect();
    for (name, _) in UNTRIED {
        let is_here = folder.ancestors().nth(3).unwrap().join(name).is_dir();
        let may_be_missing = SCRIPTED.contains(&name) && std::env::var_os("CI").is_none();
        let is_built = components.iter().any(|path| path.ends_with(format!("{}.wasm", name.replace('-', "_"))));
        assert!(!is_here || is_built || may_be_missing, "{name}: `make protocols` builds it");
    }
    let mut broken = Vec::new();
    // All at once: most of the time is waiting for what peers that say nothing make them wait.
    let ran = futures_util::future::join_all(components.iter().map(|component| check(component, &[]))).await;
    for (component, ran) in components.iter().zip(ran) {
        if component.file_name().is_some_and(|name| name.to_string_lossy().starts_with("transform_")) {
            assert!(ran.code != 0 && ran.err.contains("is a transform"), "{}", ran.err);
            continue;
        }
        let report = ran.json();
        let name = report["protocol"].as_str().unwrap().split('@').next().unwrap().to_owned();
        let untried = UNTRIED.iter().find(|(of, _)| *of == name).map(|(_, rules)| rules.to_vec());
        let mut not_checked = Vec::new();
        for finding in report["rules"].as_array().unwrap() {
            match finding["standing"].as_str().unwrap() {
                "failed" => broken.push(format!("{name}: {finding}")),
                "not_checked" => not_checked.push(finding["rule"].as_str().unwrap()),
                "ok" => {}
                // For whoever reads the test's output: what may be meant like that.
                _ => println!("{name}: {finding}"),
            }
        }
        not_checked.sort_unstable();
        if untried.as_ref() != Some(&not_checked) {
            broken.push(format!(
                "{name}: not checked are {not_checked:?}, which is not what stands in UNTRIED: {report}"
            ));
        }
        assert_eq!(ran.code == 0, report["passed"] == true, "{}", ran.err);
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protocol_over_http_is_tried_in_every_way() {
    let ran = check(&protocol_path("http"), &[]).await;
    let report = ran.json();
    // A machine that is busy makes the start expensive: that is no matter of the protocol's.
    let rules = report["rules"].as_array().unwrap().iter().filter(|rule| rule["rule"] != "cost");
    let standings: BTreeSet<_> = rules.map(|rule| rule["standing"].as_str()).collect();
    assert_eq!(standings, BTreeSet::from([Some("ok")]), "{report}");
    // It was not for want of looking.
    let said = |name: &str| rule(&report, name)["message"].as_str().unwrap().to_owned();
    assert!(said("secrets").contains("`orders-token`"), "{}", said("secrets"));
    assert!(!said("redirects").contains("0 went there"), "{}", said("redirects"));
    assert!(said("cancellation").contains("its connection was closed"), "{}", said("cancellation"));
    for (name, least) in [("component_bytes", 10_000), ("start_us", 1), ("fuel", 1_000), ("memory_bytes", 65_536)] {
        assert!(report["measured"][name].as_u64().unwrap() >= least, "{}", report["measured"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protocol_that_captures_is_tried_in_every_way_too() {
    let report = check(&fixture_path("collecting"), &["--strict"]).await.json();
    let rules = report["rules"].as_array().unwrap().iter().filter(|rule| rule["rule"] != "cost");
    let standings: BTreeSet<_> = rules.map(|rule| rule["standing"].as_str()).collect();
    assert_eq!(standings, BTreeSet::from([Some("ok")]), "{report}");
    assert!(rule(&report, "execute")["message"].as_str().unwrap().contains("1 succeeded"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_tried_is_said_and_warnings_count_where_somebody_wants_it() {
    let ran = check(&fixture_path("noop"), &[]).await;
    let report = ran.json();
    for name in ["redirects", "deadline", "cancellation"] {
        assert_eq!(rule(&report, name)["standing"], "not_checked", "{report}");
        assert!(!rule(&report, name)["message"].as_str().unwrap().is_empty());
    }
    assert_eq!((ran.code, rule(&report, "examples")["standing"].as_str()), (0, Some("warning")), "{report}");
    assert_eq!(check(&fixture_path("noop"), &["--strict"]).await.code, 1);
    // What is behind a mistake is not looked at, and not passed either.
    let lying = check(&fixture_path("lying-descriptor"), &[]).await.json();
    assert_eq!(rule(&lying, "secrets")["standing"], "not_checked");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_get_a_line_for_each_rule_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("contrary.wasm"), fixture("contrary")).unwrap();
    let ran = action_service(folder.path(), &["check", "contrary.wasm"]).await;
    assert_eq!(ran.code, 1);
    for line in [
        "contrary.wasm  contrary@0.1.0  sha256:",
        "ok           deterministic    asked 6 times",
        "failed       examples         1 config tried",
        "- Friendly: refused: /tone: no tone is right",
        "correct the example, or validate-config",
        "did not pass: ",
    ] {
        assert!(ran.out.lines().any(|it| it.trim_start().starts_with(line)), "{line}:\n{}", ran.out);
    }
    // Nothing is begun with what is no component.
    std::fs::write(folder.path().join("module.wasm"), core_module()).unwrap();
    let refused = action_service(folder.path(), &["check", "module.wasm"]).await;
    assert!(refused.code == 2 && refused.err.contains("a core WebAssembly module"), "{}", refused.err);
}
