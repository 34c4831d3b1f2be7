//! Follows each guide for authors literally, from an empty folder to an executed action.
//!
//! `docs/authors/README.md` says how a guide is written. Its commands run as one script of bash, with
//! nothing but the binary on the `PATH` beside the machine's own tools.

use crate::kit::{
    caches,
    service::{TOKEN, binary},
};
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use std::{
    fmt::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{process::Command, time::timeout};

/// A guide builds a project and all that it depends on, on a machine that others use too.
const PATIENCE: Duration = Duration::from_mins(20);

/// A fenced block that is run.
#[derive(Debug, PartialEq, Eq)]
enum Block {
    /// In the shell.
    Run(String),
    /// Beside the shell.
    Background(String),
}

/// The blocks of a guide that are run, in their order.
fn blocks(guide: &str) -> Vec<Block> {
    let (mut blocks, mut open) = (Vec::new(), None::<(String, String)>);
    for line in guide.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some((info.trim().to_owned(), String::new())),
            (Some((info, text)), Some("")) => {
                let text = std::mem::take(text);
                match info.as_str() {
                    "sh" => blocks.push(Block::Run(text)),
                    // In full, or it fails: a guide must not show what does not fit its own project.
                    "diff" => {
                        blocks.push(Block::Run(format!("patch -p1 --fuzz=0 <<'END_OF_PATCH'\n{text}END_OF_PATCH\n")));
                    }
                    "sh background" => blocks.push(Block::Background(text)),
                    _ => {}
                }
                open = None;
            }
            (Some((_, text)), _) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

fn script(blocks: &[Block]) -> String {
    let mut script = String::from("set -euo pipefail\n");
    // The machine was prepared by the repository's own scripts, in whichever way it can be.
    script.push_str("guest_cargo_flags=\neval \"$(\"$SETUP\" --env)\"\n");
    script.push_str(
        "if [ -n \"$guest_cargo_flags\" ]; then export CARGO_UNSTABLE_BUILD_STD=std,panic_abort; fi\nset -x\n",
    );
    for (number, block) in blocks.iter().enumerate() {
        match block {
            Block::Run(text) => script.push_str(text),
            Block::Background(text) => {
                let log = format!("\"$LOGS/background-{number}.log\"");
                // There before anybody looks for it: what runs beside the shell may begin later.
                let _ = writeln!(script, ": >{log}\n(\n{text}) >>{log} 2>&1 &");
                let _ = writeln!(script, "timeout 120 grep -q -m1 'private listener on' <(tail -n +1 -f {log})");
                script.push_str("action-service healthcheck\n");
            }
        }
    }
    script.push_str("action-service execution list --json >\"$LOGS/executions.json\"\n");
    script
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Follows a guide; what went wrong, with everything that was printed.
async fn follow(guide: &Path, repository: &Path) -> Result<(), String> {
    let name = guide.file_stem().unwrap().to_string_lossy().into_owned();
    let blocks = blocks(&std::fs::read_to_string(guide).unwrap());
    if blocks.is_empty() {
        return Err(format!("{name}: there is nothing to follow"));
    }
    let folder = tempfile::TempDir::with_prefix("guide-").unwrap();
    let logs = tempfile::TempDir::with_prefix("guide-logs-").unwrap();
    let file = logs.path().join("guide.sh");
    std::fs::write(&file, script(&blocks)).unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(binary().parent().unwrap().to_owned()).chain(std::env::split_paths(&path));
    let (private, public) = (free_port(), free_port());
    let printed = std::fs::File::create(logs.path().join("printed.log")).unwrap();
    let mut command = Command::new("bash");
    command
        .arg(&file)
        .current_dir(folder.path())
        .env("PATH", std::env::join_paths(paths).unwrap())
        .env("SETUP", repository.join("scripts/setup-wasm-target.sh"))
        .env("LOGS", logs.path())
        .env("XDG_CACHE_HOME", caches())
        .env("ACTION_SERVICE_DATA_DIR", folder.path().join("data"))
        .env("ACTION_SERVICE_PRIVATE_ADDR", format!("127.0.0.1:{private}"))
        .env("ACTION_SERVICE_PUBLIC_ADDR", format!("127.0.0.1:{public}"))
        .env("ACTION_SERVICE_URL", format!("http://127.0.0.1:{private}"))
        .env("ACTION_SERVICE_TOKEN", TOKEN)
        .env("ACTION_SERVICE_ADMIN_TOKEN", TOKEN)
        .stdin(Stdio::null())
        .stdout(printed.try_clone().unwrap())
        .stderr(printed)
        // All that it starts goes with it.
        .process_group(0)
        .kill_on_drop(true);
    // Of the cargo that runs this test, and not of the author's.
    for variable in ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR", "CARGO_INCREMENTAL", "RUSTFLAGS"] {
        command.env_remove(variable);
    }
    let mut child = command.spawn().unwrap();
    let group = child.id().unwrap();
    let status = timeout(PATIENCE, child.wait()).await;
    // The group outlives the shell where a service is in it.
    let _ =
        std::process::Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).stderr(Stdio::null()).status();
    let said = || {
        let logs = std::fs::read_dir(logs.path()).unwrap().map(|entry| entry.unwrap().path());
        let logs = logs.filter(|path| path.extension().is_some_and(|end| end == "log"));
        logs.map(|path| std::fs::read_to_string(path).unwrap_or_default()).collect::<Vec<_>>().join("\n---\n")
    };
    match status {
        Ok(Ok(status)) if status.success() => {}
        Ok(status) => return Err(format!("{name}: {status:?}\n{}", said())),
        Err(_) => return Err(format!("{name}: not done in {PATIENCE:?}\n{}", said())),
    }
    let executions = std::fs::read_to_string(logs.path().join("executions.json")).unwrap();
    let executions: Value = serde_json::from_str(&executions).unwrap();
    let succeeded = executions["items"].as_array().unwrap().iter().any(|it| it["status"] == "succeeded");
    if succeeded { Ok(()) } else { Err(format!("{name}: no action was executed: {executions}\n{}", said())) }
}

/// Every guide that there is, but the page above them.
fn guides(repository: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(repository.join("docs/authors")).unwrap().map(|entry| entry.unwrap().path());
    let mut guides: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    guides.retain(|path| !path.ends_with("README.md"));
    guides.sort();
    guides
}

#[tokio::test(flavor = "multi_thread")]
async fn every_guide_leads_from_an_empty_folder_to_an_executed_action() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let only = std::env::var("GUIDE").ok();
    let mut guides = guides(repository);
    guides.retain(|guide| only.as_ref().is_none_or(|only| guide.file_stem().unwrap().to_str() == Some(only)));
    assert!(!guides.is_empty(), "no guide {only:?}");
    // Two at a time: while one downloads another builds.
    let followed = stream::iter(guides).map(async |guide| follow(&guide, repository).await.err());
    let failed: Vec<String> = followed.buffer_unordered(2).filter_map(async |error| error).collect().await;
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn blocks_are_told_apart_by_their_words() {
    let guide = "a\n```sh\none\n```\n```sh once\nno\n```\n```rust\nno\n```\n```diff\n-a\n+b\n```\n```sh background\ntwo\n```\n    no\n";
    let patch = "patch -p1 --fuzz=0 <<'END_OF_PATCH'\n-a\n+b\nEND_OF_PATCH\n";
    let wanted = [Block::Run("one\n".into()), Block::Run(patch.into()), Block::Background("two\n".into())];
    assert_eq!(blocks(guide), wanted);
}
