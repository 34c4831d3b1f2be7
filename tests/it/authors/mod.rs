//! What authors of protocols have: the checker, the guides and the templates, and `run`.

mod check;
mod guide;
mod new;
mod run;

use crate::kit::{caches, service::binary};
use serde_json::Value;
use std::{ffi::OsStr, path::Path, time::Duration};
use tokio::{process::Command, time::timeout};

/// The checker compiles a component of Python, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_mins(15);

/// How a command ended, and what it said.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }
}

/// Runs the binary in a folder.
async fn action_service<S: AsRef<OsStr>>(folder: &Path, words: &[S]) -> Ran {
    let mut command = Command::new(binary());
    command.args(words).current_dir(folder).env("XDG_CACHE_HOME", caches()).kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await.expect("it ends").unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}
