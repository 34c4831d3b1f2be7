//! `new`: a project for a protocol, that builds with its language's ordinary tools.
//!
//! `sdk/README.md` says what a template is. The project has a copy of the SDK and of the contract, so
//! that it builds on a machine that has nothing of this service but its binary.

use crate::{exit, output::Output};
use action_domain::name::Name;
use anyhow::{Context as _, anyhow, ensure};
use clap::Args;
use serde_json::json;
use std::{
    fs,
    path::{Component, Path, PathBuf},
    process::ExitCode,
};

/// A path below where it goes, and what is in it.
type File = (&'static str, &'static [u8]);

/// What comes with the binary for one language.
struct Language {
    name: &'static str,
    /// Names that a project cannot have, under the reason in brackets.
    reserved: &'static str,
    template: &'static [File],
    sdk: &'static [File],
}

mod embedded {
    //! `build.rs` makes the lists.
    use super::{File, Language};
    include!(concat!(env!("OUT_DIR"), "/templates.rs"));
}

/// Other words for languages.
const ALSO: [(&str, &str); 5] =
    [("typescript", "js"), ("ts", "js"), ("javascript", "js"), ("py", "python"), ("golang", "go")];
/// Where the SDK and the contract go in a project.
const VENDORED: &str = "action-service";
/// Dropped at the end of a file's name.
const SUFFIX: &str = ".template";

/// What to begin.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The language
    #[arg(value_name = "LANG", help = languages_help())]
    language: String,
    /// The protocol's name, and the new folder's: a-z, 0-9 and -
    name: String,
    /// Use the SDK of this checkout of the service, instead of a copy
    #[arg(long, value_name = "CHECKOUT")]
    sdk: Option<PathBuf>,
}

fn languages_help() -> String {
    format!("The language: {}", languages())
}

fn languages() -> String {
    let names: Vec<&str> = embedded::LANGUAGES.iter().map(|language| language.name).collect();
    names.join(", ")
}

pub(super) fn run(arguments: &Arguments, output: Output) -> anyhow::Result<ExitCode> {
    let language = language(&arguments.language).map_err(exit::usage)?;
    let name: Name = arguments.name.parse().with_context(|| arguments.name.clone()).map_err(exit::usage)?;
    if let Some(reason) = reserved(language, &name) {
        let other = anyhow!("a project in {} cannot be called {name}, which is {reason}", language.name);
        return Err(exit::usage(other));
    }
    let checkout = arguments.sdk.as_deref().map(|checkout| sdk_of(checkout, language)).transpose();
    let checkout = checkout.map_err(exit::usage)?;
    let folder = PathBuf::from(name.as_str());
    let files = write(language, &name, checkout.as_deref(), &folder)?;
    if output.is_json() {
        Output::json(&json!({"folder": folder, "language": language.name, "files": files}))?;
    } else {
        Output::line(&format!("{name}/ is ready, with {files} files: its README.md has the next commands"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn language(word: &str) -> anyhow::Result<&'static Language> {
    let name = ALSO.iter().find(|(also, _)| *also == word).map_or(word, |(_, name)| name);
    let found = embedded::LANGUAGES.iter().find(|language| language.name == name);
    found.ok_or_else(|| anyhow!("there is no template for `{word}`: {}", languages()))
}

/// Why a project cannot have this name: what its tools make of it is something else already.
fn reserved(language: &Language, name: &Name) -> Option<&'static str> {
    let name = name.as_str().replace('-', "_");
    let mut reason = "reserved";
    for line in language.reserved.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(heading) => reason = heading,
            None if line.split_whitespace().any(|word| word == name) => return Some(reason),
            None => {}
        }
    }
    None
}

/// The root of a checkout, absolute, if it has this language's SDK.
fn sdk_of(checkout: &Path, language: &Language) -> anyhow::Result<PathBuf> {
    let root = fs::canonicalize(checkout).with_context(|| checkout.display().to_string())?;
    let sdk = root.join("sdk").join(language.name);
    ensure!(sdk.is_dir(), "{} is not there: --sdk names a checkout of the service", sdk.display());
    Ok(root)
}

