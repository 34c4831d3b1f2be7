//! What is heard: responses of RFC 3501 are read, as far as they are of use here. What is not known is passed over, and
//! what is no response at all is refused.

use action_protocol::OutboundError;
use action_protocol::net::{Stream, Wire};

/// Longest line. The longest that is asked for is a search's, of [`crate::mailbox::WINDOW_UIDS`] numbers.
const LINE_BYTES_MAX: usize = 512 << 10;
/// What is kept of what is said for people.
const TEXT_CHARS_MAX: usize = 500;
/// More than any server can do.
const CAPABILITIES_MAX: usize = 200;
/// Lists in lists; what is asked for has two.
const DEPTH_MAX: usize = 32;

/// How a server judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "RFC 3501, 7.1, explains them")]
pub enum Status {
    Ok,
    No,
    Bad,
    Bye,
    PreAuth,
}

/// What it says for people, with a word for programs before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// `UIDVALIDITY`, `READ-ONLY`, `AUTHENTICATIONFAILED` …, in upper case.
    pub code: Option<String>,
    /// What stands behind it in the brackets.
    pub argument: String,
    /// For people.
    pub text: String,
}

/// A response.
#[derive(Debug, PartialEq, Eq)]
pub enum Response {
    /// It waits for what comes next.
    GoOn(String),
    /// A command's end.
    Done {
        /// Whose.
        tag: String,
        /// Whether it was done.
        status: Status,
        /// Why not.
        said: Said,
    },
    /// Something by the way.
    Told(Status, Said),
    /// What it can do, in upper case.
    Capability(Vec<String>),
    /// How many mails there are.
    Exists(u32),
    /// One is gone.
    Expunge,
    /// What was found.
    Search(Vec<u32>),
    /// About a mail.
    Fetch(Fetched),
    /// What is not known here.
    Other,
}

/// What is told about a mail; all of it may be missing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Its number in the mailbox, for ever.
    pub uid: Option<u32>,
    /// Bytes of the whole.
    pub size: Option<u32>,
    /// When the server got it, as IMAP writes times.
    pub internal_date: Option<String>,
    /// `\Seen`, `$Forwarded` …
    pub flags: Vec<String>,
    /// The bytes that were asked for.
    pub body: Option<Vec<u8>>,
}

