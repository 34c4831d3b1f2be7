//! `journal`: what a component says while it works. Bounded by the journal itself.

use crate::{
    bindings::v0_1::julee::action::journal::{Host, Level},
    state::State,
};
use wasmtime::Result;

impl Host for State {
    fn log(&mut self, level: Level, message: String) -> Result<()> {
        let level = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        self.gate.journal.log(self.gate.now(), level, &message);
        Ok(())
    }

    fn progress(&mut self, completed: u32, total: Option<u32>, message: String) -> Result<()> {
        self.gate.journal.progress(self.gate.now(), completed, total, &message);
        Ok(())
    }
}
