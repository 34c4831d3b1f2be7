//! Finds the workspace's files, and reads Rust well enough to tell code from text.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

/// A file's text, by its path from the root.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Files below `folder` with this extension, by their path from the root and in order. Build
/// output is left out.
pub(crate) fn files(folder: &str, extension: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy();
            if path.is_dir() && name != "target" && name != "node_modules" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path.strip_prefix(root()).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

/// Rust files that the service and its protocols are made of.
pub(crate) fn product() -> Vec<String> {
    ["host", "sdk", "protocols"].into_iter().flat_map(|folder| files(folder, "rs")).collect()
}

/// A Rust file taken apart. Each part has the file's line breaks, so that lines can be counted.
pub(crate) struct Source {
    /// Without comments, and with nothing between the quotes of a literal.
    pub(crate) code: String,
    /// The literals alone.
    pub(crate) literals: String,
}

/// Takes a Rust file apart. It knows comments (nested too), strings (raw, byte, with escapes)
/// and characters; it is no parser.
pub(crate) fn take_apart(text: &str) -> Source {
    let (mut code, mut literals) = (String::new(), String::new());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, is_literal) = match first {
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), None),
            '/' if rest.starts_with("/*") => (block_comment(rest), None),
            '"' => (quoted(rest), Some(true)),
            // `b"…"` is a letter and a string. A raw one has to be seen before its quotes are.
            'r' if !ends_in_word(&code) || code.ends_with('b') => match raw(rest) {
                Some(length) => (length, Some(true)),
                None => (1, Some(false)),
            },
            '\'' => match character(rest) {
                Some(length) => (length, Some(true)),
                None => (1, Some(false)),
            },
            other => (other.len_utf8(), Some(false)),
        };
        let (part, after) = rest.split_at(length);
        match is_literal {
            Some(false) => code.push_str(part),
            Some(true) => {
                code.push_str("\"\"");
                literals.push_str(part);
                literals.push(' ');
            }
            None => {}
        }
        let breaks: String = part.chars().filter(|c| *c == '\n').collect();
        if is_literal != Some(false) {
            code.push_str(&breaks);
        }
        if is_literal != Some(true) {
            literals.push_str(&breaks);
        }
        rest = after;
    }
    Source { code, literals }
}

fn ends_in_word(code: &str) -> bool {
    code.ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().unwrap().len_utf8();
        }
    }
    text.len()
}

fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw(text: &str) -> Option<usize> {
    let hashes = text[1..].bytes().take_while(|b| *b == b'#').count();
    let open = 1 + hashes;
    text[open..].starts_with('"').then_some(())?;
    let close = format!("\"{}", "#".repeat(hashes));
    Some(text[open + 1..].find(&close).map_or(text.len(), |at| open + 1 + at + close.len()))
}

/// A character literal; `None` for a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        // Whatever is escaped, a quote included, is over at the next quote.
        let (at, _) = chars.skip(1).find(|(_, c)| *c == '\'')?;
        return Some(at + 1);
    }
    let (at, second) = chars.next()?;
    (second == '\'').then_some(at + 1)
}

/// Whether `word` stands in `text` with no letter, digit or underscore before or after it.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    let of_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(of_word) && !text[at + word.len()..].starts_with(of_word))
}

#[test]
fn code_is_told_from_comments_and_literals() {
    let text = "a(\"b // \\\" c\"); // d\n/* e /* f */ g */ h('\\'', '\"', r#\"i \" j\"#, &'k l, b\"m\", br\"n\")\no";
    let source = take_apart(text);
    assert_eq!(source.code, "a(\"\"); \n h(\"\", \"\", \"\", &'k l, b\"\", b\"\")\no");
    assert_eq!(source.literals, "\"b // \\\" c\" \n'\\'' '\"' r#\"i \" j\"# \"m\" r\"n\" \n");
    assert!(has_word("pub unsafe fn", "unsafe") && !has_word("unsafe_code not_unsafe", "unsafe"));
}
