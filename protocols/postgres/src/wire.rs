//! Messages of the frontend/backend protocol, version 3.

use action_protocol::OutboundError;
use action_protocol::net::{Stream, Wire};

/// All that a server says in one execution. The output is as large, and an action allows 8 MiB by default.
pub const ANSWER_BYTES_MAX: usize = 8 << 20;

/// The longest message that is no row: an error with all its texts, or the columns of a wide table.
const CONTROL_BYTES_MAX: usize = 1 << 20;

/// Says that TLS is wanted.
pub const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Ends the connection.
pub const TERMINATE: [u8; 5] = [b'X', 0, 0, 0, 4];

/// Ends a batch: the server answers with how it stands.
pub const SYNC: [u8; 5] = [b'S', 0, 0, 0, 4];

/// What a server says.
#[derive(Debug)]
pub struct Message {
    /// Its letter.
    pub kind: u8,
    body: Vec<u8>,
    at: usize,
}

/// Reads a message. What it takes is taken from the budget, in bytes.
pub fn read<W: Wire>(stream: &mut Stream<W>, budget: &mut usize) -> Result<Message, OutboundError> {
    let head = stream.exact(5)?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let length = length.checked_sub(4).ok_or_else(|| nonsense("a message is shorter than its head"))?;
    // Only rows are large. What speaks another language seems to announce a lot.
    if !head[0].is_ascii_alphanumeric() || (head[0] != b'D' && length > CONTROL_BYTES_MAX) {
        return Err(nonsense("this is not the language of Postgres"));
    }
    *budget = budget.checked_sub(length + 5).ok_or(OutboundError::TooLarge(ANSWER_BYTES_MAX as u32))?;
    Ok(Message { kind: head[0], body: stream.exact(length)?, at: 0 })
}

/// Something that breaks the rules.
pub fn nonsense(why: &str) -> OutboundError {
    OutboundError::BadResponse(why.to_owned())
}

impl Message {
    /// The next bytes.
    pub fn bytes(&mut self, count: usize) -> Result<&[u8], OutboundError> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.body.len());
        let start = self.at;
        self.at = end.ok_or_else(|| nonsense("a message is shorter than it says"))?;
        Ok(&self.body[start..self.at])
    }

    /// What is left.
    pub fn rest(&mut self) -> &[u8] {
        let start = self.at;
        self.at = self.body.len();
        &self.body[start..]
    }

    /// The next byte.
    pub fn byte(&mut self) -> Result<u8, OutboundError> {
        Ok(self.bytes(1)?[0])
    }

    /// The next 16 bits.
    pub fn short(&mut self) -> Result<u16, OutboundError> {
        let bytes = self.bytes(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// The next 32 bits.
    pub fn int(&mut self) -> Result<u32, OutboundError> {
        let bytes = self.bytes(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// The next text, which ends with a NUL.
    pub fn text(&mut self) -> Result<String, OutboundError> {
        let left = &self.body[self.at..];
        let length = left.iter().position(|byte| *byte == 0).ok_or_else(|| nonsense("a text has no end"))?;
        let text = String::from_utf8_lossy(&left[..length]).into_owned();
        self.at += length + 1;
        Ok(text)
    }
}

/// Puts a message together.
#[derive(Debug)]
pub struct Builder(Vec<u8>);

impl Builder {
    /// Of this letter.
    pub fn new(kind: u8) -> Self {
        Self(vec![kind, 0, 0, 0, 0])
    }

    /// The first message has no letter, and says the version instead.
    pub fn startup() -> Self {
        // In the letter's place something that is taken away at the end.
        Self::new(0).int(196_608)
    }

    /// 16 bits.
    pub fn short(mut self, value: u16) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// 32 bits.
    pub fn int(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// A text and its NUL. What the config gives was looked at; what the input gives goes as bytes.
    pub fn text(mut self, text: &str) -> Self {
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
        self
    }

    /// Bytes as they are.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Bytes behind their length; nothing is NULL.
    pub fn value(self, bytes: Option<&[u8]>) -> Self {
        match bytes {
            None => self.int(u32::MAX),
            Some(bytes) => self.int(u32::try_from(bytes.len()).unwrap_or(u32::MAX)).raw(bytes),
        }
    }

    /// The message as it is sent.
    pub fn done(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX);
        self.0[1..5].copy_from_slice(&length.to_be_bytes());
        if self.0[0] == 0 {
            self.0.remove(0);
        }
        self.0
    }
}
