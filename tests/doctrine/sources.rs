//! What stands in Rust files, and what does not.

use crate::{
    none,
    workspace::{Source, files, has_word, product, read, root, take_apart},
};
use std::path::Path;

/// Longer files have more than one duty.
const LINES_MAX: usize = 600;

/// The one file of the host with `unsafe` in it, and why it is needed there.
const UNSAFE: (&str, &str) = (
    "host/wasm/src/native.rs",
    "compiled code, made by this node or authenticated with its key, becomes machine code there",
);

/// Tests that may sleep, and why nothing they could wait for exists.
const SLEEPING_TESTS: &[(&str, &str)] = &[("host/api/src/request/body.rs", "its clock is paused: it moves at once")];

/// Every Rust file of ours but the guests that misbehave on purpose.
fn ours() -> Vec<String> {
    let mut all = product();
    all.extend(files("tests", "rs").into_iter().filter(|path| !path.starts_with("tests/fixtures/")));
    all.extend(files("fuzz", "rs"));
    all
}

/// Lines of the code of these files that `is_breach`, with their places.
fn code_lines(paths: Vec<String>, is_breach: impl Fn(&str) -> bool) -> Vec<String> {
    let mut breaches = Vec::new();
    for path in paths {
        let Source { code, .. } = take_apart(&read(&path));
        let lines = code.lines().enumerate().filter(|(_, line)| is_breach(line));
        breaches.extend(lines.map(|(number, line)| format!("{path}:{}: {}", number + 1, line.trim())));
    }
    breaches
}

#[test]
fn every_file_opens_by_saying_its_duty() {
    let mut all = product();
    all.extend(["tests", "fuzz"].iter().flat_map(|folder| files(folder, "rs")));
    let silent = all.into_iter().filter(|path| !read(path).starts_with("//!"));
    none(&silent.map(|path| format!("{path} does not open with `//!`")).collect::<Vec<_>>());
}

#[test]
fn no_file_is_longer_than_600_lines() {
    let long =
        ours().into_iter().map(|path| (read(&path).lines().count(), path)).filter(|(lines, _)| *lines > LINES_MAX);
    none(&long.map(|(lines, path)| format!("{path} has {lines} lines")).collect::<Vec<_>>());
}

#[test]
fn unsafe_stands_in_one_file() {
    let (home, why) = UNSAFE;
    assert!(!why.is_empty());
    let mut paths = ours();
    paths.retain(|path| path != home);
    none(&code_lines(paths, |line| has_word(line, "unsafe")));
}

#[test]
fn each_unsafe_block_says_why_it_is_sound() {
    let text = read(UNSAFE.0);
    let blocks = take_apart(&text).code.lines().filter(|line| has_word(line, "unsafe")).count();
    let reasons = text.matches("// SAFETY: ").count();
    assert!(blocks > 0, "{} has no `unsafe` any more: the rule is that there is none at all", UNSAFE.0);
    assert!(reasons >= blocks, "{}: {blocks} lines with `unsafe`, {reasons} SAFETY comments", UNSAFE.0);
}

#[test]
fn sql_stands_in_the_stores_and_nowhere_else() {
    let mut paths = files("host", "rs");
    paths.extend(files("sdk", "rs"));
    paths.retain(|path| !path.starts_with("host/store-"));
    let mut breaches = Vec::new();
    for path in paths {
        let literals = take_apart(&read(&path)).literals;
        for (first, then) in SQL {
            if has_word(&literals, first) && then.is_none_or(|then| has_word(&literals, then)) {
                breaches.push(format!("{path} has {first} {} in a literal", then.unwrap_or_default()));
            }
        }
    }
    none(&breaches);
}

/// Words that together make a literal SQL.
const SQL: &[(&str, Option<&str>)] = &[
    ("SELECT", Some("FROM")),
    ("INSERT INTO", None),
    ("DELETE FROM", None),
    ("UPDATE", Some("WHERE")),
    ("CREATE TABLE", None),
    ("CREATE INDEX", None),
    ("PRAGMA", None),
];

#[test]
fn nothing_is_left_to_be_done_and_no_test_is_ignored() {
    let left = |line: &str| {
        ["todo!", "unimplemented!"].iter().any(|word| has_word(line, word.trim_end_matches('!')) && line.contains(word))
            || line.contains("#[ignore")
    };
    none(&code_lines(ours(), left));
}

#[test]
fn tests_move_the_clock_or_wait_for_something_and_never_sleep() {
    let mut breaches = Vec::new();
    for path in ours() {
        if path.starts_with("tests/bench/")
            || SLEEPING_TESTS.iter().any(|(allowed, why)| path == *allowed && !why.is_empty())
        {
            // A benchmark measures for a time: that is what it does.
            continue;
        }
        let code = take_apart(&read(&path)).code;
        let is_test = path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs");
        // The tests of a file stand at its end.
        let start = if is_test { Some(0) } else { code.find("#[cfg(test)]\nmod ") };
        let Some(start) = start else { continue };
        let before = code[..start].lines().count();
        let sleeping =
            code[start..].lines().enumerate().filter(|(_, line)| has_word(line, "sleep") && line.contains("sleep("));
        breaches.extend(sleeping.map(|(number, line)| format!("{path}:{}: {}", before + number + 1, line.trim())));
    }
    none(&breaches);
}

#[test]
fn an_exception_to_a_lint_gives_its_reason() {
    let mut breaches = Vec::new();
    for path in ours() {
        let code = take_apart(&read(&path)).code;
        for attribute in ["[expect(", "[allow("] {
            for (at, _) in code.match_indices(attribute) {
                let body = code[at..].split(")]").next().unwrap();
                if !has_word(body, "reason") {
                    breaches.push(format!(
                        "{path}:{}: {attribute}…)] without a reason",
                        code[..at].matches('\n').count() + 1
                    ));
                }
            }
        }
    }
    none(&breaches);
}

#[test]
fn no_file_names_a_document_that_is_not_in_the_repository() {
    let mut breaches = Vec::new();
    for path in ours().into_iter().filter(|path| !path.starts_with("tests/doctrine/")) {
        for (number, line) in read(&path).lines().enumerate() {
            let words = line.split(|c: char| !(c.is_alphanumeric() || "._-/".contains(c)));
            let gone = |word: &&str| match word.trim_matches(['.', '/']) {
                "DESIGN" | "LAYOUT" => true,
                // `make bench` writes it.
                "docs/benchmarks.md" => false,
                // A document stands at the root, or beside what speaks of it.
                word if Path::new(word).extension().is_some_and(|end| end == "md") => !at_hand(&path, word),
                _ => false,
            };
            breaches.extend(words.filter(gone).map(|word| format!("{path}:{}: {word}", number + 1)));
        }
    }
    none(&breaches);
}

fn at_hand(path: &str, document: &str) -> bool {
    Path::new(path).ancestors().any(|folder| root().join(folder).join(document).exists())
}
