//! `protocol push`: uploads components.

use crate::{
    client::Client,
    input,
    output::{Colour, Output, field, upgrade_lines},
};
use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// What to upload.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Components (.wasm)
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) async fn run(arguments: Arguments, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    let files = &arguments.files;
    // A file that is no component is a mistake in the command: then nothing is tried.
    for file in files {
        input::component(file)?;
    }
    for (index, file) in files.iter().enumerate() {
        push(file, client, output).await.with_context(|| how_far(files, index))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn push(file: &Path, client: &Client, output: Output) -> anyhow::Result<()> {
    let component = input::component(file)?;
    let bar = bar(component.len() as u64, output);
    let moving = bar.clone();
    let size = component.len() as u64;
    let pushed = client.push_protocol(component, move |bytes| {
        moving.inc(bytes);
        if moving.position() >= size {
            // It has arrived; what takes time now is the compiler.
            moving.set_message("compiling");
            moving.enable_steady_tick(Duration::from_millis(100));
        }
    });
    let pushed = pushed.await;
    bar.finish_and_clear();
    let (protocol, created) = pushed?;
    if output.is_json() {
        return Ok(Output::json(&protocol)?);
    }
    let word = if created { output.paint(Colour::Green, "uploaded") } else { "there already".to_owned() };
    let pin = format!("{}@{}", field(&protocol, "/name"), field(&protocol, "/version"));
    Output::line(&format!("{word}  {pin}  {}  {}", field(&protocol, "/digest"), field(&protocol, "/summary")))?;
    for line in protocol.get("upgrade").map(|upgrade| upgrade_lines(upgrade, output)).into_iter().flatten() {
        Output::line(&line)?;
    }
    Ok(())
}

/// Which file failed, and what became of the others.
fn how_far(files: &[PathBuf], failed: usize) -> String {
    let said = |words: &str, files: &[PathBuf]| {
        let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        if names.is_empty() { String::new() } else { format!("; {words}: {}", names.join(", ")) }
    };
    let before = said("pushed before it", &files[..failed]);
    let behind = said("not tried", &files[failed + 1..]);
    format!("{}{before}{behind}", files[failed].display())
}

/// A bar where a person sees it, and nothing elsewhere.
fn bar(bytes: u64, output: Output) -> ProgressBar {
    if output.is_json() || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(bytes);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {bar:30} {bytes} of {total_bytes}  {msg}") {
        bar.set_style(style);
    }
    bar
}
