//! The only way to register a route: with the scopes that it needs, or as open to everybody.
//!
//! The same call guards the route and writes into its document what the guard does, so the two
//! cannot part.

use crate::{
    ApiState, Scopes,
    error::{PROBLEM_JSON, Problem, no_method, no_route, panicked},
};
use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tower::ServiceBuilder;
use tower_http::{catch_panic::CatchPanicLayer, set_header::SetResponseHeaderLayer};
use utoipa::openapi::{
    Content, OpenApi, PathItem, Ref, RefOr, Required, Response as ResponseDocument,
    path::Operation,
    schema::{Schema, SchemaType, Type},
    security::SecurityRequirement,
};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

/// The name of the security scheme in the document.
pub(crate) const BEARER: &str = "bearer";
/// The extension that says what an operation needs: words of scopes, or nothing for open ones.
pub(crate) const SCOPES: &str = "x-scopes";

/// Routes that are being collected for one listener.
pub(crate) struct Routes {
    state: ApiState,
    router: OpenApiRouter<ApiState>,
}

impl Routes {
    /// None yet.
    pub(crate) fn new(state: ApiState) -> Self {
        Self { state, router: OpenApiRouter::with_openapi(crate::openapi::frame()) }
    }

    /// A route for whoever has one of these scopes.
    pub(crate) fn needs(mut self, scopes: Scopes, routes: UtoipaMethodRouter<ApiState>) -> Self {
        let (schemas, mut paths, methods) = routes;
        paths.paths.values_mut().flat_map(operations).for_each(|operation| document(operation, Some(scopes)));
        let guarded = methods.route_layer(from_fn_with_state((self.state.clone(), scopes), guard));
        self.router = self.router.routes((schemas, paths, guarded));
        self
    }

    /// A route for everybody, without a token.
    pub(crate) fn open(mut self, routes: UtoipaMethodRouter<ApiState>) -> Self {
        let (schemas, mut paths, methods) = routes;
        paths.paths.values_mut().flat_map(operations).for_each(|operation| document(operation, None));
        self.router = self.router.routes((schemas, paths, methods));
        self
    }

    /// The router with what every answer has, and its document.
    pub(crate) fn build(self) -> (Router, OpenApi) {
        let header = |name, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
        // One stack and not four layers: each layer of a router costs every request a box.
        let around = ServiceBuilder::new()
            .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .layer(header(header::CACHE_CONTROL, "no-store"))
            .layer(header(header::X_FRAME_OPTIONS, "DENY"))
            .layer(header(header::REFERRER_POLICY, "no-referrer"))
            .layer(CatchPanicLayer::custom(panicked));
        let (router, document) = self.router.split_for_parts();
        let router = router.fallback(no_route).method_not_allowed_fallback(no_method).layer(around);
        (router.with_state(self.state), document)
    }
}

async fn guard(State((state, needed)): State<(ApiState, Scopes)>, request: Request, next: Next) -> Response {
    match authorize(&state, needed, request.headers()).await {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn authorize(state: &ApiState, needed: Scopes, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(token) = bearer(headers) else {
        let detail = "a token is needed: Authorization: Bearer …";
        return Err(unauthorized("token_missing", detail, "Bearer realm=\"action-service\""));
    };
    let Some(principal) = state.auth().authenticate(token).await else {
        let challenge = "Bearer realm=\"action-service\", error=\"invalid_token\"";
        return Err(unauthorized("token_invalid", "the token is not valid (any more)", challenge));
    };
    if principal.scopes.allow(needed) {
        return Ok(());
    }
    tracing::info!(principal = %principal.name, %needed, "api.request.scope_missing");
    let words: Vec<&str> = needed.iter().map(crate::Scope::as_str).collect();
    let detail = format!("the token needs the scope {}", words.join(" or "));
    let challenge = format!("Bearer realm=\"action-service\", error=\"insufficient_scope\", scope=\"{needed}\"");
    let problem = Problem::new(StatusCode::FORBIDDEN, "scope_missing", detail);
    // Words of scopes are always legal in a header.
    Err(match HeaderValue::from_str(&challenge) {
        Ok(challenge) => problem.header(header::WWW_AUTHENTICATE, challenge),
        Err(_) => problem,
    })
}

fn unauthorized(code: &'static str, detail: &'static str, challenge: &'static str) -> Problem {
    let challenge = HeaderValue::from_static(challenge);
    Problem::new(StatusCode::UNAUTHORIZED, code, detail).header(header::WWW_AUTHENTICATE, challenge)
}

/// The token of `Authorization: Bearer …` (RFC 6750); the scheme's case does not matter.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The operations of a path.
pub(crate) fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

/// What every operation has, so that no route needs to say it: its scopes, the answers of the
/// guard, and the form of every error.
fn document(operation: &mut Operation, scopes: Option<Scopes>) {
    let has_body = operation.request_body.is_some();
    let responses = &mut operation.responses.responses;
    let mut answer = |status: &str, description: &str| {
        let document = || RefOr::T(ResponseDocument::new(description));
        responses.entry(status.to_owned()).or_insert_with(document);
    };
    answer("500", "A defect of the service: `internal`.");
    answer("503", "Too much is under way, or the store cannot be used: `busy`, `unavailable`. See `Retry-After`.");
    if has_body {
        answer("408", "The body did not come in time: `body_timeout`.");
        // Of most bodies; a route that takes others says so.
        answer("413", "More than 1 MiB: `body_too_large`.");
        answer("415", "Not said to be JSON: `unsupported_media_type`.");
    }
    let words: Vec<&str> = scopes.into_iter().flat_map(Scopes::iter).map(crate::Scope::as_str).collect();
    if scopes.is_some() {
        answer("401", "No token, or not a valid one: `token_missing`, `token_invalid`.");
        answer("403", "The token's scopes do not allow it: `scope_missing`.");
        operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>(BEARER, [])]);
        let admin = if words == ["admin"] { "" } else { "; `admin` has it too" };
        let needs = format!("Needs the scope `{}`{admin}.", words.join("` or `"));
        let description = operation.description.take().filter(|text| !text.trim().is_empty());
        operation.description = Some(description.map_or(needs.clone(), |text| format!("{text}\n\n{needs}")));
    } else {
        operation.security = Some(Vec::new());
    }
    let extensions = operation.extensions.get_or_insert_default();
    extensions.insert(SCOPES.to_owned(), words.into());
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && status.as_str() >= "400"
            && response.content.is_empty()
        {
            let content = Content::new(Some(Ref::from_schema_name("Problem")));
            response.content.insert(PROBLEM_JSON.to_owned(), RefOr::T(content));
        }
    }
    put_right(operation);
}

