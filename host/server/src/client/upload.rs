//! A body that tells how much of it is on its way.

use bytes::Bytes;
use futures_util::stream;
use std::convert::Infallible;

/// Small enough for the bar to move, large enough to cost nothing.
const PIECE_BYTES: usize = 64 << 10;

/// `bytes` in pieces; `sent` is called with the size of each when it is taken.
pub(crate) fn body(bytes: Bytes, sent: impl Fn(u64) + Send + Sync + 'static) -> reqwest::Body {
    let pieces = stream::unfold((bytes, sent), |(mut rest, sent)| async move {
        if rest.is_empty() {
            return None;
        }
        let piece = rest.split_to(PIECE_BYTES.min(rest.len()));
        sent(piece.len() as u64);
        Some((Ok::<_, Infallible>(piece), (rest, sent)))
    });
    reqwest::Body::wrap_stream(pieces)
}
