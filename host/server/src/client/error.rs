//! Why the service gave no answer, or another one than was hoped for.

use crate::output::printable;
use action_domain::failure::{Issue, Place};
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::fmt;

/// What went wrong between a command and the service.
#[derive(Debug)]
pub(crate) enum ClientError {
    /// The service says no.
    Refused(Box<Problem>),
    /// Nobody there, or the connection broke.
    Unreachable {
        /// Where.
        server: String,
        /// Why.
        reason: String,
    },
    /// Somebody there, but not this service.
    NotUnderstood(String),
    /// There is nowhere to connect to.
    BadServer {
        /// As it was given.
        server: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A problem document (RFC 9457), with what else it holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// The HTTP status.
    pub(crate) status: u16,
    /// Stable word.
    #[serde(default)]
    pub(crate) code: String,
    /// For people.
    #[serde(default)]
    pub(crate) detail: String,
    /// What is wrong with a document, and where.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<ProblemIssue>,
    /// When to come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after: Option<String>,
    /// Members that this release does not know.
    #[serde(flatten)]
    pub(crate) others: Map<String, Value>,
}

/// One thing that is wrong with a document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ProblemIssue {
    /// JSON Pointer; empty for the whole document.
    #[serde(default)]
    pub(crate) pointer: String,
    /// Stable word.
    #[serde(default)]
    pub(crate) code: String,
    /// For people.
    #[serde(default)]
    pub(crate) message: String,
    /// In a text at `pointer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u32>,
    /// In that line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<u32>,
}

impl From<Issue> for ProblemIssue {
    fn from(Issue { pointer, code, message, place }: Issue) -> Self {
        let (line, column) = place.map(|place| (place.line, place.column)).unzip();
        Self { pointer, code, message, line, column }
    }
}

impl From<ProblemIssue> for Issue {
    fn from(ProblemIssue { pointer, code, message, line, column }: ProblemIssue) -> Self {
        let place = line.zip(column).map(|(line, column)| Place { line, column });
        Self { pointer, code, message, place }
    }
}

impl ClientError {
    /// For programs: the problem document as the service sent it, or one of our own.
    pub(crate) fn document(&self) -> Value {
        let code = match self {
            Self::Refused(problem) => return json!(problem),
            Self::Unreachable { .. } => "unreachable",
            Self::NotUnderstood(_) => "not_understood",
            Self::BadServer { .. } => "usage",
        };
        json!({"code": code, "detail": self.to_string()})
    }
}

impl Problem {
    /// As the service says that something is wrong with what it got.
    pub(crate) fn invalid(code: &str, detail: String, issues: Vec<Issue>) -> ClientError {
        let status = StatusCode::UNPROCESSABLE_ENTITY.as_u16();
        let errors = issues.into_iter().map(ProblemIssue::from).collect();
        let problem = Self { status, code: code.to_owned(), detail, errors, retry_after: None, others: Map::new() };
        ClientError::Refused(Box::new(problem))
    }

    /// From an answer that is no success. One that is no problem document came from something
    /// in between, and is cut to what a person reads.
    pub(crate) fn from_answer(status: StatusCode, body: &[u8], retry_after: Option<String>) -> Self {
        let mut problem = serde_json::from_slice(body).unwrap_or_else(|_| Self {
            status: 0,
            code: "http_error".into(),
            detail: String::from_utf8_lossy(body).trim().chars().take(500).collect(),
            errors: Vec::new(),
            retry_after: None,
            others: Map::new(),
        });
        problem.status = status.as_u16();
        problem.retry_after = retry_after;
        if problem.detail.is_empty() {
            status.canonical_reason().unwrap_or("no reason").clone_into(&mut problem.detail);
        }
        problem
    }
}

impl fmt::Display for ProblemIssue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pointer, code, message, line, column } = self;
        let place = if pointer.is_empty() { "(document)" } else { pointer };
        let in_text = line.zip(*column).map(|(line, column)| format!(" line {line}, column {column}"));
        write!(f, "{}{}: {} ({code})", printable(place), in_text.unwrap_or_default(), printable(message))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} {})", printable(&self.detail), self.status, self.code)?;
        if let Some(seconds) = &self.retry_after {
            write!(f, "; try again after {seconds} s")?;
        }
        self.errors.iter().try_for_each(|issue| write!(f, "\n  {issue}"))?;
        if self.status == 401 {
            f.write_str("\n  tokens come from --token, ACTION_SERVICE_TOKEN, or for a service on this machine its admin-token file")?;
        }
        Ok(())
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(problem) => problem.fmt(f),
            Self::Unreachable { server, reason } => {
                let hint = "`action-service serve` starts one; --server or ACTION_SERVICE_URL names another";
                write!(f, "the service at {server} cannot be reached: {reason}\n  {hint}")
            }
            Self::NotUnderstood(reason) => write!(f, "the answer was not understood: {reason}"),
            Self::BadServer { server, reason } => write!(f, "`{server}` is no service: {reason}"),
        }
    }
}

impl std::error::Error for ClientError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_show_where_each_thing_is_wrong() {
        let body =
            br#"{"type":"about:blank","status":422,"code":"invalid_document","detail":"the document is not valid",
            "errors":[{"pointer":"/config/url","code":"required","message":"is missing"},
                      {"pointer":"","code":"x","message":"y"}]}"#;
        let problem = Problem::from_answer(StatusCode::UNPROCESSABLE_ENTITY, body, None);
        assert_eq!(
            problem.to_string(),
            "the document is not valid (422 invalid_document)\n  /config/url: is missing (required)\n  \
             (document): y (x)"
        );
        assert_eq!(serde_json::to_value(&problem).unwrap()["errors"][0]["pointer"], "/config/url");
    }

    #[test]
    fn what_is_no_problem_document_is_shown_as_it_is() {
        let problem = Problem::from_answer(StatusCode::BAD_GATEWAY, b"<html>oops", Some("3".into()));
        assert_eq!(problem.to_string(), "<html>oops (502 http_error); try again after 3 s");
        let problem = Problem::from_answer(StatusCode::NOT_FOUND, b"", None);
        assert_eq!(problem.to_string(), "Not Found (404 http_error)");
    }
}