/// Writes the project, and says how many files it has. What is there already is left alone.
fn write(language: &Language, name: &Name, checkout: Option<&Path>, folder: &Path) -> anyhow::Result<usize> {
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(exit::usage(anyhow!("{} is there already", folder.display())));
    }
    let root = checkout.map_or_else(|| VENDORED.to_owned(), |checkout| checkout.display().to_string());
    let placeholders = [
        ("@NAME@", name.to_string()),
        ("@NAME_SNAKE@", name.as_str().replace('-', "_")),
        ("@NAME_PASCAL@", pascal(name.as_str())),
        ("@SDK@", format!("{root}/sdk/{}", language.name)),
        ("@SDK_PATH@", format!("{}/sdk/{}", rooted(&root), language.name)),
        ("@WIT@", format!("{root}/wit/v0.1")),
        ("@VERSION@", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let filled = |text: &str| placeholders.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    for (path, bytes) in language.template {
        let text = std::str::from_utf8(bytes).with_context(|| format!("the template's {path} is not text"))?;
        let path = filled(path);
        put(folder, path.strip_suffix(SUFFIX).unwrap_or(&path), filled(text).as_bytes())?;
    }
    let mut count = language.template.len();
    if checkout.is_none() {
        for (path, bytes) in language.sdk {
            let target = format!("{VENDORED}/sdk/{}/{path}", language.name);
            match *path {
                "Cargo.toml" => put(folder, &target, standalone(&String::from_utf8_lossy(bytes)).as_bytes())?,
                _ => put(folder, &target, bytes)?,
            }
        }
        for (path, bytes) in embedded::CONTRACT {
            put(folder, &format!("{VENDORED}/wit/v0.1/{path}"), bytes)?;
        }
        count += language.sdk.len() + embedded::CONTRACT.len();
    }
    Ok(count)
}

/// A folder as tools take it that would look for a bare word elsewhere: `./action-service`.
fn rooted(folder: &str) -> String {
    if Path::new(folder).is_absolute() { folder.to_owned() } else { format!("./{folder}") }
}

/// A crate's manifest without the workspace that it is a member of here.
fn standalone(manifest: &str) -> String {
    let mut kept = String::new();
    let mut in_lints = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_lints = line == "[lints]";
        }
        if !in_lints && !line.starts_with("workspace =") {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

fn put(folder: &Path, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let relative = Path::new(path);
    ensure!(relative.components().all(|part| matches!(part, Component::Normal(_))), "{path} leads elsewhere");
    let target = folder.join(relative);
    let write = || {
        fs::create_dir_all(target.parent().unwrap_or(folder))?;
        fs::write(&target, bytes)?;
        if bytes.starts_with(b"#!") {
            executable(&target)?;
        }
        std::io::Result::Ok(())
    };
    write().with_context(|| target.display().to_string())
}

#[cfg(unix)]
fn executable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut permissions = fs::metadata(path)?.permissions();
    permissions.set_mode(permissions.mode() | 0o111);
    fs::set_permissions(path, permissions)
}

#[cfg(not(unix))]
fn executable(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

/// `order-mail` as types are called.
fn pascal(name: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
    };
    name.split('-').map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut next = vec![folder.to_owned()];
        while let Some(folder) = next.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { next.push(path) } else { found.push(path.display().to_string()) }
            }
        }
        found
    }

    #[test]
    fn every_template_is_filled_in_and_holds_what_it_names() {
        assert!(embedded::LANGUAGES.iter().any(|language| language.name == "rust"));
        for language in embedded::LANGUAGES {
            let parent = tempfile::tempdir().unwrap();
            let folder = parent.path().join("order-mail");
            let name: Name = "order-mail".parse().unwrap();
            write(language, &name, None, &folder).unwrap();
            for path in paths(&folder) {
                let own = !path.contains("/order-mail/action-service/");
                let text = fs::read_to_string(&path).unwrap_or_default();
                for placeholder in ["@NAME", "@SDK", "@WIT@", "@VERSION@"] {
                    assert!(
                        !own || !text.contains(placeholder) && !path.contains(placeholder),
                        "{placeholder}: {path}"
                    );
                }
                assert!(!own || !path.ends_with(SUFFIX), "{path}");
            }
            let readme = fs::read_to_string(folder.join("README.md")).unwrap();
            assert!(readme.contains("action-service check"), "{}: {readme}", language.name);
            assert!(folder.join("action-service/wit/v0.1/action.wit").is_file());
            let again = write(language, &name, None, &folder).unwrap_err();
            assert!(again.to_string().contains("is there already"), "{again}");
        }
    }

    #[test]
    fn languages_have_their_other_names_and_others_are_told_which_there_are() {
        assert_eq!(language("rust").unwrap().name, "rust");
        assert_eq!(language("golang").unwrap().name, "go");
        let error = language("cobol").err().unwrap().to_string();
        assert!(error.contains("`cobol`") && error.contains("rust"), "{error}");
    }

    #[test]
    fn a_name_that_means_something_else_to_the_tools_is_refused_with_the_reason() {
        let refused = |word: &str, name: &str| reserved(language(word).unwrap(), &name.parse().unwrap());
        for (word, name, reason) in [
            ("python", "email", "a module of Python itself"),
            ("python", "class", "a word of Python"),
            ("python", "action-protocol", "a module of the SDK, or of what it is built with"),
            ("python", "config", "a class of the template, or one that it imports"),
            ("rust", "self", "a word of Rust"),
            ("rust", "action-protocol", "a crate of Rust itself, or one that the project depends on"),
            ("rust", "connection-report", "a type of the template, or one that it imports"),
            ("js", "action-protocol", "a package that the project depends on"),
        ] {
            assert_eq!(refused(word, name), Some(reason), "{word} {name}");
        }
        for (word, name) in [("python", "order-mail"), ("rust", "email"), ("js", "class"), ("c", "self")] {
            assert_eq!(refused(word, name), None, "{word} {name}");
        }
    }

    #[test]
    fn a_manifest_stands_alone() {
        let manifest = "[package]\nname = \"x\"\nworkspace = \"../../protocols\"\n\n[lints]\nworkspace = true\n\n[features]\na = []\n";
        assert_eq!(standalone(manifest), "[package]\nname = \"x\"\n\n[features]\na = []\n");
        assert_eq!(pascal("order-mail"), "OrderMail");
        assert_eq!([rooted("action-service"), rooted("/opt/service")], ["./action-service", "/opt/service"]);
    }
}
