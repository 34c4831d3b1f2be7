//! What people give to commands: documents and payloads, from files, standard input, or the
//! command line itself.

use crate::exit;
use action_domain::limits::{COMPONENT_BYTES_MAX, DOCUMENT_BYTES_MAX, INPUT_BYTES_MAX, SECRET_BYTES_MAX};
use anyhow::{Context as _, anyhow, bail, ensure};
use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::{
    fs::File,
    io::{Read, stdin},
    path::Path,
};
use zeroize::Zeroizing;

/// Bytes and what they are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Input {
    /// The bytes.
    pub(crate) bytes: Bytes,
    /// A media type: as given, or as they look.
    pub(crate) content_type: String,
}

/// Help for arguments that [`payload`] and [`documents`] read.
pub(crate) const HELP: &str = "a file, - for standard input, or the text itself";

/// A payload: a file, `-`, or the text itself.
///
/// # Errors
/// Where it cannot be read, is too large, or looks like a file that is not there.
pub(crate) fn payload(argument: &str, content_type: Option<String>) -> anyhow::Result<Input> {
    let (bytes, name) = read(argument, INPUT_BYTES_MAX).map_err(exit::usage)?;
    let content_type = content_type.unwrap_or_else(|| looks_like(&bytes, name.as_deref()).to_owned());
    Ok(Input { bytes: bytes.into(), content_type })
}

/// All documents of a file, of `-`, or of the text itself, in JSON or YAML.
///
/// # Errors
/// As for [`payload`], and where it is neither JSON nor YAML.
pub(crate) fn documents(argument: &str) -> anyhow::Result<Vec<Value>> {
    read_documents(argument).map_err(exit::usage)
}

fn read_documents(argument: &str) -> anyhow::Result<Vec<Value>> {
    let (bytes, name) = read(argument, DOCUMENT_BYTES_MAX)?;
    let place = name.unwrap_or_else(|| "the argument".to_owned());
    let text = String::from_utf8(bytes).with_context(|| format!("{place} is not UTF-8"))?;
    parse(&text).with_context(|| place)
}

/// The one document of an argument.
///
/// # Errors
/// As for [`documents`], and where there is none or more than one.
pub(crate) fn document(argument: &str) -> anyhow::Result<Value> {
    let mut documents = documents(argument)?;
    match documents.len() {
        1 => Ok(documents.remove(0)),
        count => Err(exit::usage(anyhow!("one document is needed, and there are {count}"))),
    }
}

fn parse(text: &str) -> anyhow::Result<Vec<Value>> {
    if is_json(text) {
        let values: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(text).into_iter().collect();
        return Ok(flatten(values.context("not valid JSON")?));
    }
    let values: Result<Vec<Value>, _> = serde_saphyr::from_multiple_with_options(text, yaml());
    let values = values.map_err(|error| anyhow::anyhow!("not valid YAML: {error}"))?;
    Ok(flatten(values.into_iter().filter(|value| !value.is_null()).collect()))
}

/// Whether JSON is meant. Most JSON is YAML too, but so is much JSON with a mistake in it:
/// `{"a": }` would pass for a null.
fn is_json(text: &str) -> bool {
    let text = text.trim_start();
    match text.strip_prefix('{') {
        Some(rest) => rest.trim_start().starts_with(['"', '}']),
        None => text.starts_with('['),
    }
}

/// YAML 1.2: `no` and `on` are texts, as an action's author means them.
fn yaml() -> serde_saphyr::Options {
    serde_saphyr::options! { strict_booleans: true }
}

/// A list at the top holds several documents.
fn flatten(values: Vec<Value>) -> Vec<Value> {
    let list = |value| match value {
        Value::Array(items) => items,
        other => vec![other],
    };
    values.into_iter().flat_map(list).collect()
}

