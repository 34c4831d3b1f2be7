//! `ANY /hooks/{path}`: what the outside world sends to actions. It has no token; each webhook says how a
//! delivery proves who sent it.

use crate::{
    ApiState, Peer,
    auth::Fingerprint,
    error::{Answer, Problem},
    request::{
        body,
        headers::{content_type, correlation_id, traceparent},
    },
    wire,
};
use action_domain::{
    execution::Status,
    failure::FailureKind,
    id::ExecutionId,
    limits::INPUT_BYTES_MAX,
    payload::{Payload, is_json},
    services::{WebhookReply, WebhookRequest},
    time::Timestamp,
    webhook::{Respond, request},
};
use action_engine::{Delivery, Dispatched, EngineError, Hook, MALFORMED_JSON, Received};
use axum::{
    body::Body,
    extract::{Path, Request, State},
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};
use serde::Serialize;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

/// What a reply may not say: it is about the connection, about this service, or would give a component
/// a voice in browsers beyond its own answer.
const NOT_THE_COMPONENTS: [&str; 17] = [
    "connection",
    "content-length",
    "content-security-policy",
    "date",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "referrer-policy",
    "server",
    "set-cookie",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-content-type-options",
    "x-frame-options",
];

/// What a sender is told that was taken.
#[derive(Debug, Serialize, ToSchema)]
struct Taken {
    /// The execution that the delivery led to, now or when it came before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    execution: Option<ExecutionId>,
    /// Whether the webhook's filter does not hold for it: then there is no execution.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    ignored: bool,
}

/// Deliver to a webhook
///
/// Any method will do; with GET and HEAD there is no body. There is no token: the action's trigger says how a delivery
/// proves who sent it (`verify.scheme`). The answer is 202 once the delivery is durable; where the trigger has
/// `respond: outcome`, and always where the component verifies, it is what the component answers, or its output.
/// The same delivery again is answered with the first one's execution for 24 hours.
#[utoipa::path(
    post,
    path = "/hooks/{path}",
    tag = "actions",
    params(
        ("path" = String, Path, description = "The trigger's `path`, which may have several parts, with `/` between."),
        ("key" = Option<String>, Query, description = "With the scheme `key`: the secret, if not in the header."),
        ("X-Webhook-Key" = Option<String>, Header, description = "With the scheme `key`: the secret."),
        ("X-Correlation-Id" = Option<String>, Header,
            description = "Taken over, else made: 1 to 128 printable ASCII characters."),
        ("traceparent" = Option<String>, Header, description = "W3C trace context; passed on."),
    ),
    request_body(
        content((Value = "application/json"), (Vec<u8> = "application/octet-stream"), (Vec<u8> = "*/*")),
        description = "The input, at most 16 MiB, of any media type. What is said to be JSON has to be JSON.",
    ),
    responses(
        (status = 202, description = "It was taken and will run; or the filter does not hold for it.", body = inline(Taken)),
        (status = 400, description = "A header or the body makes no sense: `invalid_correlation_id`, \
            `invalid_content_type`, `malformed_json`, `body_broken`."),
        (status = 401, description = "It does not prove who sent it, was signed too long ago, or the key is used up: \
            `webhook_unverified`, `webhook_expired`, `webhook_used_up`."),
        (status = 404, description = "No webhook listens there: `webhook_not_found`."),
        (status = 409, description = "The action is disabled, or a delivery with this id came before with another \
            body: `action_disabled`, `delivery_differs`."),
        (status = 413, description = "More than 16 MiB: `body_too_large`."),
        (status = 414, description = "More than 8 KiB of path and query: `path_too_long`."),
        (status = 415, description = "The body has a Content-Encoding: `unsupported_media_type`."),
        (status = 422, description = "The input does not fit the protocol's schema, or the filter fails on it: \
            `invalid_input`, `transform_failed`."),
        (status = 429, description = "Too many deliveries that do not prove who sent them came from this address: \
            `too_many_failed_deliveries`. See `Retry-After`. One that is signed rightly is taken all the same, and one \
            with a key if that key came from there before.",
            headers(("Retry-After" = u32, description = "Seconds to wait."))),
        (status = 431, description = "More than 64 headers, or 16 KiB of them: `headers_too_large`."),
        (status = 502, description = "Its outcome was to be the answer, and it failed: `execution_failed`."),
        (status = "default", description = "Where the outcome is the answer: what the component says.",
            content((Vec<u8> = "*/*"))),
    )
)]
pub(super) async fn receive(State(state): State<ApiState>, Path(path): Path<String>, request: Request) -> Answer {
    let hook = hook_at(&state, &path).await?;
    let (parts, body) = request.into_parts();
    let head = head(&parts)?;
    let peer = parts.extensions.get().copied().unwrap_or(Peer::UNKNOWN);
    may_try(&state, &hook, &path, &head, peer)?;
    let correlation_id = correlation_id(&parts.headers)?;
    let declared = content_type(&parts.headers)?;
    let taken = body::take_of_stranger(&state, &parts, body, INPUT_BYTES_MAX).await?;
    // Asked for again: the body may have taken minutes, and what counts is who may send now.
    let hook = hook_at(&state, &path).await?;
    let _turn = turn(&state, &hook, &path, &head, peer).await;
    let Attempt { key, wait, now } = may_try(&state, &hook, &path, &head, peer)?;
    let deliveries = state.deliveries();
    // A GET may name a type and have no body: that is nothing, and not JSON that is broken.
    let nothing = taken.bytes.is_empty() && is_json(&declared);
    let content_type = if nothing { "application/octet-stream".into() } else { declared };
    let delivery = Delivery {
        request: head,
        input: Payload { content_type, data: taken.bytes },
        correlation_id,
        traceparent: traceparent(&parts.headers),
    };
    let received = state.engine().receive(hook, delivery).await.map_err(problem)?;
    if let (Received::Filtered | Received::Dispatched { .. }, Some(key)) = (&received, key) {
        deliveries.was_right(key);
    }
    match received {
        Received::Filtered => wire::json(StatusCode::ACCEPTED, &Taken { execution: None, ignored: true }),
        Received::Refused { code, message, guessed } => {
            let then = guessed.then(|| deliveries.failed(peer, now)).flatten();
            if let Some(wait) = wait.filter(|_| guessed) {
                return Err(Problem::too_many_failed_deliveries(wait));
            }
            if then.is_some() {
                tracing::warn!(%peer, failures = deliveries.count(), "api.webhook.too_many_failed");
            }
            Err(Problem::new(StatusCode::UNAUTHORIZED, code, message))
        }
        Received::Dispatched { dispatched, respond: Respond::Accepted, .. } => accepted(&dispatched),
        Received::Dispatched { dispatched, component_verifies, .. } => {
            outcome(&state, *dispatched, component_verifies).await
        }
    }
}

