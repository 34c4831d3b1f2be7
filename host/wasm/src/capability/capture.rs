//! `capture`: items from outside, and what an action keeps between executions.
//!
//! Everything is held back here until the attempt ends well or says `checkpoint`; where it is kept then
//! is the engine's.

use crate::{
    bindings::v0_1::julee::action::capture::{CaptureError, Host, Item},
    state::State,
};
use action_domain::{
    capture::{self, Captured, TooMuch, Values},
    payload::Payload,
    services::Capturing,
};
use bytes::Bytes;
use std::sync::Arc;
use wasmtime::Result;

type Answer<T> = Result<std::result::Result<T, CaptureError>>;

/// What one attempt has captured and not let go.
#[derive(Default)]
pub(crate) struct Capture {
    keeper: Option<Arc<dyn Capturing>>,
    /// Read when something asks for it first; most protocols never do.
    kept: Option<Values>,
    captured: Captured,
}

impl Capture {
    /// For an attempt.
    pub(crate) fn new(keeper: Option<Arc<dyn Capturing>>) -> Self {
        Self { keeper, ..Self::default() }
    }

    /// What was not let go yet.
    pub(crate) fn take(&mut self) -> Captured {
        std::mem::take(&mut self.captured)
    }

    fn keeper(&self) -> std::result::Result<Arc<dyn Capturing>, CaptureError> {
        let nowhere = || CaptureError::Unavailable("only an attempt of an action can capture".to_owned());
        self.keeper.clone().ok_or_else(nowhere)
    }

    async fn kept(&mut self) -> std::result::Result<(&Values, &mut Captured), CaptureError> {
        let kept = match self.kept.take() {
            Some(kept) => kept,
            None => self.keeper()?.values().await.map_err(|error| CaptureError::Unavailable(error.to_string()))?,
        };
        Ok((self.kept.insert(kept), &mut self.captured))
    }

    fn emit(&mut self, item: Item) -> std::result::Result<(), CaptureError> {
        self.keeper()?;
        let content = Payload { content_type: media_type(item.content.content_type), data: item.content.data.into() };
        let item = capture::Item { key: item.key.map(Into::into), kind: item.kind.into(), content };
        self.captured.emit(item).map_err(too_much)
    }

    async fn set(&mut self, key: String, value: Option<Bytes>) -> std::result::Result<(), CaptureError> {
        let (kept, captured) = self.kept().await?;
        captured.set(kept, key, value).map_err(too_much)
    }

    async fn value(&mut self, key: &str) -> std::result::Result<Option<Vec<u8>>, CaptureError> {
        let (kept, captured) = self.kept().await?;
        Ok(captured.value(kept, key).map(|value| value.to_vec()))
    }

    async fn checkpoint(&mut self) -> std::result::Result<u32, CaptureError> {
        let keeper = self.keeper()?;
        if self.captured.is_empty() {
            return Ok(0);
        }
        // Given away before it is known to be kept: an attempt that is told that it was not gives up,
        // and one that goes on begins anew from what is kept.
        let captured = self.take();
        let values = captured.values.clone();
        let new = keeper.checkpoint(captured).await.map_err(|error| {
            self.kept = None;
            CaptureError::Unavailable(error.to_string())
        })?;
        if let Some(kept) = &mut self.kept {
            for (key, value) in values {
                match value {
                    Some(value) => kept.insert(key, value),
                    None => kept.remove(&key),
                };
            }
        }
        Ok(new)
    }
}

fn too_much(TooMuch(message): TooMuch) -> CaptureError {
    CaptureError::TooLarge(message)
}

fn media_type(text: String) -> Arc<str> {
    if crate::attempt::is_media_type(&text) { text.into() } else { crate::attempt::OCTETS.into() }
}

impl Host for State {
    fn emit(&mut self, item: Item) -> Answer<()> {
        let (bytes, most) = (item.content.data.len(), self.output_bytes_max);
        if bytes as u64 > most {
            let message = format!("an item of {bytes} bytes is over limits.output_bytes ({most})");
            return Ok(Err(CaptureError::TooLarge(message)));
        }
        if let Some(secret) = self.gate.secrets.redactor().value_in(item.kind.as_bytes()) {
            return Ok(Err(CaptureError::TooLarge(format!("an item's kind holds {secret}: it stands in the record"))));
        }
        Ok(self.capture.emit(item))
    }

    async fn get_state(&mut self, key: String) -> Answer<Option<Vec<u8>>> {
        Ok(self.capture.value(&key).await)
    }

    async fn set_state(&mut self, key: String, value: Vec<u8>) -> Answer<()> {
        // It would stand in the database as it is; taken out, it would be another value than was given.
        let secret = |bytes: &[u8]| self.gate.secrets.redactor().value_in(bytes);
        if let Some(secret) = secret(key.as_bytes()).or_else(|| secret(&value)) {
            let message = format!(
                "what an action keeps is not sealed, and this holds {secret}: keep it without, of a URL for instance \
                 the part that says where to go on"
            );
            return Ok(Err(CaptureError::TooLarge(message)));
        }
        Ok(self.capture.set(key, Some(value.into())).await)
    }

    async fn delete_state(&mut self, key: String) -> Answer<()> {
        Ok(self.capture.set(key, None).await)
    }

    async fn checkpoint(&mut self) -> Answer<u32> {
        Ok(self.capture.checkpoint().await)
    }
}
