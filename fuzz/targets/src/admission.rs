//! Admission: bytes that somebody uploads as a component, and the signatures in front of them.
//!
//! Nothing is compiled here: what is looked at is what decides whether anything is.
#![cfg_attr(feature = "libfuzzer", no_main)]

use action_domain::{
    audit::{PublicKey, SealKey},
    failure::Issue,
    limits::ISSUES_MAX,
};
use action_wasm::inspect_component;

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

/// A component of the corpus that was signed.
const SIGNED: &[u8] = include_bytes!("../../corpus/admission/noop");
/// Magic, version and layer.
const HEADER_BYTES: usize = 8;
/// Longest message of an issue: it tells of names that the component chose.
const MESSAGE_BYTES_MAX: usize = 4096;

/// Signed [`SIGNED`] once, and nothing else.
fn signer() -> PublicKey {
    SealKey::from_seed(&[7; 32]).public()
}

/// Never signed anything.
fn nobody() -> PublicKey {
    SealKey::from_seed(&[8; 32]).public()
}

/// Looks at the bytes as those who trust nobody in particular, somebody, and somebody who signs nothing.
pub fn check(data: &[u8]) {
    let anybodys = inspect_component(data, &[]);
    match &anybodys {
        Ok(imports) => imports.iter().for_each(|name| assert!(is_offered(name), "{name}")),
        Err(issues) => of_a_refusal(issues, ISSUES_MAX),
    }
    match inspect_component(data, &[signer()]) {
        Ok(imports) => {
            assert_eq!(Ok(imports), anybodys, "a signature changes what a component is");
            assert!(data.ends_with(&SIGNED[HEADER_BYTES..]), "let in, and nobody signed it");
        }
        Err(issues) => {
            of_a_refusal(&issues, ISSUES_MAX + 1);
            let unsigned = issues.iter().filter(|issue| issue.code.starts_with("signature_")).count();
            assert_eq!(issues.len(), unsigned + anybodys.err().map_or(0, |issues| issues.len()));
        }
    }
    let refused = inspect_component(data, &[nobody()]);
    let codes = refused.expect_err("let in by a key that signed nothing");
    assert!(codes[0].code.starts_with("signature_"), "{codes:?}");
}

fn of_a_refusal(issues: &[Issue], most: usize) {
    assert!((1..=most).contains(&issues.len()), "{}", issues.len());
    for Issue { pointer, code, message, place } in issues {
        assert!(place.is_none(), "a component has no lines: {place:?}");
        assert!(pointer.is_empty() && !code.is_empty() && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        assert!(!message.is_empty() && message.len() <= MESSAGE_BYTES_MAX, "{}", message.len());
        assert_ne!(code, "host_error", "{message}");
    }
}

/// What the host has for components.
fn is_offered(import: &str) -> bool {
    import.starts_with("julee:action/") && import.ends_with("@0.1.0")
        || import.starts_with("wasi:") && import.contains("@0.2.")
}
