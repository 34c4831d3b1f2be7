//! The page that the report is written into, by its parts: each may be measured by itself.

use crate::{guards, languages, queue, transforms, webhooks};

/// What begins each part but the first, in their order.
const HEADINGS: [&str; 5] =
    [queue::report::HEADING, guards::HEADING, webhooks::HEADING, transforms::HEADING, languages::HEADING];

/// The calls, and what the headings begin; empty where it is not there.
pub(crate) type Page = [String; HEADINGS.len() + 1];

/// Takes a page apart.
pub(crate) fn split(text: &str) -> Page {
    // The last part first: it ends with the page.
    let mut rest = text;
    let mut parts: Vec<&str> = Vec::new();
    for heading in HEADINGS.iter().rev() {
        let (before, part) = cut(rest, heading);
        parts.push(part);
        rest = before;
    }
    parts.push(rest);
    std::array::from_fn(|place| parts[HEADINGS.len() - place].to_owned())
}

/// Up to a heading, and from it on.
fn cut<'t>(text: &'t str, heading: &str) -> (&'t str, &'t str) {
    text.find(heading).map_or((text, ""), |at| text.split_at(at))
}

/// Puts it together.
pub(crate) fn join(page: &Page) -> String {
    let parts: Vec<&str> = page.iter().map(|part| part.trim_end()).filter(|part| !part.is_empty()).collect();
    parts.join("\n\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_put_together_as_it_was() {
        let headed: Vec<String> = HEADINGS.iter().map(|heading| format!("{heading}\n\nbelow {heading}")).collect();
        let text = format!("# a\n\nb\n\n{}\n", headed.join("\n\n"));
        let page = split(&text);
        assert_eq!(page[0], "# a\n\nb\n\n");
        let parts: Vec<&str> = page[1..].iter().map(|part| part.trim_end()).collect();
        assert_eq!(parts, headed);
        assert_eq!(join(&page), text);
        let alone = split("# a\n");
        assert_eq!((alone[0].as_str(), alone[1..].concat()), ("# a\n", String::new()));
    }
}
