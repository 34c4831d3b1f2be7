//! What a component prints: each line goes to the journal.

use crate::capability::gate::Gate;
use bytes::Bytes;
use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

/// A longer line is cut into several.
const LINE_BYTES_MAX: usize = 8 << 10;
/// Most bytes that are taken at once.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// stdout or stderr.
#[derive(Clone)]
pub(crate) struct Lines(Arc<Inner>);

struct Inner {
    gate: Arc<Gate>,
    level: &'static str,
    rest: Mutex<Vec<u8>>,
}

impl Inner {
    fn rest(&self) -> MutexGuard<'_, Vec<u8>> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
        self.gate.journal.log(self.gate.now(), self.level, &line);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let rest = std::mem::take(&mut *self.rest());
        if !rest.is_empty() {
            self.log(&rest);
        }
    }
}

impl Lines {
    /// Lines that are logged at this level. The last one, if it has no end, when this is dropped.
    pub(crate) fn new(gate: Arc<Gate>, level: &'static str) -> Self {
        Self(Arc::new(Inner { gate, level, rest: Mutex::default() }))
    }

    fn take(&self, mut bytes: &[u8]) {
        let mut rest = self.0.rest();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            rest.extend_from_slice(&bytes[..end]);
            self.0.log(&rest);
            rest.clear();
            bytes = &bytes[end + 1..];
        }
        for part in bytes.chunks(LINE_BYTES_MAX) {
            rest.extend_from_slice(part);
            if rest.len() >= LINE_BYTES_MAX {
                let whole = whole_characters(&rest);
                self.0.log(&rest[..whole]);
                rest.drain(..whole);
            }
        }
    }
}

/// How much of a line that is cut here ends with a character. One of which each line had a part would be in neither,
/// and a secret that it belongs to would not be found.
fn whole_characters(line: &[u8]) -> usize {
    line.len() - line.utf8_chunks().last().map_or(0, |chunk| chunk.invalid().len())
}

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

impl AsyncWrite for Lines {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_within_no_character() {
        let line = "a🦀é".as_bytes();
        let whole: Vec<usize> = (0..=line.len()).map(|end| whole_characters(&line[..end])).collect();
        assert_eq!(whole, [0, 1, 1, 1, 1, 5, 5, 7]);
        assert_eq!(whole_characters(b"\xff\xffa"), 3, "what is no text goes as it is");
    }
}
