//! Whether a component is signed by somebody who is trusted.
//!
//! The signatures are those of the WebAssembly tool conventions (their page "Signatures"), as `wasmsign2`
//! makes them: a custom section `signature` in front, which holds Ed25519 signatures over the
//! SHA-256 of everything behind it. Only a signature over all of it counts: one that covers a
//! beginning would let anybody put something behind it.
//!
//! It reads hostile bytes and allocates nothing that they ask for.

use action_domain::{audit::PublicKey, failure::Issue};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use wasmparser::BinaryReader;

/// Most signatures of one component, all sets together.
const SIGNATURES_MAX: usize = 64;
/// Most hashes in one set: parts that can be verified by themselves.
const HASHES_MAX: usize = 64;

const SECTION: &str = "signature";
const DELIMITER: &str = "signature_delimiter";
/// Magic, version and layer.
const HEADER_BYTES: usize = 8;
const CUSTOM: u8 = 0;
/// Version of the specification, content type, hash function (SHA-256).
const FORM: [u8; 3] = [1, 1, 1];
const ED25519: u8 = 1;

type Hash = [u8; 32];

/// Hashes that were signed together, and their signatures.
struct Set<'a> {
    /// One for each part, each over everything up to its end.
    hashes: Vec<Hash>,
    signatures: Vec<Signature<'a>>,
}

struct Signature<'a> {
    key_id: &'a [u8],
    bytes: &'a [u8],
}

/// What a component is, as far as signatures go.
struct Signed<'a> {
    sets: Vec<Set<'a>>,
    /// Over everything behind the signature section.
    whole: Hash,
    /// Over everything up to each delimiter.
    parts: Vec<Hash>,
}

/// Why a component is not let in although somebody is trusted; `None`: it is signed, all of it,
/// with one of these keys.
pub(crate) fn check(component: &[u8], trusted: &[PublicKey]) -> Option<Issue> {
    let issue = |code: &str, message: String| Some(Issue::new("", code, message));
    let Some((signature, rest)) = split(component) else {
        let message = "the component is not signed: its first section is no `signature`; sign it with `wasmsign2 sign`";
        return issue("signature_missing", message.to_owned());
    };
    let Some(signed) = sets(signature).and_then(|sets| read(sets, rest)) else {
        return issue("signature_invalid", "the signature section cannot be read".to_owned());
    };
    let by_trusted = |set: &Set<'_>| {
        let message = message(&set.hashes);
        let mut signatures = set.signatures.iter();
        signatures.any(|signature| trusted.iter().any(|key| key.verifies(&message, signature.bytes)))
    };
    let covers_all = |set: &Set<'_>| set.hashes.last() == Some(&signed.whole);
    let (trusted_sets, others): (Vec<&Set<'_>>, Vec<&Set<'_>>) = signed.sets.iter().partition(|set| by_trusted(set));
    if trusted_sets.iter().any(|set| covers_all(set)) {
        return None;
    }
    if trusted_sets.iter().any(|set| set.hashes.last().is_some_and(|last| signed.parts.contains(last))) {
        let message = "a key that is trusted signed only the beginning of the component";
        return issue("signature_invalid", message.to_owned());
    }
    let all = others.iter().filter(|set| covers_all(set)).flat_map(|set| &set.signatures);
    let ids: Vec<&[u8]> = all.map(|signature| signature.key_id).collect();
    if !trusted_sets.is_empty() || ids.is_empty() {
        let message = "the component is not the one that was signed: it was changed, or the signature is another one's";
        return issue("signature_invalid", message.to_owned());
    }
    if trusted.iter().any(|key| ids.contains(&&key_id(key)[..])) {
        let message = "the signature names a key that is trusted, and that key did not make it";
        return issue("signature_invalid", message.to_owned());
    }
    let named: Vec<String> = ids.iter().filter(|id| !id.is_empty()).take(4).map(hex::encode).collect();
    let named = if named.is_empty() { String::new() } else { format!(" (key id {})", named.join(", ")) };
    issue("signature_untrusted", format!("the component is signed, and not with a key that is trusted{named}"))
}

/// The payload of the signature section, and everything behind it.
fn split(component: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut reader = BinaryReader::new(component.get(HEADER_BYTES..)?, HEADER_BYTES);
    let (name, payload) = section(&mut reader)??;
    let rest = component.get(reader.original_position()..)?;
    (name == SECTION).then_some((payload, rest))
}

/// The next section: its name and what it holds, if it is a custom one. `None`: there is none.
#[expect(clippy::option_option, reason = "the outer one ends the component, the inner one is a section without a name")]
fn section<'a>(reader: &mut BinaryReader<'a>) -> Option<Option<(&'a str, &'a [u8])>> {
    let id = reader.read_u8().ok()?;
    let size = reader.read_var_u32().ok()?;
    let content = reader.read_bytes(size as usize).ok()?;
    if id != CUSTOM {
        return Some(None);
    }
    let mut inner = BinaryReader::new(content, 0);
    let length = inner.read_var_u32().ok()?;
    let name = std::str::from_utf8(inner.read_bytes(length as usize).ok()?).ok()?;
    Some(Some((name, content.get(inner.original_position()..)?)))
}

