//! Puts the built-in protocols into the binary.
//!
//! They are built before it, into `protocols/target/wasm32-wasip2/release`;
//! `ACTION_SERVICE_PROTOCOLS_DIR` names another folder. Where there are none, the binary is
//! built without them and says so: work on the host needs no WebAssembly toolchain.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

const FOLDER: &str = "ACTION_SERVICE_PROTOCOLS_DIR";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={FOLDER}");
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let workspace = manifest.ancestors().nth(2).unwrap_or(&manifest).to_owned();
    let folder = std::env::var_os(FOLDER)
        .map_or_else(|| workspace.join("protocols/target/wasm32-wasip2/release"), PathBuf::from);
    watch(&folder);
    let components = components(&folder);
    if components.is_empty() {
        println!(
            "cargo::warning=no built-in protocols: {} holds no *.wasm (scripts/build-guests.sh protocols makes them)",
            folder.display()
        );
    }
    let mut list = String::from("&[\n");
    for path in components {
        println!("cargo::rerun-if-changed={}", path.display());
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // Debug form: a Rust literal, whatever is in the path.
        let _ = writeln!(list, "    ({name:?}, include_bytes!({:?})),", path.display().to_string());
    }
    list.push_str("]\n");
    let out = Path::new(&variable("OUT_DIR")).join("builtin.rs");
    if let Err(error) = std::fs::write(&out, list) {
        println!("cargo::error={}: {error}", out.display());
    }
}

/// Cargo looks at this again when a component comes or goes. A folder that is not there would
/// make every build run this; its closest parent that is there does so when something appears.
fn watch(folder: &Path) {
    if let Some(there) = folder.ancestors().find(|folder| folder.is_dir()) {
        println!("cargo::rerun-if-changed={}", there.display());
    }
}

fn components(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let wasm = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "wasm");
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(wasm).collect();
    found.sort();
    found
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}
