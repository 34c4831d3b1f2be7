//! Only what is new, as items: what the remote said to know its answer by is kept, and shown when it is asked again.
//!
//! What is captured and how the answer is known become durable together. So an answer is captured once, wherever an
//! execution ends.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use action_protocol::capture::{self, CaptureError};
use action_protocol::config::Findings;
use action_protocol::http::{Followed, Transport};
use action_protocol::template::{Scalar, below, is_template};
use action_protocol::{Call, Failure, HttpRequest, HttpResponse, Outcome, Payload};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::config::{Config, Output, Poll};
use crate::{output, request};

/// How the last answer is known.
const STATE: &str = "poll";
/// A validator that is longer is no use: remotes refuse long headers.
const VALIDATOR_BYTES_MAX: usize = 1_024;
/// A key that is longer stands as its digest; the service takes 512 bytes.
const KEY_BYTES_MAX: usize = 256;
/// Entries that are made sure of at once: half of what the service holds back.
const ENTRIES_AT_ONCE: usize = 5_000;
/// What the service makes of a secret in a config, another for each attempt: this and 32 digits.
const HANDLE: &str = "sec_";
const HANDLE_DIGITS: usize = 32;

/// How the last answer is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// A digest of what was asked for: of something else this says nothing.
    pub target: String,
    /// The answer's ETag.
    pub etag: Option<String>,
    /// Its Last-Modified.
    pub last_modified: Option<String>,
    /// A digest of its body; of HEAD, of what it says about the body.
    pub digest: String,
    /// How many answers were new so far.
    pub count: u64,
}

/// Keeps what comes. The service does; a test may do instead.
pub trait Keeper {
    /// How the last answer was known.
    fn known(&self) -> Result<Option<Known>, Failure>;
    /// One more item.
    fn emit(&self, kind: &str, key: &str, content: Payload) -> Result<(), CaptureError>;
    /// Items so far are durable.
    fn checkpoint(&self) -> Result<(), CaptureError>;
    /// How the answer is known now; durable with the outcome.
    fn know(&self, known: &Known) -> Result<(), Failure>;
}

/// The service.
#[derive(Clone, Copy, Debug)]
pub struct Capture;

impl Keeper for Capture {
    fn known(&self) -> Result<Option<Known>, Failure> {
        capture::state_json(STATE)
    }

    fn emit(&self, kind: &str, key: &str, content: Payload) -> Result<(), CaptureError> {
        capture::emit_once(kind, key, content)
    }

    fn checkpoint(&self) -> Result<(), CaptureError> {
        capture::checkpoint().map(drop)
    }

    fn know(&self, known: &Known) -> Result<(), Failure> {
        capture::set_state_json(STATE, known)
    }
}

/// One look, with whatever sends and keeps.
pub fn execute(
    call: &Call<Config>,
    poll: &Poll,
    transport: &impl Transport,
    keeper: &impl Keeper,
) -> Result<Outcome, Failure> {
    let config = &call.config;
    let target = target(config, poll);
    let before = keeper.known()?;
    let count = before.as_ref().map_or(0, |known| known.count);
    let known = before.filter(|known| known.target == target);
    let conditional = known.as_ref().is_some_and(|known| known.etag.is_some() || known.last_modified.is_some());
    let request = with_validators(request::build(call)?, known.as_ref());
    let followed = crate::send(call, request, transport, |status| status == 304 && conditional)?;
    let status = followed.response.status;
    let said = |result: &str, items: usize| -> Result<Outcome, Failure> {
        Ok(Payload::json(&json!({ "result": result, "status": status, "items": items }))?.into())
    };
    if status == 304 {
        return said("not_modified", 0);
    }
    let now = Known {
        target,
        etag: validator(&followed.response, "etag"),
        last_modified: validator(&followed.response, "last-modified"),
        digest: digest_of(&followed.response, config)?,
        // Goes on also where something else is asked for: it is a part of keys.
        count: count + 1,
    };
    if let Some(known) = known.filter(|known| is_same(known, &now)) {
        let now = Known { count, ..now };
        if now != known {
            keeper.know(&now)?;
        }
        return said("unchanged", 0);
    }
    let items = match &poll.items {
        Some(list) => entries(&followed.response, list, poll, keeper)?,
        None => whole(followed, config, poll, &now, keeper)?,
    };
    keeper.know(&now)?;
    said("captured", items)
}