/// What the signature section holds; `None` where it is of another form.
fn sets(payload: &[u8]) -> Option<Vec<Set<'_>>> {
    let mut reader = BinaryReader::new(payload, 0);
    if reader.read_bytes(FORM.len()).ok()? != FORM {
        return None;
    }
    let (mut sets, mut left) = (Vec::new(), SIGNATURES_MAX);
    for _ in 0..reader.read_var_u32().ok()? {
        let mut inner = BinaryReader::new(slice(&mut reader)?, 0);
        let set = set(&mut inner)?;
        left = left.checked_sub(set.signatures.len().max(1))?;
        sets.push(set);
    }
    reader.eof().then_some(sets)
}

fn set<'a>(reader: &mut BinaryReader<'a>) -> Option<Set<'a>> {
    let count = reader.read_var_u32().ok()? as usize;
    if count > HASHES_MAX {
        return None;
    }
    let hashes = (0..count).map(|_| reader.read_bytes(32).ok()?.try_into().ok()).collect::<Option<_>>()?;
    let count = reader.read_var_u32().ok()? as usize;
    if count > SIGNATURES_MAX {
        return None;
    }
    let mut signatures = Vec::new();
    for _ in 0..count {
        let mut inner = BinaryReader::new(slice(reader)?, 0);
        let key_id = slice(&mut inner)?;
        let algorithm = inner.read_u8().ok()?;
        let bytes = slice(&mut inner)?;
        // Others may sign with what is not known here, beside one who does.
        if algorithm == ED25519 {
            signatures.push(Signature { key_id, bytes });
        }
    }
    reader.eof().then_some(Set { hashes, signatures })
}

/// Bytes behind their number.
fn slice<'a>(reader: &mut BinaryReader<'a>) -> Option<&'a [u8]> {
    let length = reader.read_var_u32().ok()?;
    reader.read_bytes(length as usize).ok()
}

/// Hashes what is behind the signature section, part by part.
fn read<'a>(sets: Vec<Set<'a>>, rest: &[u8]) -> Option<Signed<'a>> {
    let mut reader = BinaryReader::new(rest, 0);
    let (mut hash, mut hashed) = (Sha256::new(), 0);
    let mut parts = Vec::new();
    while !reader.eof() {
        let found = section(&mut reader)?;
        if found.is_some_and(|(name, _)| name == DELIMITER) && parts.len() < HASHES_MAX {
            let end = reader.original_position();
            hash.update(rest.get(hashed..end)?);
            hashed = end;
            parts.push(hash.clone().finalize().into());
        }
    }
    hash.update(rest.get(hashed..)?);
    Some(Signed { sets, whole: hash.finalize().into(), parts })
}

/// What is signed.
fn message(hashes: &[Hash]) -> Vec<u8> {
    [&b"wasmsig"[..], &FORM, &hashes.concat()].concat()
}

