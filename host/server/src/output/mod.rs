//! What commands print: tables and lines for people, JSON for programs (`--json`).
//!
//! Results go to standard output, everything about how it went to standard error.

mod diff;
mod event_line;
mod table;
mod text;
mod upgrade;

pub(crate) use diff::{Change, changes};
pub(crate) use event_line::EventLine;
pub(crate) use table::Table;
pub(crate) use text::{field, one_line, printable};
pub(crate) use upgrade::{power_lines, upgrade_lines};

use serde::Serialize;
use std::io::{IsTerminal as _, Write as _};

/// Where results go, and in which form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    colours: bool,
}

/// How a word stands out on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    /// It is well.
    Green,
    /// It is not.
    Red,
    /// Look at it.
    Yellow,
    /// Not so important.
    Dim,
}

impl Output {
    /// JSON or not; colours only where a person looks, and not against their wish
    /// (`NO_COLOR`, no-color.org).
    pub(crate) fn new(json: bool) -> Self {
        let wished = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { json, colours: !json && wished && std::io::stdout().is_terminal() }
    }

    /// Whether a program reads it.
    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// A document: indented for people's eyes where it is the whole output.
    ///
    /// # Errors
    /// Where it cannot be written, for instance because the reader has gone.
    pub(crate) fn json(document: &impl Serialize) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, document)?;
        writeln!(out)
    }

    /// A document on one line: one of many.
    ///
    /// # Errors
    /// See [`Self::json`].
    pub(crate) fn json_line(document: &impl Serialize) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        serde_json::to_writer(&mut out, document)?;
        writeln!(out)?;
        out.flush()
    }

    /// A line for people.
    ///
    /// # Errors
    /// See [`Self::json`].
    pub(crate) fn line(text: &str) -> std::io::Result<()> {
        writeln!(std::io::stdout().lock(), "{text}")
    }

    /// Something that is no result: for people, and out of the way of programs.
    pub(crate) fn note(self, text: &str) {
        if !self.json {
            // Without a standard error nobody misses it.
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        }
    }

    /// `text` in a colour, where there are colours.
    pub(crate) fn paint(self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Green => 32,
            Colour::Red => 31,
            Colour::Yellow => 33,
            Colour::Dim => 2,
        };
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A status in its colour.
    pub(crate) fn status(self, status: &str) -> String {
        self.paint(status_colour(status), status)
    }

    /// Whether there are colours.
    const fn has_colours(self) -> bool {
        self.colours
    }

    /// A list: `{"items": […], "next": …}`, or a table with a note on how to see the rest.
    ///
    /// # Errors
    /// See [`Self::json`].
    pub(crate) fn list(
        self,
        items: &[serde_json::Value],
        next: Option<&str>,
        table: impl FnOnce(&[serde_json::Value]) -> Table,
    ) -> std::io::Result<()> {
        if self.json {
            return Self::json(&serde_json::json!({"items": items, "next": next}));
        }
        if items.is_empty() {
            self.note("nothing there");
            return Ok(());
        }
        Self::line(&table(items).render())?;
        if next.is_some() {
            self.note("there are more: --limit shows them");
        }
        Ok(())
    }
}

/// The colour of a status.
fn status_colour(status: &str) -> Colour {
    match status {
        "succeeded" | "connected" | "ok" => Colour::Green,
        "failed" | "cancelled" | "expired" => Colour::Red,
        _ => Colour::Yellow,
    }
}