async fn hook_at(state: &ApiState, path: &str) -> Answer<Hook> {
    match state.engine().hook(path).await {
        Err(EngineError::NotFound(what)) => {
            tracing::debug!("api.webhook.unknown_path");
            Err(Problem::not_found(what))
        }
        hook => Ok(hook?),
    }
}

/// What is known of a delivery's sender before it is looked at.
struct Attempt {
    /// The key that it says it has, and where it comes from; none where no key proves it.
    key: Option<Fingerprint>,
    /// How long its address is to wait after wrong ones.
    wait: Option<Duration>,
    now: Timestamp,
}

/// A turn to have a key looked at that was not right before: of very many whose bodies end at once, the first ones
/// are to count for the others.
async fn turn(
    state: &ApiState,
    hook: &Hook,
    path: &str,
    head: &WebhookRequest,
    peer: Peer,
) -> Option<OwnedSemaphorePermit> {
    let deliveries = state.deliveries();
    let key = fingerprint(hook, path, head, peer)?;
    if deliveries.is_known(&key) {
        return None;
    }
    let turn = deliveries.turn(peer).await;
    // By now it may be known.
    turn.filter(|_| !deliveries.is_known(&key))
}

fn fingerprint(hook: &Hook, path: &str, head: &WebhookRequest, peer: Peer) -> Option<Fingerprint> {
    hook.key(head).map(|key| Fingerprint::of(peer, &format!("{path}\0{key}")))
}

/// Whether a delivery is looked at. A key is not from where too many wrong ones came, unless it was right
/// there before.
fn may_try(state: &ApiState, hook: &Hook, path: &str, head: &WebhookRequest, peer: Peer) -> Answer<Attempt> {
    let (deliveries, now) = (state.deliveries(), state.engine().clock().now());
    let wait = deliveries.wait(peer, now);
    let key = fingerprint(hook, path, head, peer);
    if let (Some(wait), Some(key)) = (wait, &key)
        && !deliveries.is_known(key)
    {
        // Looking would tell whether the guess was right.
        deliveries.failed(peer, now);
        return Err(Problem::too_many_failed_deliveries(wait));
    }
    Ok(Attempt { key, wait, now })
}

