//! `GET /healthz`: whether the process lives.

use crate::{error::Answer, wire::ok};
use serde::Serialize;
use utoipa::ToSchema;

/// How the service is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    #[schema(example = "ok")]
    pub(crate) status: &'static str,
}

/// Is the process alive
///
/// Looks at nothing else: a process that answers this should not be restarted.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "service",
    responses((status = 200, description = "It is.", body = Health))
)]
pub(crate) async fn healthz() -> Answer {
    ok(&Health { status: "ok" })
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;

    #[tokio::test]
    async fn it_lives_without_a_token() {
        let response = Api::new().get("/healthz").bearer("").send().await;
        response.is(200);
        assert_eq!(response.json()["status"], "ok");
    }
}
