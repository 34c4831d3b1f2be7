//! `audit verify`: walks the log with its seals.

use super::{log, number, public_keys};
use crate::{
    config::{Settings, known_audit_keys},
    exit,
    output::{Colour, Output, one_line},
    seal_mark::MarkFile,
};
use action_domain::{
    audit::{Anchor, Finding, SealKey, Summary},
    services::SealMark as _,
};
use action_engine::verify_log;
use anyhow::{Context as _, anyhow};
use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;
use std::{io::IsTerminal as _, path::PathBuf, process::ExitCode, time::Duration};

/// Findings that are shown; the others are counted.
const SHOWN_MAX: usize = 1000;

/// What to verify against.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A public key that is trusted, or a file with some [default: those of this service's own keys]
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// A seal that was kept elsewhere, as `audit anchor` prints it, beside the last one that this
    /// node knows of: without any nobody can tell that the end was cut off
    #[arg(long, value_name = "N:HASH")]
    expect_seal: Vec<String>,
    /// A file with such seals, a line each
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
}

pub(super) async fn run(arguments: &Arguments, settings: &Settings, output: Output) -> anyhow::Result<ExitCode> {
    let trusted = if arguments.keys.is_empty() {
        known_audit_keys(settings)?.iter().map(SealKey::public).collect()
    } else {
        public_keys(&arguments.keys)?
    };
    if trusted.is_empty() {
        let message = "there is no key here to verify with: --key gives the public one";
        return Err(exit::usage(anyhow!(message)));
    }
    let mut anchors = anchors(arguments).map_err(exit::usage)?;
    // Before the log, whose state this is: a seal that is made meanwhile is in neither.
    if let Some(mark) = MarkFile::of(settings) {
        anchors.extend(mark.read()?);
    }
    let log = log(settings).await?;
    let bar = (!output.is_json() && std::io::stderr().is_terminal()).then(|| {
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    });
    let mut shown: Vec<Finding> = Vec::new();
    let summary = verify_log(&*log, trusted, anchors, |found, so_far| {
        if let Some(bar) = &bar {
            bar.set_message(format!("seal {}, {} events", so_far.seals, so_far.events));
        }
        let room = SHOWN_MAX - shown.len();
        shown.extend(found.into_iter().take(room));
    });
    let summary = summary.await?;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let last = log.last_seal().await?.map(|seal| seal.anchor());
    report(settings, summary, &shown, last, output)?;
    Ok(if summary.findings == 0 { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) })
}

fn anchors(arguments: &Arguments) -> anyhow::Result<Vec<Anchor>> {
    let mut texts = arguments.expect_seal.clone();
    if let Some(file) = &arguments.anchor {
        let text = std::fs::read_to_string(file).with_context(|| format!("--anchor {}", file.display()))?;
        texts.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
    }
    texts.iter().map(|text| text.parse().with_context(|| format!("`{text}`"))).collect()
}

fn report(
    settings: &Settings,
    summary: Summary,
    shown: &[Finding],
    last: Option<Anchor>,
    output: Output,
) -> std::io::Result<()> {
    let Summary { seals, events, pruned, unsealed, findings } = summary;
    let last = last.map(|anchor| anchor.to_string());
    if output.is_json() {
        return Output::json(&json!({
            "ok": findings == 0, "seals": seals, "events": events, "pruned": pruned, "unsealed": unsealed,
            "last_seal": last, "findings": shown, "findings_in_all": findings,
        }));
    }
    for finding in shown {
        let code = output.paint(Colour::Red, finding.code.as_str());
        let event = finding.event.map_or_else(String::new, |event| format!(" ({event})"));
        Output::line(&format!("{code}  {}{event}", one_line(&finding.message)))?;
    }
    if findings > shown.len() as u64 {
        Output::line(&format!("… and {} more", findings - shown.len() as u64))?;
    }
    let looked = format!(
        "{}: {} over {}, of which recorded prunes removed {pruned}; {unsealed} behind them not sealed yet",
        settings.database,
        number(seals, "seal"),
        number((events + pruned).saturating_sub(unsealed), "event")
    );
    Output::line(&looked)?;
    let verdict = match findings {
        0 => output.paint(Colour::Green, "everything is as it was sealed"),
        1 => output.paint(Colour::Red, "1 thing is wrong"),
        many => output.paint(Colour::Red, &format!("{many} things are wrong")),
    };
    Output::line(&verdict)?;
    last.map_or(Ok(()), |last| Output::line(&format!("last seal {last}")))
}