/// What the generator cannot say: bytes are not a list of numbers, and a parameter that may be
/// left out cannot be null.
fn put_right(operation: &mut Operation) {
    let bytes = |(media_type, content): (&String, &mut RefOr<Content>)| {
        if let RefOr::T(content) = content
            && ["application/octet-stream", "application/wasm", "*/*"].contains(&media_type.as_str())
        {
            content.schema = None;
        }
    };
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        body.content.iter_mut().for_each(bytes);
        if body.content.contains_key("*/*") {
            // Any bytes will do: none are some too.
            body.required = Some(Required::False);
        }
    }
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.content.iter_mut().for_each(bytes);
        }
    }
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && let Some(RefOr::T(Schema::Object(schema))) = &mut parameter.schema
            && let SchemaType::Array(types) = &schema.schema_type
            && let Some(own) = types.iter().find(|own| **own != Type::Null)
        {
            schema.schema_type = SchemaType::Type(own.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Scope,
        testing::{Api, tokens},
    };

    #[tokio::test]
    async fn a_token_is_needed_and_its_scopes_count() {
        let api = Api::new();
        let missing = api.get("/v1/actions").bearer("").send().await;
        missing.is_problem(401, "token_missing");
        assert_eq!(missing.header("www-authenticate"), "Bearer realm=\"action-service\"");

        let wrong = api.get("/v1/actions").bearer("wrong").send().await;
        wrong.is_problem(401, "token_invalid");
        assert!(wrong.header("www-authenticate").contains("invalid_token"));

        for scope in [Scope::Configure, Scope::Invoke] {
            let refused = api.get("/v1/actions").bearer(tokens(scope)).send().await;
            refused.is_problem(403, "scope_missing");
            assert!(refused.header("www-authenticate").contains("scope=\"read\""));
        }
        for scope in [Scope::Read, Scope::Admin] {
            api.get("/v1/actions").bearer(tokens(scope)).send().await.is(200);
        }
        let lower = api.get("/v1/actions").with("authorization", "bearer read-token").send().await;
        lower.is(200);
        for broken in ["Basic cmVhZC10b2tlbg==", "Bearer", "Bearer ", "read-token"] {
            let refused = api.get("/v1/actions").with("authorization", broken).send().await;
            refused.is_problem(401, "token_missing");
        }
    }

    #[tokio::test]
    async fn what_is_not_there_is_a_problem_too() {
        let api = Api::new();
        api.get("/nothing").send().await.is_problem(404, "route_not_found");
        let refused = api.request("DELETE", "/v1/actions").send().await;
        refused.is_problem(405, "method_not_allowed");
        let allowed = refused.header("allow");
        assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
        api.get("/v1/actions/%ff").send().await.is_problem(400, "invalid_path");
    }

    #[tokio::test]
    async fn every_answer_has_the_security_headers() {
        let api = Api::new();
        for path in ["/v1/actions", "/nothing", "/healthz"] {
            let response = api.get(path).send().await;
            assert_eq!(response.header("x-content-type-options"), "nosniff");
            assert_eq!(response.header("cache-control"), "no-store");
            assert_eq!(response.header("x-frame-options"), "DENY");
        }
    }

    #[tokio::test]
    async fn a_panic_is_a_problem() {
        let api = Api::new();
        api.runtime.panic_next();
        let id = api.protocol_and_action("boom").await;
        let response = api.post(&format!("/v1/actions/{id}/test-connection")).send().await;
        response.is_problem(500, "internal");
    }
}
