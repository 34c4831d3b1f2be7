//! What an operator or a test may choose about the queue.

use std::time::Duration;

/// How the stream and its consumer are made. A stream that is there already stays as it is.
#[derive(Debug, Clone)]
pub struct NatsOptions {
    /// The name of the stream.
    pub stream: String,
    /// The subject that executions are published on; `<stream>.due` where there is none.
    pub subject: Option<String>,
    /// What is not acknowledged within this time is delivered again.
    pub ack_wait: Duration,
    /// The same pair is dropped within this time.
    pub duplicate_window: Duration,
    /// The stream refuses what would be more messages.
    pub messages_max: i64,
    /// The stream refuses what would be more bytes.
    pub bytes_max: i64,
    /// A message that nobody took is gone after this time.
    pub age_max: Duration,
    /// Nothing more is delivered while this many messages wait for their acknowledgement.
    pub unacknowledged_max: i64,
    /// A server that does not answer within this time is as good as gone.
    pub answer_within: Duration,
}

impl Default for NatsOptions {
    fn default() -> Self {
        Self {
            stream: "action-service".to_owned(),
            subject: None,
            // Longer than a claim takes in a store that is in trouble; a lost worker's messages
            // are late by this.
            ack_wait: Duration::from_secs(30),
            duplicate_window: Duration::from_mins(2),
            // A message is about 150 bytes. What is refused is offered again by the store.
            messages_max: 1_000_000,
            bytes_max: 256 << 20,
            // Without workers the stream empties itself; with them a message is gone in seconds.
            age_max: Duration::from_hours(1),
            // Two batches of each of five nodes, or one of each of ten.
            unacknowledged_max: 10_000,
            answer_within: Duration::from_secs(5),
        }
    }
}
