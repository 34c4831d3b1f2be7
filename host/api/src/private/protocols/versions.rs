//! `GET /v1/protocols/{name}`: the versions of a protocol.

use crate::{
    ApiState,
    error::{Answer, Problem},
    request::{path::In, query::Query},
    wire::{ok, page::Page, protocol::ProtocolSummary},
};
use axum::extract::State;

/// List a protocol's versions
///
/// The newest (by semantic version) first.
#[utoipa::path(
    get,
    path = "/v1/protocols/{name}",
    tag = "protocols",
    params(("name" = String, Path, description = "The protocol's name.")),
    responses(
        (status = 200, description = "All versions.", body = Page<ProtocolSummary>),
        (status = 400, description = "The path or the query makes no sense: `invalid_path`, `invalid_query`."),
        (status = 404, description = "There is no protocol with this name: `protocol_not_found`."),
    )
)]
pub(super) async fn list_protocol_versions(
    State(state): State<ApiState>,
    In(name): In<String>,
    query: Query,
) -> Answer {
    query.finish()?;
    let name = name.parse().map_err(|_| Problem::not_found("protocol"))?;
    let versions = state.engine().protocol_versions(&name).await?;
    if versions.is_empty() {
        return Err(Problem::not_found("protocol"));
    }
    let items: Vec<_> = versions.iter().map(|protocol| ProtocolSummary::from(&**protocol)).collect();
    ok(&Page { items, next: None })
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;

    #[tokio::test]
    async fn the_newest_first() {
        let api = Api::new();
        for component in ["a 0.2.0", "a 0.10.0", "b 1.0.0"] {
            api.upload(component).await.is(201);
        }
        let list = api.get("/v1/protocols/a").send().await.json();
        assert_eq!(list["items"][0]["version"], "0.10.0");
        assert_eq!(list["items"][1]["version"], "0.2.0");
        assert_eq!(list["items"].as_array().unwrap().len(), 2);
        api.get("/v1/protocols/c").send().await.is_problem(404, "protocol_not_found");
        api.get("/v1/protocols/NO").send().await.is_problem(404, "protocol_not_found");
    }
}
