//! A stream of events (`text/event-stream`), taken apart by the rules of the HTML standard.

use std::time::Duration;

/// A line longer than this is no event of the service: the largest holds a 64 KiB payload.
const LINE_BYTES_MAX: usize = 4 << 20;

/// One message of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// Where to go on after it.
    pub(crate) id: Option<String>,
    /// Its text.
    pub(crate) data: String,
}

/// An open stream.
pub(crate) struct EventStream {
    response: reqwest::Response,
    parser: Parser,
}

impl EventStream {
    pub(crate) fn new(response: reqwest::Response) -> Self {
        Self { response, parser: Parser::default() }
    }

    /// The next message; `None` when the stream ended, however it did: the reader comes back
    /// and says what it saw last.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.parser.next() {
                return Some(message);
            }
            let piece = self.response.chunk().await.ok().flatten()?;
            self.parser.feed(&piece)?;
        }
    }

    /// Where to go on; also known where the service said it without an event.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.parser.id.as_deref()
    }

    /// How long the service wants its readers to stay away after a broken stream.
    pub(crate) fn retry(&self) -> Option<Duration> {
        self.parser.retry
    }
}

#[derive(Debug, Default)]
struct Parser {
    buffer: Vec<u8>,
    /// Bytes of the buffer in which no end of a line was found.
    searched: usize,
    id: Option<String>,
    data: Option<String>,
    retry: Option<Duration>,
}

impl Parser {
    /// `None`: a line is longer than any of the service's.
    fn feed(&mut self, piece: &[u8]) -> Option<()> {
        // Before a new piece the buffer holds the beginning of one line.
        if self.buffer.len() > LINE_BYTES_MAX {
            return None;
        }
        self.buffer.extend_from_slice(piece);
        Some(())
    }

    fn next(&mut self) -> Option<Message> {
        while let Some(line) = self.line() {
            if line.is_empty() {
                if let Some(data) = self.data.take() {
                    return Some(Message { id: self.id.clone(), data });
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "data" => match &mut self.data {
                    Some(data) => {
                        data.push('\n');
                        data.push_str(value);
                    }
                    None => self.data = Some(value.to_owned()),
                },
                "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
                "retry" => self.retry = value.parse().ok().map(Duration::from_millis),
                // Comments keep the connection open; the event's name is in its data too.
                _ => {}
            }
        }
        None
    }

    fn line(&mut self) -> Option<String> {
        let end = self.buffer[self.searched..].iter().position(|b| *b == b'\n').map(|at| at + self.searched);
        let Some(end) = end else {
            self.searched = self.buffer.len();
            return None;
        };
        let line: Vec<u8> = self.buffer.drain(..=end).collect();
        self.searched = 0;
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        Some(String::from_utf8_lossy(line).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(pieces: &[&str]) -> Vec<Message> {
        let mut parser = Parser::default();
        let mut seen = Vec::new();
        for piece in pieces {
            parser.feed(piece.as_bytes()).unwrap();
            while let Some(message) = parser.next() {
                seen.push(message);
            }
        }
        seen
    }

    #[test]
    fn messages_however_they_are_cut() {
        let text =
            ": hello\nretry: 500\n\nid: 1\nevent: x\ndata: {\"a\":\ndata: 1}\n\nid:2\r\ndata:b\r\n\r\n: ping\n\n";
        let whole = messages(&[text]);
        let bytes: Vec<String> = text.chars().map(String::from).collect();
        let bytes: Vec<&str> = bytes.iter().map(String::as_str).collect();
        assert_eq!(whole, messages(&bytes));
        assert_eq!(whole.len(), 2);
        assert_eq!(whole[0], Message { id: Some("1".into()), data: "{\"a\":\n1}".into() });
        assert_eq!(whole[1], Message { id: Some("2".into()), data: "b".into() });
    }

    #[test]
    fn half_a_message_is_none() {
        assert!(messages(&["id: 1\ndata: x\n"]).is_empty());
    }
}
