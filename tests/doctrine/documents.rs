//! What the documents say is so.

use crate::{
    none,
    workspace::{files, read, root},
};
use std::collections::BTreeSet;

/// Text between single backticks, and words in code blocks that begin with a folder of ours.
fn quoted(text: &str) -> Vec<String> {
    const FOLDERS: [&str; 7] = ["host/", "wit/", "sdk/", "protocols/", "tests/", "migrations/", "scripts/"];
    let mut found = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            let words = line.split_whitespace().map(|word| word.trim_end_matches(','));
            found.extend(words.filter(|word| FOLDERS.iter().any(|f| word.starts_with(f))).map(str::to_owned));
        } else {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
}

/// Whether it is meant as a path of this repository. A route of the API begins with a slash, and
/// a media type with its kind.
fn is_path(text: &str) -> bool {
    let file = [".rs", ".toml", ".md", ".wit", ".sql", ".sh", ".yaml"].iter().any(|end| text.ends_with(end));
    (file || text.contains('/'))
        && !text.starts_with('/')
        && !text.starts_with("application/")
        && !text.contains([' ', '(', '"', '@'])
        && !text.contains("://")
}

/// What has to exist for a path with a blank in it (`protocols/<name>/`): what comes before.
fn up_to_the_blank(path: &str) -> &str {
    match path.find(['<', '*', '…']) {
        Some(blank) => path[..blank].rsplit_once('/').map_or("", |(before, _)| before),
        None => path,
    }
}

fn missing_paths(document: &str) -> Vec<String> {
    let paths = quoted(&read(document)).into_iter().filter(|text| is_path(text));
    let missing = paths.filter(|path| !root().join(up_to_the_blank(path)).exists());
    missing.map(|path| format!("{document} names {path}, which is not there")).collect()
}

#[test]
fn every_path_that_architecture_names_exists() {
    let named = quoted(&read("ARCHITECTURE.md")).into_iter().filter(|text| is_path(text)).count();
    assert!(named > 30, "only {named} paths found: does this test still read the document?");
    none(&missing_paths("ARCHITECTURE.md"));
}

#[test]
fn every_sentence_of_what_is_absent_names_the_test_that_keeps_it() {
    let text = read("ARCHITECTURE.md");
    let section = text.split("\n## What is absent").nth(1).unwrap().split("\n## ").next().unwrap();
    let tests: String = files("tests/doctrine", "rs").iter().map(|path| read(path)).collect();
    let kept = |line: &str| quoted(line).last().is_some_and(|test| tests.contains(&format!("fn {test}()")));
    let sentences = section.lines().filter(|line| line.starts_with("- "));
    none(&sentences.filter(|line| !kept(line)).map(|line| format!("no such test: {line}")).collect::<Vec<_>>());
}

#[test]
fn every_path_that_readme_and_contributing_name_exists() {
    // Made by building or running, or by the reader of the tour.
    let made = ["target/", "data/", "./data", "docs/benchmarks.md"];
    let mut missing = missing_paths("README.md");
    missing.extend(missing_paths("CONTRIBUTING.md"));
    missing.retain(|breach| !made.iter().any(|made| breach.contains(&format!(" names {made}"))));
    none(&missing);
}

#[test]
fn every_row_of_where_do_i_add_names_a_place_that_exists() {
    let text = read("ARCHITECTURE.md");
    let section = text.split("\n## Where do I add").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
    assert!(rows.len() >= 8, "{rows:?}");
    let nowhere = rows.iter().filter(|row| !quoted(row).iter().any(|text| is_path(text)));
    none(&nowhere.map(|row| format!("no path in: {row}")).collect::<Vec<_>>());
}

#[test]
fn the_readmes_two_commands_exist_and_ci_runs_the_second() {
    let (readme, makefile, ci) = (read("README.md"), read("Makefile"), read(".ci/run"));
    for command in ["run", "test"] {
        assert!(readme.contains(&format!("make {command}")), "README.md does not name `make {command}`");
        let target = |line: &str| line.split(':').next().unwrap().split_whitespace().any(|word| word == command);
        assert!(
            makefile.lines().any(|line| line.contains(':') && target(line)),
            "no target `{command}` in the Makefile"
        );
    }
    let runs = |line: &str| !line.trim_start().starts_with('#') && line.contains("make test");
    assert!(ci.lines().any(runs), ".ci/run does not call `make test`");
}

#[test]
fn the_changelog_has_an_entry_for_the_workspaces_version() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let version = manifest["workspace"]["package"]["version"].as_str().unwrap().to_owned();
    let heading = format!("## [{version}]");
    assert!(read("CHANGELOG.md").lines().any(|line| line.starts_with(&heading)), "no line `{heading}` in CHANGELOG.md");
}

#[test]
fn every_limit_that_readme_states_is_one_of_the_code() {
    // The limits of README's table by the constants that hold them.
    let limits = read("host/domain/src/limits.rs");
    let readme = read("README.md");
    let section = readme.split("\n## Limits").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut breaches = Vec::new();
    let mut seen = 0;
    for constant in quoted(section).iter().filter(|text| text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')) {
        seen += 1;
        if !limits.contains(&format!("pub const {constant}:")) {
            breaches.push(format!("README.md names {constant}, which host/domain/src/limits.rs has not"));
        }
    }
    assert!(seen > 5, "only {seen} constants named");
    none(&breaches);
}

#[test]
fn readmes_settings_are_those_that_the_server_reads() {
    let names = read("host/server/src/config/names.rs");
    let constants = names.lines().filter_map(|line| line.strip_prefix("pub(crate) const ")?.split('"').nth(1));
    let known: BTreeSet<String> = constants.filter(|name| *name != "ACTION_SERVICE_").map(str::to_owned).collect();
    let begins = |text: &String| text.starts_with("ACTION_SERVICE_") && !text.contains('=');
    let stated: BTreeSet<String> = quoted(&read("README.md")).into_iter().filter(begins).collect();
    assert_eq!(stated, known);
}
