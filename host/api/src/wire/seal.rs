//! Seals, as they are shown.

use action_domain::audit::{Seal, SealDocument};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use utoipa::ToSchema;

/// What was signed about a run of positions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Seal)]
pub(crate) struct SealBody {
    /// Its place in the chain, from 1.
    sequence: u64,
    /// The first position that it covers.
    first: i64,
    /// The last one.
    last: i64,
    /// When it was made.
    #[schema(format = DateTime)]
    time: String,
    /// The Merkle root (RFC 6962) over the events at these positions.
    root: String,
    /// The hash of the seal before it; zeros for the first.
    previous: String,
    /// The public key that signed it, in base64.
    key: String,
    /// The key that signs from the next seal on, where that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_key: Option<String>,
    /// Its own hash: `sequence:hash` is what to keep elsewhere.
    hash: String,
    /// The very text that was signed, behind `action-service/seal/v1` and a line feed.
    document: String,
    /// The Ed25519 signature, in base64.
    signature: String,
}

impl SealBody {
    /// A seal and what it says.
    pub(crate) fn new(seal: &Seal, document: &SealDocument) -> Self {
        Self {
            sequence: document.sequence,
            first: document.first,
            last: document.last,
            time: document.time.to_string(),
            root: document.root.to_string(),
            previous: document.previous.to_string(),
            key: document.key.to_string(),
            next_key: document.next_key.map(|key| key.to_string()),
            hash: seal.hash().to_string(),
            document: seal.document.clone(),
            signature: STANDARD.encode(&seal.signature),
        }
    }
}
