//! Packets of MQTT 3.1.1: those that a client sends, and those that it gets.

use action_protocol::Failure;

/// Largest packet that is taken: a message of a megabyte is no message any more.
pub const PACKET_BYTES_MAX: usize = 1 << 20;

/// What a broker sends.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet {
    /// The connection is accepted (0), or not; whether the broker knew the session.
    ConnAck {
        /// Why not.
        code: u8,
        /// Whether it knew the session.
        known: bool,
    },
    /// A message.
    Publish(Message),
    /// It has this message of ours.
    PubAck(u16),
    /// For each topic what it grants: 0 to 2, or 0x80 for a refusal.
    SubAck(Vec<u8>),
    /// It is there.
    PingResp,
}

/// A message that came.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// Its topic.
    pub topic: String,
    /// Its bytes.
    pub payload: Vec<u8>,
    /// 0 to 2.
    pub qos: u8,
    /// It stood there before we subscribed.
    pub retained: bool,
    /// It may have been sent before.
    pub again: bool,
    /// What to acknowledge; of qos 1 and 2.
    pub id: u16,
}

/// The first packet in these bytes and how many it takes; none where it is not there yet.
pub fn read(bytes: &[u8]) -> Result<Option<(Packet, usize)>, Failure> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    // Before it is waited for what such a packet would announce.
    if !matches!(first, 0x20 | 0x30..=0x3f | 0x40 | 0x90 | 0xd0) {
        return Err(broken(&format!("a packet that begins with {first:#04x}")));
    }
    let Some((length, header)) = length(&bytes[1..])? else { return Ok(None) };
    if length > PACKET_BYTES_MAX {
        return Err(broken(&format!("a packet of {length} bytes; {PACKET_BYTES_MAX} are taken")));
    }
    let start = 1 + header;
    let Some(body) = bytes.get(start..start + length) else { return Ok(None) };
    let packet = match (first >> 4, body) {
        (2, [flags, code]) => Packet::ConnAck { code: *code, known: flags & 1 == 1 },
        (3, _) => Packet::Publish(message(first, body)?),
        (4, [high, low]) => Packet::PubAck(u16::from_be_bytes([*high, *low])),
        (9, [_, _, codes @ ..]) => Packet::SubAck(codes.to_vec()),
        (13, []) => Packet::PingResp,
        (kind, _) => return Err(broken(&format!("a packet of type {kind} and {length} bytes"))),
    };
    Ok(Some((packet, start + length)))
}

fn message(first: u8, body: &[u8]) -> Result<Message, Failure> {
    let cut = || broken("a message that is cut off");
    let (topic, rest) = text(body).ok_or_else(cut)?;
    let qos = (first >> 1) & 3;
    let (id, payload) = match (qos, rest) {
        (0, payload) => (0, payload),
        (1 | 2, [high, low, payload @ ..]) => (u16::from_be_bytes([*high, *low]), payload),
        _ => return Err(cut()),
    };
    let topic = String::from_utf8(topic.to_vec()).map_err(|_| broken("a topic that is not UTF-8"))?;
    Ok(Message { topic, payload: payload.to_vec(), qos, retained: first & 1 == 1, again: first & 8 == 8, id })
}

/// How many bytes follow, and in how many bytes that is said (3.1.1, 2.2.3).
fn length(bytes: &[u8]) -> Result<Option<(usize, usize)>, Failure> {
    let mut length = 0;
    for (n, byte) in bytes.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Ok(Some((length, n + 1)));
        }
    }
    if bytes.len() >= 4 { Err(broken("a length of more than four bytes")) } else { Ok(None) }
}

fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::from(u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]));
    Some((bytes.get(2..2 + length)?, &bytes[2 + length..]))
}

fn broken(what: &str) -> Failure {
    Failure::bad_response(format!("this is not MQTT 3.1.1: {what}"))
}

/// CONNECT. `clean`: the broker keeps nothing for this client.
pub fn connect(client_id: &str, credentials: Option<(&str, Option<&[u8]>)>, clean: bool, keep_alive_s: u16) -> Vec<u8> {
    let mut flags = u8::from(clean) << 1;
    let mut payload = Vec::new();
    push_text(&mut payload, client_id.as_bytes());
    if let Some((username, password)) = credentials {
        flags |= 0x80;
        push_text(&mut payload, username.as_bytes());
        if let Some(password) = password {
            flags |= 0x40;
            push_text(&mut payload, password);
        }
    }
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, flags];
    body.extend(keep_alive_s.to_be_bytes());
    body.extend(payload);
    packet(0x10, &body)
}

/// PUBLISH. `id` counts where the broker has to say that it has it.
pub fn publish(topic: &str, payload: &[u8], qos: u8, retain: bool, id: u16) -> Vec<u8> {
    let mut body = Vec::with_capacity(topic.len() + payload.len() + 4);
    push_text(&mut body, topic.as_bytes());
    if qos > 0 {
        body.extend(id.to_be_bytes());
    }
    body.extend_from_slice(payload);
    packet(0x30 | qos << 1 | u8::from(retain), &body)
}

/// PUBACK of each of these.
pub fn acknowledge(ids: &[u16]) -> Vec<u8> {
    ids.iter().flat_map(|id| packet(0x40, &id.to_be_bytes())).collect()
}

/// SUBSCRIBE.
pub fn subscribe(topics: &[String], qos: u8) -> Vec<u8> {
    let mut body = vec![0, 1];
    for topic in topics {
        push_text(&mut body, topic.as_bytes());
        body.push(qos);
    }
    packet(0x82, &body)
}

/// PINGREQ.
pub const PING: [u8; 2] = [0xc0, 0];
/// DISCONNECT.
pub const DISCONNECT: [u8; 2] = [0xe0, 0];

fn push_text(body: &mut Vec<u8>, text: &[u8]) {
    // Longer ones were refused before.
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    body.extend(length.to_be_bytes());
    body.extend_from_slice(&text[..usize::from(length)]);
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut length = body.len();
    loop {
        let more = if length > 0x7f { 0x80 } else { 0 };
        packet.push((length & 0x7f) as u8 | more);
        length >>= 7;
        if length == 0 {
            break;
        }
    }
    packet.extend_from_slice(body);
    packet
}
