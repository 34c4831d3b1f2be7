//! The document as a page for people. It is plain HTML with its style inside: it works offline,
//! without scripts, and tells nobody that it is read.

use serde_json::Value;
use std::fmt::{self, Write as _};

const STYLE: &str = "
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere; }
h2 { margin-top: 2.5rem; text-transform: capitalize; } h3 { margin: 1.5rem 0 .25rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); }
details { border-bottom: 1px solid var(--line); padding: .5rem 0; } summary { cursor: pointer; }
b.method { display: inline-block; min-width: 4.5em; } .muted { opacity: .7; }
";

/// The whole page.
pub(super) fn render(document: &Value) -> String {
    let mut page = String::with_capacity(64 << 10);
    // Writing into a string does not fail.
    let _ = write_page(&mut page, document);
    page
}

fn write_page(page: &mut String, document: &Value) -> fmt::Result {
    let info = &document["info"];
    write!(page, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">")?;
    write!(page, "<meta name=\"viewport\" content=\"width=device-width\"><title>{}</title>", Text(&info["title"]))?;
    write!(
        page,
        "<style>{STYLE}</style></head><body><main><h1>{} {}</h1>",
        Text(&info["title"]),
        Text(&info["version"])
    )?;
    prose(page, &info["description"])?;
    write!(page, "<p>The same for programs: <a href=\"/openapi.json\"><code>/openapi.json</code></a>.</p>")?;
    for tag in document["tags"].as_array().into_iter().flatten() {
        write!(page, "<h2>{}</h2>", Text(&tag["name"]))?;
        prose(page, &tag["description"])?;
        for (path, item) in members(&document["paths"]) {
            for (method, operation) in members(item).filter(|(_, operation)| operation["tags"][0] == tag["name"]) {
                write_operation(page, method, path, operation)?;
            }
        }
    }
    write!(page, "<h2>Documents</h2>")?;
    for (name, schema) in members(&document["components"]["schemas"]) {
        write!(page, "<h3 id=\"{0}\">{0}</h3>", Escaped(name))?;
        prose(page, &schema["description"])?;
        write_members(page, schema)?;
    }
    writeln!(page, "</main></body></html>")
}

fn write_operation(page: &mut String, method: &str, path: &str, operation: &Value) -> fmt::Result {
    let method = method.to_ascii_uppercase();
    write!(page, "<details><summary><b class=\"method\">{method}</b> <code>{}</code> ", Escaped(path))?;
    write!(page, "<span class=\"muted\">{}</span></summary>", Text(&operation["summary"]))?;
    prose(page, &operation["description"])?;
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !parameters.is_empty() {
        write!(page, "<table><tr><th>Parameter<th>In<th></tr>")?;
        for parameter in parameters {
            write!(page, "<tr><td><code>{}</code>", Text(&parameter["name"]))?;
            write!(page, "<td>{}<td>{}</tr>", Text(&parameter["in"]), Marked(&parameter["description"]))?;
        }
        write!(page, "</table>")?;
    }
    let body = &operation["requestBody"];
    if body.is_object() {
        write!(page, "<p>Body: ")?;
        write_content(page, &body["content"])?;
        write!(page, " {}</p>", Marked(&body["description"]))?;
    }
    write!(page, "<table><tr><th>Status<th><th>Body</tr>")?;
    for (status, response) in members(&operation["responses"]) {
        write!(page, "<tr><td>{}<td>{}<td>", Escaped(status), Marked(&response["description"]))?;
        write_content(page, &response["content"])?;
        write!(page, "</tr>")?;
    }
    write!(page, "</table></details>")
}

fn write_content(page: &mut String, content: &Value) -> fmt::Result {
    for (index, (media_type, content)) in members(content).enumerate() {
        write!(page, "{}<code>{}</code> ", if index > 0 { "<br>" } else { "" }, Escaped(media_type))?;
        write_type(page, &content["schema"])?;
    }
    Ok(())
}

fn write_members(page: &mut String, schema: &Value) -> fmt::Result {
    let parts = schema["allOf"].as_array().map_or_else(|| std::slice::from_ref(schema), Vec::as_slice);
    if parts.iter().all(|part| part["properties"].is_null() && part["$ref"].is_null()) {
        write!(page, "<p>")?;
        write_type(page, schema)?;
        return write!(page, "</p>");
    }
    write!(page, "<table><tr><th>Member<th>Type<th></tr>")?;
    for part in parts {
        if part["$ref"].is_string() {
            write!(page, "<tr><td>all of<td>")?;
            write_type(page, part)?;
            write!(page, "<td></tr>")?;
        }
        for (name, member) in members(&part["properties"]) {
            let required = part["required"].as_array().is_some_and(|names| names.iter().any(|it| it == name));
            write!(page, "<tr><td><code>{}</code>{}<td>", Escaped(name), if required { "" } else { " ?" })?;
            write_type(page, member)?;
            write!(page, "<td>{}</tr>", Marked(&member["description"]))?;
        }
    }
    write!(page, "</table>")
}

/// A schema in a few words, with links to those that have a name.
fn write_type(page: &mut String, schema: &Value) -> fmt::Result {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = Escaped(reference.rsplit('/').next().unwrap_or_default());
        return write!(page, "<a href=\"#{name}\">{name}</a>");
    }
    if let Some(choices) = schema["oneOf"].as_array().or(schema["allOf"].as_array()) {
        for (index, choice) in choices.iter().enumerate() {
            page.push_str(if index > 0 { " or " } else { "" });
            write_type(page, choice)?;
        }
        return Ok(());
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<_> = words.iter().map(|word| format!("<code>{}</code>", Text(word))).collect();
        return page.write_str(&words.join(" or "));
    }
    match &schema["type"] {
        Value::String(word) => write!(page, "{}", Escaped(word))?,
        Value::Array(words) => {
            let words: Vec<_> = words.iter().map(|word| Text(word).to_string()).collect();
            page.push_str(&words.join(" or "));
        }
        _ => page.push_str("any"),
    }
    if schema["items"].is_object() {
        page.push_str(" of ");
        write_type(page, &schema["items"])?;
    }
    Ok(())
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, member)| (name.as_str(), member))
}

fn prose(page: &mut String, text: &Value) -> fmt::Result {
    for paragraph in text.as_str().unwrap_or_default().split("\n\n").filter(|text| !text.trim().is_empty()) {
        write!(page, "<p>{}</p>", Marked(&Value::from(paragraph)))?;
    }
    Ok(())
}

/// Text, harmless in HTML.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '&' => f.write_str("&amp;"),
            '"' => f.write_str("&quot;"),
            c => f.write_char(c),
        })
    }
}

/// A string of the document.
struct Text<'a>(&'a Value);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(self.0.as_str().unwrap_or_default()).fmt(f)
    }
}

/// A string of the document in which backticks mean code.
struct Marked<'a>(&'a Value);

impl fmt::Display for Marked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.as_str().unwrap_or_default().split('`').enumerate() {
            match index % 2 {
                0 => Escaped(part).fmt(f)?,
                _ => write!(f, "<code>{}</code>", Escaped(part))?,
            }
        }
        Ok(())
    }
}
