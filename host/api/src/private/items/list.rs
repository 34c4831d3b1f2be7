//! `GET /v1/items`: what was captured, in pages.

use crate::{
    ApiState,
    error::Answer,
    private::events::list::{After, after, reached, read},
    request::{caller::Caller, query::Query},
    wire::{self, item::ItemBody, page::Page},
};
use action_domain::{event::EventType, repositories::EventFilter};
use axum::extract::State;

/// List items
///
/// By position, which is that of the event `item_captured` too. All conditions hold.
#[utoipa::path(
    get,
    path = "/v1/items",
    tag = "items",
    params(
        ("action" = Option<String>, Query, description = "Captured by this action, by id or name."),
        ("kind" = Option<String>, Query, description = "Of this kind."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Most items of the page: 1 to 500, 50 \
            where left out. A page of large ones may have fewer."),
        ("after" = Option<String>, Query, description = "A position: only items behind it; or `latest`: only what comes.",
            pattern = "^([0-9]+|latest)$"),
    ),
    responses(
        (status = 200, description = "A page.", body = Page<ItemBody>),
        (status = 400, description = "The query makes no sense: `invalid_query`, `invalid_cursor`; or the log does not \
            reach the position, as after a restore: `position_beyond_end`."),
        (status = 404, description = "There is no action with this name: `action_not_found`."),
    )
)]
pub(super) async fn list_items(State(state): State<ApiState>, caller: Caller, mut query: Query) -> Answer {
    let limit = query.limit()?;
    let after = after(&mut query)?;
    let filter = EventFilter {
        types: vec![EventType::ItemCaptured],
        action: query.action(&state, &caller).await?,
        kind: query.one("kind")?,
        ..EventFilter::default()
    };
    query.finish()?;
    let position = reached(&state, after).await?;
    let (events, next) = match after {
        After::Latest => (Vec::new(), Some(position)),
        After::Position(_) => read(&state, &caller, &filter, Some(position), limit).await?,
    };
    let items = events.iter().map(ItemBody::of).collect::<Answer<Vec<_>>>()?;
    wire::ok(&Page { items, next: next.map(|position| position.to_string()) })
}