/// The bytes, and the file's name if they are from one.
fn read(argument: &str, bytes_max: usize) -> anyhow::Result<(Vec<u8>, Option<String>)> {
    if argument == "-" {
        return Ok((
            read_all(&mut stdin().lock(), bytes_max).context("standard input")?,
            Some("standard input".into()),
        ));
    }
    let path = Path::new(argument);
    if path.is_file() {
        let mut file = File::open(path).with_context(|| format!("{argument} cannot be opened"))?;
        let bytes = read_all(&mut file, bytes_max).with_context(|| argument.to_owned())?;
        return Ok((bytes, Some(argument.to_owned())));
    }
    let bare = !argument.is_empty() && !argument.contains(char::is_whitespace);
    let like_a_file = path.extension().is_some() || argument.contains('/');
    if bare && like_a_file && serde_json::from_str::<IgnoredAny>(argument).is_err() {
        bail!("there is no file {argument} (a text that looks like a file's name can be given by standard input: -)");
    }
    ensure!(argument.len() <= bytes_max, "more than {bytes_max} bytes");
    Ok((argument.as_bytes().to_vec(), None))
}

fn read_all(from: &mut impl Read, bytes_max: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    ensure!(bytes.len() <= bytes_max, "more than {bytes_max} bytes");
    Ok(bytes)
}

/// A secret's value: from a file, or from standard input where there is none. A line end at its end
/// is most likely the editor's or `echo`'s, and goes unless it is to be kept.
///
/// # Errors
/// Where it cannot be read, or is too large.
pub(crate) fn secret(file: Option<&Path>, keep_line_end: bool) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let read = || match file {
        Some(path) => {
            let name = || path.display().to_string();
            let mut file = File::open(path).with_context(|| format!("{} cannot be opened", name()))?;
            read_all(&mut file, SECRET_BYTES_MAX + 2).with_context(name)
        }
        None => read_all(&mut stdin().lock(), SECRET_BYTES_MAX + 2).context("standard input"),
    };
    let mut value = Zeroizing::new(read().map_err(exit::usage)?);
    if !keep_line_end {
        without_line_end(&mut value);
    }
    Ok(value)
}

fn without_line_end(value: &mut Vec<u8>) {
    if value.last() == Some(&b'\n') {
        value.pop();
        if value.last() == Some(&b'\r') {
            value.pop();
        }
    }
}

/// A component.
///
/// # Errors
/// Where it cannot be read, is too large, or is something else by its first bytes.
pub(crate) fn component(path: &Path) -> anyhow::Result<Bytes> {
    let name = || path.display().to_string();
    let read = || {
        let mut file = File::open(path).with_context(|| format!("{} cannot be opened", name()))?;
        let bytes = read_all(&mut file, COMPONENT_BYTES_MAX).with_context(name)?;
        is_component(&bytes).with_context(name)?;
        Ok(bytes.into())
    };
    read().map_err(exit::usage)
}

/// Tells a component from other files by how it begins; the rest is for the service to look at.
fn is_component(bytes: &[u8]) -> anyhow::Result<()> {
    match bytes {
        // The magic number, then the version and the layer: 0 is a module, 1 a component.
        [b'\0', b'a', b's', b'm', _, _, 1, 0, ..] => Ok(()),
        [b'\0', b'a', b's', b'm', _, _, 0, 0, ..] => bail!(
            "a core WebAssembly module, not a component: build it for wasm32-wasip2, or wrap it with \
             `wasm-tools component new`"
        ),
        [] => bail!("not a WebAssembly component: the file is empty"),
        [b'(', ..] => bail!(
            "not a WebAssembly component: it starts with {}, as text does; `wasm-tools parse` makes one of it",
            start_of(bytes)
        ),
        _ => bail!("not a WebAssembly component: it starts with {}", start_of(bytes)),
    }
}

fn start_of(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes[..bytes.len().min(16)].escape_ascii())
}

