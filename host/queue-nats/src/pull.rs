//! Takes a batch of messages from the consumer.
//!
//! One request does it: it waits for the first message and then takes what is there without
//! waiting for more (`no_wait` together with an expiry). The client's own batches know no
//! difference between a queue that is empty and a server that is gone; this asks and listens itself.
//! Nobody answers for a consumer that was deleted, so one that waits is heard from time to time.

use crate::session::{Session, Trouble};
use action_domain::id::ExecutionId;
use async_nats::{
    Message, StatusCode, Subject, Subscriber,
    jetstream::{self, consumer::pull::BatchConfig},
};
use futures_util::StreamExt as _;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// The most messages of one pull: with their size bounded this bounds the memory.
pub(crate) const BATCH_MAX: usize = 1000;
/// Longer than anybody waits, and short enough to reckon with.
const WAIT_MAX: Duration = Duration::from_hours(1);
/// How long a message waits for the next one of its batch when the server does not say that the
/// batch has ended, which happens when it may deliver no more.
const LINGER: Duration = Duration::from_millis(500);

/// What one request brought.
enum Batch {
    Messages(Vec<jetstream::Message>),
    /// The server ended the request and had nothing.
    Nothing,
}

impl Session {
    /// Up to `limit` executions, waiting up to `wait` for the first.
    pub(crate) async fn pull(
        &self,
        limit: usize,
        wait: Duration,
    ) -> Result<Vec<(ExecutionId, jetstream::Message)>, Trouble> {
        let until = Instant::now() + wait.min(WAIT_MAX);
        let (mut due, mut no_wait) = (Vec::new(), true);
        loop {
            match self.batch(limit.min(BATCH_MAX), no_wait, until).await? {
                Batch::Messages(messages) => due = self.sort(messages).await,
                // It had something, but not for this request: others were there first, or too much
                // waits for its acknowledgement. A request that only waits is in nobody's way.
                Batch::Nothing if no_wait => no_wait = false,
                Batch::Nothing => return Ok(due),
            }
            if !due.is_empty() || Instant::now() >= until {
                return Ok(due);
            }
        }
    }

    /// Those that are ours; the others are acknowledged away.
    async fn sort(&self, messages: Vec<jetstream::Message>) -> Vec<(ExecutionId, jetstream::Message)> {
        let mut due = Vec::with_capacity(messages.len());
        let mut strange = 0_usize;
        for message in messages {
            if let Some(execution) = execution(&message.payload) {
                due.push((execution, message));
            } else {
                strange += 1;
                // What cannot be acknowledged now comes again.
                let _ = self.answered(async { message.ack().await.map_err(Trouble::lost) }).await;
            }
        }
        if strange > 0 {
            tracing::warn!(stream = self.stream, messages = strange, "queue.nats.not_ours");
        }
        due
    }

    /// Sends one request and collects what it brings.
    async fn batch(&self, limit: usize, no_wait: bool, until: Instant) -> Result<Batch, Trouble> {
        // A request that only waits would wait for all of its messages.
        let limit = if no_wait { limit } else { 1 };
        let mut inbox = self.answered(self.request(limit, no_wait, until)).await?;
        let mut messages = Vec::new();
        while messages.len() < limit {
            let patience = if messages.is_empty() { self.patience(until) } else { LINGER };
            let next = tokio::select! {
                biased;
                next = timeout(patience, inbox.next()) => next,
                () = self.is_lost() => Ok(None),
            };
            let ended = match next {
                Ok(Some(message)) if is_delivered(&message) => {
                    messages.push(self.message(message));
                    continue;
                }
                Ok(Some(message)) => match message.status {
                    // Expired, nothing there, or not for this request.
                    Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND) => Ok(Batch::Nothing),
                    // It still waits; or somebody else's message in our inbox.
                    None | Some(StatusCode::OK | StatusCode::IDLE_HEARTBEAT) => continue,
                    Some(StatusCode::NO_RESPONDERS) => {
                        Err(format!("the consumer of the stream {} is gone", self.stream))
                    }
                    Some(status) => Err(format!("{status} {}", message.description.unwrap_or_default())),
                },
                Ok(None) => Err("the connection was lost".to_owned()),
                Err(_) => Err("the server did not answer in time".to_owned()),
            };
            if messages.is_empty() {
                return ended.map_err(Trouble::lost);
            }
            // However it ended, these are here.
            break;
        }
        Ok(Batch::Messages(messages))
    }

    /// Whether a request is long enough for heartbeats: JetStream wants two to fit in.
    fn beats(&self, until: Instant) -> bool {
        until.saturating_duration_since(Instant::now()) > 2 * self.answer_within
    }

    /// How long the server may say nothing about a request.
    fn patience(&self, until: Instant) -> Duration {
        if self.beats(until) {
            self.answer_within
        } else {
            until.saturating_duration_since(Instant::now()) + self.answer_within
        }
    }

    async fn request(&self, batch: usize, no_wait: bool, until: Instant) -> Result<Subscriber, Trouble> {
        let inbox = Subject::from(self.client.new_inbox());
        let answers = self.client.subscribe(inbox.clone()).await.map_err(Trouble::lost)?;
        // Without an expiry it would wait for ever, or not at all.
        let expires = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let idle_heartbeat = if self.beats(until) { self.answer_within / 2 } else { Duration::ZERO };
        let request = BatchConfig { batch, expires: Some(expires), no_wait, idle_heartbeat, ..BatchConfig::default() };
        self.consumer.request_batch(request, inbox).await.map_err(Trouble::lost)?;
        Ok(answers)
    }
}

/// Whether the consumer delivered it. A message has its place for the acknowledgement as reply
/// subject; what the server says about the request has none.
fn is_delivered(message: &Message) -> bool {
    message.reply.as_ref().is_some_and(|reply| reply.starts_with("$JS.ACK."))
}

/// The execution of a message of ours, which is `<execution>/<attempt>`.
fn execution(payload: &[u8]) -> Option<ExecutionId> {
    let (execution, attempt) = std::str::from_utf8(payload).ok()?.split_once('/')?;
    attempt.parse::<u32>().ok()?;
    execution.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_ours_is_an_execution_and_an_attempt() {
        let id = "exe_01h455vb4pex5vsknk084sn02q";
        assert_eq!(execution(format!("{id}/3").as_bytes()).unwrap().to_string(), id);
        for strange in [id, "act_01h455vb4pex5vsknk084sn02q/3", "exe_1/3", "exe_01h455vb4pex5vsknk084sn02q/x", "", "/"]
        {
            assert!(execution(strange.as_bytes()).is_none(), "{strange}");
        }
        assert!(execution(b"\xff\xfe/1").is_none());
    }
}