/// The short name that tools give a key where nobody gives it another.
fn key_id(key: &PublicKey) -> [u8; 12] {
    let mut id = [0; 12];
    if let Ok(mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) {
        let mac = mac.chain_update(b"key_id").finalize().into_bytes();
        id.copy_from_slice(&mac[..12]);
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;
    use wasmsign2::{KeyPair, Module};

    fn component(text: &str) -> Vec<u8> {
        wat::parse_str(format!("(component (@custom \"note\" \"{text}\") (type (tuple u8 u8)))")).unwrap()
    }

    fn module(bytes: &[u8]) -> Module {
        Module::deserialize(&mut Cursor::new(bytes)).unwrap()
    }

    fn bytes(module: &Module) -> Vec<u8> {
        let mut bytes = Vec::new();
        module.serialize(&mut bytes).unwrap();
        bytes
    }

    fn public(pair: &KeyPair) -> PublicKey {
        PublicKey::from_raw(&pair.pk.to_bytes()).unwrap()
    }

    fn sign(component: &[u8], pair: &KeyPair) -> Vec<u8> {
        let id = pair.pk.clone().attach_default_key_id().key_id().cloned();
        bytes(&pair.sk.sign(module(component), id.as_ref()).unwrap())
    }

    fn sign_too(component: &[u8], pair: &KeyPair) -> Vec<u8> {
        bytes(&pair.sk.sign_multi(module(component), None, false, true).unwrap().0)
    }

    fn code(component: &[u8], trusted: &[PublicKey]) -> String {
        check(component, trusted).map_or_else(|| "fine".to_owned(), |issue| issue.code)
    }

    #[test]
    fn what_the_tool_of_the_ecosystem_signs_is_let_in() {
        let (one, other) = (KeyPair::generate(), KeyPair::generate());
        let signed = sign(&component("a"), &one);
        assert_eq!(code(&signed, &[public(&one)]), "fine");
        assert_eq!(code(&signed, &[public(&other), public(&one)]), "fine");
        assert_eq!(code(&signed, &[public(&other)]), "signature_untrusted");
        assert_eq!(code(&component("a"), &[public(&one)]), "signature_missing");
        // And what is let in here the tool verifies too.
        one.pk.verify(&mut Cursor::new(&signed), None).unwrap();
        assert_eq!(key_id(&public(&one))[..], one.pk.attach_default_key_id().key_id().unwrap()[..]);
    }

    #[test]
    fn one_of_several_signatures_is_enough() {
        let pairs = [KeyPair::generate(), KeyPair::generate(), KeyPair::generate()];
        let signed = pairs[..2].iter().fold(component("a"), |signed, pair| sign_too(&signed, pair));
        for pair in &pairs[..2] {
            assert_eq!(code(&signed, &[public(pair)]), "fine");
        }
        assert_eq!(code(&signed, &[public(&pairs[2])]), "signature_untrusted");
    }

    #[test]
    fn a_signature_in_parts_counts_when_it_covers_all_of_them() {
        let pair = KeyPair::generate();
        let key = [public(&pair)];
        // A delimiter behind each custom section.
        let split = module(&component("a")).split(|section| matches!(section, wasmsign2::Section::Custom(_))).unwrap();
        let signed = sign_too(&bytes(&split), &pair);
        assert_eq!(code(&signed, &key), "fine");
        // Cut behind the first part, where the tool's own hash would fit.
        let mut cut = module(&signed);
        let first = cut.sections.iter().position(wasmsign2::Section::is_signature_delimiter).unwrap();
        assert!(first + 1 < cut.sections.len());
        cut.sections.truncate(first + 1);
        assert_eq!(code(&bytes(&cut), &key), "signature_invalid");
        // Something put behind all of it.
        let longer = [&signed[..], b"\x00\x02\x01x"].concat();
        let issue = check(&longer, &key).unwrap();
        assert!(issue.code == "signature_invalid" && issue.message.contains("only the beginning"), "{issue:?}");
    }

    #[test]
    fn what_was_changed_after_it_was_signed_is_refused() {
        let pair = KeyPair::generate();
        let key = [public(&pair)];
        let signed = sign(&component("a"), &pair);
        let (payload, rest) = split(&signed).unwrap();
        let starts = signed.len() - rest.len();
        for place in [starts, starts + 5, signed.len() - 1] {
            let mut changed = signed.clone();
            changed[place] ^= 1;
            assert_eq!(code(&changed, &key), "signature_invalid", "{place}");
        }
        for longer in [&b"\0"[..], b"\x00\x02\x01x"] {
            assert_eq!(code(&[&signed[..], longer].concat(), &key), "signature_invalid");
        }
        // The signature of another component.
        let other = sign(&component("b"), &pair);
        let (_, other_rest) = split(&other).unwrap();
        assert_eq!(code(&[&signed[..starts], other_rest].concat(), &key), "signature_invalid");
        // A signature that its key did not make.
        let mut forged = signed.clone();
        forged[starts - 1] ^= 1;
        assert_eq!(code(&forged, &key), "signature_invalid");
        // Not in front.
        let behind = [&signed[..8], rest, &signed[8..starts]].concat();
        assert_eq!(code(&behind, &key), "signature_missing");
        // Cut anywhere.
        for end in 8..starts {
            assert_ne!(code(&signed[..end], &key), "fine", "{end}");
        }
        // Its section cut anywhere, and whole as a section.
        for end in 0..payload.len() {
            let mut section = vec![9];
            section.extend(b"signature");
            section.extend(&payload[..end]);
            let mut cut = signed[..8].to_vec();
            cut.push(0);
            cut.extend([(section.len() & 0x7f) as u8 | 0x80, (section.len() >> 7) as u8]);
            cut.extend(section);
            cut.extend(rest);
            assert_eq!(code(&cut, &key), "signature_invalid", "{end}");
        }
    }

    #[test]
    fn bytes_that_ask_for_everything_get_nothing() {
        let key = [public(&KeyPair::generate())];
        let endless = [0xff, 0xff, 0xff, 0xff, 0x0f];
        for payload in [
            [&FORM[..], &endless].concat(),
            [&FORM[..], &[1], &endless].concat(),
            [&FORM[..], &[1, 6], &endless, &[0]].concat(),
            [&FORM[..], &[1, 6, 0], &endless].concat(),
            vec![2, 1, 1, 0],
            vec![1, 2, 1, 0],
            vec![1, 1, 2, 0],
            vec![1, 1, 1, 0, 0],
        ] {
            let mut bytes = component("a")[..8].to_vec();
            bytes.extend([0, payload.len() as u8 + 10, 9]);
            bytes.extend(b"signature");
            bytes.extend(payload);
            assert_eq!(code(&bytes, &key), "signature_invalid", "{bytes:?}");
        }
        for bytes in [&b""[..], b"\0asm", b"\0asm\x0d\0\x01\0", b"hello, world"] {
            assert_eq!(code(bytes, &key), "signature_missing");
        }
    }
}
