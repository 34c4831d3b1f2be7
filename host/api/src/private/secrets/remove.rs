//! `DELETE /v1/secrets/{name}`.

use super::name_of;
use crate::{
    ApiState,
    error::Answer,
    request::{caller::Caller, path::In},
};
use axum::{extract::State, response::IntoResponse as _};
use http::StatusCode;

/// Delete a secret
///
/// Not while an action names it. Executions that began with an older revision of an action, which does, end with
/// `secret_missing`.
#[utoipa::path(
    delete,
    path = "/v1/secrets/{name}",
    tag = "secrets",
    params(("name" = String, Path, description = "The secret's name.")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 400, description = "The path cannot be read: `invalid_path`."),
        (status = 404, description = "There is no such secret: `secret_not_found`."),
        (status = 409, description = "Actions name it; the detail says which: `in_use`."),
    )
)]
pub(super) async fn delete_secret(State(state): State<ApiState>, caller: Caller, In(name): In<String>) -> Answer {
    state.engine().remove_secret(&name_of(&name)?, caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
