//! Reads bodies, bounded in size, time and number.

use crate::{
    ApiState, Peer,
    error::{Answer, Problem},
    guard::token_invalid,
    request::caller::Caller,
    room::{Held, Room},
    state::SMALL_BYTES_MAX,
};
use axum::body::{Body, HttpBody as _};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header, request::Parts};
use http_body_util::BodyExt as _;
use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};
use tokio::time::{Instant, timeout_at};

/// Longest time without a byte.
const STALL_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest time for a whole body: 64 MiB at 2 Mbit/s.
const BODY_TIMEOUT: Duration = Duration::from_mins(5);
/// What is set aside before anything has come.
const RESERVE_BYTES_MAX: usize = 64 << 10;

/// A body, and the right to hold it if it is large. Keep it until the body's bytes are done with.
pub(crate) struct Taken {
    /// The bytes.
    pub(crate) bytes: Bytes,
    /// Given back when dropped.
    pub(crate) _held: Option<Held>,
}

/// Takes a body of at most `bytes_max` of a caller whom the guard let in.
pub(crate) async fn take(state: &ApiState, head: &Parts, body: Body, bytes_max: usize) -> Answer<Taken> {
    take_into(state, state.large_bodies(), head, body, bytes_max).await
}

/// The same of anybody: strangers take no room from callers, and none of them all that there is.
pub(crate) async fn take_of_stranger(state: &ApiState, head: &Parts, body: Body, bytes_max: usize) -> Answer<Taken> {
    take_into(state, state.large_deliveries(), head, body, bytes_max).await
}

/// Over [`SMALL_BYTES_MAX`] a body needs room, from the byte on with which it is: what somebody says that he is going
/// to send takes nothing.
async fn take_into(state: &ApiState, room: &Room, head: &Parts, body: Body, bytes_max: usize) -> Answer<Taken> {
    let declared = check(&head.headers, &body, bytes_max)?;
    let peer = head.extensions.get().copied().unwrap_or(Peer::UNKNOWN);
    let mut held = None;
    let read = read(body, declared, bytes_max, |size| {
        if size > SMALL_BYTES_MAX && held.is_none() {
            let busy = || Problem::busy("too many large bodies are under way", Duration::from_secs(1));
            held = Some(room.take(peer).ok_or_else(busy)?);
        }
        Ok(())
    });
    let bytes = of_somebody_known(state, head, read).await?;
    Ok(Taken { bytes, _held: held })
}

/// Takes a body of at most `bytes_max`; the caller bounds how many there are at once.
pub(crate) async fn take_unshared(state: &ApiState, head: &Parts, body: Body, bytes_max: usize) -> Answer<Bytes> {
    let declared = check(&head.headers, &body, bytes_max)?;
    of_somebody_known(state, head, read(body, declared, bytes_max, |_| Ok(()))).await
}

/// Reads a body whose sender is still known behind it, where the guard let somebody in: a body may take
/// minutes, and a token is worth nothing from its revocation on. What was there at once needs no second look.
async fn of_somebody_known(state: &ApiState, head: &Parts, read: impl Future<Output = Answer<Bytes>>) -> Answer<Bytes> {
    let mut read = pin!(read);
    let bytes = match poll_fn(|context| Poll::Ready(read.as_mut().poll(context))).await {
        Poll::Ready(bytes) => return bytes,
        Poll::Pending => read.await?,
    };
    match Caller::of(head) {
        Ok(caller) if !caller.is_known(state).await? => Err(token_invalid()),
        _ => Ok(bytes),
    }
}

/// What can be told before the first byte: the declared size, 0 where there is none.
fn check(headers: &HeaderMap, body: &Body, bytes_max: usize) -> Answer<usize> {
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return Err(Problem::unsupported("a body with a Content-Encoding is not taken: send it plain"));
    }
    // Of the header where there is one: a test's body and a body over HTTP/2 need not know it.
    let declared = match headers.get(header::CONTENT_LENGTH) {
        Some(length) => length.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX),
        None => body.size_hint().exact().unwrap_or(0),
    };
    match usize::try_from(declared) {
        Ok(declared) if declared <= bytes_max => Ok(declared),
        _ => Err(Problem::too_large(bytes_max)),
    }
}

