//! `POST /v1/consumers/{name}/ack`: a consumer has dealt with what it read.

use super::name_of;
use crate::{
    ApiState,
    error::Answer,
    private::events::list::{After, reached},
    request::{json::Json, path::In},
    wire::{
        consumer::{Acknowledgement, ConsumerBody},
        ok,
    },
};
use axum::extract::State;

/// Acknowledge events
///
/// Everything up to a position was dealt with. An older position than before changes nothing.
#[utoipa::path(
    post,
    path = "/v1/consumers/{name}/ack",
    tag = "consumers",
    params(("name" = String, Path, description = "The consumer's name.")),
    request_body = Acknowledgement,
    responses(
        (status = 200, description = "Where it stands now.", body = ConsumerBody),
        (status = 400, description = "The path or the body makes no sense: `invalid_path`, `malformed_json` and the \
            like; or the log does not reach the position: `position_beyond_end`."),
        (status = 404, description = "There is no such consumer: `consumer_not_found`."),
        (status = 422, description = "The document is wrong, at the places told: `invalid_document`."),
    )
)]
pub(super) async fn acknowledge_events(
    State(state): State<ApiState>,
    In(name): In<String>,
    Json(Acknowledgement { position }): Json<Acknowledgement>,
) -> Answer {
    let name = name_of(&name)?;
    let position = reached(&state, After::Position(position)).await?;
    state.engine().acknowledge(&name, position).await?;
    ok(&ConsumerBody::from(&state.engine().consumer(&name).await?))
}
