//! Text from documents that strangers wrote, made fit for a terminal.

use serde_json::Value;

/// The text form of a member; empty where there is none.
pub(crate) fn field(document: &Value, pointer: &str) -> String {
    match document.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => one_line(text),
        Some(other) => one_line(&other.to_string()),
    }
}

/// Without what moves the cursor, changes colours or breaks a table.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_direction(c) { ' ' } else { c }).collect()
}

/// The same for text of several lines.
pub(crate) fn printable(text: &str) -> String {
    let keep = |c: char| matches!(c, '\n' | '\t') || !(c.is_control() || is_direction(c));
    text.chars().map(|c| if keep(c) { c } else { ' ' }).collect()
}

/// Characters that turn the direction of writing: they make a text look like another one.
const fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_strangers_text_cannot_command_the_terminal() {
        let document = json!({"a": "x\x1b[2Jy\nz\u{202e}", "n": 3, "null": null});
        assert_eq!(field(&document, "/a"), "x [2Jy z ");
        assert_eq!(field(&document, "/n"), "3");
        assert_eq!(field(&document, "/null"), "");
        assert_eq!(field(&document, "/none"), "");
        assert_eq!(printable("a\n\tb\x07"), "a\n\tb ");
    }
}
