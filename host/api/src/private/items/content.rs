//! `GET /v1/items/{position}/content`: the bytes of an item, however many.

use crate::{
    ApiState,
    error::{Answer, Problem},
    request::{caller::Caller, path::In},
    wire::bytes,
};
use action_domain::{
    event::{EventType, Position},
    repositories::{EventFilter, Page},
};
use axum::extract::State;

/// Get an item's content
///
/// As it was captured, under its own media type. What was captured is somebody else's: never show it
/// where a script in it would run.
#[utoipa::path(
    get,
    path = "/v1/items/{position}/content",
    tag = "items",
    params(("position" = i64, Path, minimum = 1, description = "The item's position.")),
    responses(
        (status = 200, description = "The bytes, under their own media type.", body = Vec<u8>,
            content_type = "*/*"),
        (status = 400, description = "The path makes no sense: `invalid_path`."),
        (status = 404, description = "There is no item at this position: `item_not_found`."),
    )
)]
pub(super) async fn get_item_content(
    State(state): State<ApiState>,
    caller: Caller,
    In(position): In<Position>,
) -> Answer {
    let filter = EventFilter { types: vec![EventType::ItemCaptured], ..EventFilter::default() };
    let page = Page { after: position.checked_sub(1), limit: 1 };
    let events = caller.events(&state, &filter, page).await?;
    let item = events.first().filter(|event| event.position == position).ok_or(Problem::not_found("item"))?;
    Ok(bytes(state.engine().item_content(item).await?))
}
