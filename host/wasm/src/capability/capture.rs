//! `capture`: its place. What is over a limit is told apart already; the rest is not
//! available in this release, and says so.

use crate::{
    bindings::v0_1::julee::action::capture::{CaptureError, Host, Item},
    state::State,
};
use wasmtime::Result;

type Answer<T> = Result<std::result::Result<T, CaptureError>>;

fn unavailable<T>() -> Answer<T> {
    Ok(Err(CaptureError::Unavailable("capturing items is not available in this release".to_owned())))
}

impl State {
    fn captured<T>(&self, what: &str, bytes: usize) -> Answer<T> {
        let most = self.output_bytes_max;
        if bytes as u64 > most {
            let text = format!("{what} of {bytes} bytes is over limits.output_bytes ({most})");
            return Ok(Err(CaptureError::TooLarge(text)));
        }
        unavailable()
    }
}

impl Host for State {
    fn emit(&mut self, item: Item) -> Answer<()> {
        self.captured("an item", item.content.data.len())
    }

    fn get_state(&mut self, _key: String) -> Answer<Option<Vec<u8>>> {
        unavailable()
    }

    fn set_state(&mut self, _key: String, value: Vec<u8>) -> Answer<()> {
        self.captured("a value", value.len())
    }

    fn delete_state(&mut self, _key: String) -> Answer<()> {
        unavailable()
    }

    fn checkpoint(&mut self) -> Answer<u32> {
        unavailable()
    }
}
