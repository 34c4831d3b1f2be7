//! One execution: a message goes out.

use action_protocol::net::Dialer;
use action_protocol::template::{Context, Structures};
use action_protocol::{Advice, Call, Effect, Failure, OutboundError, Outcome, Payload};
use serde_json::json;

use crate::config::{Config, Publish};
use crate::packet::{self, PACKET_BYTES_MAX, Packet};
use crate::session::{Broken, Session, lost};
use crate::validate;

/// The id of the one message of a connection.
const ID: u16 = 1;

/// Publishes with whatever connects.
pub fn execute(call: &Call<Config>, publish: &Publish, dialer: &impl Dialer) -> Result<Outcome, Failure> {
    let config = &call.config;
    let context = Context::new(call);
    let topic = context.text(&publish.topic, "/publish/topic", Structures::Refused)?;
    validate::topic(&topic)
        .map_err(|why| Failure::invalid_input(format!("config /publish/topic, `{topic}`: {why}")))?;
    let payload = match &publish.payload {
        Some(text) => context.text(text, "/publish/payload", Structures::AsJson)?.into_bytes(),
        None => call.input.data.clone(),
    };
    if topic.len() + payload.len() + 8 > PACKET_BYTES_MAX {
        return Err(Failure::invalid_input(format!("the message is over {PACKET_BYTES_MAX} bytes")));
    }
    // A session of its own: it shall not put out a subscriber with the same name.
    let client_id = config.client_id.clone().unwrap_or_else(|| format!("{}-{}", call.action, call.attempt));
    let mut session = Session::open(config, dialer, &client_id, true)?;
    let effect = validate::effect(config);
    let bytes = packet::publish(&topic, &payload, publish.qos, publish.retain, ID);
    session.send(&bytes).map_err(|error| in_doubt(&error, config, effect))?;
    if publish.qos > 0 {
        match session.answer() {
            Ok(Packet::PubAck(ID)) => {}
            Ok(_) => return Err(Failure::bad_response("the broker answers PUBLISH with something else than PUBACK")),
            Err(Broken::Lost(error)) => return Err(in_doubt(&error, config, effect)),
            Err(Broken::NotMqtt(failure)) => return Err(failure),
        }
    }
    // What becomes of the connection now changes nothing about the message.
    let _ = session.send(&packet::DISCONNECT);
    let output = json!({ "topic": topic, "bytes": payload.len(), "acknowledged": publish.qos > 0 });
    Ok(Payload::json(&output)?.into())
}

/// The message may be there.
fn in_doubt(error: &OutboundError, config: &Config, effect: Effect) -> Failure {
    let mut failure = lost(error, config);
    if effect == Effect::Unsafe {
        failure.advice = Advice::InDoubt;
    }
    failure
}
