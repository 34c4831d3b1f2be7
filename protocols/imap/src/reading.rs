//! One execution: from where the last one ended to the newest mail, and further where it waits.
//!
//! A mailbox numbers its mails, upwards and for ever (UID), as long as its UIDVALIDITY is the same. The number of the
//! last mail that was read is kept with the items: what is captured and how far it was read become durable together.

use std::time::Duration;

use action_protocol::capture::{self, CaptureError};
use action_protocol::journal;
use action_protocol::net::{Deadline, Dialer, Wire};
use action_protocol::{Call, Failure, Outcome, Payload};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::command;
use crate::config::{Config, Content, FirstRun};
use crate::mail::{Depth, item};
use crate::mailbox::{Mailbox, Part, WINDOW_UIDS};
use crate::response::Fetched;
use crate::session::Session;

/// Where the reading stands.
const CURSOR: &str = "cursor";
/// Mails whose sizes are asked for at once.
const SIZES_AT_ONCE: usize = 100;
/// Bytes of mails that are fetched and made sure of at once; a mail that is larger comes alone.
pub const BATCH_BYTES_MAX: usize = 1 << 20;
/// An execution that has taken as many bytes of mails takes no more, so that it ends before its fuel does: taking a mail
/// apart takes up to 200 units a byte. One that waits has no such bound.
const RUN_BYTES_MAX: usize = 3 << 20;
/// Windows without a mail that an execution looks into: two million numbers.
const WINDOWS_MAX: u32 = 100;
/// What is taken of a mail's headers where the rest is not wanted.
const HEADER_BYTES_MAX: usize = 256 << 10;
/// What headers mostly have, and more.
const HEADER_BYTES_USUAL: usize = 16 << 10;
/// Nothing new is begun where less than this is left.
const ENOUGH_MS: u32 = 2_000;
/// A server may end an IDLE after half an hour (RFC 2177), and routers forget connections sooner.
const IDLE_FOR: Duration = Duration::from_mins(5);
/// A server without IDLE is asked this often.
const POLL_EVERY: Duration = Duration::from_secs(30);

/// Where the reading of a mailbox stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Which mailbox.
    pub mailbox: String,
    /// The mails' numbers hold as long as this does.
    pub uid_validity: u32,
    /// All mails up to this one are read.
    pub uid: u32,
    /// Mails that are captured and maybe not marked as seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marking: Vec<u32>,
}

/// Keeps what comes. The service does; a test may do instead.
pub trait Keeper {
    /// Where the reading stood.
    fn cursor(&self) -> Result<Option<Cursor>, Failure>;
    /// One more item.
    fn emit(&self, kind: &str, key: String, content: Payload) -> Result<(), CaptureError>;
    /// Where the reading stands now; durable with the outcome.
    fn stand(&self, cursor: &Cursor) -> Result<(), Failure>;
    /// The same, durable at once with the items so far.
    fn keep(&self, cursor: &Cursor) -> Result<(), Failure>;
    /// Tells people.
    fn warn(&self, message: &str);
}

/// The service.
#[derive(Clone, Copy, Debug)]
pub struct Capture;

impl Keeper for Capture {
    fn cursor(&self) -> Result<Option<Cursor>, Failure> {
        capture::state_json(CURSOR)
    }

    fn emit(&self, kind: &str, key: String, content: Payload) -> Result<(), CaptureError> {
        capture::emit_once(kind, key, content)
    }

    fn stand(&self, cursor: &Cursor) -> Result<(), Failure> {
        capture::set_state_json(CURSOR, cursor)
    }

    fn keep(&self, cursor: &Cursor) -> Result<(), Failure> {
        self.stand(cursor)?;
        capture::checkpoint()?;
        Ok(())
    }

    fn warn(&self, message: &str) {
        journal::warn(message);
    }
}

