//! The template language: text with `{{ … }}` in it.
//!
//! ```text
//! {{ customer.name }}      a place in the input; names are parted by dots, elements are numbers
//! {{ /customer/a.b/0 }}    the same as a JSON Pointer, for names with dots, blanks or braces
//! {{ . }}                  the whole input
//! {{ @execution }}         about the execution: action, execution, correlation, attempt,
//!                          idempotency_key
//! {{ "{{" }}               this text; how to write braces
//! {{ note? }}              nothing, where the input holds nothing there
//! ```
//!
//! There are no conditions, loops or functions: an action's input transform is for those.

/// A template taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Template<'a>(pub Vec<Part<'a>>);

/// A piece of a template.
#[derive(Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// Text that stands for itself.
    Text(&'a str),
    /// Something to fill in.
    Fill(Fill<'a>),
}

/// Something to fill in.
#[derive(Debug, PartialEq, Eq)]
pub struct Fill<'a> {
    /// As it is written, for messages.
    pub written: &'a str,
    /// Where it comes from.
    pub source: Source<'a>,
    /// Whether it may be missing.
    pub optional: bool,
}

/// Where a value comes from.
#[derive(Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// A place in the input; empty for all of it.
    Input(Vec<String>),
    /// About the execution.
    About(About),
    /// This text.
    Text(&'a str),
}

/// What can be said about an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the contract's record `call` explains them")]
pub enum About {
    Action,
    Execution,
    Correlation,
    Attempt,
    IdempotencyKey,
}

/// A template that is not one.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where, in bytes.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
}

impl<'a> Template<'a> {
    /// Takes a template apart.
    pub fn parse(text: &'a str) -> Result<Self, Mistake> {
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(open) = text[at..].find("{{").map(|found| at + found) {
            if open > at {
                parts.push(Part::Text(&text[at..open]));
            }
            let mistake = |message: String| Mistake { offset: open, message };
            let start = open + 2;
            let close = closing(&text[start..])
                .ok_or_else(|| mistake("a template is opened with {{ and never closed".into()))?;
            let written = text[start..start + close].trim();
            parts.push(Part::Fill(Fill::parse(written).map_err(mistake)?));
            at = start + close + 2;
        }
        if at < text.len() {
            parts.push(Part::Text(&text[at..]));
        }
        Ok(Self(parts))
    }

    /// The one thing that it fills in, if it is nothing else.
    pub fn only_fill(&self) -> Option<&Fill<'a>> {
        match self.0.as_slice() {
            [Part::Fill(fill)] => Some(fill),
            _ => None,
        }
    }

    /// The text with this in the place of each template.
    pub fn with_each_as(&self, stand_in: &str) -> String {
        let piece = |part: &Part<'a>| match part {
            Part::Text(text) => (*text).to_owned(),
            Part::Fill(_) => stand_in.to_owned(),
        };
        self.0.iter().map(piece).collect()
    }
}

/// Whether a text holds a template.
pub fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// Where the closing braces are. Those within quotes are text.
fn closing(text: &str) -> Option<usize> {
    let behind_quotes = match text.trim_start().strip_prefix('"') {
        Some(quoted) => text.len() - quoted.len() + quoted.find('"')? + 1,
        None => 0,
    };
    text[behind_quotes..].find("}}").map(|at| behind_quotes + at)
}

impl<'a> Fill<'a> {
    fn parse(written: &'a str) -> Result<Self, String> {
        let (body, optional) = match written.strip_suffix('?') {
            Some(body) => (body.trim_end(), true),
            None => (written, false),
        };
        let source = match body.as_bytes().first() {
            None => return Err("a template holds nothing".into()),
            Some(b'"') => Source::Text(quoted(body)?),
            Some(b'@') => Source::About(About::parse(&body[1..])?),
            Some(b'/') => Source::Input(pointer(body)?),
            Some(_) if body == "." => Source::Input(Vec::new()),
            Some(_) => Source::Input(path(body)?),
        };
        Ok(Self { written, source, optional })
    }
}

