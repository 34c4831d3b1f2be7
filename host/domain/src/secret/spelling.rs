//! The ways in which a secret may be spelled in a text: as it is, with some of its characters
//! escaped (percent, JSON, HTML), and in base64 at any place among other bytes.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use memchr::memmem;
use zeroize::Zeroizing;

/// As many dead ends as a comparison looks into for each byte of what it looks for.
const STEPS_PER_BYTE_MAX: usize = 4;
/// Under this a run of plain bytes is in every text, and looking for it first saves nothing.
const CORE_BYTES_MIN: usize = 3;

/// The longest spelling of one byte: `\u0041`, `&quot;`.
pub(super) const ESCAPE_BYTES_MAX: usize = 6;

/// Something to look for in texts.
pub(super) struct Needle {
    /// Wiped when it is dropped.
    bytes: Zeroizing<Vec<u8>>,
    /// The longest part of it that nobody escapes: where this is not, it is not.
    core: std::ops::Range<usize>,
}

impl Needle {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let (mut core, mut from) = (0..0, 0);
        for end in 0..=bytes.len() {
            if bytes.get(end).copied().is_some_and(is_plain) {
                continue;
            }
            if end - from > core.len() {
                core = from..end;
            }
            from = end + 1;
        }
        Self { bytes: Zeroizing::new(bytes.to_vec()), core }
    }

    /// Where it stands in a text, however it is spelled there.
    pub(super) fn find(&self, text: &[u8], found: &mut Vec<std::ops::Range<usize>>) {
        // No spelling is shorter than what it spells.
        if text.len() < self.bytes.len() {
            return;
        }
        let core = &self.bytes[self.core.clone()];
        let first = if core.len() >= CORE_BYTES_MIN { memmem::find(text, core) } else { Some(0) };
        let Some(first) = first else { return };
        if core.len() == self.bytes.len() {
            found.extend(memmem::find_iter(&text[first..], core).map(|at| first + at..first + at + core.len()));
            return;
        }
        let mut at = 0;
        while at < text.len() {
            let may_begin = text[at] == self.bytes[0] || matches!(text[at], b'%' | b'\\' | b'&' | b'+');
            match may_begin.then(|| self.end(text, at)).flatten() {
                Some(end) => {
                    found.push(at..end);
                    at = end;
                }
                None => at += 1,
            }
        }
    }

    /// Its bytes, each of which takes [`ESCAPE_BYTES_MAX`] in a text at most.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Where it ends in a text in which it begins here. As it is, it is found whatever the escapes lead to: a value
    /// of many backslashes has more dead ends than anybody looks into. One that ends with a backslash ends further
    /// on where that is escaped.
    fn end(&self, text: &[u8], at: usize) -> Option<usize> {
        let as_it_is = text[at..].starts_with(&self.bytes).then_some(at + self.bytes.len());
        as_it_is.max(self.escaped_end(text, at))
    }

    /// The same, with escapes wherever they may be.
    fn escaped_end(&self, text: &[u8], at: usize) -> Option<usize> {
        let needle = &self.bytes[..];
        // A `%` may be itself or the beginning of an escape: both ways are gone.
        let mut ahead = vec![(at, 0)];
        let mut steps = needle.len() * STEPS_PER_BYTE_MAX;
        while let Some((mut at, mut matched)) = ahead.pop() {
            while matched < needle.len() {
                steps = steps.checked_sub(1)?;
                let escaped = escaped(&text[at..], &needle[matched..]);
                let itself = text.get(at) == Some(&needle[matched]);
                match (escaped, itself) {
                    (Some((read, meant)), itself) => {
                        if itself {
                            ahead.push((at + 1, matched + 1));
                        }
                        (at, matched) = (at + read, matched + meant);
                    }
                    (None, true) => (at, matched) = (at + 1, matched + 1),
                    (None, false) => break,
                }
            }
            if matched == needle.len() {
                return Some(at);
            }
        }
        None
    }
}

/// Bytes that no encoding for URLs, JSON or HTML changes. Some change `-`, `_` and `.`.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// If a text begins with an escape of what `wanted` begins with: bytes of text, bytes of `wanted`.
fn escaped(text: &[u8], wanted: &[u8]) -> Option<(usize, usize)> {
    match (text.first()?, wanted[0]) {
        (b'+', b' ') => Some((1, 1)),
        (b'%', byte) => {
            let code = std::str::from_utf8(text.get(1..3)?).ok()?;
            (u8::from_str_radix(code, 16) == Ok(byte)).then_some((3, 1))
        }
        (b'\\', byte) => match text.get(1)? {
            b'u' => unicode(text, wanted),
            letter => {
                let meant = match letter {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'f' => 12,
                    b'"' | b'\\' | b'/' | b'\'' => *letter,
                    _ => return None,
                };
                (meant == byte).then_some((2, 1))
            }
        },
        (b'&', byte) => {
            let entities: [(&[u8], u8); 8] = [
                (b"&amp;", b'&'),
                (b"&lt;", b'<'),
                (b"&gt;", b'>'),
                (b"&quot;", b'"'),
                (b"&#34;", b'"'),
                (b"&#39;", b'\''),
                (b"&#x27;", b'\''),
                (b"&#x2F;", b'/'),
            ];
            let (entity, _) =
                entities.into_iter().find(|(entity, meant)| *meant == byte && text.starts_with(entity))?;
            Some((entity.len(), 1))
        }
        _ => None,
    }
}