/// Reads with whatever connects and keeps.
pub fn execute(call: &Call<Config>, dialer: &impl Dialer, keeper: &impl Keeper) -> Result<Outcome, Failure> {
    let config = &call.config;
    let end = Deadline::of_call(call, u32::MAX);
    let session = Session::open(config, dialer, end)?;
    let mailbox = Mailbox::open(session, config, config.mark_seen)?;
    let mut reading = Reading::begin(config, mailbox, keeper, end)?;
    let mut more = reading.round()?;
    while config.wait && end.left_ms().is_some_and(|left| left > ENOUGH_MS) {
        if !more {
            reading.wait(end)?;
        }
        more = reading.round()?;
    }
    keeper.stand(&reading.cursor)?;
    let Reading { mailbox, cursor, messages, began, .. } = reading;
    mailbox.session.close();
    let output = json!({
        "messages": messages, "more": more, "began": began,
        "uid_validity": cursor.uid_validity, "last_uid": cursor.uid,
    });
    Ok(Payload::json(&output)?.into())
}

struct Reading<'a, W, K> {
    config: &'a Config,
    keeper: &'a K,
    mailbox: Mailbox<W>,
    end: Deadline,
    cursor: Cursor,
    began: bool,
    messages: u32,
    bytes: usize,
}

impl<'a, W: Wire, K: Keeper> Reading<'a, W, K> {
    /// Goes on where the last execution ended, or begins.
    fn begin(config: &'a Config, mut mailbox: Mailbox<W>, keeper: &'a K, end: Deadline) -> Result<Self, Failure> {
        let uid_validity = mailbox.uid_validity;
        let kept = keeper.cursor()?.filter(|cursor| cursor.mailbox == config.mailbox);
        let (cursor, began) = match kept {
            Some(cursor) if cursor.uid_validity == uid_validity => (cursor, false),
            kept => {
                if kept.is_some() {
                    keeper.warn(&format!("{} was made anew: the numbers of its mails hold no more", config.mailbox));
                }
                let uid = match config.first_run {
                    FirstRun::All => 0,
                    FirstRun::NewOnly => mailbox.newest()?.unwrap_or(0),
                };
                let cursor = Cursor { mailbox: config.mailbox.clone(), uid_validity, uid, marking: Vec::new() };
                // What comes from now on is new, whatever becomes of this execution.
                keeper.keep(&cursor)?;
                (cursor, true)
            }
        };
        let mut reading = Self { config, keeper, mailbox, end, cursor, began, messages: 0, bytes: 0 };
        reading.mark()?;
        Ok(reading)
    }

    /// Up to the newest mail, or as far as an execution goes. Whether there is more.
    fn round(&mut self) -> Result<bool, Failure> {
        let newest = self.mailbox.newest()?.unwrap_or(0);
        for _ in 0..WINDOWS_MAX {
            if self.cursor.uid >= newest {
                return Ok(false);
            }
            let to = newest.min(self.cursor.uid.saturating_add(WINDOW_UIDS));
            let found = self.mailbox.search(self.cursor.uid + 1, to, &self.config.search)?;
            for some in found.chunks(SIZES_AT_ONCE) {
                if !self.read(some)? {
                    return Ok(true);
                }
            }
            self.cursor.uid = to;
        }
        Ok(true)
    }

    /// Captures these mails. Not all of them where the execution has done enough.
    fn read(&mut self, uids: &[u32]) -> Result<bool, Failure> {
        let sizes = self.mailbox.sizes(uids)?;
        let mut rest = sizes.as_slice();
        while let Some((first, _)) = rest.first() {
            let Some(room) = self.room() else { return Ok(false) };
            let (count, part) = self.batch(rest, room);
            let (batch, behind) = rest.split_at(count);
            let uids: Vec<u32> = batch.iter().map(|(uid, _)| *uid).collect();
            let last = uids.last().copied().unwrap_or(*first);
            self.capture(&uids, part)?;
            self.cursor.uid = last;
            self.keeper.keep(&self.cursor)?;
            self.mark()?;
            rest = behind;
        }
        Ok(true)
    }

    /// How many mails may come yet; none where the execution has done enough.
    fn room(&self) -> Option<usize> {
        let late = self.end.left_ms().is_none_or(|left| left < ENOUGH_MS);
        // One that has done nothing yet does something, or none of them ever would.
        if self.messages > 0 && late {
            return None;
        }
        if self.config.wait {
            return Some(usize::MAX);
        }
        let left = self.config.max_messages.saturating_sub(self.messages);
        (left > 0 && self.bytes < RUN_BYTES_MAX).then_some(left as usize)
    }

