//! What the fuzzer calls: one file for each kind of bytes that strangers send.
//!
//! Each file has a `check`, which reads the bytes as the service does and asserts what has to hold
//! of whatever comes: that does not say only "no panic". The same file is a program of
//! `fuzz/Cargo.toml`, where libFuzzer calls `check`; here it is a module, and `tests/replay.rs`
//! calls it with what stands in `fuzz/corpus`.
//!
//! To add a target: a file here as the others, a `[[bin]]` in `fuzz/Cargo.toml`, its two lines
//! below, and seeds in `fuzz/corpus/<name>`. A test says what is missing.

#![expect(clippy::expect_used, clippy::missing_panics_doc, reason = "a target panics where something does not hold")]

extern crate self as action_fuzz_targets;

use http::{HeaderMap, HeaderName, HeaderValue};

pub mod admission;
pub mod audit;
pub mod config;
pub mod egress;
pub mod headers;
pub mod redaction;
pub mod webhooks;

/// Reads bytes, and panics where something does not hold.
pub type Check = fn(&[u8]);

/// All targets, by name.
pub const TARGETS: &[(&str, Check)] = &[
    ("admission", admission::check),
    ("audit", audit::check),
    ("config", config::check),
    ("egress", egress::check),
    ("headers", headers::check),
    ("redaction", redaction::check),
    ("webhooks", webhooks::check),
];

/// The first `N` parts of an input, between zero bytes; the last one has the rest. What is not
/// there is empty.
pub fn parts<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut parts = data.splitn(N, |byte| *byte == 0);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// The same of texts; what is no UTF-8 is replaced.
pub fn texts<const N: usize>(data: &[u8]) -> [String; N] {
    parts::<N>(data).map(|part| String::from_utf8_lossy(part).into_owned())
}

/// Lines of `name: value` as hyper would give them: what is no header never becomes a request.
pub fn header_map(head: &[u8]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n').take(100) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            map.append(name, value);
        }
    }
    map
}
