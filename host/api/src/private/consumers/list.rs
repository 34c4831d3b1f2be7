//! `GET /v1/consumers`: who reads, and how far they are.

use crate::{
    ApiState,
    error::Answer,
    request::query::Query,
    wire::{
        consumer::ConsumerBody,
        page::{self, ConsumerName},
    },
};
use action_domain::repositories::Page;
use axum::extract::State;

/// List consumers
///
/// By name.
#[utoipa::path(
    get,
    path = "/v1/consumers",
    tag = "consumers",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Most items of the page: 1 to 500, 50 where left out."),
        ("after" = Option<String>, Query, description = "`next` of the page before."),
    ),
    responses(
        (status = 200, description = "A page.", body = page::Page<ConsumerBody>),
        (status = 400, description = "The query makes no sense: `invalid_query`, `invalid_cursor`."),
    )
)]
pub(super) async fn list_consumers(State(state): State<ApiState>, mut query: Query) -> Answer {
    let (limit, Page { after, limit: ask }) = query.page::<ConsumerName>()?;
    query.finish()?;
    let page = Page { after: after.map(|ConsumerName(name)| name), limit: ask };
    let mut consumers = state.engine().reader().consumers(page).await?;
    page::answer(&mut consumers, limit, |found| ConsumerName(found.consumer.name.clone()), ConsumerBody::from)
}