fn looks_like(bytes: &[u8], name: Option<&str>) -> &'static str {
    let extension = name.and_then(|name| Path::new(name).extension()).and_then(|extension| extension.to_str());
    if extension == Some("json") || serde_json::from_slice::<IgnoredAny>(bytes).is_ok() {
        "application/json"
    } else if std::str::from_utf8(bytes).is_ok() {
        "text/plain; charset=utf-8"
    } else {
        "application/octet-stream"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_loses_the_line_end_that_nobody_meant() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        for (text, value, kept) in [
            ("a b\n", "a b", "a b\n"),
            ("a\r\n", "a", "a\r\n"),
            ("a\n\n", "a\n", "a\n\n"),
            ("a", "a", "a"),
            ("", "", ""),
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(secret(Some(&file), false).unwrap().as_slice(), value.as_bytes());
            assert_eq!(secret(Some(&file), true).unwrap().as_slice(), kept.as_bytes());
        }
        assert!(secret(Some(&folder.path().join("none")), false).is_err());
    }

    #[test]
    fn json_and_yaml_one_and_many() {
        for (text, expected) in [
            (r#"{"a": 1}"#, vec![json!({"a": 1})]),
            (r#"{"a": 1} {"a": 2}"#, vec![json!({"a": 1}), json!({"a": 2})]),
            (r#"[{"a": 1}, {"a": 2}]"#, vec![json!({"a": 1}), json!({"a": 2})]),
            ("a: 1\nb: [x, no]\n", vec![json!({"a": 1, "b": ["x", "no"]})]),
            ("---\na: 1\n---\na: 2\n", vec![json!({"a": 1}), json!({"a": 2})]),
            ("{a: 1, b: yes}", vec![json!({"a": 1, "b": "yes"})]),
            ("a: true\nb: ~\nc: 1.5\nd: '1'\n", vec![json!({"a": true, "b": null, "c": 1.5, "d": "1"})]),
            ("a: 18446744073709551615\n", vec![json!({"a": u64::MAX})]),
            ("", vec![]),
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        assert!(format!("{:#}", parse("{\"a\": }").unwrap_err()).contains("line 1"));
        assert!(format!("{:#}", parse("a: [1\nb: 2").unwrap_err()).contains("line"));
        assert!(parse("a: 1\na: 2\n").is_err(), "a key twice is a mistake");
    }

    #[test]
    fn a_bomb_of_aliases_does_not_go_off() {
        let level = |level: usize| {
            let before = vec![format!("*a{}", level - 1); 10].join(",");
            format!("a{level}: &a{level} [{before}]")
        };
        let levels = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]".to_owned()].into_iter().chain((1..12).map(level));
        assert!(parse(&levels.collect::<Vec<_>>().join("\n")).is_err());
    }

    #[test]
    fn a_missing_file_is_not_sent_as_text() {
        for wrong in ["input.json", "./x/y", "a/b"] {
            assert!(payload(wrong, None).unwrap_err().to_string().contains("no file"), "{wrong}");
        }
        for (text, content_type) in [
            ("{\"n\":1.5}", "application/json"),
            ("1.5", "application/json"),
            ("hello there.", "text/plain; charset=utf-8"),
            ("", "text/plain; charset=utf-8"),
        ] {
            assert_eq!(payload(text, None).unwrap().content_type, content_type, "{text}");
        }
        assert_eq!(payload("x", Some("text/csv".into())).unwrap().content_type, "text/csv");
    }

    #[test]
    fn what_is_no_component_is_called_by_its_name() {
        for (bytes, said) in [
            (
                &b"hello, world, this is no wasm"[..],
                r#"not a WebAssembly component: it starts with "hello, world, th""#,
            ),
            (b"\x7fELF", r#"not a WebAssembly component: it starts with "\x7fELF""#),
            (b"(component)", "`wasm-tools parse`"),
            (b"", "the file is empty"),
            (b"\0asm\x01\0\0\0", "`wasm-tools component new`"),
            (b"\0asm\x01", "not a WebAssembly component"),
        ] {
            let error = is_component(bytes).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        is_component(b"\0asm\x0d\0\x01\0").unwrap();
    }
}
