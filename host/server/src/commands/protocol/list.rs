//! `protocol list`.

use crate::{
    client::Client,
    commands::LIST_DEFAULT,
    output::{Output, Table, field},
};
use clap::Args;
use serde_json::{Value, json};
use std::process::ExitCode;

/// How many to list.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// At most this many
    #[arg(long, default_value_t = LIST_DEFAULT)]
    limit: u32,
}

pub(super) async fn run(arguments: &Arguments, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    let (protocols, next) = client.protocols(arguments.limit).await?;
    let missing = client.missing_protocols().await?;
    if output.is_json() {
        Output::json(&json!({"items": protocols, "next": next, "missing": missing}))?;
        return Ok(ExitCode::SUCCESS);
    }
    // What is missing stands behind the last of those that are there.
    let missing = if next.is_some() { Vec::new() } else { missing };
    let all: Vec<Value> = protocols.into_iter().chain(missing).collect();
    output.list(&all, next.as_deref(), |all| {
        let mut table = Table::new(output, &["name", "version", "summary", "digest"]);
        for protocol in all {
            table.row(row(protocol));
        }
        table
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The columns of a protocol, or of one that is missing, which has a state.
fn row(protocol: &Value) -> [String; 4] {
    if protocol.get("state").is_some() {
        let state = match field(protocol, "/state").as_str() {
            "waiting" | "preparing" => "(being prepared; whoever names it waits for it)".to_owned(),
            "not_built" => "(not built: scripts/build-guests.sh protocols says why)".to_owned(),
            _ => format!("(refused: {})", field(protocol, "/reason")),
        };
        return [field(protocol, "/name"), String::new(), state, String::new()];
    }
    // Enough of the digest to tell two apart.
    let digest = field(protocol, "/digest").chars().take("sha256:".len() + 12).collect();
    [field(protocol, "/name"), field(protocol, "/version"), field(protocol, "/summary"), digest]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_has_a_row_that_says_why() {
        for (missing, said) in [
            (json!({"name": "feed", "state": "waiting", "reason": null}), "being prepared"),
            (json!({"name": "feed", "state": "not_built", "reason": null}), "not built"),
            (json!({"name": "feed", "state": "refused", "reason": "broken"}), "(refused: broken)"),
        ] {
            let [name, version, state, digest] = row(&missing);
            assert_eq!((name.as_str(), version.as_str(), digest.as_str()), ("feed", "", ""));
            assert!(state.contains(said), "{state}");
        }
        let there = json!({"name": "http", "version": "0.1.0", "summary": "S", "digest": "sha256:0123456789abcdef"});
        assert_eq!(row(&there), ["http", "0.1.0", "S", "sha256:0123456789ab"]);
    }
}
