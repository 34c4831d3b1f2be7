//! `GET /v1/secrets`: names, versions and dates.

use crate::{
    ApiState,
    error::Answer,
    request::query::Query,
    wire::{
        page::{self, SecretName},
        secret::SecretSummary,
    },
};
use action_domain::repositories::Page;
use axum::extract::State;

/// List secrets
///
/// By name. What they are is told to nobody.
#[utoipa::path(
    get,
    path = "/v1/secrets",
    tag = "secrets",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Most items of the page: 1 to 500, 50 where left out."),
        ("after" = Option<String>, Query, description = "`next` of the page before."),
    ),
    responses(
        (status = 200, description = "A page.", body = page::Page<SecretSummary>),
        (status = 400, description = "The query makes no sense: `invalid_query`, `invalid_cursor`."),
    )
)]
pub(super) async fn list_secrets(State(state): State<ApiState>, mut query: Query) -> Answer {
    let (limit, Page { after, limit: ask }) = query.page::<SecretName>()?;
    query.finish()?;
    let page = Page { after: after.map(|SecretName(name)| name), limit: ask };
    let mut secrets = state.engine().reader().secrets(page).await?;
    page::answer(&mut secrets, limit, |secret| SecretName(secret.name.clone()), |secret| SecretSummary::from(&**secret))
}
