//! SCRAM-SHA-256 (RFC 5802, RFC 7677): proves that the password is known, and lets the server prove the same.
//!
//! A password that is a secret is not seen: the service computes the HMACs that are keyed with it, some
//! thousand of them. What comes out is good for this server and this salt only.

use std::hash::{BuildHasher, Hasher};

use action_protocol::Failure;
use action_protocol::secrets::{KeyEncoding, Secret};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Servers ask for 4096. One that asks for very many keeps us busy.
const ITERATIONS_MAX: u32 = 100_000;

/// Without channel binding: the service does TLS, and the protocol does not see its certificate.
const NO_BINDING: &str = "n,,";

/// What computes the HMAC that is keyed with the password.
pub trait Password {
    /// The HMAC-SHA-256 of a message.
    fn hmac(&self, message: &[u8]) -> Result<Vec<u8>, Failure>;
}

impl Password for Secret {
    fn hmac(&self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        if self.is_handle() {
            return Ok(self.hmac_sha256(KeyEncoding::Raw, "", message)?);
        }
        hmac(self.as_bytes(), message)
    }
}

/// A conversation that has begun.
#[derive(Debug)]
pub struct Scram {
    nonce: String,
    first: String,
}

impl Scram {
    /// With a nonce that nobody can guess.
    pub fn new() -> Self {
        // Keys of a hash map come from the service's randomness: a new instance has new ones.
        let part = || std::hash::RandomState::new().build_hasher().finish().to_be_bytes();
        Self::with_nonce(&STANDARD.encode([part(), part(), part()].concat()))
    }

    /// With this nonce.
    pub fn with_nonce(nonce: &str) -> Self {
        // Postgres knows the user from the first message and ignores this one's.
        Self { nonce: nonce.to_owned(), first: format!("n=,r={nonce}") }
    }

    /// What is said first.
    pub fn first(&self) -> String {
        format!("{NO_BINDING}{}", self.first)
    }

    /// What is said to the server's challenge, and how it will prove itself.
    pub fn answer(&self, challenge: &str, password: &dyn Password) -> Result<(String, Vec<u8>), Failure> {
        let bad = |why: &str| Failure::bad_response(format!("SCRAM: {why}"));
        let field = |name: &str| challenge.split(',').find_map(|part| part.strip_prefix(name));
        let nonce = field("r=").ok_or_else(|| bad("the challenge has no nonce"))?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(bad("the challenge is not for us"));
        }
        let salt = field("s=").and_then(|salt| STANDARD.decode(salt).ok()).ok_or_else(|| bad("there is no salt"))?;
        let iterations = field("i=").and_then(|count| count.parse::<u32>().ok()).ok_or_else(|| bad("no iterations"))?;
        if !(1..=ITERATIONS_MAX).contains(&iterations) {
            return Err(bad(&format!("{iterations} iterations are asked for; at most {ITERATIONS_MAX} are done")));
        }
        let salted = salted(password, &salt, iterations)?;
        let client_key = hmac(&salted, b"Client Key")?;
        let last = format!("c={},r={nonce}", STANDARD.encode(NO_BINDING));
        let signed = format!("{},{challenge},{last}", self.first);
        let signature = hmac(&Sha256::digest(&client_key), signed.as_bytes())?;
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, signed)| key ^ signed).collect();
        let expected = hmac(&hmac(&salted, b"Server Key")?, signed.as_bytes())?;
        Ok((format!("{last},p={}", STANDARD.encode(proof)), expected))
    }
}

impl Default for Scram {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether the server's last word is the proof that is expected.
pub fn proves_itself(last: &str, expected: &[u8]) -> bool {
    let given = last.split(',').find_map(|part| part.strip_prefix("v=")).and_then(|proof| STANDARD.decode(proof).ok());
    given.is_some_and(|given| given == expected)
}

/// PBKDF2 of one block, whose every step is keyed with the password.
fn salted(password: &dyn Password, salt: &[u8], iterations: u32) -> Result<Vec<u8>, Failure> {
    let mut step = password.hmac(&[salt, &[0, 0, 0, 1]].concat())?;
    let mut sum = step.clone();
    for _ in 1..iterations {
        step = password.hmac(&step)?;
        sum.iter_mut().zip(&step).for_each(|(sum, step)| *sum ^= step);
    }
    Ok(sum)
}

fn hmac(key: &[u8], message: &[u8]) -> Result<Vec<u8>, Failure> {
    let mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| Failure::internal("no key of this length"))?;
    Ok(mac.chain_update(message).finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Plain(&'static str);

    impl Password for Plain {
        fn hmac(&self, message: &[u8]) -> Result<Vec<u8>, Failure> {
            hmac(self.0.as_bytes(), message)
        }
    }

    /// The exchange of RFC 7677, section 3; its user name is one that Postgres does not send.
    #[test]
    fn it_is_what_the_rfc_shows() {
        let mut scram = Scram::with_nonce("rOprNGfwEbeRWgbNEkqO");
        scram.first = "n=user,r=rOprNGfwEbeRWgbNEkqO".into();
        let challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (said, expected) = scram.answer(challenge, &Plain("pencil")).unwrap();
        assert!(said.ends_with(",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), "{said}");
        assert!(proves_itself("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", &expected));
        assert!(!proves_itself("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=", &expected));
        assert!(!proves_itself("e=other-error", &expected));
    }

    #[test]
    fn a_challenge_that_is_none_is_refused() {
        let scram = Scram::with_nonce("abc");
        for challenge in [
            "",
            "r=abc,s=AA==,i=1",
            "r=xyzabc,s=AA==,i=1",
            "r=abcd,i=1",
            "r=abcd,s=?,i=1",
            "r=abcd,s=AA==",
            "r=abcd,s=AA==,i=0",
        ] {
            assert!(scram.answer(challenge, &Plain("p")).is_err(), "{challenge}");
        }
        let busy = scram.answer("r=abcd,s=AA==,i=2000000000", &Plain("p")).unwrap_err();
        assert!(busy.message.contains("2000000000"), "{}", busy.message);
        assert_ne!(Scram::new().nonce, Scram::new().nonce);
    }
}