/// `\u00e9`, or two of them for what is beyond the first 65536 characters.
fn unicode(text: &[u8], wanted: &[u8]) -> Option<(usize, usize)> {
    let unit = |at: usize| {
        let code = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok()
    };
    let first = unit(0)?;
    let units = if (0xd800..0xdc00).contains(&first) { vec![first, unit(6)?] } else { vec![first] };
    let meant = String::from_utf16(&units).ok()?;
    wanted.starts_with(meant.as_bytes()).then_some((6 * units.len(), meant.len()))
}

/// What base64 makes of some bytes, wherever they stand among others: the characters that depend on
/// nothing but them, for each of the three places in a group, in both alphabets.
pub(super) fn in_base64(value: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let mut spelled: Vec<Zeroizing<Vec<u8>>> = Vec::new();
    for before in 0..3 {
        let mut padded = Zeroizing::new(vec![0; before]);
        padded.extend_from_slice(value);
        // Characters of six bits each: from the first that is all value to the last.
        let inside = (before * 8).div_ceil(6)..padded.len() * 8 / 6;
        let encoded = Zeroizing::new(STANDARD.encode(&*padded));
        let inside = Zeroizing::new(encoded.as_bytes()[inside].to_vec());
        // The alphabets differ in two characters.
        let differs = |byte: &u8| matches!(byte, b'+' | b'/');
        if inside.iter().any(differs) {
            let for_urls = inside.iter().map(|byte| match byte {
                b'+' => b'-',
                b'/' => b'_',
                other => *other,
            });
            spelled.push(Zeroizing::new(for_urls.collect()));
        }
        spelled.push(inside);
    }
    spelled
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::URL_SAFE;

    fn found(needle: &str, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        Needle::new(needle.as_bytes()).find(text.as_bytes(), &mut found);
        found.into_iter().map(|range| text[range].to_owned()).collect()
    }

    #[test]
    fn each_character_may_be_escaped_in_its_own_way() {
        let secret = "pa ss/é\"🦀%25+w";
        for spelled in [
            secret,
            "pa+ss%2fé%22🦀%2525%2bw",
            "pa%20ss%2F%C3%A9%22%f0%9f%a6%80%2525%2Bw",
            "pa ss\\/\\u00e9\\\"\\ud83e\\udd80%25+w",
            "pa ss&#x2F;é&quot;🦀%25+w",
        ] {
            assert_eq!(found(secret, &format!("<{spelled}|{spelled}>")), [spelled, spelled]);
        }
        for other in ["pa ss/e\"🦀%25+w", "pa ss/é\"🦀%25+", "a ss/é\"🦀%25+w", ""] {
            assert!(found(secret, other).is_empty(), "{other}");
        }
        assert_eq!(found("plain-token", "xplain-token-plain-toke, plain%2dtoken"), ["plain-token", "plain%2dtoken"]);
        assert_eq!(found("plaintoken", "xplaintoken-plaintoke"), ["plaintoken"]);
        assert_eq!(found("%%%%%%", "%%25%25%%%25 %"), ["%%25%25%%%25"]);
        assert_eq!(found("aa AaAA\\", "|aa AaAA\\|aa AaAA\\\\|"), ["aa AaAA\\", "aa AaAA\\\\"]);
        let backslashes = format!("pa{}-\\\\", "\\".repeat(40));
        assert_eq!(found(&backslashes, &format!("\\{backslashes}\\")), [&*backslashes]);
    }

    #[test]
    fn base64_is_found_behind_any_bytes_and_before_any() {
        let secret = b"hunter2-hunter2";
        for before in ["", "u", "user:", "long-user-name:", "xy"] {
            for after in ["", "!", "\n\n"] {
                let whole = [before.as_bytes(), secret, after.as_bytes()].concat();
                for text in [STANDARD.encode(&whole), URL_SAFE.encode(&whole)] {
                    let hit = in_base64(secret).into_iter().any(|part| memmem::find(text.as_bytes(), &part).is_some());
                    assert!(hit, "{before:?} {after:?} {text}");
                }
            }
        }
    }
}
