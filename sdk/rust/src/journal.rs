//! The execution's own record: lines of log, and progress for whoever watches.
//!
//! What is printed to stdout and stderr is kept too; this says how much it matters.

use crate::bindings::julee::action::journal;
pub use crate::bindings::julee::action::journal::Level;

/// Keeps a line at this level.
pub fn log(level: Level, message: impl AsRef<str>) {
    journal::log(level, message.as_ref());
}

/// Keeps a line for somebody who looks for a mistake.
pub fn debug(message: impl AsRef<str>) {
    log(Level::Debug, message);
}

/// Keeps a line that tells what happened.
pub fn info(message: impl AsRef<str>) {
    log(Level::Info, message);
}

/// Keeps a line about something odd that did no harm.
pub fn warn(message: impl AsRef<str>) {
    log(Level::Warn, message);
}

/// Keeps a line about something that went wrong.
pub fn error(message: impl AsRef<str>) {
    log(Level::Error, message);
}

/// Shows how far long work has come. `total`: where it is known.
pub fn progress(completed: u32, total: Option<u32>, message: impl AsRef<str>) {
    journal::progress(completed, total, message.as_ref());
}
