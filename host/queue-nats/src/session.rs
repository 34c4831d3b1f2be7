//! One connection, with the stream and the consumer that were there when it was made.
//!
//! The client would connect again by itself, but it would not say what was lost meanwhile: a pull
//! would wait for a server that forgot it. So a session ends with its connection, and with any
//! answer that says that stream or consumer are gone.

use crate::{NatsOptions, address::Address};
use action_domain::{id::ExecutionId, limits::CONNECT_TIMEOUT, services::BrokerUnavailable};
use async_nats::{
    Client, ConnectOptions, Event,
    connection::State,
    jetstream::{
        self, Context, ContextBuilder,
        consumer::{AckPolicy, Consumer, pull},
        context::PublishErrorKind,
        message::PublishMessage,
        stream::{Config, DiscardPolicy, RetentionPolicy, StorageType},
    },
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::{error::Error as _, fmt::Display, time::Duration};
use tokio::{sync::watch, time::timeout};

/// The consumer that all workers share.
const CONSUMER: &str = "workers";
/// More than any of our messages has, headers included: larger ones are not ours.
const MESSAGE_BYTES_MAX: i32 = 1024;
/// How many messages of one call wait for their acknowledgement at once.
const IN_FLIGHT_MAX: usize = 512;
/// A connection on which nothing was heard twice this long is given up.
const PING_EVERY: Duration = Duration::from_secs(10);

/// A connection that is good until it is said to be lost.
pub(crate) struct Session {
    pub(crate) client: Client,
    context: Context,
    pub(crate) consumer: Consumer<pull::Config>,
    pub(crate) stream: String,
    subject: String,
    pub(crate) answer_within: Duration,
    /// Set once, by the client or by whoever learns that stream or consumer are gone.
    lost: watch::Sender<bool>,
}

/// What went wrong, and whether the session is good for more.
#[derive(Debug)]
pub(crate) struct Trouble {
    why: String,
    lost: bool,
}

impl Trouble {
    /// Nothing more is to be had from this session.
    pub(crate) fn lost(why: impl Display) -> Self {
        Self { why: why.to_string(), lost: true }
    }

    /// The server works and said no.
    fn refused(why: impl Display) -> Self {
        Self { why: why.to_string(), lost: false }
    }
}

impl Session {
    /// Connects, and makes sure of stream and consumer.
    pub(crate) async fn open(address: &Address, options: &NatsOptions) -> Result<Self, BrokerUnavailable> {
        match timeout(CONNECT_TIMEOUT, Self::try_open(address, options)).await {
            Ok(Ok(session)) => {
                tracing::info!(server = %address, stream = session.stream, "queue.nats.connected");
                Ok(session)
            }
            Ok(Err(why)) => Err(BrokerUnavailable(format!("NATS at {address}: {why}"))),
            Err(_) => Err(BrokerUnavailable(format!("NATS at {address} did not answer in time"))),
        }
    }

    async fn try_open(address: &Address, options: &NatsOptions) -> Result<Self, String> {
        let lost = watch::Sender::new(false);
        let on_event = lost.clone();
        let connect = ConnectOptions::new()
            .name("action-service")
            .connection_timeout(options.answer_within)
            .request_timeout(Some(options.answer_within))
            .ping_interval(PING_EVERY)
            // Only servers that were named, each tried once: whoever calls next tries again.
            .ignore_discovered_servers()
            .max_reconnects(address.servers.len())
            .subscription_capacity(2 * crate::pull::BATCH_MAX)
            .event_callback(move |event| {
                if matches!(event, Event::Disconnected | Event::Closed) {
                    on_event.send_replace(true);
                }
                std::future::ready(())
            });
        let connect = address.identify(connect);
        let client = connect.connect(&address.servers[..]).await.map_err(|error| error.to_string())?;
        let context = ContextBuilder::new().timeout(options.answer_within).build(client.clone());
        let subject = options.subject.clone().unwrap_or_else(|| format!("{}.due", options.stream));
        let consumer = ensure(&context, options, &subject).await?;
        let (stream, answer_within) = (options.stream.clone(), options.answer_within);
        Ok(Self { client, context, consumer, stream, subject, answer_within, lost })
    }

    /// Whether it may be used for the next call.
    pub(crate) fn is_alive(&self) -> bool {
        !*self.lost.borrow() && self.client.connection_state() == State::Connected
    }

    /// Does `work` unless the connection goes first, and remembers what it says about the session.
    pub(crate) async fn attempt<T>(
        &self,
        work: impl Future<Output = Result<T, Trouble>> + Send,
    ) -> Result<T, BrokerUnavailable> {
        let result = tokio::select! {
            // Work that can still end well when the connection goes does so.
            biased;
            result = work => result,
            () = self.is_lost() => Err(Trouble::lost("the connection was lost")),
        };
        result.map_err(|trouble| {
            if trouble.lost {
                self.lost.send_replace(true);
            }
            BrokerUnavailable(format!("NATS: {}", trouble.why))
        })
    }

    /// Returns when the connection is gone.
    pub(crate) async fn is_lost(&self) {
        // The sender is ours, so this ends with the value only.
        let _ = self.lost.subscribe().wait_for(|lost| *lost).await;
    }

    /// Gives `work` the time that a server has for an answer.
    pub(crate) async fn answered<T>(
        &self,
        work: impl Future<Output = Result<T, Trouble>> + Send,
    ) -> Result<T, Trouble> {
        let late = || Err(Trouble::lost("the server did not answer in time"));
        timeout(self.answer_within, work).await.unwrap_or_else(|_| late())
    }

    /// A message of JetStream's from one of the client's.
    pub(crate) fn message(&self, message: async_nats::Message) -> jetstream::Message {
        jetstream::Message { message, context: self.context.clone() }
    }

    /// Publishes all, many at a time, and waits until the server has each.
    pub(crate) async fn publish(&self, due: &[(ExecutionId, u32)]) -> Result<(), Trouble> {
        let sent = due.iter().copied().map(|(execution, attempt)| self.publish_one(execution, attempt));
        stream::iter(sent).buffer_unordered(IN_FLIGHT_MAX).try_collect().await
    }

    /// What is in the stream: delivered or not, nobody has said that it is done.
    pub(crate) async fn backlog(&self) -> Result<u64, Trouble> {
        let stream = self.context.get_stream(&self.stream).await.map_err(Trouble::lost)?;
        Ok(stream.cached_info().state.messages)
    }

    async fn publish_one(&self, execution: ExecutionId, attempt: u32) -> Result<(), Trouble> {
        let text = format!("{execution}/{attempt}");
        let message = PublishMessage::build().message_id(&text).payload(text.into());
        let sent = self.context.send_publish(self.subject.clone(), message).await;
        let answer = match sent {
            Ok(answer) => answer.await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(_) => Ok(()),
            // Nobody listens on the subject: the stream is gone.
            Err(error) if error.kind() == PublishErrorKind::StreamNotFound => {
                Err(Trouble::lost(format!("the stream {} is gone", self.stream)))
            }
            Err(error) => match error.source().and_then(|source| source.downcast_ref::<jetstream::Error>()) {
                Some(answer) => Err(Trouble::refused(answer)),
                None => Err(Trouble::lost(error)),
            },
        }
    }
}

/// Makes stream and consumer where they are missing. An operator may have made the stream, with
/// replicas for instance; it stays as it is, if it is a work queue of ours. The consumer is ours.
async fn ensure(context: &Context, options: &NatsOptions, subject: &str) -> Result<Consumer<pull::Config>, String> {
    let name = &options.stream;
    let config = Config {
        name: name.clone(),
        subjects: vec![subject.to_owned()],
        description: Some("Executions that are due in the action service; may be deleted at any time".to_owned()),
        retention: RetentionPolicy::WorkQueue,
        storage: StorageType::File,
        num_replicas: 1,
        // Old messages are nearer to being taken than new ones, and new ones are offered again.
        discard: DiscardPolicy::New,
        max_messages: options.messages_max,
        max_bytes: options.bytes_max,
        max_age: options.age_max,
        max_message_size: MESSAGE_BYTES_MAX,
        duplicate_window: options.duplicate_window,
        ..Config::default()
    };
    let stream = context.get_or_create_stream(config).await;
    let stream = stream.map_err(|error| format!("the stream {name} cannot be made: {error}"))?;
    let there = &stream.cached_info().config;
    if there.retention != RetentionPolicy::WorkQueue || !there.subjects.iter().any(|there| there == subject) {
        return Err(format!("the stream {name} is there, and is not a work queue for the subject {subject}"));
    }
    let config = pull::Config {
        durable_name: Some(CONSUMER.to_owned()),
        filter_subject: subject.to_owned(),
        ack_policy: AckPolicy::Explicit,
        ack_wait: options.ack_wait,
        // Unlimited: the store decides when an execution is given up.
        max_deliver: -1,
        max_ack_pending: options.unacknowledged_max,
        ..pull::Config::default()
    };
    // Made, or brought to what it should be.
    let consumer = context.create_consumer_on_stream(config, name).await;
    consumer.map_err(|error| format!("the consumer of the stream {name} cannot be made: {error}"))
}
