//! `migrate`: brings the database's schema up to date without starting the service.

use crate::{
    cli::SettingsFile,
    compose::{self, Migrated},
    config::Settings,
    data_dir,
    output::Output,
};
use serde_json::json;
use std::process::ExitCode;

pub(super) async fn run(file: &SettingsFile, output: Output) -> anyhow::Result<ExitCode> {
    let settings = Settings::from_sources(&file.sources()?)?;
    data_dir::make(&settings.data_dir)?;
    let place = settings.database.to_string();
    let (steps, text) = match compose::migrate(&settings.database).await? {
        Migrated::Steps(0) => (0, format!("{place}: up to date")),
        Migrated::Steps(1) => (1, format!("{place}: 1 step applied")),
        Migrated::Steps(steps) => (steps, format!("{place}: {steps} steps applied")),
        Migrated::NothingToMigrate => (0, format!("{place}: has no schema")),
    };
    if output.is_json() {
        Output::json(&json!({"database": place, "steps": steps}))?;
    } else {
        Output::line(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}