async fn read(
    mut body: Body,
    declared: usize,
    bytes_max: usize,
    mut admit: impl FnMut(usize) -> Answer<()>,
) -> Answer<Bytes> {
    let until = Instant::now() + BODY_TIMEOUT;
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while !body.is_end_stream() {
        let Some(frame) = frame(&mut body, until).await? else { break };
        let Ok(data) = frame.into_data() else { continue };
        let size = first.len() + all.len() + data.len();
        if size > bytes_max {
            return Err(Problem::too_large(bytes_max));
        }
        admit(size)?;
        if first.is_empty() && all.is_empty() {
            // Most bodies are one frame: no copy for them.
            first = data;
        } else {
            if all.is_empty() {
                all.reserve(declared.min(RESERVE_BYTES_MAX).max(size));
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

async fn frame(body: &mut Body, until: Instant) -> Answer<Option<http_body::Frame<Bytes>>> {
    let slow = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", "the body did not come in time");
    let deadline = until.min(Instant::now() + STALL_TIMEOUT);
    match timeout_at(deadline, body.frame()).await.map_err(slow)? {
        None => Ok(None),
        Some(Ok(frame)) => Ok(Some(frame)),
        Some(Err(_)) => Err(Problem::bad_request("body_broken", "the body ended before it was complete")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Api;
    use futures_util::{StreamExt as _, stream};
    use serde_json::json;
    use std::{convert::Infallible, pin::Pin};

    async fn taken(headers: &HeaderMap, body: Body, bytes_max: usize) -> Answer<Bytes> {
        let declared = check(headers, &body, bytes_max)?;
        read(body, declared, bytes_max, |_| Ok(())).await
    }

    fn chunks(count: usize, bytes: usize) -> Body {
        let chunks = (0..count).map(move |_| Ok::<_, Infallible>(Bytes::from(vec![b'x'; bytes])));
        Body::from_stream(stream::iter(chunks))
    }

    #[tokio::test]
    async fn a_body_is_bounded_while_it_comes() {
        let headers = HeaderMap::new();
        assert_eq!(taken(&headers, chunks(10, 10), 100).await.unwrap().len(), 100);
        assert!(taken(&headers, chunks(11, 10), 100).await.is_err());
        assert_eq!(taken(&headers, Body::empty(), 0).await.unwrap().len(), 0);
    }

    #[tokio::test]
    async fn a_declared_size_is_believed_before_anything_is_read() {
        let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let headers = HeaderMap::from_iter([(header::CONTENT_LENGTH, 101.into())]);
        assert!(taken(&headers, never, 100).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_body_times_out() {
        let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        assert!(taken(&HeaderMap::new(), never, 100).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_times_out_too() {
        let drip = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(14)).await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b"x")), ()))
        });
        let started = Instant::now();
        assert!(taken(&HeaderMap::new(), Body::from_stream(drip), 100).await.is_err());
        assert_eq!(started.elapsed(), BODY_TIMEOUT);
    }

    /// As it is when so many bytes have come and the rest does not.
    async fn half<'a, F: Future<Output = Answer<Taken>> + 'a>(
        take: impl FnOnce(Body) -> F,
        bytes: usize,
    ) -> Pin<Box<F>> {
        let came = stream::iter([Ok::<_, Infallible>(Bytes::from(vec![b'x'; bytes]))]);
        let mut taking = Box::pin(take(Body::from_stream(came.chain(stream::pending()))));
        assert!(futures_util::poll!(&mut taking).is_pending());
        taking
    }

    #[tokio::test]
    async fn what_is_only_announced_takes_no_room_and_strangers_take_none_of_callers() {
        let api = Api::new();
        let state = &api.state;
        let from = |last: u8| {
            let request = http::Request::builder().header(header::CONTENT_LENGTH, 1 << 20);
            request.extension(Peer::new([192, 0, 2, last].into())).body(()).unwrap().into_parts().0
        };
        let (one, other) = (&from(1), &from(2));
        let large = || chunks(2, SMALL_BYTES_MAX);
        let (mut announced, mut deliveries) = (Vec::new(), Vec::new());
        for _ in 0..50 {
            announced.push(half(|body| take(state, one, body, 1 << 20), SMALL_BYTES_MAX).await);
            deliveries.push(half(|body| take_of_stranger(state, one, body, 1 << 20), SMALL_BYTES_MAX).await);
        }
        assert!(take_of_stranger(state, one, large(), 1 << 20).await.is_ok());
        let mut held = Vec::new();
        while let Ok(large) = take_of_stranger(state, one, large(), 1 << 20).await {
            held.push(large);
            assert!(held.len() < 50, "memory is bounded");
        }
        assert!(take_of_stranger(state, other, large(), 1 << 20).await.is_ok(), "one stranger is not all of them");
        let mut own = Vec::new();
        while let Ok(large) = take(state, one, large(), 1 << 20).await {
            own.push(large);
            assert!(own.len() < 50, "memory is bounded");
        }
        assert_eq!((held.len(), own.len()), (6, 16));
    }

    #[tokio::test]
    async fn a_token_that_is_revoked_while_a_body_comes_in_lets_nothing_in() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let types = async || {
            let events = api.all_pages("/v1/events").await;
            events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let before = types().await.len();
        for path in ["/v1/actions/a/execute", "/v1/protocols", "/v1/actions/a/plan", "/v1/actions"] {
            let (id, token) = api.token(&json!({"name": "t", "scopes": ["invoke", "configure"]})).await;
            let revoke = async || api.request("DELETE", &format!("/v1/tokens/{id}")).send().await.is(204);
            let media_type = match path {
                "/v1/protocols" => "application/wasm",
                _ => "application/json",
            };
            let call = api.post(path).bearer(&token).content_type(media_type);
            call.send_slowly(revoke).await.is_problem(401, "token_invalid");
        }
        let told = types().await;
        assert!(told[before..].iter().all(|of| of.starts_with("token_")), "{told:?}");
    }
}
