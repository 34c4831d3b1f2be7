//! Puts the built-in protocols into the binary, each packed (zstd) and with its digest: a Python
//! component has 20 MB, of which 8 are left, and a start that finds it registered unpacks nothing.

use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// Writes `builtin.rs` into `out_dir`: what is there, and what should be and is not.
pub(crate) fn embed(folder: &Path, protocols: &Path, out_dir: &Path) -> Result<(), String> {
    watch(folder);
    println!("cargo::rerun-if-changed={}", protocols.display());
    let mut built = BTreeSet::new();
    let mut kept = BTreeSet::new();
    let mut text = String::from("static COMPONENTS: &[Component] = &[\n");
    for path in components(folder) {
        println!("cargo::rerun-if-changed={}", path.display());
        let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let digest = hex(&Sha256::digest(&bytes));
        let packed = out_dir.join(format!("{digest}.zst"));
        if !packed.exists() {
            std::fs::write(&packed, compress_to_vec(&bytes[..], CompressionLevel::Fastest))
                .map_err(|error| format!("{}: {error}", packed.display()))?;
        }
        let name = name_of(&path);
        // Debug form: a Rust literal, whatever is in the path.
        let _ = writeln!(
            text,
            "    Component {{ name: {name:?}, digest: \"sha256:{digest}\", bytes: {}, packed: include_bytes!({:?}) }},",
            grouped(bytes.len()),
            packed.display().to_string()
        );
        built.insert(name);
        kept.insert(packed);
    }
    text.push_str("];\n");
    if built.is_empty() {
        println!(
            "cargo::warning=no built-in protocols: {} holds no *.wasm (scripts/build-guests.sh protocols makes them)",
            folder.display()
        );
    }
    let not_built: Vec<String> = known(protocols).into_iter().filter(|name| !built.contains(name)).collect();
    let _ = writeln!(text, "static NOT_BUILT: &[&str] = &{not_built:?};");
    // What earlier builds packed is of no use any more.
    let strangers = entries(out_dir).into_iter().filter(|path| is(path, "zst") && !kept.contains(path));
    strangers.for_each(|path| drop(std::fs::remove_file(path)));
    let out = out_dir.join("builtin.rs");
    std::fs::write(&out, text).map_err(|error| format!("{}: {error}", out.display()))
}

/// Cargo looks at this again when a component comes or goes. A folder that is not there would
/// make every build run this; its closest parent that is there does so when something appears.
fn watch(folder: &Path) {
    if let Some(there) = folder.ancestors().find(|folder| folder.is_dir()) {
        println!("cargo::rerun-if-changed={}", there.display());
    }
}

fn components(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| is(path, "wasm")).collect()
}

/// The protocols that there are to build: folders that say what they are.
fn known(protocols: &Path) -> Vec<String> {
    let folders = entries(protocols).into_iter().filter(|path| path.join("README.md").is_file());
    folders.map(|path| name_of(&path)).collect()
}

/// A protocol's name, of its folder or its component. Compilers write `_` for `-`.
fn name_of(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().replace('_', "-")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    found.sort();
    found
}

fn is(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

/// A number as Rust likes to read it: `20_740_496`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
