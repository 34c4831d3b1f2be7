//! What is asked of an open mailbox: which mails there are, and what is in them.

use std::collections::BTreeMap;

use action_protocol::Failure;
use action_protocol::net::Wire;

use crate::command::{self, Piece};
use crate::config::{Config, Search};
use crate::reading::BATCH_BYTES_MAX;
use crate::response::{Fetched, Response, Status};
use crate::session::Session;

/// UIDs that are searched at once, so that an answer has its bounds whatever is in the mailbox.
pub const WINDOW_UIDS: u32 = 20_000;

/// A FETCH's strings beside the mail: dates and flags.
const BESIDE_BYTES_MAX: usize = 4 << 10;

/// What is asked of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// Its headers.
    Headers,
}

/// A mailbox that is open.
#[derive(Debug)]
pub struct Mailbox<W> {
    /// Where.
    pub session: Session<W>,
    /// It has this number as long as its mails keep theirs.
    pub uid_validity: u32,
}

impl<W: Wire> Mailbox<W> {
    /// Opens it: to be looked at only, or to mark mails in it.
    pub fn open(mut session: Session<W>, config: &Config, to_mark: bool) -> Result<Self, Failure> {
        let name = if to_mark { "SELECT" } else { "EXAMINE" };
        let pieces = [Piece::word(name), Piece::text(command::mailbox_name(&config.mailbox))];
        let mut uid_validity = None;
        let done = session.run(&pieces, name, 0, |response| {
            if let Response::Told(Status::Ok, said) = response
                && said.code.as_deref() == Some("UIDVALIDITY")
            {
                uid_validity = said.argument.parse().ok();
            }
            Ok(())
        })?;
        if to_mark && done.code.as_deref() == Some("READ-ONLY") {
            let message = format!("config /mark_seen: the server lets nothing be changed in {}", config.mailbox);
            return Err(Failure::rejected(message));
        }
        let Some(uid_validity) = uid_validity else {
            return Err(session.nonsense("it gives no UIDVALIDITY, so nobody knows which mails are new"));
        };
        Ok(Self { session, uid_validity })
    }

    /// The UID of the newest mail; none where there is no mail.
    pub fn newest(&mut self) -> Result<Option<u32>, Failure> {
        if self.session.exists == 0 {
            return Ok(None);
        }
        let mut newest = None;
        self.session.run(&[Piece::word("UID FETCH * (UID)")], "UID FETCH", BESIDE_BYTES_MAX, |response| {
            if let Response::Fetch(Fetched { uid: Some(uid), .. }) = response {
                newest = newest.max(Some(uid));
            }
            Ok(())
        })?;
        Ok(newest)
    }

    /// The UIDs of mails that fit, from one UID to another, in order.
    pub fn search(&mut self, from: u32, to: u32, search: &Search) -> Result<Vec<u32>, Failure> {
        let mut found = Vec::new();
        self.session.run(&command::search(from, to, search), "UID SEARCH", 0, |response| {
            if let Response::Search(uids) = response {
                // Whatever it says, no mail comes that was not asked for.
                found.extend(uids.into_iter().filter(|uid| (from..=to).contains(uid)));
            }
            within(found.len(), WINDOW_UIDS as usize)
        })?;
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// How large mails are, in order; one that is gone is left out.
    pub fn sizes(&mut self, uids: &[u32]) -> Result<Vec<(u32, u32)>, Failure> {
        let fetch = format!("UID FETCH {} (UID RFC822.SIZE)", command::uid_set(uids));
        let mut sizes: BTreeMap<u32, u32> = BTreeMap::new();
        self.session.run(&[Piece::word(fetch)], "UID FETCH", BESIDE_BYTES_MAX, |response| {
            // A mail whose size is not told is a mail all the same.
            if let Response::Fetch(Fetched { uid: Some(uid), size, .. }) = response
                && uids.contains(&uid)
            {
                let known = sizes.entry(uid).or_default();
                *known = size.unwrap_or_default().max(*known);
            }
            Ok(())
        })?;
        Ok(sizes.into_iter().collect())
    }

    /// Mails, in order, of each at most this many bytes. Nothing is marked by that.
    pub fn fetch(&mut self, uids: &[u32], part: Part, bytes_max: usize) -> Result<Vec<Fetched>, Failure> {
        let section = if part == Part::Whole { "" } else { "HEADER" };
        let set = command::uid_set(uids);
        let fetch = format!("UID FETCH {set} (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[{section}]<0.{bytes_max}>)");
        let (mut mails, mut bytes): (Vec<Fetched>, usize) = (Vec::new(), 0);
        self.session.run(&[Piece::word(fetch)], "UID FETCH", bytes_max + BESIDE_BYTES_MAX, |response| {
            match response {
                // Flags of others that changed come like this too, and without a body.
                Response::Fetch(mail) if mail.body.is_some() && mail.uid.is_some_and(|uid| uids.contains(&uid)) => {
                    bytes += mail.body.as_ref().map_or(0, Vec::len);
                    mails.push(mail);
                }
                _ => {}
            }
            // A server may err in how large its mails are, but not by that much.
            within(bytes, 16 * BATCH_BYTES_MAX)
        })?;
        mails.sort_by_key(|mail| mail.uid);
        mails.dedup_by_key(|mail| mail.uid);
        Ok(mails)
    }

    /// Marks mails as seen.
    pub fn mark_seen(&mut self, uids: &[u32]) -> Result<(), Failure> {
        let store = format!("UID STORE {} +FLAGS.SILENT (\\Seen)", command::uid_set(uids));
        self.session.run(&[Piece::word(store)], "UID STORE", BESIDE_BYTES_MAX, |_| Ok(())).map(drop)
    }
}

/// Whether the server keeps to what it was asked for.
fn within(count: usize, most: usize) -> Result<(), Failure> {
    if count <= most { Ok(()) } else { Err(Failure::bad_response("the server gives more than it was asked for")) }
}
