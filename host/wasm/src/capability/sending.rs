//! Asks once an attempt, before its first byte leaves, whether it may send at all.
//!
//! Whatever a component does at once, with `outbound` and with wasi:http beside it, waits for the
//! same answer. A guest's own timeout may end its waiting, but does not take the question back:
//! the next one who wants to send goes on waiting for it.

use action_domain::services::{Sending, SendingRefused};
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use std::{
    future::pending,
    sync::{Arc, OnceLock},
};
use tokio::sync::Notify;

type Asked = Shared<BoxFuture<'static, Result<(), SendingRefused>>>;

/// One attempt's permission to send. Nobody has to agree until [`Self::require`].
#[derive(Default)]
pub(crate) struct Permission {
    asked: OnceLock<Asked>,
    refusal: OnceLock<SendingRefused>,
    refused: Notify,
}

impl Permission {
    /// From now on nothing is sent unless this one agrees.
    pub(crate) fn require(&self, sending: Arc<dyn Sending>) {
        let asked = async move { sending.begins().await }.boxed().shared();
        // An attempt opens its gate once, so there is nobody whom this could take the place of.
        let _ = self.asked.set(asked);
    }

    /// Waits until it is known whether bytes may leave.
    pub(crate) async fn get(&self) -> Result<(), SendingRefused> {
        let Some(asked) = self.asked.get() else { return Ok(()) };
        // Many requests of an attempt come by here; the answer is there for all but the first.
        let answer = match asked.peek() {
            Some(answer) => answer.clone(),
            None => asked.clone().await,
        };
        if let Err(refusal) = &answer {
            let _ = self.refusal.set(refusal.clone());
            self.refused.notify_one();
        }
        answer
    }

    /// Waits for a refusal, for ever where none comes: the attempt has to end then.
    pub(crate) async fn refused(&self) -> SendingRefused {
        if self.asked.get().is_none() {
            return pending().await;
        }
        loop {
            if let Some(refusal) = self.refusal() {
                return refusal.clone();
            }
            self.refused.notified().await;
        }
    }

    /// The refusal, if there was one.
    pub(crate) fn refusal(&self) -> Option<&SendingRefused> {
        self.refusal.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        pin::pin,
        sync::atomic::{AtomicU32, Ordering},
    };

    /// Answers when it is told to.
    struct Slow {
        asked: AtomicU32,
        answer: Notify,
        verdict: Result<(), SendingRefused>,
    }

    #[async_trait::async_trait]
    impl Sending for Slow {
        async fn begins(&self) -> Result<(), SendingRefused> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            self.answer.notified().await;
            self.verdict.clone()
        }
    }

    fn slow(verdict: Result<(), SendingRefused>) -> (Arc<Slow>, Permission) {
        let slow = Arc::new(Slow { asked: AtomicU32::new(0), answer: Notify::new(), verdict });
        let permission = Permission::default();
        permission.require(slow.clone());
        (slow, permission)
    }

    #[tokio::test]
    async fn who_does_not_have_to_ask_does_not_wait() {
        assert_eq!(Permission::default().get().await, Ok(()));
    }

    #[tokio::test]
    async fn all_at_once_wait_for_the_same_answer_also_when_the_first_goes_away() {
        let (slow, permission) = slow(Ok(()));
        let mut second = pin!(permission.get());
        {
            let mut first = pin!(permission.get());
            assert!(futures_util::poll!(&mut first).is_pending());
            assert!(futures_util::poll!(&mut second).is_pending());
        }
        slow.answer.notify_one();
        assert_eq!(second.await, Ok(()));
        assert_eq!(permission.get().await, Ok(()));
        assert_eq!(slow.asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_refusal_is_for_all_and_is_told() {
        let refusal = SendingRefused("the lease is lost".into());
        let (slow, permission) = slow(Err(refusal.clone()));
        let mut told = pin!(permission.refused());
        assert!(futures_util::poll!(&mut told).is_pending());
        slow.answer.notify_one();
        for _ in 0..2 {
            assert_eq!(permission.get().await, Err(refusal.clone()));
        }
        assert_eq!(told.await, refusal);
        assert_eq!(slow.asked.load(Ordering::SeqCst), 1);
    }
}
