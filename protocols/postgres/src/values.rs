//! JSON ↔ the text form of Postgres's types.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Number, Value};

use crate::arrays;

const BOOL: u32 = 16;
const BYTEA: u32 = 17;
const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;
const OID: u32 = 26;
const JSON: u32 = 114;
const FLOAT4: u32 = 700;
const FLOAT8: u32 = 701;
const JSONB: u32 = 3802;

/// A parameter of this type as text; nothing for NULL, and why it cannot be one.
pub fn parameter(value: &Value, oid: u32) -> Result<Option<String>, String> {
    let text = match (value, oid) {
        (Value::Null, _) => return Ok(None),
        (value, JSON | JSONB) => value.to_string(),
        (Value::String(text), BYTEA) => {
            let bytes = STANDARD.decode(text.trim()).map_err(|error| format!("bytes are given in base64: {error}"))?;
            hex(&bytes)
        }
        (Value::String(text), _) => text.clone(),
        (Value::Bool(truth), _) => truth.to_string(),
        (Value::Number(number), _) => number.to_string(),
        (Value::Array(list), _) => match arrays::element_of(oid) {
            Some(element) => arrays::write(list, &mut |value| parameter(value, element))?,
            None => return Err("the statement takes no list there".into()),
        },
        (Value::Object(_), _) => return Err("the statement takes no object there".into()),
    };
    if text.contains('\0') {
        return Err("Postgres takes no NUL in a text".into());
    }
    Ok(Some(text))
}

/// A value of this type as JSON.
pub fn column(text: &str, oid: u32) -> Value {
    let as_text = || Value::from(text);
    match oid {
        BOOL => Value::Bool(text == "t"),
        INT2 | INT4 | INT8 | OID => text.parse::<i64>().map_or_else(|_| as_text(), Value::from),
        // NaN and the infinities have no number in JSON.
        FLOAT4 | FLOAT8 => text.parse().ok().and_then(Number::from_f64).map_or_else(as_text, Value::Number),
        JSON | JSONB => serde_json::from_str(text).unwrap_or_else(|_| as_text()),
        BYTEA => text.strip_prefix("\\x").and_then(unhex).map_or_else(as_text, |bytes| STANDARD.encode(bytes).into()),
        _ => match arrays::element_of(oid) {
            Some(element) => arrays::read(text, &|text| column(text, element)).unwrap_or_else(as_text),
            // numeric too: a number of JSON would lose digits with most who read it.
            None => as_text(),
        },
    }
}

/// Bytes in hexadecimal digits.
pub fn digits(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn hex(bytes: &[u8]) -> String {
    format!("\\x{}", digits(bytes))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
    digits.chunks(2).map(|pair| Some(pair[0] << 4 | *pair.get(1)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parameters_are_written_as_their_type_has_them() {
        for (value, oid, text) in [
            (json!(null), JSONB, None),
            (json!("a"), 25, Some("a")),
            (json!("a"), JSONB, Some("\"a\"")),
            (json!({ "a": [1] }), JSON, Some("{\"a\":[1]}")),
            (json!(12_345_678_901_234_i64), INT8, Some("12345678901234")),
            (json!(true), BOOL, Some("true")),
            (json!("/wA="), BYTEA, Some("\\xff00")),
            (json!([1, null, 3]), 1007, Some("{\"1\",NULL,\"3\"}")),
        ] {
            assert_eq!(parameter(&value, oid), Ok(text.map(str::to_owned)), "{value}");
        }
        for (value, oid) in
            [(json!([1]), INT4), (json!({}), 25), (json!("?"), BYTEA), (json!("a\0"), 25), (json!([{}]), 1007)]
        {
            assert!(parameter(&value, oid).is_err(), "{value}");
        }
    }

    #[test]
    fn columns_are_read_as_their_type_has_them() {
        for (text, oid, value) in [
            ("t", BOOL, json!(true)),
            ("-9223372036854775808", INT8, json!(i64::MIN)),
            ("1.5", FLOAT8, json!(1.5)),
            ("NaN", FLOAT8, json!("NaN")),
            ("1.10", 1700, json!("1.10")),
            ("{\"a\": 1}", JSONB, json!({ "a": 1 })),
            ("\\xff00", BYTEA, json!("/wA=")),
            ("\\xff0", BYTEA, json!("\\xff0")),
            ("{1,NULL}", 1007, json!([1, null])),
            ("{t,f}", 1000, json!([true, false])),
            ("{", 1007, json!("{")),
            ("2026-11-25", 1082, json!("2026-11-25")),
        ] {
            assert_eq!(column(text, oid), value, "{text}");
        }
    }
}
