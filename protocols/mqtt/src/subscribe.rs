//! One execution: messages come in, as items. A message is acknowledged when it is captured for good.
//!
//! With qos 1 the broker sends again what was not acknowledged. What was captured before a crash, and its
//! acknowledgement lost with it, is known by its packet's id, which is kept with the items: a broker sends it again
//! under the same id (3.1.1, 4.4).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use action_protocol::net::{Deadline, Dialer, TIMEOUT_MS_MAX};
use action_protocol::{Call, Failure, Outcome, Payload, capture};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::config::{Config, Subscribe};
use crate::packet::{self, Message, Packet};
use crate::session::{Session, lost};

/// Messages that are made sure of at once.
const BATCH_MAX: usize = 500;
/// The end of the time is looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Ids of messages that were captured and maybe not acknowledged.
const CAPTURED: &str = "captured";

/// Keeps what comes. The service does; a test may do instead.
pub trait Keeper {
    /// Ids that were kept with the last items.
    fn captured(&self) -> Result<BTreeSet<u16>, Failure>;
    /// Keeps items, and these ids in the place of those before.
    fn keep(&self, items: &[Value], kind: &str, ids: &BTreeSet<u16>) -> Result<(), Failure>;
}

/// The service.
#[derive(Clone, Copy, Debug)]
pub struct Capture;

impl Keeper for Capture {
    fn captured(&self) -> Result<BTreeSet<u16>, Failure> {
        Ok(capture::state_json(CAPTURED)?.unwrap_or_default())
    }

    fn keep(&self, items: &[Value], kind: &str, ids: &BTreeSet<u16>) -> Result<(), Failure> {
        for item in items {
            capture::emit(kind, Payload::json(item)?)?;
        }
        capture::set_state_json(CAPTURED, ids)?;
        capture::checkpoint()?;
        Ok(())
    }
}

/// Subscribes with whatever connects and keeps, until its time is over or nothing comes any more.
pub fn execute(
    call: &Call<Config>,
    subscribe: &Subscribe,
    dialer: &impl Dialer,
    keeper: &impl Keeper,
) -> Result<Outcome, Failure> {
    let config = &call.config;
    let client_id = config.client_id.as_deref().unwrap_or(&call.action);
    // With qos 0 there is nothing that a broker would keep.
    let mut session = Session::open(config, dialer, client_id, subscribe.qos == 0)?;
    session.send(&packet::subscribe(&subscribe.topics, subscribe.qos)).map_err(|error| lost(&error, config))?;
    let mut captured = if session.known { keeper.captured()? } else { BTreeSet::new() };
    let end = Deadline::of_call(call, TIMEOUT_MS_MAX);
    // The deadline of what runs all the time is years away, and does not fit into what a timeout can be.
    let endless = subscribe.idle_ms.is_none() && end.left_ms().is_some_and(|left| left >= TIMEOUT_MS_MAX - 1_000);
    let idle = subscribe.idle_ms.map(|ms| Duration::from_millis(ms.into()));
    let (mut messages, mut last) = (0_u64, Instant::now());
    loop {
        let mut batch = Vec::new();
        if let Some(packet) =
            session.next(LOOK_EVERY.min(idle.unwrap_or(LOOK_EVERY))).map_err(|e| e.into_failure(config))?
        {
            take(packet, &mut batch)?;
        }
        while batch.len() < BATCH_MAX {
            match session.ready().map_err(|error| error.into_failure(config))? {
                Some(packet) => take(packet, &mut batch)?,
                None => break,
            }
        }
        if !batch.is_empty() {
            let (new, ids) = new_of(&batch, &captured);
            let items: Vec<Value> = new.into_iter().map(item).collect();
            keeper.keep(&items, &subscribe.kind, &ids)?;
            messages += items.len() as u64;
            captured.clone_from(&ids);
            let to_say: Vec<u16> = batch.iter().filter(|message| message.qos == 1).map(|message| message.id).collect();
            session.send(&packet::acknowledge(&to_say)).map_err(|error| lost(&error, config))?;
            last = Instant::now();
        }
        let over = !endless && end.left_ms().is_none();
        if over || idle.is_some_and(|idle| last.elapsed() >= idle) {
            break;
        }
    }
    let _ = session.send(&packet::DISCONNECT);
    Ok(Payload::json(&json!({ "messages": messages }))?.into())
}

fn take(packet: Packet, batch: &mut Vec<Message>) -> Result<(), Failure> {
    match packet {
        Packet::Publish(message) => batch.push(message),
        Packet::SubAck(codes) if codes.contains(&0x80) => {
            return Err(Failure::rejected("the broker does not let this client subscribe to one of the topics"));
        }
        _ => {}
    }
    Ok(())
}

/// The messages that were not captured before, and the ids of all.
fn new_of<'m>(batch: &'m [Message], captured: &BTreeSet<u16>) -> (Vec<&'m Message>, BTreeSet<u16>) {
    let was = |message: &&Message| message.qos == 1 && message.again && captured.contains(&message.id);
    let ids = batch.iter().filter(|message| message.qos == 1).map(|message| message.id).collect();
    (batch.iter().filter(|message| !was(message)).collect(), ids)
}

/// A message as an item: its payload as JSON where it is that, as text where it is that, else in base64.
fn item(message: &Message) -> Value {
    let mut item = json!({ "topic": message.topic, "qos": message.qos, "retained": message.retained });
    match std::str::from_utf8(&message.payload) {
        Ok(text) => match serde_json::from_str::<Value>(text) {
            Ok(value) => item["json"] = value,
            Err(_) => item["text"] = text.into(),
        },
        Err(_) => item["base64"] = STANDARD.encode(&message.payload).into(),
    }
    item
}
