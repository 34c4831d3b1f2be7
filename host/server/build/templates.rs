//! Puts the templates of new protocols into the binary, with the SDKs and the contract that they
//! are built on. `sdk/README.md` says what is found where.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// Folders that tools leave behind.
const LEFT_BEHIND: [&str; 5] = ["target", "node_modules", "__pycache__", "dist", "build"];

/// Writes `templates.rs`: a list of languages, and the contract.
pub(crate) fn embed(workspace: &Path, out: &Path) -> Result<(), String> {
    let sdks = workspace.join("sdk");
    let mut text = String::from("pub(super) static LANGUAGES: &[Language] = &[\n");
    for folder in entries(&sdks)? {
        let (template, list) = (folder.join("template"), folder.join("vendored.txt"));
        if !template.is_dir() || !list.is_file() {
            // Cargo looks through all of a folder: only this one, until it has a template.
            println!("cargo::rerun-if-changed={}", folder.display());
            continue;
        }
        println!("cargo::rerun-if-changed={}", list.display());
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let listed = std::fs::read_to_string(&list).map_err(|error| format!("{}: {error}", list.display()))?;
        let mut vendored = Vec::new();
        for line in listed.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            collect(&folder.join(line), &mut vendored)?;
        }
        let mut files = Vec::new();
        collect(&template, &mut files)?;
        let reserved = folder.join("reserved.txt");
        let reserved = if reserved.is_file() {
            println!("cargo::rerun-if-changed={}", reserved.display());
            format!("include_str!({:?})", reserved.display().to_string())
        } else {
            String::from("\"\"")
        };
        let _ = writeln!(text, "    Language {{ name: {name:?}, reserved: {reserved}, template: &[");
        list_files(&mut text, &template, &files);
        text.push_str("    ], sdk: &[\n");
        list_files(&mut text, &folder, &vendored);
        text.push_str("    ] },\n");
    }
    text.push_str("];\npub(super) static CONTRACT: &[File] = &[\n");
    let contract = workspace.join("wit/v0.1");
    let mut files = Vec::new();
    collect(&contract, &mut files)?;
    list_files(&mut text, &contract, &files);
    text.push_str("];\n");
    std::fs::write(out, text).map_err(|error| format!("{}: {error}", out.display()))
}

/// `(path below the base, bytes)`.
fn list_files(text: &mut String, base: &Path, files: &[PathBuf]) {
    for file in files {
        let name = file.strip_prefix(base).unwrap_or(file).to_string_lossy().replace('\\', "/");
        // Debug form: a Rust literal, whatever is in the path.
        let _ = writeln!(text, "        ({name:?}, include_bytes!({:?})),", file.display().to_string());
    }
}

/// All files at or below a path, in order.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    println!("cargo::rerun-if-changed={}", path.display());
    if !path.is_dir() {
        if !path.is_file() {
            return Err(format!("{}: not there", path.display()));
        }
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in entries(path)? {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !LEFT_BEHIND.contains(&name.as_str()) {
            collect(&entry, files)?;
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let read = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut found: Vec<PathBuf> = read.flatten().map(|entry| entry.path()).collect();
    found.sort();
    Ok(found)
}
