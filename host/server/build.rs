//! Puts the built-in protocols into the binary, and the templates of new ones.
//!
//! They are built before it, into `protocols/target/wasm32-wasip2/release`;
//! `ACTION_SERVICE_PROTOCOLS_DIR` names another folder. Where there are none, the binary is
//! built without them and says so: work on the host needs no WebAssembly toolchain.

#[path = "build/builtin.rs"]
mod builtin;
#[path = "build/templates.rs"]
mod templates;

use std::path::PathBuf;

const FOLDER: &str = "ACTION_SERVICE_PROTOCOLS_DIR";

fn main() {
    for file in ["build.rs", "build/builtin.rs", "build/templates.rs"] {
        println!("cargo::rerun-if-changed={file}");
    }
    println!("cargo::rerun-if-env-changed={FOLDER}");
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let workspace = manifest.ancestors().nth(2).unwrap_or(&manifest).to_owned();
    let protocols = workspace.join("protocols");
    let folder = std::env::var_os(FOLDER).map_or_else(|| protocols.join("target/wasm32-wasip2/release"), PathBuf::from);
    let out_dir = PathBuf::from(variable("OUT_DIR"));
    let embedded = templates::embed(&workspace, &out_dir.join("templates.rs"))
        .and_then(|()| builtin::embed(&folder, &protocols, &out_dir));
    if let Err(error) = embedded {
        println!("cargo::error={error}");
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}
