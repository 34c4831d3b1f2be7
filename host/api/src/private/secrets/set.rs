//! `PUT /v1/secrets/{name}`: a first or a next value.

use crate::{
    ApiState,
    error::{Answer, Problem},
    request::{caller::Caller, json::Json, path::In},
    wire::{
        self,
        secret::{SecretBody, SecretSummary},
    },
};
use action_domain::failure::Issue;
use action_engine::EngineError;
use axum::extract::State;
use http::StatusCode;

/// Set a secret
///
/// Configs name it as `{"$secret": "name", "prefix": "Bearer "}`, where the protocol's schema says `writeOnly`. The
/// value counts from the next attempt on, and the one before is gone. It has 6 bytes at least, or it could not be told
/// from other text in logs and outputs, and 64 KiB at most. It can be read back by nobody. A secret cannot be called
/// `rewrap`. The key of a webhook (`scheme: key`) has 16 bytes at least.
#[utoipa::path(
    put,
    path = "/v1/secrets/{name}",
    tag = "secrets",
    params(("name" = String, Path, description = "`[a-z][a-z0-9-]{0,62}`.")),
    request_body = SecretBody,
    responses(
        (status = 200, description = "It has a new value.", body = SecretSummary),
        (status = 201, description = "It has its first value.", body = SecretSummary),
        (status = 400, description = "The document or the path cannot be read: `malformed_json`, `invalid_utf8`, \
            `duplicate_member`, `too_deep`, `invalid_path`."),
        (status = 409, description = "The service was given no key to seal secrets with: `secret_key_missing`."),
        (status = 422, description = "The document is not valid: `invalid_document`."),
    )
)]
pub(super) async fn put_secret(
    State(state): State<ApiState>,
    caller: Caller,
    In(name): In<String>,
    Json(body): Json<SecretBody>,
) -> Answer {
    let name = name.parse().map_err(|error| {
        Problem::invalid_document(vec![Issue::new("", "invalid_name", format!("the name in the path: {error}"))])
    })?;
    let (value, pointer) = body.into_bytes()?;
    let set = state.engine().set_secret(&name, &value, caller.actor()).await.map_err(|error| match error {
        EngineError::Invalid(issues) => {
            EngineError::Invalid(issues.into_iter().map(|issue| issue.below(pointer)).collect())
        }
        other => other,
    })?;
    let status = if set.created { StatusCode::CREATED } else { StatusCode::OK };
    wire::json(status, &SecretSummary::from(&*set.secret))
}
