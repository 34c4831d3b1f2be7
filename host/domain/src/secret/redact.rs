//! Takes secrets out of what an attempt leaves in the record: `[secret:name]` stands in their place.
//!
//! Found are the value, also with characters escaped for URLs, JSON and HTML, its base64 among
//! whatever other bytes, and each longer line of a value that has lines. What is transformed in
//! other ways (compressed, encrypted, written backwards) is not found: a protocol that may see a
//! secret can always hide it, which is why it takes a grant to see one.
//!
//! A part of a value is not looked for, and no rule may depend on one: whoever writes a part of a
//! text would be told, by what becomes of it, whether his guess at a secret's beginning is right,
//! and have all of it character by character. So the host cuts no text within a secret.

use super::spelling::{ESCAPE_BYTES_MAX, Needle, in_base64};
use crate::{
    egress::Denial,
    event::Fact,
    failure::{ExecutionError, Issue},
    name::Name,
    payload::Payload,
};
use serde_json::{Map, Value};
use std::{borrow::Cow, ops::Range};

/// A line of a value (of a key in PEM) is looked for by itself from this length on.
const LINE_BYTES_MIN: usize = 16;

/// Knows the values that an attempt must not leave behind.
#[derive(Default)]
pub struct Redactor {
    needles: Vec<Marked>,
}

struct Marked {
    needle: Needle,
    /// What stands in its place.
    marker: String,
    /// Whether it is a handle, which is worth nothing.
    is_handle: bool,
}

impl Redactor {
    /// Looks for this value too, which is to be called by this name.
    pub(super) fn add(&mut self, name: &Name, value: &[u8]) {
        let marker = format!("[secret:{name}]");
        let mut look_for = |bytes: &[u8]| {
            let needle = Needle::new(bytes);
            self.needles.push(Marked { needle, marker: marker.clone(), is_handle: false });
        };
        // Who echoes a header or reads a file by lines leaves the space around it out.
        let value = value.trim_ascii();
        if value.is_empty() {
            return;
        }
        look_for(value);
        for part in in_base64(value) {
            look_for(&part);
        }
        let lines = value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        for line in lines.filter(|line| line.len() >= LINE_BYTES_MIN && line.len() < value.len()) {
            // How a key in PEM begins and ends, every key does.
            if !line.starts_with(b"-----") {
                look_for(line);
            }
        }
    }

    /// Looks for a handle, which says nothing but is noise in a record.
    pub(super) fn add_handle(&mut self, name: &Name, handle: &str) {
        let marker = format!("[secret:{name}]");
        let needle = Needle::new(handle.as_bytes());
        self.needles.push(Marked { needle, marker, is_handle: true });
    }

    /// What would stand in the place of a value that is in these bytes; `None` where there is none. A
    /// handle is no value.
    pub fn value_in(&self, bytes: &[u8]) -> Option<&str> {
        let values = self.needles.iter().filter(|marked| !marked.is_handle);
        let found = |marked: &&Marked| {
            let mut found = Vec::new();
            marked.needle.find(bytes, &mut found);
            !found.is_empty()
        };
        values.into_iter().find(found).map(|marked| &*marked.marker)
    }

    /// Whether there is nothing to look for.
    pub fn is_idle(&self) -> bool {
        self.needles.is_empty()
    }