/// Asks only for what is not known yet (RFC 9110, 13.1).
fn with_validators(mut request: HttpRequest, known: Option<&Known>) -> HttpRequest {
    let Some(known) = known else { return request };
    if let Some(etag) = &known.etag {
        request = request.header("If-None-Match", etag.as_str());
    }
    if let Some(last_modified) = &known.last_modified {
        request = request.header("If-Modified-Since", last_modified.as_str());
    }
    request
}

/// A digest of what is asked for and what is made of it, the same in each attempt.
fn target(config: &Config, poll: &Poll) -> String {
    let mut text = format!("{} {} {poll:?} {:?}", config.method, config.url, config.output);
    for (name, values) in config.query.iter().chain(&config.headers) {
        for value in values.all() {
            let value = match value {
                Scalar::Text(text) => without_handles(text),
                Scalar::Number(number) => number.to_string(),
                Scalar::Flag(flag) => flag.to_string(),
            };
            // Writing into a String cannot fail.
            let _ = write!(text, "\n{name}={value}");
        }
    }
    hex(text.as_bytes())
}

fn without_handles(text: &str) -> String {
    let mut parts = text.split(HANDLE);
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take(HANDLE_DIGITS).take_while(u8::is_ascii_hexdigit).count();
        kept.push_str(HANDLE);
        kept.push_str(if digits == HANDLE_DIGITS { &part[HANDLE_DIGITS..] } else { part });
    }
    kept
}

fn validator(response: &HttpResponse, name: &str) -> Option<String> {
    let value = response.header(name).filter(|value| !value.is_empty() && value.len() <= VALIDATOR_BYTES_MAX)?;
    request::is_header_value(value).then(|| value.to_owned())
}

/// HEAD brings no body; what the remote says of it has to do.
fn digest_of(response: &HttpResponse, config: &Config) -> Result<String, Failure> {
    if config.method != "HEAD" {
        return Ok(hex(&response.body));
    }
    match validator(response, "etag").or_else(|| validator(response, "last-modified")) {
        Some(said) => Ok(hex(said.as_bytes())),
        None => {
            Err(Failure::bad_response("the answer has neither ETag nor Last-Modified, so HEAD cannot tell what is new"))
        }
    }
}

/// Whether the remote gives what it gave, although it was not asked for that.
fn is_same(before: &Known, now: &Known) -> bool {
    before.digest == now.digest || (before.etag.is_some() && before.etag == now.etag)
}

/// The answer as one item. Its key holds its number: an answer that comes back after another one is new.
fn whole(
    followed: Followed,
    config: &Config,
    poll: &Poll,
    now: &Known,
    keeper: &impl Keeper,
) -> Result<usize, Failure> {
    let key = match &now.etag {
        Some(etag) if etag.len() <= KEY_BYTES_MAX => format!("{}/{etag}", now.count),
        _ => format!("{}/sha256:{}", now.count, now.digest),
    };
    keeper.emit(&poll.kind, &key, output::of(followed, config)?)?;
    Ok(1)
}

/// The entries of a list as items.
fn entries(response: &HttpResponse, list: &str, poll: &Poll, keeper: &impl Keeper) -> Result<usize, Failure> {
    let odd = |what: String| Failure::bad_response(format!("the answer does not fit poll: {what}"));
    let body: &RawValue =
        serde_json::from_slice(&response.body).map_err(|error| odd(format!("it is no JSON: {error}")))?;
    let found = at(body, list).ok_or_else(|| odd(format!("there is nothing at \"{list}\"")))?;
    let entries: Vec<&RawValue> =
        serde_json::from_str(found.get()).map_err(|_| odd(format!("what is at \"{list}\" is no list")))?;
    for (n, entry) in entries.iter().enumerate() {
        let key = match &poll.key {
            None => format!("sha256:{}", hex(entry.get().as_bytes())),
            Some(pointer) => key(entry, pointer)
                .ok_or_else(|| odd(format!("\"{list}/{n}\" has neither a text nor a number at \"{pointer}\"")))?,
        };
        let content = Payload::bytes("application/json", entry.get().as_bytes().to_vec());
        keeper.emit(&poll.kind, &key, content)?;
        if (n + 1) % ENTRIES_AT_ONCE == 0 {
            keeper.checkpoint()?;
        }
    }
    Ok(entries.len())
}

