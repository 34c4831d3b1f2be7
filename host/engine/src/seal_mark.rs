//! What a sealer remembers of the chain, and whether the database still has it.
//!
//! The database says which seal was the last, and whoever writes it can make it say anything. So a
//! process that seals keeps the last seal that it knows of in memory and, beyond its own life, in a
//! [`SealMark`]. A chain that goes on behind the mark is normal: other processes seal too, and a
//! crash may come between a seal and its mark. A chain without the marked seal is not: seals are
//! gone, or others stand in their place, and what would be signed next might be a forgery.

use crate::{Engine, EngineError};
use action_domain::{
    audit::{Anchor, Seal, SealKey},
    services::{MarkUnusable, SealMark},
};
use std::sync::{Arc, Mutex, PoisonError};

/// Seals that are read at once.
const PAGE: u32 = 256;

/// How far this process knows the log to be sealed.
#[derive(Default)]
pub(crate) struct Marked(Mutex<State>);

#[derive(Default)]
struct State {
    /// Whether what was remembered beyond the process was read.
    is_read: bool,
    mark: Option<Anchor>,
    is_refusing: bool,
}

impl Marked {
    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn raise(&mut self, to: Anchor) {
        if self.mark.is_none_or(|mark| mark.sequence < to.sequence) {
            self.mark = Some(to);
        }
    }
}

impl Engine {
    /// Whether this process refuses to seal, because the chain is not the one that it knows.
    pub fn refuses_to_seal(&self) -> bool {
        self.inner.marked.with(|state| state.is_refusing)
    }

    /// The last seal of the chain; for a process that seals, of a chain that has what it knows.
    pub(crate) async fn known_chain(&self) -> Result<Option<Seal>, EngineError> {
        if !self.seals() {
            return Ok(self.store().last_seal().await?);
        }
        // The mark before the chain: what the mark names was committed by then.
        let found = match self.marked().await {
            Ok(mark) => {
                let last = self.store().last_seal().await?;
                self.compare(mark, last.as_ref()).await?.map(|()| last)
            }
            Err(error) => Err(error.0),
        };
        self.inner.marked.with(|state| state.is_refusing = found.is_err());
        found.map_err(|message| EngineError::Conflict { code: "chain_differs", message })
    }

    /// Remembers a seal that is in the chain. Where that fails, the mark is behind the chain, as it
    /// may be.
    pub(crate) async fn mark(&self, seal: Anchor) {
        self.inner.marked.with(|state| state.raise(seal));
        let Err(error) = self.beyond_this_process(move |mark| mark.keep(seal)).await else { return };
        tracing::error!(%error, sequence = seal.sequence, "engine.seal.mark");
    }

    async fn marked(&self) -> Result<Option<Anchor>, MarkUnusable> {
        if !self.inner.marked.with(|state| state.is_read) {
            let read = self.beyond_this_process(|mark: &dyn SealMark| mark.read()).await?;
            self.inner.marked.with(|state| {
                state.is_read = true;
                if let Some(mark) = read.flatten() {
                    state.raise(mark);
                }
            });
        }
        Ok(self.inner.marked.with(|state| state.mark))
    }

    /// Off the threads that others wait for: it is a file.
    async fn beyond_this_process<T: Send + 'static>(
        &self,
        f: impl FnOnce(&dyn SealMark) -> Result<T, MarkUnusable> + Send + 'static,
    ) -> Result<Option<T>, MarkUnusable> {
        let Some(mark) = self.inner.parts.seal_mark.as_ref().map(Arc::clone) else { return Ok(None) };
        let done = tokio::task::spawn_blocking(move || f(&*mark)).await;
        done.map_err(|error| MarkUnusable(error.to_string()))?.map(Some)
    }

    /// Whether the chain has the marked seal and goes on behind it by the rules; if not, why. What it
    /// goes on to is remembered.
    async fn compare(&self, mark: Option<Anchor>, last: Option<&Seal>) -> Result<Result<(), String>, EngineError> {
        let (mark, last) = match (mark, last) {
            (None, None) => return Ok(Ok(())),
            (None, Some(last)) => {
                // It has sealed nothing yet: it believes what its key has signed.
                if !is_signed(last) {
                    return Ok(Err(format!("seal {} is not signed with its own key", last.sequence)));
                }
                tracing::info!(sequence = last.sequence, "engine.seal.no_mark: the chain is taken as it is found");
                self.mark(last.anchor()).await;
                return Ok(Ok(()));
            }
            (Some(mark), last) => match last.filter(|last| last.sequence >= mark.sequence) {
                None => {
                    let there = last.map_or_else(|| "no seal".to_owned(), |last| format!("seal {}", last.sequence));
                    let message = format!(
                        "this process knows seal {mark}, and the last in the database is {there}: seals are gone"
                    );
                    return Ok(Err(message));
                }
                Some(last) => (mark, last),
            },
        };
        if last.anchor() == mark {
            return Ok(Ok(()));
        }
        let walked = self.walk(mark, last.sequence).await?;
        if walked.is_ok() {
            self.mark(last.anchor()).await;
        }
        Ok(walked)
    }

    /// From the marked seal to this one.
    async fn walk(&self, mark: Anchor, to: u64) -> Result<Result<(), String>, EngineError> {
        let mut before: Option<Seal> = None;
        loop {
            let after = before.as_ref().map_or(mark.sequence.saturating_sub(1), |seal| seal.sequence);
            for seal in self.store().seals(Some(after), PAGE).await? {
                let follows = match &before {
                    None => seal.anchor() == mark,
                    Some(before) => seal.follows(Some(before)) && is_signed(&seal) && self.may_sign(before, &seal),
                };
                if !follows {
                    let message = format!(
                        "this process knows seal {mark}, and seal {} in the database is another one or does not continue it",
                        seal.sequence
                    );
                    return Ok(Err(message));
                }
                if seal.sequence == to {
                    return Ok(Ok(()));
                }
                before = Some(seal);
            }
            // No more than were there already: the one that was asked for is gone meanwhile.
            if before.as_ref().is_none_or(|before| before.sequence == after) {
                return Ok(Err(format!("this process knows seal {mark}, and there is no way from it to seal {to}")));
            }
        }
    }

    /// By the word of the seal before, or because its key is one of this process: then somebody said
    /// that the old one is lost.
    fn may_sign(&self, before: &Seal, seal: &Seal) -> bool {
        let (Some(before), Some(seal)) = (before.read(), seal.read()) else { return false };
        let own = self.inner.parts.seal_keys.iter().map(SealKey::public).any(|key| key == seal.key);
        own || seal.key == before.successor()
    }
}

fn is_signed(seal: &Seal) -> bool {
    seal.read().is_some_and(|document| seal.is_signed_by(&document.key))
}