    /// How many of the next mails are fetched at once, and what of them.
    fn batch(&self, sizes: &[(u32, u32)], room: usize) -> (usize, Part) {
        let part_of = |size: u32| match self.config.content {
            Content::Headers => Part::Headers,
            Content::Raw if size > self.config.message_bytes_max => Part::Headers,
            Content::Raw | Content::Text => Part::Whole,
        };
        let part = sizes.first().map_or(Part::Whole, |(_, size)| part_of(*size));
        let usual = if part == Part::Headers { HEADER_BYTES_USUAL } else { self.bytes_max(part) };
        let (mut count, mut bytes) = (0, 0);
        for (_, size) in sizes.iter().take(room) {
            bytes += usual.min(*size as usize);
            if count > 0 && (bytes > BATCH_BYTES_MAX || part_of(*size) != part) {
                break;
            }
            count += 1;
        }
        (count, part)
    }

    fn bytes_max(&self, part: Part) -> usize {
        let most = self.config.message_bytes_max as usize;
        if part == Part::Headers { most.min(HEADER_BYTES_MAX) } else { most }
    }

    fn capture(&mut self, uids: &[u32], part: Part) -> Result<(), Failure> {
        let most = self.bytes_max(part);
        // One byte more tells what was cut off.
        let mails = self.mailbox.fetch(uids, part, most + 1)?;
        if mails.len() < uids.len() {
            // Deleted just now, or one that the server cannot read: to wait for it would be to wait for ever.
            let missing = uids.len() - mails.len();
            self.keeper.warn(&format!("{missing} of the mails {} did not come", command::uid_set(uids)));
        }
        for mut mail in mails {
            let body = mail.body.get_or_insert_default();
            let cut = body.len() > most;
            body.truncate(most);
            self.bytes += body.len();
            let too_large = self.config.content == Content::Raw && (cut || part == Part::Headers);
            let depth = if too_large { Depth::Headers } else { Depth::Full };
            self.emit(&mail, cut || too_large, depth)?;
            self.messages += 1;
            let Some(uid) = mail.uid else { continue };
            if self.config.mark_seen {
                self.cursor.marking.push(uid);
            }
            self.cursor.uid = uid;
        }
        Ok(())
    }

    /// A mail that is too large for an item, with what it holds written as JSON, is captured by its headers.
    fn emit(&self, mail: &Fetched, cut: bool, depth: Depth) -> Result<(), Failure> {
        let uid_validity = self.cursor.uid_validity;
        let emit = |cut, depth| -> Result<Result<(), CaptureError>, Failure> {
            let key = format!("{uid_validity}/{}", mail.uid.unwrap_or_default());
            Ok(self.keeper.emit(&self.config.kind, key, item(mail, self.config, uid_validity, cut, depth)?))
        };
        match emit(cut, depth)? {
            Err(CaptureError::TooLarge(_)) => {}
            other => return Ok(other?),
        }
        // It may be too much beside what is held back; the cursor stands before this mail.
        self.keeper.keep(&self.cursor)?;
        match emit(cut, depth)? {
            Err(CaptureError::TooLarge(_)) => Ok(emit(true, Depth::Headers)??),
            other => Ok(other?),
        }
    }

    /// Marks as seen what is captured for good.
    fn mark(&mut self) -> Result<(), Failure> {
        if self.config.mark_seen && !self.cursor.marking.is_empty() {
            self.mailbox.mark_seen(&self.cursor.marking)?;
        }
        self.cursor.marking.clear();
        Ok(())
    }

    /// Waits for what comes.
    fn wait(&mut self, end: Deadline) -> Result<(), Failure> {
        let most = if self.mailbox.session.can("IDLE") { IDLE_FOR } else { POLL_EVERY };
        let left_ms = end.left_ms().unwrap_or(0).saturating_sub(ENOUGH_MS);
        self.mailbox.session.idle(most.min(Duration::from_millis(left_ms.into())))
    }
}
