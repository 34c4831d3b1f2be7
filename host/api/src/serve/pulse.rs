//! Whether anything on a connection moves. A peer that keeps a connection and asks for nothing, or
//! takes nothing of what it asked for, holds a place that others need; over HTTP/2 it can go on
//! answering pings meanwhile, so that neither hyper's nor the socket's timers see anything.

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// A longer piece of a body is given on in parts, so that a peer that takes it slowly is seen to take it. Half a
/// minute for each is two kilobytes a second.
const PART_BYTES_MAX: usize = 64 << 10;

/// What the requests of one connection are at.
#[derive(Clone)]
pub(super) struct Pulse(Arc<Mutex<State>>);

struct State {
    /// Requests that wait for the service. The others wait for the peer.
    moving: usize,
    /// When one of them last went over to the other side.
    at: Instant,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { moving: 0, at: Instant::now() })))
    }

    /// A request came.
    pub(super) fn begin(&self) -> Moving {
        let mut moving = Moving { pulse: self.clone(), counts: false };
        moving.waits_for(Side::Service);
        moving
    }

    /// Waits until no request has moved for a time, counted from `since` on.
    pub(super) async fn still(&self, since: Instant, time: Duration) {
        loop {
            let until = match *self.state() {
                State { moving: 0, at } => at.max(since) + time,
                // Whatever becomes of it, the time is not over before this.
                _ => Instant::now() + time,
            };
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose turn it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Service,
    Peer,
}

/// One request, until its answer is taken or nobody wants it any more.
pub(super) struct Moving {
    pulse: Pulse,
    /// Whether it is among those that wait for the service.
    counts: bool,
}

impl Moving {
    fn waits_for(&mut self, side: Side) {
        let counts = side == Side::Service;
        if counts == self.counts {
            return;
        }
        self.counts = counts;
        let mut state = self.pulse.state();
        state.moving = if counts { state.moving + 1 } else { state.moving.saturating_sub(1) };
        state.at = Instant::now();
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        self.waits_for(Side::Peer);
        self.pulse.state().at = Instant::now();
    }
}

/// The body of an answer. It is asked for more only when the peer has taken what was there before.
pub(super) struct Watched {
    body: Body,
    /// Of the last piece, what was not given on yet.
    rest: Bytes,
    moving: Moving,
}

impl Watched {
    pub(super) fn new(body: Body, mut moving: Moving) -> Self {
        moving.waits_for(Side::Peer);
        Self { body, rest: Bytes::new(), moving }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.moving.waits_for(Side::Service);
        if self.rest.is_empty() {
            let ended = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        self.rest = data;
                        None
                    }
                    Err(trailers) => Some(Some(Ok(trailers))),
                },
                other => Some(other),
            };
            if let Some(ended) = ended {
                self.moving.waits_for(Side::Peer);
                return Poll::Ready(ended);
            }
        }
        let part = self.rest.len().min(PART_BYTES_MAX);
        let part = self.rest.split_to(part);
        self.moving.waits_for(Side::Peer);
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;

    const TIME: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn it_is_still_when_nothing_moved_for_the_whole_time() {
        let pulse = Pulse::new();
        let begun = Instant::now();
        let request = pulse.begin();
        let still = pulse.still(begun, TIME);
        tokio::pin!(still);
        assert!(tokio::time::timeout(10 * TIME, &mut still).await.is_err(), "somebody waits for the service");
        drop(request);
        let dropped = Instant::now();
        still.await;
        assert_eq!(dropped.elapsed(), TIME);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_takes_does_not_move() {
        let pulse = Pulse::new();
        let answer = Watched::new(Body::from("x"), pulse.begin());
        let made = Instant::now();
        pulse.still(made, TIME).await;
        assert_eq!(made.elapsed(), TIME);
        assert_eq!(to_bytes(Body::new(answer), 10).await.unwrap(), "x");
        let taken = Instant::now();
        pulse.still(made, TIME).await;
        assert_eq!(taken.elapsed(), TIME, "taking it was a move");
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_a_large_answer_slowly_is_seen_to_take_it() {
        use http_body_util::BodyExt as _;
        let pulse = Pulse::new();
        let (size, begun) = (3 * PART_BYTES_MAX + 1, Instant::now());
        let mut answer = Watched::new(Body::from(vec![b'x'; size]), pulse.begin());
        let mut taken = 0;
        while !answer.is_end_stream() {
            assert_eq!(answer.size_hint().exact(), Some((size - taken) as u64));
            taken += answer.frame().await.unwrap().unwrap().into_data().unwrap().len();
            let pause = TIME.checked_sub(Duration::from_secs(1)).unwrap();
            assert!(tokio::time::timeout(pause, pulse.still(begun, TIME)).await.is_err(), "{taken} of {size}");
        }
        assert_eq!(taken, size);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_the_service_has_not_made_yet_is_waited_for() {
        let pulse = Pulse::new();
        let slow = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        let answer = Watched::new(Body::from_stream(slow), pulse.begin());
        let read = tokio::spawn(to_bytes(Body::new(answer), 10));
        let begun = Instant::now();
        assert!(tokio::time::timeout(10 * TIME, pulse.still(begun, TIME)).await.is_err());
        read.abort();
        pulse.still(begun, TIME).await;
    }
}
