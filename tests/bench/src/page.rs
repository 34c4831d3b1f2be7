//! The page that the report is written into, by its parts: each may be measured by itself.

use crate::{guards, queue};

/// The calls, the queue, what safety costs; empty where it is not there.
pub(crate) type Page = [String; 3];

/// Takes a page apart.
pub(crate) fn split(text: &str) -> Page {
    let (text, guards) = cut(text, guards::HEADING);
    let (calls, queue) = cut(text, queue::report::HEADING);
    [calls.to_owned(), queue.to_owned(), guards.to_owned()]
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
        let text = format!("# a\n\nb\n\n{}\n\nc\n\n{}\n\nd\n", queue::report::HEADING, guards::HEADING);
        let page = split(&text);
        assert!(page[1].contains('c') && !page[1].contains('d') && page[0].ends_with("b\n\n"));
        assert_eq!(join(&page), text);
        assert_eq!(split("# a\n"), ["# a\n".to_owned(), String::new(), String::new()]);
    }
}
