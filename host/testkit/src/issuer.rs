//! An OpenID Connect issuer: keys of each kind, the set that it publishes, and tokens that it
//! signs, right or not.

use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use ring::{
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use serde_json::{Value, json};
use sha2::Sha256;

/// An RSA key (PKCS #1) that signs nothing but tests' tokens: ring makes none.
const RSA_DER: &str = "\
    MIIEpAIBAAKCAQEA7y/Uz5aAxZXBP/XG7JOeG4p7Lh0CcOuYRUvFeypJae6MwmYYhYjR4NLNOxoOt0fZ/XAWhc23HIMsHMAj/2cB5/hbLwzS50\
    pcOouR+BZRju/1DV93E6OLdvL1uC9HNlSxpl4mM1LQXQYvPIUsd9fiD5sECbYl4T//AisM0LSStEubrZB7bGN+i84A2JoSj5Iad8uYTveMkJVl\
    YG3+BXOBGuQF5X4kkcdc+6asAPbr5aowW/Ky3kNkeswypCaqBvDW3kCfmJvOtVlGzrtnVKDP4x5tUmGxiDb/a0wFyweLVB2Fxdfn47Saq5WaJq\
    nBe1eul/I+4jdSwAIvq7hunGB8DQIDAQABAoIBACBlPbvr/37uEeGEJrAuLNuVaFT45YwTwhOd9/Opk43pxbN4DoQvjCBDjOZ0rgo8N2swaOyF\
    zfI/qz7YS0fb/2cYEomPLBWFfckJfvi3VSPjSNvJ0p/x+6wIVig0cb8LE5Cb7y1DtH2U89riPVacrRKTWqWnalQAI0gmOohzR0IXOcjTaHKHAB\
    wIf/KwEXc3MK9ugamuMHyLYtSNmGb8ee7o9Bluwq5wsAmS+C8Kn6l1wPlMypfxDF0L7RaP81VB0SGWVhYb0c8AFw77wGDbXhLLUv8eXXDye7Rh\
    xtp2bbDeJiRq60/EhibsYLGxsp3TJPwH5ggvbxirF+gNqsQymaUCgYEA+P3prl8GvlcDETwm62jJnI0QokrMiKkEFWF7fQ3Ceut84+VBuV9Duz\
    QZYyT/Gu5c7UhOaZS/RZgus/2RpGpMRcWe/OBkijsX8+lheMefG01rIS58AQalUWMqRJLz56YArmmKv+32OaFibf+JqN2bz1zgrFKh+paKy/pa\
    qTODQfcCgYEA9etE+ZWLgxnxktDBv8cyFxxPxseFLRs+idLFLVJ+yTHxsWykjLu6T1D3261xoP3p37p7iZI+WJo3c8rhwrIE5Ky0ml8teUBusr\
    29PUJEts0D2wr81RsK3AH+frcLdCu/Xj3wn6OId+q4KJWJIAq/x9X5wgLWNWzXrAzNwVtJ8RsCgYEAwYDzPqRzJTGSHK7WwFSrepLWvonK8toH\
    ZmZgBgvPfJ/Oa34b2eiDRtVydW6nI1LjvTRYXA1RqNBgW1lQ+qnxpLe0m2n4OMU8FD7nlWnt6NX9z8fEbzeu+tVKYAikrP6BwQoc3pQcqyUUzc\
    +uOCIhmMHhiYqef5THQUbLdnumInkCgYEAghCLDI5BmXdRQ1tR/gJ2xa5dqz6/exnbu71UOCJXmEXoFPTnGt/3LBgg33kejg19cq0IxbwpaWc3\
    SPDW8siAugl2A+eu/2BKrBKaUhoIib5o+aMYEgYZej87wP1C+5BfyJJt/6DYfsQP3rcoLWBCColrbWdesCb+8qpa8Jc9xl0CgYBWI97sPmJUa8\
    SB45a/oKkzFS7l55SZDG2Ac7X8FIp0QtLCh/feCFB++LWlA/w4d0ySR2WzW6KakkNeaZBgzc3pFSb1aMqqDU2hBvuot2KVJwd+WtWnIAbLIs7p\
    U5/US9n7NgZyI4aMQFGG64iPEfC+M+21wXDDcX+9wjfzS8RDbA==";

/// An issuer with a key of each kind: `rs`, `es` and `ed` are their ids.
pub struct Issuer {
    random: SystemRandom,
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

impl Default for Issuer {
    fn default() -> Self {
        Self::new()
    }
}

impl Issuer {
    /// With new keys, but for the RSA one.
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let ec = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let ed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        Self {
            rsa: RsaKeyPair::from_der(&STANDARD.decode(RSA_DER).unwrap()).unwrap(),
            ec: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, ec.as_ref(), &random).unwrap(),
            ed: Ed25519KeyPair::from_pkcs8(ed.as_ref()).unwrap(),
            random,
        }
    }

    /// The public keys, as a JSON Web Key Set.
    pub fn jwks(&self) -> Value {
        let rsa = PublicKeyComponents::<Vec<u8>>::from(self.rsa.public_key());
        let (x, y) = self.ec.public_key().as_ref()[1..].split_at(32);
        json!({"keys": [
            {"kty": "RSA", "kid": "rs", "use": "sig", "alg": "RS256", "n": encode(&rsa.n), "e": encode(&rsa.e)},
            {"kty": "EC", "kid": "es", "crv": "P-256", "x": encode(x), "y": encode(y)},
            {"kty": "OKP", "kid": "ed", "crv": "Ed25519", "x": encode(self.ed.public_key().as_ref())},
        ]})
    }

    /// A token that the key with this id signed, by the key's own algorithm.
    pub fn token(&self, kid: &str, claims: &Value) -> String {
        let alg = match kid {
            "rs" => "RS256",
            "es" => "ES256",
            _ => "EdDSA",
        };
        self.token_with(&json!({"alg": alg, "kid": kid, "typ": "JWT"}), kid, claims)
    }

    /// A token with any head, signed by the key with this id. `none` signs nothing, and `hmac` takes the
    /// public RSA key for a shared secret.
    pub fn token_with(&self, head: &Value, signer: &str, claims: &Value) -> String {
        let message = format!("{}.{}", encode(head.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let signature = self.sign(signer, message.as_bytes());
        format!("{message}.{}", encode(&signature))
    }

    fn sign(&self, signer: &str, message: &[u8]) -> Vec<u8> {
        match signer {
            "rs" => {
                let mut signature = vec![0; self.rsa.public().modulus_len()];
                self.rsa.sign(&RSA_PKCS1_SHA256, &self.random, message, &mut signature).unwrap();
                signature
            }
            "es" => self.ec.sign(&self.random, message).unwrap().as_ref().to_vec(),
            "ed" => self.ed.sign(message).as_ref().to_vec(),
            "hmac" => {
                let secret = PublicKeyComponents::<Vec<u8>>::from(self.rsa.public_key()).n;
                let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&secret).unwrap();
                mac.update(message);
                mac.finalize().into_bytes().to_vec()
            }
            _ => Vec::new(),
        }
    }
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
