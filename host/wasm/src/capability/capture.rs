//! `capture`: its place. What is over a limit is told apart already; the rest is not
//! available in this release, and says so.

use crate::{
    bindings::v0_1::julee::action::capture::{CaptureError, Host, Item},
    state::State,
};
use wasmtime::Result;

type Answer<T> = Result<std::result::Result<T, CaptureError>>;

fn unavailable() -> CaptureError {
    CaptureError::Unavailable("capturing items is not available in this release".to_owned())
}

impl State {
    fn captured(&self, what: &str, bytes: usize) -> CaptureError {
        let most = self.output_bytes_max;
        if bytes as u64 > most {
            return CaptureError::TooLarge(format!("{what} of {bytes} bytes is over limits.output_bytes ({most})"));
        }
        unavailable()
    }
}

impl Host for State {
    fn emit(&mut self, item: Item) -> Answer<()> {
        Ok(Err(self.captured("an item", item.content.data.len())))
    }

    fn get_state(&mut self, _key: String) -> Answer<Option<Vec<u8>>> {
        Ok(Err(unavailable()))
    }

    fn set_state(&mut self, _key: String, value: Vec<u8>) -> Answer<()> {
        Ok(Err(self.captured("a value", value.len())))
    }

    fn delete_state(&mut self, _key: String) -> Answer<()> {
        Ok(Err(unavailable()))
    }

    fn checkpoint(&mut self) -> Answer<u32> {
        Ok(Err(unavailable()))
    }
}
