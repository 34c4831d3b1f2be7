//! `POST /v1/protocols`: uploads a component.

use crate::{
    ApiState,
    error::{Answer, Problem},
    request::{
        body,
        caller::Caller,
        headers::{correlation_id, is_one_of},
        query::Query,
    },
    wire::{
        json, location,
        protocol::{ProtocolBody, UploadedBody},
        upgrade::UpgradeBody,
    },
};
use action_domain::limits::COMPONENT_BYTES_MAX;
use action_engine::{EngineError, Named};
use axum::extract::{Request, State};
use http::{StatusCode, header};
use std::time::Duration;

/// Upload a protocol
///
/// The body is a WebAssembly component. It is inspected, compiled and asked to describe itself;
/// everything that is wrong with it is said at once, and a refused one leaves nothing behind but
/// its event. Where there is an earlier version, `upgrade` says what this one changes; no action
/// moves to it by itself. A version is immutable: the same bytes again are answered with 200, others for the
/// same name and version with 409.
///
/// A component that exports `transformer` is a transform, a language of expressions (`kind`). It does
/// not describe itself: `name` and `version` say what it is.
#[utoipa::path(
    post,
    path = "/v1/protocols",
    tag = "protocols",
    params(
        ("name" = Option<String>, Query, description = "Of a transform: its name."),
        ("version" = Option<String>, Query, description = "Of a transform: its semantic version."),
        ("summary" = Option<String>, Query, description = "Of a transform: one line for a list."),
        ("X-Correlation-Id" = Option<String>, Header, description = "Taken over into the event."),
    ),
    request_body(
        content_type = "application/wasm",
        content = Vec<u8>,
        description = "The component, at most 64 MiB; `application/octet-stream` will do.",
    ),
    responses(
        (status = 201, description = "The protocol is there now.", body = UploadedBody,
            headers(("Location" = String, description = "Where it is."))),
        (status = 200, description = "The same bytes were there already.", body = UploadedBody,
            headers(("Location" = String, description = "Where it is."))),
        (status = 400, description = "A broken body, header or query: `body_broken`, `invalid_correlation_id`, \
            `invalid_query`."),
        (status = 408, description = "The body did not come in time: `body_timeout`."),
        (status = 409, description = "This version is there with other bytes: `version_exists`; or the name is that of a component of the \
            other kind: `name_taken`."),
        (status = 413, description = "More than 64 MiB: `body_too_large`."),
        (status = 415, description = "Not said to be a component: `unsupported_media_type`."),
        (status = 422, description = "The component is refused, for all of `errors`: `component_refused`, \
            `component_broken`."),
    )
)]
pub(super) async fn upload_protocol(State(state): State<ApiState>, mut query: Query, request: Request) -> Answer {
    let (name, version, summary) = (query.one("name")?, query.one("version")?, query.one("summary")?);
    query.finish()?;
    let given = name.is_some() || version.is_some() || summary.is_some();
    let named = given.then(|| Named {
        name: name.unwrap_or_default(),
        version: version.unwrap_or_default(),
        summary: summary.unwrap_or_default(),
        documentation: String::new(),
    });
    let (parts, body) = request.into_parts();
    let caller = Caller::of(&parts)?;
    if !is_one_of(&parts.headers, &["application/wasm", "application/octet-stream"]) {
        return Err(Problem::unsupported("the body is a component: say application/wasm in Content-Type"));
    }
    let correlation_id = correlation_id(&parts.headers)?;
    let busy = |_| Problem::busy("other components are being uploaded", Duration::from_secs(5));
    let permit = state.uploads().clone().try_acquire_owned().map_err(busy)?;
    let component = body::take_unshared(&state, &parts, body, COMPONENT_BYTES_MAX).await?;
    // A task of its own: compiling goes on when the caller goes away, and it holds its permit
    // until it is done, so that callers who give up cannot pile compilations up.
    let admitting = tokio::spawn(async move {
        let _permit = permit;
        let engine = state.engine();
        let admitted = engine.admit_protocol(component, named, correlation_id, caller.actor()).await?;
        let upgrade = match engine.upgrade(&admitted.protocol.pin(), None).await {
            Ok(upgrade) => Some(upgrade),
            Err(EngineError::NotFound(_)) => None,
            // The protocol is there all the same, and this can be asked for again.
            Err(error) => {
                tracing::warn!(%error, "api.upload.upgrade");
                None
            }
        };
        Ok::<_, EngineError>((admitted, upgrade))
    });
    let (admitted, upgrade) = admitting.await.map_err(|error| {
        tracing::error!(%error, "api.upload.panicked");
        Problem::internal()
    })??;
    let status = if admitted.created { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = json(
        status,
        &UploadedBody {
            protocol: ProtocolBody::from(&*admitted.protocol),
            upgrade: upgrade.as_ref().map(UpgradeBody::from),
        },
    )?;
    let descriptor = &admitted.protocol.descriptor;
    let path = format!("/v1/protocols/{}/{}", descriptor.name, descriptor.version);
    response.headers_mut().insert(header::LOCATION, location(&path));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use action_domain::limits::COMPONENT_BYTES_MAX;
    use axum::body::Body;
    use bytes::Bytes;
    use futures_util::stream;
    use std::convert::Infallible;

    #[tokio::test]
    async fn a_component_is_taken_once() {
        let api = Api::new();
        let made = api.upload("echo 0.1.0").await;
        made.is(201);
        assert_eq!(made.header("location"), "/v1/protocols/echo/0.1.0");
        assert_eq!(made.json()["name"], "echo");
        assert_eq!(made.json()["config_schema"]["type"], "object");

        let again = api.upload("echo 0.1.0").await;
        again.is(200);
        assert_eq!(again.header("location"), "/v1/protocols/echo/0.1.0");
        assert_eq!(again.json(), made.json());

        api.upload("echo 0.1.0 other bytes").await.is_problem(409, "version_exists");
    }

    #[tokio::test]
    async fn a_refused_one_says_everything() {
        let api = Api::new();
        let refused = api.upload("refuse").await;
        refused.is_problem(422, "component_refused");
        assert_eq!(refused.json()["errors"].as_array().unwrap().len(), 2);
        let events = api.get("/v1/events").send().await.json();
        assert_eq!(events["items"][0]["type"], "protocol_refused");
    }

    #[tokio::test]
    async fn what_is_too_large_is_refused_at_once_and_while_it_comes() {
        let api = Api::new();
        let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let declared = api.post("/v1/protocols").wasm().with("content-length", "67108865").stream(never);
        declared.send().await.is_problem(413, "body_too_large");

        let chunk = Bytes::from(vec![0; 1 << 20]);
        let chunks = (0..=COMPONENT_BYTES_MAX >> 20).map(move |_| Ok::<_, Infallible>(chunk.clone()));
        let streamed = api.post("/v1/protocols").wasm().stream(Body::from_stream(stream::iter(chunks)));
        streamed.send().await.is_problem(413, "body_too_large");
    }

    #[tokio::test]
    async fn only_so_many_at_once() {
        let api = Api::new();
        let never = || Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let waiting: Vec<_> = (0..crate::state::UPLOADS_MAX)
            .map(|_| tokio::spawn(api.post("/v1/protocols").wasm().stream(never()).send()))
            .collect();
        tokio::task::yield_now().await;
        let refused = api.upload("echo 0.1.0").await;
        refused.is_problem(503, "busy");
        assert_eq!(refused.header("retry-after"), "5");
        for upload in waiting {
            upload.abort();
            assert!(upload.await.is_err());
        }
        api.upload("echo 0.1.0").await.is(201);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_upload_gives_its_place_back() {
        let api = Api::new();
        let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        api.post("/v1/protocols").wasm().stream(never).send().await.is_problem(408, "body_timeout");
        api.upload("echo 0.1.0").await.is(201);
    }

    #[tokio::test]
    async fn it_has_to_say_what_it_is() {
        let api = Api::new();
        api.post("/v1/protocols").body("echo 0.1.0").send().await.is_problem(415, "unsupported_media_type");
        let zipped = api.post("/v1/protocols").wasm().with("content-encoding", "gzip").body("echo 0.1.0");
        zipped.send().await.is_problem(415, "unsupported_media_type");
    }
}
