//! What stands in a path, as domain values. A thing that cannot exist is not found.

use crate::error::{Answer, Problem};
use action_domain::{id::ExecutionId, protocol::Pin, repositories::ActionKey};
use axum::{
    extract::{FromRequestParts, Path},
    response::IntoResponse as _,
};
use http::request::Parts;
use serde::de::DeserializeOwned;

/// Like axum's `Path`, with a problem where it does not parse.
pub(crate) struct In<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for In<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) if rejection.status().is_client_error() => {
                Err(Problem::bad_request("invalid_path", rejection.body_text()))
            }
            Err(rejection) => {
                tracing::error!(message = rejection.body_text(), "api.path.mismatch");
                drop(rejection.into_response());
                Err(Problem::internal())
            }
        }
    }
}

/// An action by id or name.
pub(crate) fn action_key(text: &str) -> Answer<ActionKey> {
    parse_action_key(text).ok_or_else(|| Problem::not_found("action"))
}

/// An action by id or name. No name has an underscore, so the two cannot be mistaken.
pub(crate) fn parse_action_key(text: &str) -> Option<ActionKey> {
    match text.parse() {
        Ok(id) => Some(ActionKey::Id(id)),
        Err(_) => text.parse().ok().map(ActionKey::Name),
    }
}

/// An execution by id.
pub(crate) fn execution_id(text: &str) -> Answer<ExecutionId> {
    text.parse().map_err(|_| Problem::not_found("execution"))
}

/// A protocol by name and version.
pub(crate) fn pin((name, version): (String, String)) -> Answer<Pin> {
    match (name.parse(), version.parse()) {
        (Ok(name), Ok(version)) => Ok(Pin { name, version }),
        _ => Err(Problem::not_found("protocol")),
    }
}