pub(crate) fn head(parts: &Parts) -> Answer<WebhookRequest> {
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), std::str::from_utf8(value.as_bytes()).ok()?.to_owned()))
    };
    let head = WebhookRequest {
        method: parts.method.to_string(),
        path_with_query: parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned(),
        headers: parts.headers.iter().filter_map(text).collect(),
    };
    request::check(&head).map_err(|error| match error {
        request::TooLarge::Path => Problem::new(StatusCode::URI_TOO_LONG, "path_too_long", error.to_string()),
        request::TooLarge::Headers => {
            Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", error.to_string())
        }
    })?;
    Ok(head)
}

fn problem(error: EngineError) -> Problem {
    match error {
        EngineError::InvalidInput(issues) if issues.iter().any(|issue| issue.code == MALFORMED_JSON) => {
            Problem::bad_request(MALFORMED_JSON, "the body is said to be JSON and is not").errors(issues)
        }
        EngineError::KeyReused { .. } => {
            let detail = "a delivery with this id came before, with another body";
            Problem::new(StatusCode::CONFLICT, "delivery_differs", detail)
        }
        error => error.into(),
    }
}

fn accepted(dispatched: &Dispatched) -> Answer {
    let execution = Some(dispatched.view.execution.id);
    wire::json(StatusCode::ACCEPTED, &Taken { execution, ignored: false })
}

/// What the protocol answers, and where it says nothing, its output.
async fn outcome(state: &ApiState, dispatched: Dispatched, component_verifies: bool) -> Answer {
    if !dispatched.ended {
        return accepted(&dispatched);
    }
    let view = dispatched.view;
    if view.execution.status != Status::Succeeded {
        let failure = view.execution.error.as_ref().and_then(|error| error.failure.as_ref());
        let unknown = failure.is_some_and(|failure| failure.kind == FailureKind::Unauthenticated);
        // What went wrong inside is nobody's business outside; the log has it.
        return Err(if component_verifies && unknown {
            Problem::new(StatusCode::UNAUTHORIZED, "webhook_unverified", "the delivery does not prove who sent it")
        } else {
            Problem::new(StatusCode::BAD_GATEWAY, "execution_failed", "the action did not succeed")
        });
    }
    if let Some(reply) = view.reply {
        return Ok(replied(reply));
    }
    let output = state.engine().output(view.execution.id).await?;
    let mut response = Response::new(Body::empty());
    if let Some(Payload { content_type, data }) = output {
        if let Ok(content_type) = HeaderValue::from_str(&content_type) {
            response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        }
        *response.body_mut() = Body::from(data);
    }
    Ok(in_a_box(response))
}

pub(crate) fn replied(reply: WebhookReply) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = response.headers_mut();
    for (name, value) in reply.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value))
            && may_say(&name)
        {
            headers.append(name, value);
        }
    }
    in_a_box(response)
}

fn may_say(name: &HeaderName) -> bool {
    !NOT_THE_COMPONENTS.contains(&name.as_str()) && !name.as_str().starts_with("access-control-")
}