fn key(entry: &RawValue, pointer: &str) -> Option<String> {
    let key = match serde_json::from_str(at(entry, pointer)?.get()).ok()? {
        Value::String(text) => text,
        Value::Number(_) => at(entry, pointer)?.get().to_owned(),
        _ => return None,
    };
    let plain = !key.is_empty() && key.len() <= KEY_BYTES_MAX && !key.contains(char::is_control);
    Some(if plain { key } else { format!("sha256:{}", hex(key.as_bytes())) })
}

/// What a JSON Pointer (RFC 6901) leads to, as it is written: a number of many digits keeps them.
fn at<'a>(value: &'a RawValue, pointer: &str) -> Option<&'a RawValue> {
    let mut value = value;
    for token in pointer.split('/').skip(1) {
        let name = token.replace("~1", "/").replace("~0", "~");
        value = match value.get().as_bytes().first()? {
            b'{' => {
                serde_json::from_str::<BTreeMap<Cow<'a, str>, &'a RawValue>>(value.get()).ok()?.remove(name.as_str())?
            }
            b'[' => serde_json::from_str::<Vec<&'a RawValue>>(value.get()).ok()?.into_iter().nth(name.parse().ok()?)?,
            _ => return None,
        };
    }
    Some(value)
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What is wrong with how something is looked at.
pub fn check(found: &mut Findings, config: &Config, poll: &Poll) {
    if !matches!(config.method.as_str(), "GET" | "HEAD") {
        found.issue(
            "/poll",
            "conflict",
            "only an answer to GET or HEAD can be asked for again without doing something",
        );
    }
    if is_template(&config.url) {
        found.issue(
            "/url",
            "template_in_poll",
            "what is looked at is the same each time: with poll no templates stand here",
        );
    }
    for (name, values) in &config.query {
        if values.all().iter().any(|value| matches!(value, Scalar::Text(text) if is_template(text))) {
            let message = "what is looked at is the same each time: with poll no templates stand here";
            found.issue(below("/query", name), "template_in_poll", message);
        }
    }
    for name in config.headers.keys() {
        let is_condition =
            ["if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "range", "if-range"];
        if is_condition.contains(&name.to_ascii_lowercase().as_str()) {
            found.issue(below("/headers", name), "conflict", "poll says itself what is known already: leave this out");
        }
    }
    if poll.kind.is_empty()
        || poll.kind.len() > 63
        || !poll.kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    {
        found.issue("/poll/kind", "invalid_kind", "a kind is snake_case, of 1 to 63 letters");
    }
    for (pointer, given) in [("/poll/items", &poll.items), ("/poll/key", &poll.key)] {
        if given.as_deref().is_some_and(|given| !is_pointer(given)) {
            found.issue(
                pointer,
                "invalid_pointer",
                "a JSON Pointer is empty or begins with /, and has ~0 for ~ and ~1 for /",
            );
        }
    }
    match (&poll.items, &poll.key) {
        (None, Some(_)) => {
            found.issue("/poll/key", "conflict", "a key is that of an entry: say where the list is in items");
        }
        (Some(_), _) if config.method == "HEAD" => {
            found.issue("/poll/items", "conflict", "an answer to HEAD has no body");
        }
        (Some(_), _) if config.output == Output::Body => {
            found.warn("/output", "unused", "the items are the list's entries, whatever the output is");
        }
        _ => {}
    }
}

fn is_pointer(text: &str) -> bool {
    let escapes = text.split('~').skip(1).all(|behind| behind.starts_with(['0', '1']));
    (text.is_empty() || text.starts_with('/')) && escapes
}
