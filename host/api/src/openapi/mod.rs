//! The OpenAPI document, generated from the code: the routes bring their own parts, and what is
//! common to all stands here.
//!
//! It is 3.1: readers of 3.2 are few yet, and nothing here needs it. [`page`] makes the page for
//! people from the same document.

mod page;
#[cfg(test)]
mod tests;

use crate::{
    error::{IssueBody, ProblemBody},
    routes::BEARER,
    wire::trigger::{ContinuousTrigger, EventTrigger, ScheduleTrigger, WebhookTrigger},
};
use bytes::Bytes;
use utoipa::{
    OpenApi as _,
    openapi::{
        Components, OpenApi, OpenApiVersion,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

/// The documents of the two listeners, made once.
pub(crate) struct Documents {
    /// Of the private listener.
    pub(crate) json: Bytes,
    /// The same for people.
    pub(crate) html: Bytes,
    /// Of the public listener.
    pub(crate) public_json: Bytes,
}

impl Documents {
    /// The forms of the private listener's document, and the public one's.
    pub(crate) fn of(private: &OpenApi, public: &OpenApi) -> Self {
        // A document is made of structs with string keys: it always has a JSON form.
        let value = |document| serde_json::to_value(document).unwrap_or_default();
        let bytes = |value| serde_json::to_vec(value).unwrap_or_default().into();
        let private = value(private);
        Self { json: bytes(&private), html: page::render(&private).into(), public_json: bytes(&value(public)) }
    }
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Action service",
        description = "A host for protocols: components that speak to the outside, run in a sandbox, and leave a \
            record.\n\nTimes are RFC 3339 in UTC. Lists come in pages: give `next` of one as `after` for the one \
            behind it. Errors are problem documents (RFC 9457): branch on `code`. Only a \
            request whose head cannot be read or is too large (64 KiB, 100 fields) is refused before any of this, with \
            a bare 400, 414 or 431. One that does not say once in `Host` whom it is for gets 400 `invalid_host`. A token's scopes are `admin` \
             (everything), `configure` (protocols, actions and secrets), `invoke` (run actions) and `read` (look). A token may \
             be limited to actions: then others are not there for it, and lists have what belongs to its own. Where \
             the operator names an issuer, its JSON Web Tokens are taken too, with scopes like \
             `action-service:read`. Events that are somebody's doing say whose, in `data.by`: `admin`, a token's id, \
             `subject:` and a subject of the issuer, `cli` or `system`.\n\nThe \
            public listener offers `POST /v1/actions/{id}/execute` and `GET /v1/executions/{id}` with the scope \
            `invoke`, `GET /healthz`, and the paths of webhooks, `/hooks/{path}`: `/openapi.public.json` is its document.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(ProblemBody, IssueBody, WebhookTrigger, ScheduleTrigger, EventTrigger, ContinuousTrigger)),
    tags(
        (name = "protocols", description = "Components that were uploaded, and what they say of themselves."),
        (name = "actions", description = "Protocols with a config, ready to be called."),
        (name = "secrets", description = "Values that configs name, sealed. They go in and do not come out."),
        (name = "executions", description = "What became of calls."),
        (name = "events", description = "Everything that happened."),
        (name = "items", description = "What executions captured from outside."),
        (name = "consumers", description = "Named readers of events, who go on where they acknowledged."),
        (name = "tokens", description = "Who gets in."),
        (name = "audit", description = "How others check that what happened is what is recorded."),
        (name = "service", description = "The service itself. No token is needed."),
    ),
)]
struct Frame;

/// What does not come from routes.
pub(crate) fn frame() -> OpenApi {
    let mut document = Frame::openapi();
    document.openapi = OpenApiVersion::Version31;
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token with scopes; each operation says which it needs."))
        .build();
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme(BEARER, SecurityScheme::Http(scheme));
    document
}