/// Whatever a component says, no browser runs it as a page of this service.
fn in_a_box(mut response: Response) -> Response {
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Api;
    use action_testkit::FakeClock;
    use futures_util::future::join_all;
    use serde_json::{Value, json};
    use std::{pin::pin, sync::Arc};

    #[test]
    fn a_reply_is_an_answer_and_no_more() {
        let headers = [
            ("Content-Type", "text/plain"),
            ("Set-Cookie", "a=b"),
            ("Access-Control-Allow-Origin", "*"),
            ("Transfer-Encoding", "chunked"),
            ("Link", "<a>"),
            ("Link", "<b>"),
            ("bad name", "x"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let response = replied(WebhookReply { status: 418, headers, body: "x".into() });
        assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
        let said: Vec<_> =
            response.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(
            said,
            [
                ("content-type", "text/plain"),
                ("link", "<a>"),
                ("link", "<b>"),
                ("content-security-policy", "sandbox; default-src 'none'")
            ]
        );
    }

    /// The example of GitHub's documentation.
    const SECRET: &str = "It's a Secret to Everybody";
    const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    async fn with_hook(trigger: Value) -> Api {
        set_up(Api::new(), trigger).await
    }

    async fn set_up(api: Api, trigger: Value) -> Api {
        api.request("PUT", "/v1/secrets/hook").json(&json!({"value": SECRET})).send().await;
        api.upload("echo 0.1.0").await.is(201);
        let action = json!({"name": "a", "protocol": "echo", "config": {}, "triggers": [trigger]});
        api.post("/v1/actions").json(&action).send().await.is(201);
        api
    }

    async fn types(api: &Api) -> Vec<String> {
        let events = api.all_pages("/v1/events").await;
        events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn a_delivery_proves_who_sent_it_and_counts_once() {
        let verify = json!({"scheme": "github", "secret": "hook"});
        let api = with_hook(json!({"type": "webhook", "path": "git/push", "verify": verify})).await;
        let public = api.public();
        let send = |signature: &str, id: &str, body: &'static str| {
            let call = public.post("/hooks/git/push?x=1&key=k").bearer("").content_type("text/plain").body(body);
            call.with("x-hub-signature-256", signature).with("x-github-delivery", id).send()
        };
        let first = send(SIGNATURE, "1", "Hello, World!").await;
        first.is(202);
        let replayed = send(SIGNATURE, "1", "Hello, World!").await;
        replayed.is(202);
        assert_eq!(replayed.json(), first.json());
        assert_ne!(send(SIGNATURE, "2", "Hello, World!").await.json(), first.json());
        let before = types(&api).await.len();
        send(SIGNATURE, "3", "Hello, world!").await.is_problem(401, "webhook_unverified");
        send("sha256=75", "3", "Hello, World!").await.is_problem(401, "webhook_unverified");
        assert_eq!(
            types(&api).await[before..],
            ["trigger_received", "trigger_refused", "trigger_received", "trigger_refused"]
        );
        public.post("/hooks/other").bearer("").body("x").send().await.is_problem(404, "webhook_not_found");
        assert_eq!(types(&api).await.len(), before + 4, "a path that nobody has leaves no trace");
        let log = json!(api.all_pages("/v1/events").await).to_string();
        assert!(!log.contains("757107ea") && !log.contains("key=k") && log.contains("/hooks/git/push?x=1"), "{log}");
    }

    #[tokio::test]
    async fn a_key_is_used_as_often_as_it_may_be_and_no_more() {
        let verify = json!({"scheme": "key", "secret": "hook", "max_uses": 5});
        let api = with_hook(json!({"type": "webhook", "path": "k", "verify": verify})).await;
        let public = api.public();
        let sends = (0..50).map(|_| public.post("/hooks/k").bearer("").with("x-webhook-key", SECRET).body("x").send());
        let answers = futures_util::future::join_all(sends).await;
        let accepted = answers.iter().filter(|answer| answer.status == 202).count();
        assert_eq!(accepted, 5);
        for refused in answers.iter().filter(|answer| answer.status != 202) {
            refused.is_problem(401, "webhook_used_up");
        }
        let query = public.post("/hooks/k?key=wrong").bearer("").body("x").send().await;
        query.is_problem(401, "webhook_unverified");
    }

    #[tokio::test]
    async fn what_changes_while_a_body_comes_in_counts_for_it() {
        let verify = json!({"scheme": "key", "secret": "hook"});
        let open = json!({"type": "webhook", "path": "p", "verify": {"scheme": "none"}});
        let api = with_hook(open.clone()).await;
        let public = api.public();
        let deliver = || public.post("/hooks/p").bearer("").content_type("text/plain");
        let put = async |document: Value| api.request("PUT", "/v1/actions/a").json(&document).send().await.is(200);
        let action = |trigger: &Value, enabled: bool| json!({"name": "a", "protocol": "echo", "config": {}, "enabled": enabled, "triggers": [trigger]});
        let before = types(&api).await.len();
        deliver().send_slowly(async || {}).await.is(202);
        assert_eq!(types(&api).await[before..before + 2], ["trigger_received", "execution_queued"]);
        let disabled = deliver().send_slowly(async || put(action(&open, false)).await).await;
        disabled.is_problem(409, "action_disabled");
        put(action(&open, true)).await;
        let closed = json!({"type": "webhook", "path": "p", "verify": verify});
        let unproved = deliver().send_slowly(async || put(action(&closed, true)).await).await;
        unproved.is_problem(401, "webhook_unverified");
        let keyed = deliver().with("x-webhook-key", SECRET).send_slowly(async || {
            put(action(&open, true)).await;
            api.request("DELETE", "/v1/secrets/hook").send().await.is(204);
        });
        keyed.await.is(202);
        let gone = deliver().send_slowly(async || api.request("DELETE", "/v1/actions/a").send().await.is(204)).await;
        gone.is_problem(404, "webhook_not_found");
    }

    #[tokio::test]
    async fn a_webhook_that_is_given_a_key_while_a_body_comes_in_is_not_open_to_guesses() {
        let keyed =
            |path: &str| json!({"type": "webhook", "path": path, "verify": {"scheme": "key", "secret": "hook"}});
        let open = json!({"type": "webhook", "path": "p", "verify": {"scheme": "none"}});
        let action = |p: Value| json!({"name": "a", "protocol": "echo", "config": {}, "triggers": [p, keyed("q")]});
        let api = set_up(Api::with(Arc::new(FakeClock::default()), None, true), keyed("other")).await;
        api.request("PUT", "/v1/actions/a").json(&action(open)).send().await.is(200);
        let public = api.public();
        let guess = |path: &str| public.post(path).bearer("").with("x-webhook-key", "a guess");
        for _ in 0..FREE {
            guess("/hooks/q").body("x").send().await.is_problem(401, "webhook_unverified");
        }
        let closed = async || api.request("PUT", "/v1/actions/a").json(&action(keyed("p"))).send().await.is(200);
        let right = public.post("/hooks/p").bearer("").with("x-webhook-key", SECRET);
        right.send_slowly(closed).await.is_problem(429, "too_many_failed_deliveries");
    }

    /// An address has so many failures free; see `auth::logins`.
    const FREE: usize = 20;

    #[tokio::test]
    async fn a_key_cannot_be_guessed_for_long_and_whoever_has_it_goes_on() {
        let verify = json!({"scheme": "key", "secret": "hook"});
        let (clock, hook) = (FakeClock::default(), json!({"type": "webhook", "path": "k", "verify": verify}));
        let api = set_up(Api::with(Arc::new(clock.clone()), None, true), hook).await;
        let public = api.public();
        let (sender, guesser) = ("192.0.2.1", "192.0.2.2");
        let send = |key: &str, from: &str| {
            public.post("/hooks/k").bearer("").from(from).with("x-webhook-key", key).body("x").send()
        };
        send(SECRET, sender).await.is(202);
        for from in [sender, guesser] {
            for guess in 0..FREE {
                send(&format!("guess {guess}"), from).await.is_problem(401, "webhook_unverified");
            }
        }
        for key in ["another guess", SECRET] {
            let refused = send(key, guesser).await;
            refused.is_problem(429, "too_many_failed_deliveries");
            assert_eq!(refused.header("retry-after"), "3", "right or wrong, nothing tells");
        }
        let asked = public.post(&format!("/hooks/k?key={}", "g".repeat(20))).bearer("").from(guesser).body("x");
        asked.send().await.is_problem(429, "too_many_failed_deliveries");
        send(SECRET, sender).await.is(202);
        send(SECRET, "192.0.2.3").await.is(202);
        // Who sends no key guesses nothing, and tokens are another matter.
        let bare = public.post("/hooks/k").bearer("").from(guesser).body("x").send().await;
        bare.is_problem(401, "webhook_unverified");
        api.get("/v1/actions").bearer("nonsense").from(guesser).send().await.is_problem(401, "token_invalid");
        clock.advance(std::time::Duration::from_secs(9));
        send(SECRET, guesser).await.is(202);
    }

    #[tokio::test]
    async fn guesses_that_come_at_once_count_for_one_another() {
        let verify = json!({"scheme": "key", "secret": "hook"});
        let hook = json!({"type": "webhook", "path": "k", "verify": verify});
        let api = set_up(Api::with(Arc::new(FakeClock::default()), None, true), hook).await;
        let public = api.public();
        let send =
            |from: &str| public.post("/hooks/k").bearer("").from(from).with("x-webhook-key", SECRET).body("x").send();
        let (deliveries, now) = (api.state.deliveries(), api.engine.clock().now());
        let guesser = Peer::new("192.0.2.2".parse().unwrap());
        // As many as are free are being looked at, and more have come behind their bodies.
        let looks = join_all((0..FREE).map(|_| deliveries.turn(guesser))).await;
        let mut waits = pin!(send("192.0.2.2"));
        for _ in 0..10 {
            assert!(futures_util::poll!(&mut waits).is_pending(), "right or not, it is not looked at yet");
            tokio::task::yield_now().await;
        }
        send("192.0.2.3").await.is(202);
        for _ in 0..FREE {
            deliveries.failed(guesser, now);
        }
        drop(looks);
        waits.await.is_problem(429, "too_many_failed_deliveries");
        // Many who are right at once wait for no more than the first ones.
        let rights = join_all((0..3 * FREE).map(|_| send("192.0.2.9"))).await;
        for right in rights {
            right.is(202);
        }
    }

    #[tokio::test]
    async fn a_right_signature_is_taken_whoever_else_sends_from_there() {
        let verify = json!({"scheme": "github", "secret": "hook"});
        let hook = json!({"type": "webhook", "path": "g", "verify": verify});
        let api = set_up(Api::with(Arc::new(FakeClock::default()), None, true), hook).await;
        let public = api.public();
        let send = |body: &'static str| {
            let call = public.post("/hooks/g").bearer("").content_type("text/plain").body(body);
            call.with("x-hub-signature-256", SIGNATURE).send()
        };
        for _ in 0..FREE {
            send("Hello, world!").await.is_problem(401, "webhook_unverified");
        }
        send("Hello, world!").await.is_problem(429, "too_many_failed_deliveries");
        send("Hello, World!").await.is(202);
    }

    #[tokio::test]
    async fn a_key_is_long_enough_not_to_be_guessed() {
        let api = Api::new();
        api.upload("echo 0.1.0").await.is(201);
        let set = |value: &str| api.request("PUT", "/v1/secrets/hook").json(&json!({"value": value})).send();
        set("123456").await.is(201);
        let hook =
            |scheme: &str| json!({"type": "webhook", "path": "k", "verify": {"scheme": scheme, "secret": "hook"}});
        let action = |scheme: &str| json!({"name": "a", "protocol": "echo", "config": {}, "triggers": [hook(scheme)]});
        let refused = api.post("/v1/actions").json(&action("key")).send().await;
        refused.is_problem(422, "invalid_document");
        let error = &refused.json()["errors"][0];
        assert_eq!((&error["pointer"], &error["code"]), (&json!("/triggers/0/verify/secret"), &json!("too_short")));
        api.post("/v1/actions").json(&action("github")).send().await.is(201);
        set("1234567").await.is(200);
        set("sixteen bytes it").await.is(200);
        api.request("PUT", "/v1/actions/a").json(&action("key")).send().await.is(200);
        let refused = set("fifteen bytes  ").await;
        refused.is_problem(422, "invalid_document");
        let error = &refused.json()["errors"][0];
        assert_eq!((&error["pointer"], &error["code"]), (&json!("/value"), &json!("too_short")));
        assert!(error["message"].as_str().unwrap().ends_with('a'), "it names the action: {error}");
        set("sixteen bytes at").await.is(200);
    }

    #[tokio::test]
    async fn strangers_do_not_fill_the_log_and_outcomes_are_answered() {
        let verify = json!({"scheme": "key", "secret": "hook"});
        let hook = json!({"type": "webhook", "path": "k", "verify": verify, "respond": "outcome"});
        // Time stands still: a minute is not over by itself.
        let api = set_up(Api::with(Arc::new(FakeClock::default()), None, true), hook).await;
        let public = api.public();
        let large = vec![b'x'; 5000];
        for _ in 0..70 {
            public.post("/hooks/k").bearer("").body(large.clone()).send().await.is_problem(401, "webhook_unverified");
        }
        let events = api.all_pages("/v1/events").await;
        let received: Vec<_> = events.iter().filter(|event| event["type"] == "trigger_received").collect();
        assert_eq!(received.len(), 60);
        assert!(received.iter().all(|event| event["data"]["input"]["bytes"] == 0));
        let answered = public.post("/hooks/k").bearer("").with("x-webhook-key", SECRET);
        let answered = answered.content_type("text/plain").body("hello").send().await;
        answered.is(200);
        assert_eq!((&answered.bytes[..], answered.header("content-type")), (&b"hello"[..], "text/plain"));
        api.request("PATCH", "/v1/actions/a").json(&json!({"enabled": false})).send().await.is(200);
        let disabled = public.post("/hooks/k").bearer("").with("x-webhook-key", SECRET).body("x").send().await;
        disabled.is_problem(409, "action_disabled");
    }
}
