//! `POST /v1/secrets/rewrap`: everything under the first key.

use crate::{
    ApiState,
    error::Answer,
    request::caller::Caller,
    wire::{self, secret::RewrappedBody},
};
use action_engine::Rewrapped;
use axum::extract::State;

/// Move all secrets to the first key
///
/// Wraps the data key of each secret with the first of the service's keys. After it, the other keys can be taken away,
/// if `unreadable` is empty. Values and versions do not change. A `secrets_rewrapped` event records each batch.
#[utoipa::path(
    post,
    path = "/v1/secrets/rewrap",
    tag = "secrets",
    responses(
        (status = 200, description = "What became of them.", body = RewrappedBody),
        (status = 409, description = "The service was given no key: `secret_key_missing`."),
    )
)]
pub(super) async fn rewrap_secrets(State(state): State<ApiState>, caller: Caller) -> Answer {
    let Rewrapped { key, secrets, unreadable } = state.engine().rewrap_secrets(caller.actor()).await?;
    let unreadable = unreadable.into_iter().map(String::from).collect();
    wire::ok(&RewrappedBody { key: key.to_string(), secrets, unreadable })
}
