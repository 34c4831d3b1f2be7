//! Which crate may know which: the import table of ARCHITECTURE.md.

use crate::{none, workspace::root};
use serde_json::Value;
use std::{collections::BTreeMap, collections::BTreeSet, process::Command};

/// A crate and what it may know.
struct Row {
    name: &'static str,
    /// Own crates that it may import.
    own: &'static [&'static str],
    /// Own crates that its tests may import beside those.
    in_tests: &'static [&'static str],
    /// Families of dependencies that it must never import, its tests neither.
    never: &'static [&'static str],
}

const WASMTIME: &str = "wasmtime";
const AXUM: &str = "axum";
const SQL: &str = "sql";
const NATS: &str = "async-nats";
const CIPHER: &str = "chacha20poly1305";
const TOKIO: &str = "tokio";

const ALL: &[&str] = &[
    "action-domain",
    "action-engine",
    "action-wasm",
    "action-store-sqlite",
    "action-store-postgres",
    "action-store-memory",
    "action-queue-nats",
    "action-vault",
    "action-api",
    "action-testkit",
];

#[rustfmt::skip]
const TABLE: &[Row] = &[
    Row { name: "action-domain", own: &[], in_tests: &[], never: &[TOKIO, AXUM, SQL, WASMTIME] },
    Row { name: "action-engine", own: &["action-domain"], in_tests: &["action-testkit", "action-store-memory", "action-vault"], never: &[AXUM, SQL, WASMTIME] },
    Row { name: "action-wasm", own: &["action-domain"], in_tests: &["action-testkit"], never: &[AXUM, SQL] },
    // Random histories must leave both stores with equal logs, so its tests open the other one too.
    Row { name: "action-store-sqlite", own: &["action-domain"], in_tests: &["action-testkit", "action-store-memory"], never: &[AXUM, WASMTIME] },
    Row { name: "action-store-postgres", own: &["action-domain"], in_tests: &["action-testkit", "action-store-memory"], never: &[AXUM, WASMTIME] },
    Row { name: "action-store-memory", own: &["action-domain"], in_tests: &["action-testkit"], never: &[AXUM, SQL, WASMTIME] },
    Row { name: "action-queue-nats", own: &["action-domain"], in_tests: &["action-testkit"], never: &[AXUM, SQL, WASMTIME] },
    Row { name: "action-vault", own: &["action-domain"], in_tests: &[], never: &[TOKIO, AXUM, SQL, WASMTIME] },
    Row { name: "action-testkit", own: &["action-domain"], in_tests: &[], never: &[AXUM, SQL, WASMTIME] },
    Row { name: "action-api", own: &["action-domain", "action-engine"], in_tests: &["action-testkit", "action-store-memory", "action-vault"], never: &[SQL, WASMTIME] },
    // Puts all of it together, by their own words: it serves what `api` gives and opens what a store gives.
    Row { name: "action-server", own: ALL, in_tests: ALL, never: &[AXUM, SQL, WASMTIME] },
    // They see what reads strangers' bytes as it is, and run nothing of it.
    Row { name: "action-fuzz-targets", own: &["action-domain", "action-engine", "action-wasm", "action-api"], in_tests: &[], never: &[AXUM, SQL, WASMTIME, TOKIO] },
    // They see the service as its users do: through its binary and its ports.
    Row { name: "action-tests", own: &[], in_tests: &["action-testkit"], never: &[AXUM, SQL, WASMTIME] },
    Row { name: "action-doctrine", own: &[], in_tests: &[], never: &[AXUM, SQL, WASMTIME, TOKIO] },
    // Its `limit` program is what the service is measured against: the same HTTP and the same
    // storage without the service, so it has to have both. It starts its servers as tests do.
    Row { name: "action-bench", own: &["action-domain", "action-testkit"], in_tests: &[], never: &[WASMTIME] },
];

/// Crates that come with a heavy one, or do the same.
fn is_of(family: &str, dependency: &str) -> bool {
    let begins = |stems: &[&str]| stems.iter().any(|stem| dependency.starts_with(stem));
    match family {
        WASMTIME => begins(&["wasmtime", "cranelift", "wasmer", "wasmi"]),
        AXUM => begins(&["axum", "utoipa-axum"]),
        SQL => begins(&["sqlx", "rusqlite", "libsqlite3", "tokio-postgres"]),
        family => dependency == family || dependency.starts_with(&format!("{family}-")),
    }
}

struct Crate {
    name: String,
    /// Name, and whether only tests have it.
    dependencies: Vec<(String, bool)>,
}

