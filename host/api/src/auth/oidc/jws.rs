//! Signed JSON Web Tokens in their compact form (RFC 7515), and the keys that verify them.
//!
//! Three parts, strict base64url, three algorithms, and the signatures are ring's. The crates that
//! know JSON Web Tokens bring signing, shared secrets and an RSA that `deny.toml` refuses; what is
//! left of them without these is what stands here.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// What is taken. Shared secrets and `none` have no name here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub(super) enum Algorithm {
    RS256,
    ES256,
    EdDSA,
}

/// A token in its parts; nothing of it is believed yet.
pub(super) struct Jws<'a> {
    pub(super) kid: String,
    pub(super) algorithm: Algorithm,
    message: &'a [u8],
    claims: Vec<u8>,
    signature: Vec<u8>,
}

/// The members of a head that count. A key or a place of keys that comes with a token (`jwk`, `jku`,
/// `x5c`) does not.
#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: Option<String>,
    /// Extensions that have to be understood: none is.
    crit: Option<Value>,
}

impl<'a> Jws<'a> {
    /// Takes a token apart.
    pub(super) fn parse(token: &'a str) -> Result<Self, &'static str> {
        let (message, signature) = token.rsplit_once('.').ok_or("it has no signature")?;
        let (head, claims) = message.split_once('.').ok_or("it has no claims")?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| "a part is not base64url");
        let Head { alg, kid, crit } = serde_json::from_slice(&decode(head)?).map_err(|_| "its head makes no sense")?;
        if crit.is_some() {
            return Err("it says that something else counts too (crit)");
        }
        let algorithm = match alg.as_str() {
            "RS256" => Algorithm::RS256,
            "ES256" => Algorithm::ES256,
            "EdDSA" => Algorithm::EdDSA,
            _ => return Err("an algorithm that is not taken"),
        };
        let kid = kid.ok_or("it does not say with which key (kid)")?;
        Ok(Self { kid, algorithm, message: message.as_bytes(), claims: decode(claims)?, signature: decode(signature)? })
    }

    /// What it says, if this key signed it.
    pub(super) fn claims<C: DeserializeOwned>(&self, key: &Key) -> Result<C, &'static str> {
        if key.algorithm() != self.algorithm {
            return Err("an algorithm that is not the key's");
        }
        if !key.has_signed(self.message, &self.signature) {
            return Err("a signature that is not right");
        }
        serde_json::from_slice(&self.claims).map_err(|_| "no claims that make sense")
    }
}

/// A public key, good for one algorithm.
pub(super) enum Key {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl Key {
    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa { .. } => Algorithm::RS256,
            Self::P256(_) => Algorithm::ES256,
            Self::Ed25519(_) => Algorithm::EdDSA,
        }
    }

    fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match self {
            Self::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            Self::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature),
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
        };
        verified.is_ok()
    }
}

/// A key as issuers publish it (RFC 7517, 7518, 8037).
#[derive(Deserialize)]
pub(super) struct Jwk {
    kty: String,
    pub(super) kid: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Jwk {
    /// The key, if it is for signatures of a kind that is taken. A shared secret (`oct`) has no
    /// business in a set that anybody can read.
    pub(super) fn key(&self) -> Option<Key> {
        let for_signatures = self.r#use.as_ref().is_none_or(|purpose| purpose == "sig");
        let verifies = self.key_ops.as_ref().is_none_or(|all| all.iter().any(|operation| operation == "verify"));
        let decode = |part: &Option<String>| URL_SAFE_NO_PAD.decode(part.as_ref()?).ok();
        let exactly = |part: &Option<String>, bytes: usize| decode(part).filter(|part| part.len() == bytes);
        let (key, word) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", None) => (Key::Rsa { n: decode(&self.n)?, e: decode(&self.e)? }, "RS256"),
            ("EC", Some("P-256")) => {
                // An uncompressed point (SEC 1).
                let point = [vec![4], exactly(&self.x, 32)?, exactly(&self.y, 32)?].concat();
                (Key::P256(point), "ES256")
            }
            ("OKP", Some("Ed25519")) => (Key::Ed25519(exactly(&self.x, 32)?), "EdDSA"),
            _ => return None,
        };
        let for_it = self.alg.as_ref().is_none_or(|named| named == word);
        (for_signatures && verifies && for_it).then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(jwk: Value) -> Key {
        serde_json::from_value::<Jwk>(jwk).unwrap().key().unwrap()
    }

    /// RFC 8037, appendices A.2 and A.4: its payload is no JSON, its signature is right.
    #[test]
    fn the_example_of_the_rfc_is_verified() {
        let key = key(json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}));
        let message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert!(key.has_signed(message.as_bytes(), &signature));
        assert!(!key.has_signed(&message.as_bytes()[1..], &signature));
        assert!(!key.has_signed(message.as_bytes(), &signature[1..]));
    }

    #[test]
    fn a_token_has_three_parts_and_a_head_that_is_understood() {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let token = |head: &str| format!("{}.{}.c2ln", part(head), part("{}"));
        assert!(Jws::parse(&token(r#"{"alg": "EdDSA", "kid": "k"}"#)).is_ok());
        for head in [
            "",
            "[]",
            "{}",
            r#"{"alg": "none", "kid": "k"}"#,
            r#"{"alg": "None", "kid": "k"}"#,
            r#"{"alg": "HS256", "kid": "k"}"#,
            r#"{"alg": "ES384", "kid": "k"}"#,
            r#"{"alg": ["EdDSA"], "kid": "k"}"#,
            r#"{"alg": "EdDSA"}"#,
            r#"{"alg": "EdDSA", "kid": 1}"#,
            r#"{"alg": "EdDSA", "alg": "none", "kid": "k"}"#,
            r#"{"alg": "EdDSA", "kid": "k", "crit": []}"#,
        ] {
            assert!(Jws::parse(&token(head)).is_err(), "{head}");
        }
        let right = token(r#"{"alg": "EdDSA", "kid": "k"}"#);
        for broken in ["", ".", "..", "...", &format!("{right}.x"), &format!("{right}="), &right.replace("c2ln", "c2l")]
        {
            assert!(Jws::parse(broken).is_err(), "{broken}");
        }
    }
}
