//! RESP, the language that Redis speaks: version 3, and 2 for servers before Redis 6.

use action_protocol::OutboundError;
use action_protocol::net::{Stream, Wire};

/// All replies of one execution together. The output is as large, and an action allows 8 MiB by default.
pub const REPLIES_BYTES_MAX: usize = 8 << 20;

/// No reply of Redis's own is as deep; a script may give what it likes.
const DEPTH_MAX: u32 = 32;

/// The longest line that is no text: a number, a length, an error.
const LINE_BYTES_MAX: usize = 64 << 10;

/// A reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Nothing.
    Null,
    /// Text or bytes.
    Bytes(Vec<u8>),
    /// A whole number.
    Integer(i64),
    /// A number as it is written; it may have more digits than fit elsewhere.
    Number(String),
    /// A truth.
    Boolean(bool),
    /// A list, or a set.
    List(Vec<Reply>),
    /// A map.
    Map(Vec<(Reply, Reply)>),
    /// A refusal: a word in upper case, and what it is about.
    Error(String),
}

impl Reply {
    /// The text, where it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// What a map holds under this name; of RESP2 a map is a list.
    pub fn get(&self, name: &str) -> Option<&Reply> {
        match self {
            Self::Map(pairs) => pairs.iter().find(|(key, _)| key.text() == Some(name)).map(|(_, value)| value),
            Self::List(list) => list.chunks_exact(2).find(|pair| pair[0].text() == Some(name)).map(|pair| &pair[1]),
            _ => None,
        }
    }
}

/// A command as it is sent.
pub fn write(arguments: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        bytes.extend_from_slice(argument);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Reads a reply. What it takes is taken from the budget, in bytes.
pub fn read<W: Wire>(stream: &mut Stream<W>, budget: &mut usize) -> Result<Reply, OutboundError> {
    loop {
        // What a server pushes unasked is no reply to anything.
        if let Some(reply) = read_one(stream, budget, 0)? {
            return Ok(reply);
        }
    }
}

/// `None` for what is no reply.
fn read_one<W: Wire>(stream: &mut Stream<W>, budget: &mut usize, depth: u32) -> Result<Option<Reply>, OutboundError> {
    if depth > DEPTH_MAX {
        return Err(nonsense("a reply is deeper than any of Redis's own"));
    }
    let line = stream.line(LINE_BYTES_MAX)?;
    // An element costs memory here also where it is empty there.
    spend(budget, line.len() + 16)?;
    let (kind, rest) = line.split_first().ok_or_else(|| nonsense("a reply is empty"))?;
    let text = || std::str::from_utf8(rest).map_err(|_| nonsense("a reply is not text"));
    Ok(Some(match kind {
        b'+' => Reply::Bytes(rest.to_vec()),
        b'-' => Reply::Error(String::from_utf8_lossy(rest).into_owned()),
        b':' => Reply::Integer(text()?.parse().map_err(|_| nonsense("a number is none"))?),
        b',' | b'(' => Reply::Number(text()?.to_owned()),
        b'#' => Reply::Boolean(rest == b"t"),
        b'_' => Reply::Null,
        b'$' | b'!' | b'=' => {
            let Some(length) = length(text()?)? else { return Ok(Some(Reply::Null)) };
            spend(budget, length)?;
            let mut bytes = stream.exact(length)?;
            if stream.exact(2)? != b"\r\n" {
                return Err(nonsense("a text is longer than announced"));
            }
            match kind {
                b'!' => Reply::Error(String::from_utf8_lossy(&bytes).into_owned()),
                // Its first four characters say what kind of text it is.
                b'=' => Reply::Bytes(bytes.split_off(4.min(length))),
                _ => Reply::Bytes(bytes),
            }
        }
        b'*' | b'~' | b'>' => {
            let Some(length) = length(text()?)? else { return Ok(Some(Reply::Null)) };
            let mut list = Vec::new();
            for _ in 0..length {
                list.push(element(stream, budget, depth)?);
            }
            if *kind == b'>' {
                return Ok(None);
            }
            Reply::List(list)
        }
        b'%' | b'|' => {
            let Some(length) = length(text()?)? else { return Ok(Some(Reply::Null)) };
            let mut map = Vec::new();
            for _ in 0..length {
                map.push((element(stream, budget, depth)?, element(stream, budget, depth)?));
            }
            if *kind == b'|' {
                return Ok(None);
            }
            Reply::Map(map)
        }
        _ => return Err(nonsense("this is not the language of Redis")),
    }))
}

fn element<W: Wire>(stream: &mut Stream<W>, budget: &mut usize, depth: u32) -> Result<Reply, OutboundError> {
    loop {
        if let Some(reply) = read_one(stream, budget, depth + 1)? {
            return Ok(reply);
        }
    }
}

/// `None` for -1, by which RESP2 says null.
fn length(text: &str) -> Result<Option<usize>, OutboundError> {
    if text == "-1" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| nonsense("a length is none"))
}

fn spend(budget: &mut usize, bytes: usize) -> Result<(), OutboundError> {
    *budget = budget.checked_sub(bytes).ok_or(OutboundError::TooLarge(REPLIES_BYTES_MAX as u32))?;
    Ok(())
}

fn nonsense(why: &str) -> OutboundError {
    OutboundError::BadResponse(why.to_owned())
}
