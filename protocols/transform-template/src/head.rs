//! What a template says of its output: a media type in a comment at its very beginning.
//!
//! `{# application/json #}` makes the output JSON, and each `{{ value }}` in it is written as
//! JSON; `{# text/html #}` escapes for HTML. Without one the output is plain text.

use minijinja::AutoEscape;

/// What the output is, where a template does not say so.
pub(crate) const PLAIN: &str = "text/plain; charset=utf-8";

/// The media type of the output.
pub(crate) fn content_type(template: &str) -> &str {
    let comment = template.strip_prefix("{#").and_then(|rest| rest.split_once("#}"));
    let text = comment.map(|(text, _)| text.trim_matches(|c: char| c == '-' || c.is_ascii_whitespace()));
    text.filter(|text| is_media_type(text)).unwrap_or(PLAIN)
}

fn is_media_type(text: &str) -> bool {
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
    };
    // Not every blank may stand in a header.
    essence.trim_end_matches(' ').split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
        && parameters.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Whether this media type is JSON.
pub(crate) fn is_json(content_type: &str) -> bool {
    let essence = essence(content_type);
    essence == "application/json" || essence.ends_with("+json")
}

/// A media type without its parameters.
pub(crate) fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// How values are written into an output of this media type.
pub(crate) fn escaping(content_type: &str) -> AutoEscape {
    match essence(content_type).as_str() {
        _ if is_json(content_type) => AutoEscape::Json,
        "text/html" | "application/xhtml+xml" | "application/xml" | "text/xml" => AutoEscape::Html,
        _ => AutoEscape::None,
    }
}
