//! `DELETE /v1/consumers/{name}`.

use super::name_of;
use crate::{
    ApiState,
    error::Answer,
    request::{caller::Caller, path::In},
};
use axum::{extract::State, response::IntoResponse as _};
use http::StatusCode;

/// Remove a consumer
///
/// Where it stood is forgotten, but for the event `consumer_deleted`.
#[utoipa::path(
    delete,
    path = "/v1/consumers/{name}",
    tag = "consumers",
    params(("name" = String, Path, description = "The consumer's name.")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 400, description = "The path makes no sense: `invalid_path`."),
        (status = 404, description = "There is no such consumer: `consumer_not_found`."),
    )
)]
pub(super) async fn delete_consumer(State(state): State<ApiState>, caller: Caller, In(name): In<String>) -> Answer {
    state.engine().remove_consumer(&name_of(&name)?, caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
