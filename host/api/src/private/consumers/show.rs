//! `GET /v1/consumers/{name}`.

use super::name_of;
use crate::{
    ApiState,
    error::Answer,
    request::path::In,
    wire::{consumer::ConsumerBody, ok},
};
use axum::extract::State;

/// Get a consumer
#[utoipa::path(
    get,
    path = "/v1/consumers/{name}",
    tag = "consumers",
    params(("name" = String, Path, description = "The consumer's name.")),
    responses(
        (status = 200, description = "It.", body = ConsumerBody),
        (status = 400, description = "The path makes no sense: `invalid_path`."),
        (status = 404, description = "There is no such consumer: `consumer_not_found`."),
    )
)]
pub(super) async fn get_consumer(State(state): State<ApiState>, In(name): In<String>) -> Answer {
    let consumer = state.engine().consumer(&name_of(&name)?).await?;
    ok(&ConsumerBody::from(&consumer))
}
