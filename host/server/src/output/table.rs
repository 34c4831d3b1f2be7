//! Tables: columns, no lines between them, as wide as the terminal and no wider.

use super::{Colour, Output, status_colour};
use comfy_table::{Attribute, Cell, Color, ContentArrangement, presets};

/// Columns of a terminal into which tables are fitted.
const WIDTH_MIN: u16 = 60;

/// A table to be filled.
pub(crate) struct Table {
    inner: comfy_table::Table,
}

impl Table {
    /// With these columns.
    pub(crate) fn new(output: Output, columns: &[&str]) -> Self {
        let mut inner = comfy_table::Table::new();
        // Elsewhere than on a terminal nothing is wrapped: a line is a row. Neither is it on one
        // so narrow that columns would be a few letters wide (some say that they have none).
        let is_wide = inner.is_tty() && inner.width().is_some_and(|width| width >= WIDTH_MIN);
        let arrangement = if is_wide { ContentArrangement::Dynamic } else { ContentArrangement::Disabled };
        inner.load_style(presets::NOTHING).set_content_arrangement(arrangement);
        if !output.has_colours() {
            inner.force_no_tty();
        }
        inner.set_header(columns.iter().map(|column| Cell::new(column).add_attribute(Attribute::Dim)));
        Self { inner }
    }

    /// With one more row. A status is coloured by its word.
    pub(crate) fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let cell = |text: S| {
            let text: String = text.into();
            let colour = match text.as_str() {
                "succeeded" | "failed" | "in_doubt" | "ok" | "connected" | "hollow" => Some(status_colour(&text)),
                _ => None,
            };
            let cell = Cell::new(text);
            match colour {
                Some(Colour::Green) => cell.fg(Color::Green),
                Some(Colour::Red) => cell.fg(Color::Red),
                Some(Colour::Yellow) => cell.fg(Color::Yellow),
                Some(Colour::Dim) => cell.add_attribute(Attribute::Dim),
                None => cell,
            }
        };
        self.inner.add_row(cells.into_iter().map(cell));
    }

    /// Its text, without spaces at the ends of lines.
    pub(crate) fn render(&self) -> String {
        self.inner.trim_fmt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_line() {
        let mut table = Table::new(Output::new(true), &["name", "status"]);
        table.row(["a", "succeeded"]);
        table.row([&"long ".repeat(100), ""]);
        let text = table.render();
        assert_eq!(text.lines().count(), 3);
        assert_eq!(text.lines().next().unwrap().split_whitespace().collect::<Vec<_>>(), ["name", "status"]);
        assert_eq!(text.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>(), ["a", "succeeded"]);
    }
}
