//! What is said to a server: strings, names of mailboxes, what is searched for.

use base64::Engine;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};

use crate::config::Search;

/// The base64 of names of mailboxes (RFC 3501, 5.1.3).
const MUTF7: GeneralPurpose = GeneralPurpose::new(&IMAP_MUTF7, NO_PAD);

/// Longest string that stands in a line; a longer one is sent apart, as servers bound their lines.
const QUOTED_BYTES_MAX: usize = 512;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A piece of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it is.
    Word(String),
    /// A string, which stands in quotes where it can.
    Text(Vec<u8>),
}

impl Piece {
    /// A word, or several.
    pub fn word(text: impl Into<String>) -> Self {
        Self::Word(text.into())
    }

    /// A string.
    pub fn text(text: impl Into<Vec<u8>>) -> Self {
        Self::Text(text.into())
    }

    /// The string in quotes; none where it has to be sent apart, as a literal (RFC 3501, 4.3).
    pub fn quoted(bytes: &[u8]) -> Option<String> {
        let plain = |byte: &u8| (b' '..0x7f).contains(byte);
        if bytes.len() > QUOTED_BYTES_MAX || !bytes.iter().all(plain) {
            return None;
        }
        let text = std::str::from_utf8(bytes).ok()?;
        Some(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
    }
}

/// A mailbox's name in modified UTF-7 (RFC 3501, 5.1.3): what is not printable ASCII as UTF-16 in base64.
pub fn mailbox_name(name: &str) -> String {
    let mut written = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let plain = |c: char| (' '..='~').contains(&c);
        if plain(first) {
            written.push(first);
            if first == '&' {
                written.push('-');
            }
            rest = &rest[1..];
            continue;
        }
        let end = rest.find(plain).unwrap_or(rest.len());
        let units: Vec<u8> = rest[..end].encode_utf16().flat_map(u16::to_be_bytes).collect();
        written.push('&');
        written.push_str(&MUTF7.encode(units));
        written.push('-');
        rest = &rest[end..];
    }
    written
}

/// `UID SEARCH` for mails from one UID to another.
pub fn search(from: u32, to: u32, search: &Search) -> Vec<Piece> {
    let texts = [("FROM", &search.from), ("TO", &search.to), ("SUBJECT", &search.subject)];
    let texts = texts.into_iter().filter_map(|(key, text)| Some((key, text.as_ref()?)));
    let beyond_ascii = texts.clone().any(|(_, text)| !text.is_ascii());
    let charset = if beyond_ascii { "CHARSET UTF-8 " } else { "" };
    let mut pieces = vec![Piece::word(format!("UID SEARCH {charset}UID {from}:{to}"))];
    if search.unseen {
        pieces.push(Piece::word("UNSEEN"));
    }
    if let Some(day) = search.since.as_deref().and_then(day) {
        pieces.push(Piece::word(format!("SINCE {day}")));
    }
    for (key, text) in texts {
        pieces.extend([Piece::word(key), Piece::text(text.as_bytes())]);
    }
    pieces
}

/// `2026-11-03` as IMAP writes it: `3-Nov-2026`.
pub fn day(text: &str) -> Option<String> {
    let [year, month, day] = <[&str; 3]>::try_from(text.split('-').collect::<Vec<_>>()).ok()?;
    let number = |text: &str, digits: usize| {
        (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse::<usize>().ok())?
    };
    let (_, month, day) = (number(year, 4)?, number(month, 2)?, number(day, 2)?);
    let longest = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let name = MONTHS.get(month.checked_sub(1)?)?;
    (1..=longest).contains(&day).then(|| format!("{day}-{name}-{year}"))
}

/// A time as a server gives it (`17-Jul-1996 02:44:25 -0700`) in RFC 3339.
pub fn internal_date(text: &str) -> Option<String> {
    let [date, time, zone] = <[&str; 3]>::try_from(text.split_whitespace().collect::<Vec<_>>()).ok()?;
    let [day, month, year] = <[&str; 3]>::try_from(date.split('-').collect::<Vec<_>>()).ok()?;
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))? + 1;
    let day: u32 = day.parse().ok().filter(|day| (1..=31).contains(day))?;
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_time = time.len() == 8 && time.split(':').all(|part| digits(part, 2)) && time.split(':').count() == 3;
    let (sign, offset) = zone.split_at_checked(1)?;
    if !is_time || !digits(year, 4) || !matches!(sign, "+" | "-") || !digits(offset, 4) {
        return None;
    }
    let zone = if offset == "0000" { "Z".to_owned() } else { format!("{sign}{}:{}", &offset[..2], &offset[2..]) };
    Some(format!("{year}-{month:02}-{day:02}T{time}{zone}"))
}

/// UIDs as a command names them: `1:3,7`.
pub fn uid_set(uids: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for uid in uids {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*uid) => *last = *uid,
            _ => ranges.push((*uid, *uid)),
        }
    }
    let written =
        ranges.iter().map(|(first, last)| if first == last { first.to_string() } else { format!("{first}:{last}") });
    written.collect::<Vec<_>>().join(",")
}
