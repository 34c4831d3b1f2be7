//! Where bytes become machine code: the crate's only `unsafe`.

use wasmtime::{Engine, Result, component::Component};

/// Compiled code whose origin is known: this process or its child made it, or it carried
/// the node's own seal ([`crate::cache`]).
pub(crate) struct Trusted(Code);

enum Code {
    Fresh(Vec<u8>),
    /// A file's content, of which the first `usize` bytes are the seal.
    Sealed(Vec<u8>, usize),
}

impl Trusted {
    /// What a compiler gave to this process.
    pub(crate) fn fresh(code: Vec<u8>) -> Self {
        Self(Code::Fresh(code))
    }

    /// The content of a file behind its seal, which the caller has verified.
    pub(crate) fn verified(file: Vec<u8>, seal_bytes: usize) -> Self {
        Self(Code::Sealed(file, seal_bytes))
    }

    /// The code.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.0 {
            Code::Fresh(code) => code,
            Code::Sealed(file, seal) => file.get(*seal..).unwrap_or_default(),
        }
    }
}

/// Loads compiled code.
pub(crate) fn load(engine: &Engine, code: &Trusted) -> Result<Component> {
    // SAFETY: `deserialize` runs whatever it is given, so it must be what wasmtime wrote. A
    // `Trusted` is made in two places only: from a compiler's output, which went through no
    // hands but ours (a pipe from our own child), and from a file after its HMAC, made with a
    // key that only this node has, was verified over the very bytes that are passed here: they
    // were read into memory first, so a change of the file in between changes nothing. wasmtime
    // itself checks its version and the engine's configuration.
    #[expect(unsafe_code, reason = "the one place where compiled code is loaded")]
    unsafe {
        Component::deserialize(engine, code.bytes())
    }
}
