//! Values to JSON. jaq's values are more than JSON's: bytes, keys that are no texts, numbers
//! without a notation.

use jaq_json::{Num, Val};
use std::io::Write as _;

/// Writes a value as JSON. What is no number becomes `null` and what is infinite the largest
/// number, as in jq; bytes and keys that are no texts have no form, and that is said.
pub(crate) fn write(value: &Val) -> Result<Vec<u8>, String> {
    let mut json = Vec::new();
    put(value, &mut json)?;
    Ok(json)
}

fn put(value: &Val, json: &mut Vec<u8>) -> Result<(), String> {
    match value {
        Val::Null => json.extend_from_slice(b"null"),
        Val::Bool(truth) => json.extend_from_slice(if *truth { b"true" } else { b"false" }),
        Val::Num(number) => put_number(number, json),
        Val::TStr(text) => put_text(text, json),
        Val::BStr(_) => return Err("it gives bytes, which JSON has not; @base64 makes a text of them".to_owned()),
        Val::Arr(items) => {
            json.push(b'[');
            for (index, item) in items.iter().enumerate() {
                comma(index, json);
                put(item, json)?;
            }
            json.push(b']');
        }
        Val::Obj(members) => {
            json.push(b'{');
            for (index, (key, member)) in members.iter().enumerate() {
                comma(index, json);
                let Val::TStr(key) = key else {
                    return Err(format!("it gives an object with the key {key}, and JSON has texts for keys"));
                };
                put_text(key, json);
                json.push(b':');
                put(member, json)?;
            }
            json.push(b'}');
        }
    }
    Ok(())
}

fn comma(index: usize, json: &mut Vec<u8>) {
    if index > 0 {
        json.push(b',');
    }
}

fn put_number(number: &Num, json: &mut Vec<u8>) {
    match number {
        Num::Float(float) if float.is_nan() => json.extend_from_slice(b"null"),
        Num::Float(float) if float.is_infinite() => {
            json.extend_from_slice(if *float > 0.0 { b"1.7976931348623157e308" } else { b"-1.7976931348623157e308" });
        }
        // A vector takes everything.
        number => drop(write!(json, "{number}")),
    }
}

fn put_text(text: &[u8], json: &mut Vec<u8>) {
    json.push(b'"');
    for part in String::from_utf8_lossy(text).split_inclusive(|c: char| c == '"' || c == '\\' || c < ' ') {
        let (plain, last) = match part.char_indices().next_back() {
            Some((at, c)) if c == '"' || c == '\\' || c < ' ' => (&part[..at], Some(c)),
            _ => (part, None),
        };
        json.extend_from_slice(plain.as_bytes());
        match last {
            Some('"') => json.extend_from_slice(b"\\\""),
            Some('\\') => json.extend_from_slice(b"\\\\"),
            Some('\n') => json.extend_from_slice(b"\\n"),
            Some('\r') => json.extend_from_slice(b"\\r"),
            Some('\t') => json.extend_from_slice(b"\\t"),
            Some(control) => drop(write!(json, "\\u{:04x}", u32::from(control))),
            None => {}
        }
    }
    json.push(b'"');
}