    /// A text without secrets.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // A value that is no text may begin or end within a character.
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// Bytes without secrets.
    pub fn bytes<'t>(&self, bytes: &'t [u8]) -> Cow<'t, [u8]> {
        if self.is_idle() {
            return Cow::Borrowed(bytes);
        }
        let found = self.find(bytes);
        if found.is_empty() { Cow::Borrowed(bytes) } else { Cow::Owned(marked(bytes, 0, &found)) }
    }

    /// Takes secrets out of a text.
    pub fn clean(&self, text: &mut String) {
        if let Cow::Owned(clean) = self.text(text) {
            *text = clean;
        }
    }

    /// Takes secrets out of all texts of a JSON value, its numbers and members' names too. Whether
    /// there were any.
    pub fn json(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) => {
                let Cow::Owned(clean) = self.text(text) else { return false };
                *text = clean;
                true
            }
            Value::Number(number) => {
                let text = number.to_string();
                let Cow::Owned(clean) = self.text(&text) else { return false };
                *value = Value::String(clean);
                true
            }
            Value::Array(list) => list.iter_mut().fold(false, |any, value| self.json(value) | any),
            Value::Object(object) => {
                let mut any = object.values_mut().fold(false, |any, value| self.json(value) | any);
                if object.keys().any(|key| matches!(self.text(key), Cow::Owned(_))) {
                    any = true;
                    let named = std::mem::take(object).into_iter();
                    *object = named.map(|(key, value)| (self.text(&key).into_owned(), value)).collect::<Map<_, _>>();
                }
                any
            }
            Value::Null | Value::Bool(_) => false,
        }
    }

    /// A payload without secrets. Where it is JSON it stays that, and where there was nothing to
    /// take out it stays as it was to the byte.
    pub fn payload(&self, payload: Payload) -> Payload {
        if self.is_idle() {
            return payload;
        }
        let content_type = self.text(&payload.content_type).into();
        let json = payload.is_json().then(|| serde_json::from_slice::<Value>(&payload.data).ok()).flatten();
        let is_json = json.is_some();
        // Within JSON there are more ways to write a character than in other texts.
        let seen = json.and_then(|mut value| self.json(&mut value).then(|| value.to_string()));
        let data = seen.map_or(payload.data, Into::into);
        let data = match self.bytes(&data) {
            Cow::Borrowed(_) => data,
            Cow::Owned(clean) => {
                let still = !is_json || serde_json::from_slice::<serde::de::IgnoredAny>(&clean).is_ok();
                let text = || Value::String(String::from_utf8_lossy(&clean).into_owned()).to_string();
                if still { clean.into() } else { text().into() }
            }
        };
        Payload { content_type, data }
    }

    /// Takes secrets out of an error.
    pub fn error(&self, error: &mut ExecutionError) {
        if self.is_idle() {
            return;
        }
        self.clean(&mut error.message);
        if let Some(failure) = &mut error.failure {
            self.clean(&mut failure.message);
            failure.details.as_mut().map(|details| self.json(details));
        }
    }

    /// Takes secrets out of what a protocol says about a config.
    pub fn issues(&self, issues: &mut [Issue]) {
        for issue in issues {
            self.clean(&mut issue.pointer);
            self.clean(&mut issue.code);
            self.clean(&mut issue.message);
        }
    }

    /// Takes secrets out of a denial, whose host is what the protocol asked for.
    pub fn denial(&self, denial: &mut Denial) {
        for text in [&mut denial.host, &mut denial.rule, &mut denial.hint] {
            self.clean(text);
        }
    }

    /// Takes secrets out of a request that was made.
    pub fn fact(&self, fact: &mut Fact) {
        if let Fact::RequestMade { method, host, path, error, .. } = fact
            && !self.is_idle()
        {
            let texts = [Some(method), Some(host), path.as_mut(), error.as_mut()];
            texts.into_iter().flatten().for_each(|text| self.clean(text));
        }
    }

    /// The beginning of a text that has more characters than this; `None` where it has not. It ends before a
    /// secret rather than within it: a part of one nobody finds any more.
    pub fn cut<'t>(&self, text: &'t str, chars_max: usize) -> Option<&'t str> {
        let (end, _) = text.char_indices().nth(chars_max)?;
        // No secret that begins before the end goes on further than this.
        let reach = end.saturating_add(self.reach_bytes()).min(text.len());
        let found = self.find(&text.as_bytes()[..reach]);
        let within = found.into_iter().find(|(range, _)| range.start < end && range.end > end);
        Some(&text[..within.map_or(end, |(range, _)| text.floor_char_boundary(range.start))])
    }

    /// As much as one secret takes in a text at most, however it is spelled.
    pub(crate) fn reach_bytes(&self) -> usize {
        self.needles.iter().map(|marked| marked.needle.len()).max().unwrap_or(0) * ESCAPE_BYTES_MAX
    }

    /// Texts that follow one another without secrets, also where one begins in one of them and ends
    /// in another: then the marker stands in each that had a part of it.
    pub(crate) fn sequence(&self, texts: &[&str]) -> Vec<String> {
        let joined = texts.concat();
        let found = self.find(joined.as_bytes());
        let mut end = 0;
        let clean = texts.iter().map(|text| {
            let span = end..end + text.len();
            end = span.end;
            let within = found.iter().filter(|(range, _)| range.start < span.end && range.end > span.start);
            let within: Vec<_> =
                within.map(|(range, marker)| (range.start.max(span.start)..range.end.min(span.end), *marker)).collect();
            String::from_utf8_lossy(&marked(text.as_bytes(), span.start, &within)).into_owned()
        });
        clean.collect()
    }

    /// All places, in order, that do not overlap.
    fn find(&self, bytes: &[u8]) -> Vec<(Range<usize>, &str)> {
        let mut all = Vec::new();
        for marked in &self.needles {
            let mut found = Vec::new();
            marked.needle.find(bytes, &mut found);
            all.extend(found.into_iter().map(|range| (range, marked.marker.as_str())));
        }
        all.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
        let mut merged: Vec<(Range<usize>, &str)> = Vec::new();
        for (range, marker) in all {
            match merged.last_mut() {
                Some((last, _)) if range.start < last.end => last.end = last.end.max(range.end),
                _ => merged.push((range, marker)),
            }
        }
        merged
    }
}

/// Bytes, which begin at `from`, with markers in these places.
fn marked(bytes: &[u8], from: usize, places: &[(Range<usize>, &str)]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(bytes.len());
    let mut at = 0;
    for (range, marker) in places {
        clean.extend_from_slice(&bytes[at..range.start - from]);
        clean.extend_from_slice(marker.as_bytes());
        at = range.end - from;
    }
    clean.extend_from_slice(&bytes[at..]);
    clean
}

#[cfg(test)]
mod tests;