/// The crates of a workspace as their manifests have them. Resolves and downloads nothing.
fn crates(manifest: &str) -> Vec<Crate> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
        .arg(root().join(manifest))
        .output()
        .unwrap();
    assert!(output.status.success(), "{manifest}: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let dependency = |value: &Value| (text(&value["name"]), value["kind"] == "dev");
    (metadata["packages"].as_array().unwrap().iter())
        .map(|package| Crate {
            name: text(&package["name"]),
            dependencies: package["dependencies"].as_array().unwrap().iter().map(dependency).collect(),
        })
        .collect()
}

#[test]
fn every_crate_of_the_host_has_its_row_in_the_import_table() {
    let there: BTreeSet<String> = crates("Cargo.toml").into_iter().map(|c| c.name).collect();
    let rows: BTreeSet<String> = TABLE.iter().map(|row| row.name.to_owned()).collect();
    assert_eq!(there, rows);
}

#[test]
fn a_crate_imports_only_the_own_crates_that_its_row_names() {
    let crates = crates("Cargo.toml");
    let own: BTreeSet<&str> = crates.iter().map(|c| c.name.as_str()).collect();
    let mut breaches = Vec::new();
    for row in TABLE {
        let Some(found) = crates.iter().find(|c| c.name == row.name) else { continue };
        for (dependency, in_tests) in found.dependencies.iter().filter(|(name, _)| own.contains(name.as_str())) {
            let named = |list: &[&str]| list.contains(&dependency.as_str());
            if !(named(row.own) || *in_tests && named(row.in_tests)) {
                breaches.push(format!(
                    "{} imports {dependency}{}",
                    row.name,
                    if *in_tests { " in its tests" } else { "" }
                ));
            }
        }
    }
    none(&breaches);
}

#[test]
fn a_crate_imports_nothing_that_its_row_forbids() {
    let crates = crates("Cargo.toml");
    let mut breaches = Vec::new();
    for row in TABLE {
        let Some(found) = crates.iter().find(|c| c.name == row.name) else { continue };
        for (dependency, _) in &found.dependencies {
            if row.never.iter().any(|family| is_of(family, dependency)) {
                breaches.push(format!("{} imports {dependency}", row.name));
            }
        }
    }
    none(&breaches);
}

#[test]
fn wasmtime_axum_and_sql_have_one_home_each() {
    let homes: [(&str, &[&str]); 5] = [
        (WASMTIME, &["action-wasm"]),
        (AXUM, &["action-api", "action-bench"]),
        (SQL, &["action-store-sqlite", "action-store-postgres", "action-bench"]),
        (NATS, &["action-queue-nats"]),
        (CIPHER, &["action-vault"]),
    ];
    let mut breaches = Vec::new();
    for found in crates("Cargo.toml") {
        for (family, homes) in homes {
            let imports = found.dependencies.iter().any(|(name, _)| is_of(family, name));
            if imports && !homes.contains(&found.name.as_str()) {
                breaches.push(format!("{} imports {family}, whose home is {}", found.name, homes[0]));
            }
        }
    }
    none(&breaches);
}

#[test]
fn work_on_domain_engine_and_api_compiles_no_wasmtime_and_no_sql_by_any_path() {
    let lock: toml::Table = crate::workspace::read("Cargo.lock").parse().unwrap();
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        // An entry is a name, or a name and a version where there are several: all are looked at.
        let first_word = |value: &toml::Value| value.as_str().unwrap().split(' ').next().unwrap().to_owned();
        let dependencies = package.get("dependencies").and_then(toml::Value::as_array).into_iter().flatten();
        graph.entry(first_word(&package["name"])).or_default().extend(dependencies.map(first_word));
    }
    let mut breaches = Vec::new();
    for start in ["action-domain", "action-engine", "action-api", "action-testkit", "action-store-memory"] {
        let mut reached = BTreeSet::from([start.to_owned()]);
        let mut ahead = vec![start.to_owned()];
        while let Some(name) = ahead.pop() {
            for dependency in graph.get(&name).into_iter().flatten() {
                if reached.insert(dependency.clone()) {
                    ahead.push(dependency.clone());
                }
            }
        }
        for family in [WASMTIME, SQL, NATS] {
            let heavy = reached.iter().filter(|name| is_of(family, name));
            breaches.extend(heavy.map(|name| format!("{start} reaches {name}")));
        }
    }
    none(&breaches);
}

#[test]
fn guests_know_the_contract_and_no_crate_of_the_host() {
    let host: BTreeSet<String> = crates("Cargo.toml").into_iter().map(|c| c.name).collect();
    let mut breaches = Vec::new();
    for manifest in ["protocols/Cargo.toml", "tests/fixtures/Cargo.toml"] {
        for found in crates(manifest) {
            for (dependency, _) in &found.dependencies {
                let heavy = [WASMTIME, AXUM, SQL, TOKIO].iter().any(|family| is_of(family, dependency));
                if heavy || host.contains(dependency) {
                    breaches.push(format!("{} imports {dependency}", found.name));
                }
            }
        }
    }
    none(&breaches);
}