fn quoted(body: &str) -> Result<&str, String> {
    body.strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .filter(|text| !text.contains('"'))
        .ok_or_else(|| format!("{body} is not a text in quotes"))
}

fn path(body: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = body.split('.').map(str::to_owned).collect();
    let odd = |c: char| c.is_whitespace() || c.is_control() || "{}()[]|\"'/\\?@,;:<>=!&+*".contains(c);
    if names.iter().any(|name| name.is_empty() || name.contains(odd)) {
        return Err(format!(
            "\"{body}\" is not a path: write names parted by dots, or a JSON Pointer for unusual names"
        ));
    }
    Ok(names)
}

fn pointer(body: &str) -> Result<Vec<String>, String> {
    body.split('/')
        .skip(1)
        .map(|name| {
            let odd = name.replace("~0", "").replace("~1", "").contains('~');
            if odd {
                return Err(format!("{body} is not a JSON Pointer: ~ is written ~0"));
            }
            Ok(name.replace("~1", "/").replace("~0", "~"))
        })
        .collect()
}

impl About {
    fn parse(name: &str) -> Result<Self, String> {
        Ok(match name {
            "action" => Self::Action,
            "execution" => Self::Execution,
            "correlation" => Self::Correlation,
            "attempt" => Self::Attempt,
            "idempotency_key" => Self::IdempotencyKey,
            _ => {
                return Err(format!(
                    "@{name} is not known; there are @action, @execution, @correlation, @attempt \
                     and @idempotency_key"
                ));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source<'_> {
        match Template::parse(text).unwrap().0.pop().unwrap() {
            Part::Fill(fill) => fill.source,
            Part::Text(text) => panic!("{text} fills nothing in"),
        }
    }

    fn input(names: &[&str]) -> Source<'static> {
        Source::Input(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn places_in_the_input() {
        assert_eq!(source("{{a}}"), input(&["a"]));
        assert_eq!(source("{{ a.b-c.0.ü_$ }}"), input(&["a", "b-c", "0", "ü_$"]));
        assert_eq!(source("{{ . }}"), input(&[]));
        assert_eq!(source("{{ /a.b/c d/~1/~0/0/ }}"), input(&["a.b", "c d", "/", "~", "0", ""]));
    }

    #[test]
    fn texts_in_quotes_hold_braces() {
        assert_eq!(source(r#"{{ "{{" }}"#), Source::Text("{{"));
        assert_eq!(source(r#"{{"}}"}}"#), Source::Text("}}"));
    }

    #[test]
    fn parts_come_in_order() {
        let template = Template::parse("a {{b}}{{ c? }} d }} {").unwrap();
        assert_eq!(template.with_each_as("_"), "a __ d }} {");
        assert!(template.only_fill().is_none());
        assert!(Template::parse("{{ b }}").unwrap().only_fill().is_some());
        assert!(Template::parse(" {{ b }}").unwrap().only_fill().is_none());
    }

    #[test]
    fn a_question_mark_makes_it_optional() {
        for text in ["{{ a? }}", "{{ /a? }}", "{{ @attempt ? }}"] {
            let template = Template::parse(text).unwrap();
            assert!(template.only_fill().unwrap().optional, "{text}");
        }
    }

    #[test]
    fn mistakes_have_their_place() {
        for (text, offset) in [
            ("{{", 0),
            ("a {{ b }", 2),
            ("{{}}", 0),
            ("{{ }}", 0),
            ("x{{ a b }}", 1),
            ("{{ a..b }}", 0),
            ("{{ a | upper }}", 0),
            ("{{ @nothing }}", 0),
            ("{{ /a~2 }}", 0),
            ("{{ \"a }}", 0),
            ("{{{a}}}", 0),
            ("{{ \"a\" \"b\" }}", 0),
            ("{{ ? }}", 0),
        ] {
            assert_eq!(Template::parse(text).unwrap_err().offset, offset, "{text}");
        }
    }
}
