//! `POST /v1/audit/seals`: seals now.

use crate::{ApiState, error::Answer, request::json::OptionalJson, wire, wire::seal::SealBody};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How to seal.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SealRequest {
    /// Go on with this process's key although the chain does not name it, because the old one is lost. Whoever verifies
    /// has to name both keys from then on.
    #[serde(default)]
    old_key_is_lost: bool,
}

/// What sealing came to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SealedBody {
    /// Seals that were made.
    seals: u64,
    /// The last one of the chain.
    #[schema(required = true)]
    last: Option<SealBody>,
}

/// Seal now
///
/// The service seals by itself, each minute in which anything happened. This is for those who want to take an anchor or a
/// proof at once.
#[utoipa::path(
    post,
    path = "/v1/audit/seals",
    tag = "audit",
    request_body = Option<SealRequest>,
    responses(
        (status = 200, description = "Everything that had happened is sealed.", body = SealedBody),
        (status = 400, description = "The document cannot be read: `malformed_json`, `invalid_utf8`, \
            `duplicate_member`, `too_deep`."),
        (status = 409, description = "This process does not seal: `sealing_off`; or the chain is another key's: \
            `audit_key_changed`; or it has not the seals that this process knows: `chain_differs`."),
        (status = 422, description = "The document is not valid: `invalid_document`."),
    )
)]
pub(super) async fn seal_events(
    State(state): State<ApiState>,
    OptionalJson(request): OptionalJson<SealRequest>,
) -> Answer {
    let sealed = state.engine().seal_events(request.old_key_is_lost).await?;
    let last = sealed.last.as_ref().map(|(seal, document)| SealBody::new(seal, document));
    wire::ok(&SealedBody { seals: sealed.seals, last })
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use serde_json::{Value, json};

    const PATH: &str = "/v1/audit/seals";

    #[tokio::test]
    async fn what_happened_is_sealed_once() {
        let api = Api::new();
        let nothing = api.post(PATH).send().await.json();
        assert_eq!(nothing, json!({"seals": 0, "last": null}));
        api.protocol_and_action("a").await;
        let end = api.get("/v1/events?after=latest").send().await.json()["next"].as_str().unwrap().to_owned();
        let sealed = api.post(PATH).json(&json!({"old_key_is_lost": false})).send().await.json();
        assert_eq!((&sealed["seals"], sealed["last"]["last"].to_string()), (&json!(1), end));
        let again = api.post(PATH).send().await.json();
        assert_eq!((&again["seals"], &again["last"]), (&json!(0), &sealed["last"]));
        let document: Value = serde_json::from_str(sealed["last"]["document"].as_str().unwrap()).unwrap();
        assert_eq!(document["root"], sealed["last"]["root"]);
        api.post(PATH).json(&json!({"new_key": 1})).send().await.is_problem(422, "invalid_document");
    }
}