/// The bytes of one response: lines, and what is announced in them (`{5}`), which is at most this long in all.
///
/// `first` is its first line.
pub fn rest<W: Wire>(
    stream: &mut Stream<W>,
    first: Vec<u8>,
    literal_bytes_max: usize,
) -> Result<Vec<u8>, OutboundError> {
    let mut bytes = first;
    let (mut literals, mut lines) = (0_usize, bytes.len());
    // Behind these words stands text, which may end like an announcement and is none.
    let is_text = !bytes.starts_with(b"* ")
        || [&b"OK "[..], b"NO ", b"BAD ", b"BYE ", b"PREAUTH "].iter().any(|word| starts_with(&bytes[2..], word));
    if is_text {
        return Ok(bytes);
    }
    let mut next = announced(&bytes);
    while let Some(length) = next {
        literals = literals.saturating_add(length);
        if literals > literal_bytes_max {
            let message = format!("{literals} bytes are announced, and {literal_bytes_max} were asked for");
            return Err(OutboundError::BadResponse(message));
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend(stream.exact(length)?);
        let more = line(stream)?;
        lines += more.len();
        if lines > LINE_BYTES_MAX {
            return Err(too_long());
        }
        next = announced(&more);
        bytes.extend(more);
    }
    Ok(bytes)
}

/// A line, for instance the first of a response.
pub fn line<W: Wire>(stream: &mut Stream<W>) -> Result<Vec<u8>, OutboundError> {
    stream.line(LINE_BYTES_MAX).map_err(|error| match error {
        // The action's limit is not to blame.
        OutboundError::TooLarge(_) => too_long(),
        error => error,
    })
}

fn too_long() -> OutboundError {
    OutboundError::BadResponse(format!("a line of more than {LINE_BYTES_MAX} bytes"))
}

fn starts_with(bytes: &[u8], word: &[u8]) -> bool {
    bytes.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// How many bytes a line announces at its end: `{5}`, or `{5+}`.
fn announced(line: &[u8]) -> Option<usize> {
    let inner = line.strip_suffix(b"}")?;
    let open = inner.iter().rposition(|byte| *byte == b'{')?;
    let digits = &inner[open + 1..];
    let digits = digits.strip_suffix(b"+").unwrap_or(digits);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // More than fits is more than is taken.
    Some(std::str::from_utf8(digits).ok()?.parse().unwrap_or(usize::MAX))
}

/// A response of its bytes, or what is wrong with them.
pub fn parse(bytes: &[u8]) -> Result<Response, &'static str> {
    if let Some(rest) = bytes.strip_prefix(b"+") {
        return Ok(Response::GoOn(lossy(rest.strip_prefix(b" ").unwrap_or(rest))));
    }
    let Some(data) = bytes.strip_prefix(b"* ") else { return done(bytes) };
    let mut reader = Reader { bytes: data, at: 0 };
    let word = reader.word();
    if let Some(status) = status(word) {
        return Ok(Response::Told(status, said(reader.behind_blank())));
    }
    if word.eq_ignore_ascii_case(b"CAPABILITY") {
        return Ok(Response::Capability(words(reader.behind_blank())));
    }
    if word.eq_ignore_ascii_case(b"SEARCH") {
        return search(reader.behind_blank());
    }
    let Some(number) = number(word) else { return Ok(Response::Other) };
    reader.blank()?;
    let what = reader.word();
    if what.eq_ignore_ascii_case(b"EXISTS") {
        return Ok(Response::Exists(number));
    }
    if what.eq_ignore_ascii_case(b"EXPUNGE") {
        return Ok(Response::Expunge);
    }
    if what.eq_ignore_ascii_case(b"FETCH") {
        reader.blank()?;
        return fetch(&mut reader).map(Response::Fetch);
    }
    Ok(Response::Other)
}

fn done(bytes: &[u8]) -> Result<Response, &'static str> {
    let mut reader = Reader { bytes, at: 0 };
    let tag = reader.word();
    if tag.is_empty() || tag.len() > 16 || !tag.iter().all(u8::is_ascii_alphanumeric) {
        return Err("this is not the language of IMAP");
    }
    let tag = lossy(tag);
    reader.blank().map_err(|_| "this is not the language of IMAP")?;
    match status(reader.word()) {
        Some(status @ (Status::Ok | Status::No | Status::Bad)) => {
            Ok(Response::Done { tag, status, said: said(reader.behind_blank()) })
        }
        _ => Err("this is not the language of IMAP"),
    }
}

fn status(word: &[u8]) -> Option<Status> {
    Some(match word.to_ascii_uppercase().as_slice() {
        b"OK" => Status::Ok,
        b"NO" => Status::No,
        b"BAD" => Status::Bad,
        b"BYE" => Status::Bye,
        b"PREAUTH" => Status::PreAuth,
        _ => return None,
    })
}

/// `[CODE argument] text`.
fn said(bytes: &[u8]) -> Said {
    let text: String = lossy(bytes).chars().take(TEXT_CHARS_MAX).collect();
    let Some((inner, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
        return Said { text, ..Said::default() };
    };
    let (code, argument) = inner.split_once(' ').unwrap_or((inner, ""));
    Said {
        code: Some(code.to_ascii_uppercase()),
        argument: argument.trim().to_owned(),
        text: rest.trim_start().to_owned(),
    }
}

fn search(bytes: &[u8]) -> Result<Response, &'static str> {
    let found = bytes.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    // With CONDSTORE a list follows, of no use here.
    let found = found.take_while(|word| word[0] != b'(').map(number);
    found.collect::<Option<_>>().map(Response::Search).ok_or("a search finds something that is no number")
}

