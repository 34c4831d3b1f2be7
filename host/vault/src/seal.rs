//! The envelope: a value under a data key, and the data key under one of the operator's.

use crate::key::{self, Key};
use action_domain::{
    name::Name,
    secret::{Sealed, Secret, SecretValue},
    services::VaultError,
};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use zeroize::Zeroizing;

/// A nonce of this size may be random: it never comes twice.
const NONCE_BYTES: usize = 24;
const DATA_KEY_BYTES: usize = 32;

/// What is bound to a secret's name and version: neither can take the other's place.
#[derive(Clone, Copy)]
enum Part {
    DataKey,
    Value,
}

pub(crate) fn seal(key: &Key, name: &Name, version: u32, value: &[u8]) -> Result<Sealed, VaultError> {
    let mut data_key = Zeroizing::new([0; DATA_KEY_BYTES]);
    key::fill(&mut *data_key)?;
    let data = encrypt(&data_key, &bound(Part::Value, name, version), value)?;
    let wrapped = encrypt(key.bytes(), &bound(Part::DataKey, name, version), &*data_key)?;
    Ok(Sealed { key: key.id().clone(), wrapped, data })
}

pub(crate) fn open(key: &Key, secret: &Secret) -> Result<SecretValue, VaultError> {
    let data_key = data_key(key, secret)?;
    let bound = bound(Part::Value, &secret.name, secret.version);
    let value = Zeroizing::new(decrypt(&data_key, &bound, &secret.sealed.data)?);
    // Into a buffer without room behind its end: to cut one short may leave a copy behind.
    Ok(value.to_vec().into())
}

pub(crate) fn rewrap(from: &Key, to: &Key, secret: &Secret) -> Result<Sealed, VaultError> {
    let data_key = data_key(from, secret)?;
    let wrapped = encrypt(to.bytes(), &bound(Part::DataKey, &secret.name, secret.version), &*data_key)?;
    Ok(Sealed { key: to.id().clone(), wrapped, data: secret.sealed.data.clone() })
}

fn data_key(key: &Key, secret: &Secret) -> Result<Zeroizing<[u8; DATA_KEY_BYTES]>, VaultError> {
    let bound = bound(Part::DataKey, &secret.name, secret.version);
    let opened = Zeroizing::new(decrypt(key.bytes(), &bound, &secret.sealed.wrapped)?);
    let mut data_key = Zeroizing::new([0; DATA_KEY_BYTES]);
    if opened.len() != DATA_KEY_BYTES {
        return Err(VaultError::Damaged);
    }
    data_key.copy_from_slice(&opened);
    Ok(data_key)
}

fn bound(part: Part, name: &Name, version: u32) -> Vec<u8> {
    let part = match part {
        Part::DataKey => "data key",
        Part::Value => "value",
    };
    // Names have no line ends: each text means one thing.
    format!("action-service secret v1\n{part}\n{name}\n{version}").into_bytes()
}

/// A random nonce and what was encrypted with it.
fn encrypt(key: &[u8; DATA_KEY_BYTES], aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, VaultError> {
    let mut nonce = [0; NONCE_BYTES];
    key::fill(&mut nonce)?;
    let cipher = XChaCha20Poly1305::new(key.into());
    // It fails for gigabytes only.
    let sealed = cipher.encrypt(&XNonce::from(nonce), Payload { msg: plain, aad }).map_err(|_| VaultError::Damaged)?;
    Ok([&nonce[..], &sealed].concat())
}

fn decrypt(key: &[u8; DATA_KEY_BYTES], aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(VaultError::Damaged)?;
    let cipher = XChaCha20Poly1305::new(key.into());
    cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad }).map_err(|_| VaultError::Damaged)
}
