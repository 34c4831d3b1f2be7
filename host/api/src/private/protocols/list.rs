//! `GET /v1/protocols`: all versions of all protocols.

use crate::{
    ApiState,
    error::{Answer, Problem},
    request::query::Query,
    wire::{
        ok,
        page::{self, Cursor as _},
        protocol::ProtocolSummary,
    },
};
use action_domain::{
    protocol::{Kind, Pin, Protocol},
    repositories::Page,
};
use action_engine::Expectation;
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// A part of the list of protocols.
#[derive(Serialize, ToSchema)]
struct ProtocolPage {
    /// The items of this page, in the list's order.
    items: Vec<ProtocolSummary>,
    /// Give it as `after` to get the page behind this one; null at the end of the list.
    #[schema(required = true)]
    next: Option<String>,
    /// Protocols that belong to the service and are not there, at any rate not yet.
    missing: Vec<MissingProtocol>,
}

/// A protocol that belongs to the service and is not there.
#[derive(Serialize, ToSchema)]
struct MissingProtocol {
    /// Its name.
    name: String,
    /// `waiting` and `preparing`: it is on its way, and who names it waits for it; `refused`: it is
    /// broken; `not_built`: its component was not there when the service was built.
    state: &'static str,
    /// Why it was refused.
    reason: Option<String>,
}

impl MissingProtocol {
    fn new(name: String, state: Expectation) -> Self {
        let (state, reason) = match state {
            Expectation::Waiting => ("waiting", None),
            Expectation::Preparing => ("preparing", None),
            Expectation::Refused(reason) => ("refused", Some(reason)),
            Expectation::NotBuilt => ("not_built", None),
        };
        Self { name, state, reason }
    }
}

/// List protocols
///
/// Every version of every protocol, by name and then by version as text.
#[utoipa::path(
    get,
    path = "/v1/protocols",
    tag = "protocols",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Most items of the page: 1 to 500, 50 where left out."),
        ("after" = Option<String>, Query, description = "`next` of the page before."),
        ("kind" = Option<String>, Query, description = "`protocol` or `transform`; both where left out."),
    ),
    responses(
        (status = 200, description = "A page.", body = ProtocolPage),
        (status = 400, description = "The query makes no sense: `invalid_query`, `invalid_cursor`."),
    )
)]
pub(super) async fn list_protocols(State(state): State<ApiState>, mut query: Query) -> Answer {
    let kind = match query.one("kind")?.as_deref() {
        None => None,
        Some("protocol") => Some(Kind::Protocol),
        Some("transform") => Some(Kind::Transform),
        Some(_) => return Err(Problem::bad_request("invalid_query", "`kind` is protocol or transform")),
    };
    let (limit, page) = query.page()?;
    query.finish()?;
    let mut protocols = of_kind(&state, kind, page).await?;
    let next = page::cut(&mut protocols, limit).map(|last| last.pin().encode());
    let items = protocols.iter().map(|protocol| ProtocolSummary::from(&**protocol)).collect();
    let expected = state.engine().expected_protocols();
    let missing = expected.into_iter().map(|(name, state)| MissingProtocol::new(name.to_string(), state)).collect();
    ok(&ProtocolPage { items, next, missing })
}

/// A page of one kind. There are few components, so those of the other kind are read and left out.
async fn of_kind(state: &ApiState, kind: Option<Kind>, page: Page<Pin>) -> Answer<Vec<Arc<Protocol>>> {
    let wanted = page.limit as usize;
    let (mut found, mut after) = (Vec::new(), page.after);
    loop {
        let protocols = state.engine().reader().protocols(Page { after, limit: page.limit }).await?;
        let last = protocols.len() < wanted;
        after = protocols.last().map(|protocol| protocol.pin());
        found.extend(protocols.into_iter().filter(|protocol| kind.is_none_or(|kind| protocol.kind == kind)));
        if last || found.len() >= wanted {
            found.truncate(wanted);
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use action_engine::Expectation;

    #[tokio::test]
    async fn page_by_page() {
        let api = Api::new();
        for component in ["b 0.1.0", "a 0.2.0", "a 0.1.0"] {
            api.upload(component).await.is(201);
        }
        let items = api.all_pages("/v1/protocols?limit=1").await;
        let pins: Vec<_> = items.iter().map(|item| format!("{}@{}", item["name"], item["version"])).collect();
        assert_eq!(pins.join(" ").replace('"', ""), "a@0.1.0 a@0.2.0 b@0.1.0");
        assert!(items[0].get("config_schema").is_none());
    }

    #[tokio::test]
    async fn what_is_not_there_is_told_apart() {
        let api = Api::new();
        for (name, state) in [
            ("a", Expectation::Waiting),
            ("b", Expectation::NotBuilt),
            ("c", Expectation::Waiting),
            ("d", Expectation::Waiting),
        ] {
            api.engine.expect_protocol(name.parse().unwrap(), 1, state);
        }
        assert_eq!(api.engine.next_expected(true).await.unwrap().as_str(), "a");
        api.engine.protocol_prepared(&"c".parse().unwrap(), Ok(()));
        api.engine.protocol_prepared(&"d".parse().unwrap(), Err("broken".to_owned()));
        let answer = api.get("/v1/protocols").send().await;
        assert_eq!(
            answer.json()["missing"],
            serde_json::json!([
                {"name": "a", "state": "preparing", "reason": null},
                {"name": "b", "state": "not_built", "reason": null},
                {"name": "d", "state": "refused", "reason": "broken"},
            ])
        );
    }

    #[tokio::test]
    async fn a_query_that_makes_no_sense_is_refused() {
        let api = Api::new();
        for (query, code) in [
            ("limit=0", "invalid_query"),
            ("limit=501", "invalid_query"),
            ("limit=x", "invalid_query"),
            ("limit=1&limit=2", "invalid_query"),
            ("limt=1", "invalid_query"),
            ("after=x", "invalid_cursor"),
            // A cursor of the list of actions: `action:a`.
            ("after=YWN0aW9uOmE", "invalid_cursor"),
        ] {
            api.get(&format!("/v1/protocols?{query}")).send().await.is_problem(400, code);
        }
    }
}
