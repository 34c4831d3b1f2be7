//! `secret set`: the value comes from a file or standard input, never from the command line, which
//! other users of the machine and the shell's history see.

use crate::{
    client::Client,
    input,
    output::{Output, field},
};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

/// Which one, and where its value is.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Its name
    name: String,
    /// The file that holds the value [default: standard input]
    #[arg(long, value_name = "FILE")]
    value_file: Option<PathBuf>,
    /// Keep a line end at the end of the value, which is otherwise dropped
    #[arg(long)]
    keep_line_end: bool,
}

pub(super) async fn run(arguments: &Arguments, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    if arguments.value_file.is_none() {
        output.note("reading the value from standard input");
    }
    let value = input::secret(arguments.value_file.as_deref(), arguments.keep_line_end)?;
    let (secret, created) = client.set_secret(&arguments.name, &value).await?;
    if output.is_json() {
        Output::json(&secret)?;
    } else {
        let done = if created { "created" } else { "changed" };
        Output::line(&format!("{done}  {}  version {}", field(&secret, "/name"), field(&secret, "/version")))?;
    }
    Ok(ExitCode::SUCCESS)
}
