//! Arrays in Postgres's text form: `{1,NULL,"a b"}`.

use serde_json::Value;

/// As deep as Postgres has them.
const DEPTH_MAX: usize = 6;

/// The type of an array's elements, where it is an array of one that is known here.
pub fn element_of(array: u32) -> Option<u32> {
    const KNOWN: [(u32, u32); 19] = [
        (1000, 16),
        (1001, 17),
        (1003, 19),
        (1005, 21),
        (1007, 23),
        (1009, 25),
        (1014, 1042),
        (1015, 1043),
        (1016, 20),
        (1021, 700),
        (1022, 701),
        (1041, 869),
        (1115, 1114),
        (1182, 1082),
        (1183, 1083),
        (1185, 1184),
        (1231, 1700),
        (2951, 2950),
        (3807, 3802),
    ];
    if array == 199 {
        return Some(114);
    }
    KNOWN.iter().find(|(of, _)| *of == array).map(|(_, element)| *element)
}

/// Writes a list; `text` gives the text form of an element, nothing for NULL.
pub fn write<E>(list: &[Value], text: &mut impl FnMut(&Value) -> Result<Option<String>, E>) -> Result<String, E> {
    let mut written = String::from("{");
    for (n, element) in list.iter().enumerate() {
        if n > 0 {
            written.push(',');
        }
        match element {
            Value::Array(inner) => written.push_str(&write(inner, text)?),
            element => match text(element)? {
                None => written.push_str("NULL"),
                Some(text) => {
                    written.push('"');
                    for character in text.chars() {
                        if matches!(character, '"' | '\\') {
                            written.push('\\');
                        }
                        written.push(character);
                    }
                    written.push('"');
                }
            },
        }
    }
    written.push('}');
    Ok(written)
}

/// Reads an array; `value` gives an element its form. Nothing where it is no array.
pub fn read(text: &str, value: &impl Fn(&str) -> Value) -> Option<Value> {
    // Bounds that do not begin at 1 stand before it: `[0:1]={1,2}`.
    let text = if text.starts_with('[') { text.split_once('=')?.1 } else { text };
    let mut rest = text.strip_prefix('{')?;
    let list = list(&mut rest, value, 1)?;
    rest.is_empty().then_some(list)
}

fn list(rest: &mut &str, value: &impl Fn(&str) -> Value, depth: usize) -> Option<Value> {
    let mut elements = Vec::new();
    if let Some(behind) = rest.strip_prefix('}') {
        *rest = behind;
        return Some(Value::Array(elements));
    }
    loop {
        if let Some(inner) = rest.strip_prefix('{') {
            *rest = inner;
            elements.push(list(rest, value, Some(depth + 1).filter(|depth| *depth <= DEPTH_MAX)?)?);
        } else if let Some(quoted) = rest.strip_prefix('"') {
            *rest = quoted;
            elements.push(value(&unquoted(rest)?));
        } else {
            let end = rest.find([',', '}'])?;
            let (plain, behind) = rest.split_at(end);
            *rest = behind;
            elements.push(if plain == "NULL" { Value::Null } else { value(plain) });
        }
        let (sign, behind) = rest.split_at_checked(1)?;
        *rest = behind;
        match sign {
            "," => {}
            "}" => return Some(Value::Array(elements)),
            _ => return None,
        }
    }
}

fn unquoted(rest: &mut &str) -> Option<String> {
    let mut text = String::new();
    let mut characters = rest.char_indices();
    loop {
        match characters.next()? {
            (at, '"') => {
                *rest = &rest[at + 1..];
                return Some(text);
            }
            (_, '\\') => text.push(characters.next()?.1),
            (_, character) => text.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(value: &Value) -> Result<Option<String>, ()> {
        Ok(match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        })
    }

    #[test]
    fn what_is_written_is_read() {
        for list in [json!([]), json!(["a", "b\"\\,{}", "NULL", "", " "]), json!([["1", null], ["ä", "}"]])] {
            let written = write(list.as_array().unwrap(), &mut text).unwrap();
            assert_eq!(read(&written, &|text| text.into()), Some(list), "{written}");
        }
        assert_eq!(read("[0:1]={1,2}", &|text| text.into()), Some(json!(["1", "2"])));
    }

    #[test]
    fn what_is_no_array_is_nothing() {
        for text in ["", "{", "{1", "{1,", "{1,}x", "{\"a", "{\"a\"b}", "1,2}", &"{".repeat(100), "{\"\\"] {
            assert_eq!(read(text, &|text| text.into()), None, "{text}");
        }
    }
}