fn fetch(reader: &mut Reader<'_>) -> Result<Fetched, &'static str> {
    let mut fetched = Fetched::default();
    if !reader.take(b'(') {
        return Err("a FETCH without its list");
    }
    loop {
        reader.blanks();
        if reader.take(b')') {
            return Ok(fetched);
        }
        let name = reader.item_name()?.to_ascii_uppercase();
        reader.blank()?;
        let value = reader.value(0)?;
        match (name.as_slice(), value) {
            (b"UID", Value::Text(text)) => fetched.uid = number(&text),
            (b"RFC822.SIZE", Value::Text(text)) => fetched.size = number(&text),
            (b"INTERNALDATE", Value::Text(text)) => fetched.internal_date = Some(lossy(&text)),
            (b"FLAGS", Value::List(flags)) => {
                let texts = flags.into_iter().filter_map(|flag| match flag {
                    Value::Text(text) => Some(lossy(&text)),
                    _ => None,
                });
                fetched.flags = texts.collect();
            }
            (name, value) if name.starts_with(b"BODY[") => match value {
                Value::Text(bytes) => fetched.body = Some(bytes),
                // A mail that is gone meanwhile.
                Value::Nil => fetched.body = None,
                Value::List(_) => return Err("a mail that is a list"),
            },
            _ => {}
        }
    }
}

/// A value: an atom or a string is its bytes.
enum Value {
    Text(Vec<u8>),
    List(Vec<Value>),
    Nil,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn blank(&mut self) -> Result<(), &'static str> {
        if self.take(b' ') { Ok(()) } else { Err("a blank is missing") }
    }

    fn blanks(&mut self) {
        while self.take(b' ') {}
    }

    /// Up to the next blank.
    fn word(&mut self) -> &'a [u8] {
        self.until(|byte| byte == b' ')
    }

    fn until(&mut self, ends: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| ends(*byte)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// All that is left, behind a blank.
    fn behind_blank(&self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        rest.strip_prefix(b" ").unwrap_or(rest)
    }

    /// `UID`, `BODY[HEADER.FIELDS (A B)]<0>`.
    fn item_name(&mut self) -> Result<&'a [u8], &'static str> {
        let start = self.at;
        self.until(|byte| matches!(byte, b' ' | b'[' | b'(' | b')'));
        if self.peek() == Some(b'[') {
            self.until(|byte| byte == b']');
            self.until(|byte| matches!(byte, b' ' | b'(' | b')'));
        }
        let name = &self.bytes[start..self.at];
        if name.is_empty() { Err("a FETCH with an item that has no name") } else { Ok(name) }
    }

    fn value(&mut self, depth: usize) -> Result<Value, &'static str> {
        if depth > DEPTH_MAX {
            return Err("lists in lists without end");
        }
        match self.peek().ok_or("a response that is cut off")? {
            b'"' => self.quoted().map(Value::Text),
            b'{' => self.literal().map(Value::Text),
            b'(' => {
                self.at += 1;
                let mut values = Vec::new();
                loop {
                    self.blanks();
                    if self.take(b')') {
                        return Ok(Value::List(values));
                    }
                    values.push(self.value(depth + 1)?);
                }
            }
            _ => match self.until(|byte| matches!(byte, b' ' | b'(' | b')')) {
                b"" => Err("a value that is none"),
                nil if nil.eq_ignore_ascii_case(b"NIL") => Ok(Value::Nil),
                atom => Ok(Value::Text(atom.to_vec())),
            },
        }
    }

    fn quoted(&mut self) -> Result<Vec<u8>, &'static str> {
        self.at += 1;
        let mut text = Vec::new();
        loop {
            let byte = self.peek().ok_or("a quoted string without end")?;
            self.at += 1;
            match byte {
                b'"' => return Ok(text),
                b'\\' => {
                    text.push(self.peek().ok_or("a quoted string without end")?);
                    self.at += 1;
                }
                byte => text.push(byte),
            }
        }
    }

    fn literal(&mut self) -> Result<Vec<u8>, &'static str> {
        const WRONG: &str = "an announcement of bytes that do not come";
        let end = self.bytes[self.at..].iter().position(|byte| *byte == b'}').ok_or(WRONG)?;
        let length = announced(&self.bytes[self.at..=self.at + end]).ok_or(WRONG)?;
        let start = self.at + end + 1;
        let rest = self.bytes[start..].strip_prefix(b"\r\n").ok_or(WRONG)?;
        let bytes = rest.get(..length).ok_or(WRONG)?.to_vec();
        self.at = start + 2 + length;
        Ok(bytes)
    }
}

fn words(bytes: &[u8]) -> Vec<String> {
    lossy(bytes).split_ascii_whitespace().take(CAPABILITIES_MAX).map(str::to_ascii_uppercase).collect()
}

fn number(bytes: &[u8]) -> Option<u32> {
    let digits = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    if digits { std::str::from_utf8(bytes).ok()?.parse().ok() } else { None }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
