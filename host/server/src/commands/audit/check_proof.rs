//! `audit check-proof`: whether a proof proves its event.

use super::public_keys;
use crate::{
    exit,
    output::{Colour, Output, one_line},
};
use action_domain::audit::Proof;
use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};
use std::{path::PathBuf, process::ExitCode};

/// What to check, and with what.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The proof, as `audit prove` printed it
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The public key that is trusted, or a file with it
    #[arg(long = "key", value_name = "KEY", required = true)]
    keys: Vec<String>,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> anyhow::Result<ExitCode> {
    let keys = public_keys(&arguments.keys)?;
    let name = arguments.file.display().to_string();
    let text = std::fs::read_to_string(&arguments.file).with_context(|| name.clone()).map_err(exit::usage)?;
    let proof: Proof = serde_json::from_str(&text).with_context(|| name.clone()).map_err(exit::usage)?;
    let checked = proof.check(&keys);
    if output.is_json() {
        let event: Value = serde_json::from_str(&proof.event).unwrap_or(Value::Null);
        let (ok, reason) = (checked.is_ok(), checked.as_ref().err().map(ToString::to_string));
        Output::json(&json!({"ok": ok, "reason": reason, "event": event, "seal": checked.as_ref().ok()}))?;
        return Ok(ExitCode::from(if ok { 0 } else { exit::FAILED }));
    }
    match checked {
        Ok(seal) => {
            Output::line(&one_line(&proof.event))?;
            let words = format!("is in seal {} of {}, signed with the key {}", seal.sequence, seal.time, seal.key.id());
            Output::line(&output.paint(Colour::Green, &words))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            Output::line(&output.paint(Colour::Red, &format!("{name} proves nothing: {error}")))?;
            Ok(ExitCode::from(exit::FAILED))
        }
    }
}
