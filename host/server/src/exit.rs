//! How a command ends: its exit code, and what it says when it did not work.

use crate::{client::ClientError, config::SettingsError};
use serde_json::{Value, json};
use std::{io::ErrorKind, process::ExitCode};

/// It was done, and what was asked for did not succeed; or it was refused.
pub(crate) const FAILED: u8 = 1;
/// The command line, a setting or a file that it names is wrong. The same as clap's.
pub(crate) const USAGE: u8 = 2;
/// The service cannot be reached, or is not able to answer.
pub(crate) const UNAVAILABLE: u8 = 3;
/// The execution has not ended.
pub(crate) const NOT_ENDED: u8 = 4;

/// For `--help`.
pub(crate) const HELP: &str = "Exit codes:
  0  done
  1  it was tried, and was refused or failed (an execution, a connection test)
  2  nothing was tried: the command line, a setting or a file that it names is wrong (the file is
     not there, is too large, or is no JSON, YAML or component)
  3  the service cannot be reached, or cannot answer now
  4  the execution was accepted and has not ended yet

Settings are environment variables ACTION_SERVICE_*, or a TOML file (--config) with the same
names in the same upper case; the environment wins. An unknown name is refused.";

/// What was given cannot be used, and nothing was begun.
#[derive(Debug)]
struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// The same error, as a mistake in what was given: it ends with [`USAGE`].
pub(crate) fn usage(error: anyhow::Error) -> anyhow::Error {
    Usage(format!("{error:#}")).into()
}

/// Says what went wrong, on standard error, and gives the exit code.
pub(crate) fn report(error: &anyhow::Error, json: bool) -> ExitCode {
    // Whoever read the output has seen enough: `… | head`.
    let gone = |error: &std::io::Error| error.kind() == ErrorKind::BrokenPipe;
    if error.chain().any(|cause| cause.downcast_ref().is_some_and(gone)) {
        return ExitCode::SUCCESS;
    }
    if json {
        eprintln!("{}", document(error));
    } else {
        eprintln!("error: {error:#}");
    }
    ExitCode::from(code(error))
}

fn code(error: &anyhow::Error) -> u8 {
    if settings_error(error).is_some() || error.chain().any(|cause| cause.downcast_ref::<Usage>().is_some()) {
        return USAGE;
    }
    match error.chain().find_map(|cause| cause.downcast_ref::<ClientError>()) {
        Some(ClientError::Refused(problem)) if problem.status >= 500 || problem.status == 429 => UNAVAILABLE,
        Some(ClientError::Unreachable { .. } | ClientError::NotUnderstood(_)) => UNAVAILABLE,
        Some(ClientError::BadServer { .. }) => USAGE,
        Some(ClientError::Refused(_)) | None => FAILED,
    }
}

fn settings_error(error: &anyhow::Error) -> Option<&SettingsError> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

/// The error for programs: a problem document as the service sent it, or one of our own.
pub(crate) fn document(error: &anyhow::Error) -> Value {
    if let Some(error) = error.chain().find_map(|cause| cause.downcast_ref::<ClientError>()) {
        return json!({"error": error.document()});
    }
    let word = if code(error) == USAGE { "usage" } else { "failed" };
    let mut document = json!({"error": {"code": word, "detail": format!("{error:#}")}});
    if let Some(settings) = settings_error(error) {
        document["error"]["errors"] = settings.problems().iter().map(|problem| json!({"message": problem})).collect();
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Problem;
    use reqwest::StatusCode;

    fn refused(status: StatusCode) -> anyhow::Error {
        ClientError::Refused(Box::new(Problem::from_answer(status, b"", None))).into()
    }

    #[test]
    fn codes_are_as_documented() {
        assert_eq!(code(&anyhow::anyhow!("x")), FAILED);
        assert_eq!(code(&refused(StatusCode::NOT_FOUND).context("more")), FAILED);
        assert_eq!(code(&usage(anyhow::anyhow!("x")).context("more")), USAGE);
        assert_eq!(code(&refused(StatusCode::SERVICE_UNAVAILABLE)), UNAVAILABLE);
        assert_eq!(code(&ClientError::Unreachable { server: "s".into(), reason: "r".into() }.into()), UNAVAILABLE);
        assert_eq!(document(&refused(StatusCode::NOT_FOUND))["error"]["status"], 404);
        assert_eq!(document(&anyhow::anyhow!("x"))["error"]["detail"], "x");
    }
}
