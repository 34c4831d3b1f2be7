//! `GET /v1/audit/seals`: the chain of seals, in pages.

use crate::{
    ApiState,
    error::{Answer, Problem},
    request::query::Query,
    wire::{
        page::{self, Page},
        seal::SealBody,
    },
};
use axum::extract::State;

/// List seals
///
/// In their order. `after` is a seal's `sequence`. Each names the one before it; together they cover the log without gaps.
#[utoipa::path(
    get,
    path = "/v1/audit/seals",
    tag = "audit",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Most items of the page: 1 to 500, 50 where left out."),
        ("after" = Option<String>, Query, description = "A seal's number: only those behind it.", pattern = "^[0-9]+$"),
    ),
    responses(
        (status = 200, description = "A page.", body = Page<SealBody>),
        (status = 400, description = "The query makes no sense: `invalid_query`, `invalid_cursor`."),
    )
)]
pub(super) async fn list_seals(State(state): State<ApiState>, mut query: Query) -> Answer {
    let limit = query.limit()?;
    let sequence = |text: String| {
        let number = text.parse().ok().filter(|number| i64::try_from(*number).is_ok());
        number.ok_or_else(|| Problem::bad_request("invalid_cursor", "`after` is a seal's number"))
    };
    let after: Option<u64> = query.one("after")?.map(sequence).transpose()?;
    query.finish()?;
    let mut seals = state.engine().log().seals(after, page::ask(limit)).await?;
    let next = page::cut(&mut seals, limit).map(|seal| seal.sequence.to_string());
    // One that cannot be read is `audit verify`'s to tell of.
    let items = seals.iter().filter_map(|seal| Some(SealBody::new(seal, &seal.read()?))).collect();
    crate::wire::ok(&Page { items, next })
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;

    #[tokio::test]
    async fn the_chain_comes_in_pages() {
        let api = Api::new();
        assert!(api.all_pages("/v1/audit/seals").await.is_empty());
        api.protocol_and_action("a").await;
        for _ in 0..3 {
            api.execute("a").await;
            api.post("/v1/audit/seals").send().await.is(200);
        }
        let seals = api.all_pages("/v1/audit/seals?limit=1").await;
        assert_eq!(seals.len(), 3);
        assert_eq!((&seals[0]["first"], &seals[0]["sequence"]), (&1.into(), &1.into()));
        for pair in seals.windows(2) {
            assert_eq!(pair[1]["previous"], pair[0]["hash"]);
            assert_eq!(pair[1]["first"].as_i64().unwrap(), pair[0]["last"].as_i64().unwrap() + 1);
        }
        let behind = api.get("/v1/audit/seals?after=2").send().await.json();
        assert_eq!(behind["items"].as_array().unwrap().len(), 1);
        api.get("/v1/audit/seals?after=x").send().await.is_problem(400, "invalid_cursor");
        api.get("/v1/audit/seals?after=18446744073709551615").send().await.is_problem(400, "invalid_cursor");
    }
}
