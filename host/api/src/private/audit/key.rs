//! `GET /v1/audit/key`: the public key that seals.

use crate::{ApiState, error::Answer, wire};
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

/// The public key with which seals are checked.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditKey {
    /// Always `ed25519`.
    #[schema(example = "ed25519")]
    algorithm: &'static str,
    /// Its 32 bytes in base64.
    #[schema(example = "6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=")]
    key: String,
    /// A short name for people: the first sixteen hexadecimal digits of its SHA-256.
    key_id: String,
    /// The same in PEM, for other tools.
    pem: String,
}

/// Get the public key
///
/// The one that signs the next seal. Keep it elsewhere: whoever can change the database should not be able to change
/// what it is checked with.
#[utoipa::path(
    get,
    path = "/v1/audit/key",
    tag = "audit",
    responses(
        (status = 200, description = "The key.", body = AuditKey),
        (status = 404, description = "This process does not seal: `audit_key_not_found`."),
    )
)]
pub(super) async fn get_audit_key(State(state): State<ApiState>) -> Answer {
    let key = state.engine().seal_key()?;
    wire::ok(&AuditKey { algorithm: "ed25519", key: key.to_string(), key_id: key.id(), pem: key.to_pem() })
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use serde_json::json;

    #[tokio::test]
    async fn it_is_told_in_forms_that_tools_read() {
        let key = Api::new().get("/v1/audit/key").send().await.json();
        let wanted = json!({
            "algorithm": "ed25519",
            "key": "6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=",
            "key_id": key["key_id"],
            "pem": "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=\n-----END PUBLIC KEY-----\n",
        });
        assert_eq!(key, wanted);
        assert_eq!(key["key_id"].as_str().unwrap().len(), 16);
    }
}
