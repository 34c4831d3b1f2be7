//! The only way to register a route: with the scopes that it needs, or as open to everybody.
//!
//! The same call guards the route and writes into its document what the guard does, so the two
//! cannot part.

use crate::{
    ApiState, Scopes,
    error::{PROBLEM_JSON, no_method, no_route, panicked},
    guard::{Needs, guard},
};
use axum::{Router, middleware::from_fn_with_state, routing::MethodRouter};
use http::{HeaderValue, header};
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
/// The extension that says whether an operation is there for tokens that are limited to actions.
pub(crate) const FOR_LIMITED: &str = "x-for-limited-tokens";

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

    /// A route for whoever has one of these scopes and a token that is not limited to actions.
    pub(crate) fn needs(self, scopes: Scopes, routes: UtoipaMethodRouter<ApiState>) -> Self {
        self.guarded(Needs { scopes, keeps_to_reach: false }, routes)
    }

    /// A route about actions, for whoever has one of these scopes. Its handler asks the caller
    /// which actions are within reach.
    pub(crate) fn needs_within_reach(self, scopes: Scopes, routes: UtoipaMethodRouter<ApiState>) -> Self {
        self.guarded(Needs { scopes, keeps_to_reach: true }, routes)
    }

    fn guarded(mut self, needs: Needs, routes: UtoipaMethodRouter<ApiState>) -> Self {
        let (schemas, mut paths, methods) = routes;
        paths.paths.values_mut().flat_map(operations).for_each(|operation| document(operation, Some(needs)));
        let guarded = methods.route_layer(from_fn_with_state((self.state.clone(), needs), guard));
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

    /// A route for everybody and every method whose handler finds out itself who sends. Its path has as many parts
    /// as it likes, which documents cannot say: `D` has it as one parameter.
    pub(crate) fn proves_itself<D: utoipa::Path>(mut self, path: &str, methods: MethodRouter<ApiState>) -> Self {
        let mut operation = D::operation();
        document(&mut operation, None);
        self.router.get_openapi_mut().paths.add_path_operation(D::path(), D::methods(), operation);
        self.router = self.router.route(path, methods);
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

/// The operations of a path.
pub(crate) fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

/// What every operation has, so that no route needs to say it: its scopes, the answers of the
/// guard, and the form of every error.
fn document(operation: &mut Operation, needs: Option<Needs>) {
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
    let scopes = needs.map(|needs| needs.scopes);
    let words: Vec<&str> = scopes.into_iter().flat_map(Scopes::iter).map(crate::Scope::as_str).collect();
    if let Some(needs) = needs {
        answer("401", "No token, or not a valid one (any more): `token_missing`, `token_invalid`, `token_expired`.");
        answer("403", "The token's scopes do not allow it, or its list of actions: `scope_missing`, `token_limited`.");
        answer(
            "429",
            "Too many tokens that were not valid came from this address: `too_many_failed_logins`. See \
            `Retry-After`. A valid one is taken all the same.",
        );
        operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>(BEARER, [])]);
        let admin = if words == ["admin"] { "" } else { "; `admin` has it too" };
        let limited = match (needs.keeps_to_reach, words == ["admin"]) {
            (true, _) => " For a token that is limited to actions there are no others.",
            (false, false) => " Not for a token that is limited to actions.",
            // No such token is limited.
            (false, true) => "",
        };
        let told = format!("Needs the scope `{}`{admin}.{limited}", words.join("` or `"));
        let description = operation.description.take().filter(|text| !text.trim().is_empty());
        operation.description = Some(description.map_or(told.clone(), |text| format!("{text}\n\n{told}")));
    } else {
        operation.security = Some(Vec::new());
    }
    let extensions = operation.extensions.get_or_insert_default();
    extensions.insert(SCOPES.to_owned(), words.into());
    if let Some(needs) = needs {
        extensions.insert(FOR_LIMITED.to_owned(), needs.keeps_to_reach.into());
    }
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
        // Of two, neither: somebody before the service may have looked at the other one.
        let twice = api.get("/v1/actions").with("authorization", "Bearer read-token");
        let refused = twice.and("authorization", "Bearer read-token").send().await;
        refused.is_problem(401, "token_invalid");
        assert!(refused.header("www-authenticate").contains("invalid_request"));
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
