//! Takes jaq's own definitions apart, so that an expression pays only for those that it reaches.
//!
//! Reading and compiling all of them costs seven times what a small expression costs by itself, and
//! each call has a fresh instance. So their texts stand in a table, each with those that it names.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

#[path = "src/words.rs"]
mod words;

/// The crates with definitions, in the order in which one builds on the other.
const CRATES: [&str; 3] = ["jaq-core", "jaq-std", "jaq-json"];

/// jaq parses as deep as an expression nests.
const STACK_BYTES: u32 = 1 << 20;

struct Definition {
    name: String,
    text: String,
}

fn main() {
    if let Err(error) = make_table() {
        println!("cargo::error=jaq's definitions: {error}");
    }
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={STACK_BYTES}");
    }
}

fn make_table() -> Result<(), String> {
    let mut definitions = Vec::new();
    for folder in folders()? {
        let file = folder.join("src/defs.jq");
        println!("cargo::rerun-if-changed={}", file.display());
        let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        definitions.extend(take_apart(&text)?);
    }
    let mut table = String::from("&[\n");
    for definition in &definitions {
        let Definition { name, text } = definition;
        let named: Vec<usize> = words::words(text)
            .flat_map(|word| definitions.iter().enumerate().filter(move |(_, other)| other.name == word))
            .map(|(index, _)| index)
            .collect();
        // Debug form: Rust literals.
        let _ = writeln!(table, "    Definition {{ name: {name:?}, text: {text:?}, names: &{named:?} }},");
    }
    table.push_str("]\n");
    let out = Path::new(&variable("OUT_DIR")).join("definitions.rs");
    fs::write(&out, table).map_err(|error| format!("{}: {error}", out.display()))
}

/// The texts of the definitions of a file: each ends where the next one begins.
fn take_apart(text: &str) -> Result<Vec<Definition>, String> {
    let parsed = jaq_core::load::parse(text, |parser| parser.defs()).ok_or("they do not parse")?;
    let begin = |name: &str| text[..jaq_core::load::span(text, name).start].rfind("def").unwrap_or_default();
    let begins: Vec<usize> = parsed.iter().map(|definition| begin(definition.name)).collect();
    let ends = begins.iter().skip(1).copied().chain([text.len()]);
    let of = |((definition, begin), end): ((&jaq_core::load::parse::Def<&str>, &usize), usize)| Definition {
        name: definition.name.to_owned(),
        text: without_comments(&text[*begin..end]),
    };
    Ok(parsed.iter().zip(&begins).zip(ends).map(of).collect())
}

fn without_comments(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

/// Where cargo has the sources of the crates.
fn folders() -> Result<Vec<PathBuf>, String> {
    let manifest = Path::new(&variable("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let output = Command::new(variable("CARGO"))
        .args(["metadata", "--format-version", "1", "--filter-platform", &variable("TARGET"), "--manifest-path"])
        .arg(manifest)
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)))?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata names no packages")?;
    let folder = |name: &&str| {
        let package = packages.iter().find(|package| package["name"] == **name)?;
        Some(Path::new(package["manifest_path"].as_str()?).parent()?.to_owned())
    };
    CRATES.iter().map(|name| folder(name).ok_or_else(|| format!("cargo metadata does not name {name}"))).collect()
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}
