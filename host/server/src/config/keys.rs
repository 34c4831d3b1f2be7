//! Keys: those that seal the log, and those of whoever signs components.

use super::{Given, Settings, names};
use crate::{data_dir, system};
use action_domain::audit::{
    PublicKey, SealKey,
    key::{InvalidKey, KEY_BYTES},
};
use anyhow::{Context as _, anyhow};
use std::{fs, io::ErrorKind, path::Path};

/// More are no trust any more, and each costs at every upload.
const TRUSTED_KEYS_MAX: usize = 64;
/// Who hands over knows the last few.
const SEAL_KEYS_MAX: usize = 8;

/// Seeds in base64, with commas or a line each.
pub(super) fn seal_keys(text: &str) -> Result<Vec<SealKey>, String> {
    let keys = items(text).map(|item| SealKey::from_text(item).ok_or("a seed is the base64 of 32 bytes"));
    let keys: Vec<SealKey> = keys.collect::<Result<_, _>>()?;
    if keys.is_empty() || keys.len() > SEAL_KEYS_MAX {
        return Err(format!("1 to {SEAL_KEYS_MAX} seeds are needed"));
    }
    Ok(keys)
}

/// Public keys in any form, with commas or a line each; PEM takes several lines.
pub(super) fn public_keys(text: &str) -> Result<Vec<PublicKey>, String> {
    let keys = parse_public_keys(text).map_err(|error| error.to_string())?;
    if keys.is_empty() || keys.len() > TRUSTED_KEYS_MAX {
        return Err(format!("1 to {TRUSTED_KEYS_MAX} public keys are needed"));
    }
    Ok(keys)
}

/// The same, whatever their number.
pub(crate) fn parse_public_keys(text: &str) -> Result<Vec<PublicKey>, InvalidKey> {
    const END: &str = "-----END PUBLIC KEY-----";
    let mut keys = Vec::new();
    let mut rest = text;
    while let Some((pem, behind)) = rest.split_once(END) {
        let begins = pem.find("-----BEGIN").ok_or(InvalidKey)?;
        for item in items(&pem[..begins]) {
            keys.push(item.parse()?);
        }
        keys.push(format!("{}{END}", &pem[begins..]).parse()?);
        rest = behind;
    }
    for item in items(rest) {
        keys.push(item.parse()?);
    }
    Ok(keys)
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', '\n']).map(str::trim).filter(|item| !item.is_empty() && !item.starts_with('#'))
}

/// What seals the log: as set, as found, or made now where no other process shares the database.
/// With a shared one that has no key nothing is sealed: each node would make its own.
///
/// # Errors
/// Where a file cannot be read or written, or holds no key.
pub(crate) fn audit_keys(settings: &Settings) -> anyhow::Result<Vec<SealKey>> {
    let file = own_file(settings);
    match known_audit_keys(settings)? {
        keys if !keys.is_empty() || settings.database.is_shared() => Ok(keys),
        _ => {
            let mut seed = [0; KEY_BYTES];
            system::fill(&mut seed);
            let key = SealKey::from_seed(&seed);
            let written = data_dir::write_for_owner(&file, &SealKey::text_of(&seed));
            seed.fill(0);
            written.with_context(|| format!("{} cannot be written", file.display()))?;
            Ok(vec![key])
        }
    }
}

/// The same, and none is made.
///
/// # Errors
/// Where a file cannot be read, or holds no key.
pub(crate) fn known_audit_keys(settings: &Settings) -> anyhow::Result<Vec<SealKey>> {
    let own = own_file(settings);
    let file = match &settings.audit_keys {
        Given::Value(keys) => return Ok(keys.clone()),
        Given::File(file) => file,
        Given::Nothing => match fs::exists(&own) {
            Ok(true) => &own,
            _ => return Ok(Vec::new()),
        },
    };
    let text = read(file, names::AUDIT_KEY_FILE)?;
    let text = String::from_utf8(text).map_err(|_| anyhow!("{}: not UTF-8", file.display()))?;
    seal_keys(&text).map_err(|problem| anyhow!("{}: {problem}", file.display()))
}

fn own_file(settings: &Settings) -> std::path::PathBuf {
    settings.data_dir.join("audit-key")
}

/// Whose components are let in; nobody in particular where none is set.
///
/// # Errors
/// Where the file cannot be read, or holds no key.
pub(crate) fn trusted_keys(settings: &Settings) -> anyhow::Result<Vec<PublicKey>> {
    let file = match &settings.trusted_keys {
        Given::Nothing => return Ok(Vec::new()),
        Given::Value(keys) => return Ok(keys.clone()),
        Given::File(file) => file,
    };
    let bytes = read(file, names::TRUSTED_KEYS_FILE)?;
    // As `wasmsign2 keygen` writes it.
    if let Some(key) = PublicKey::from_raw(&bytes) {
        return Ok(vec![key]);
    }
    let keys = String::from_utf8(bytes).map_err(|_| InvalidKey.to_string()).and_then(|text| public_keys(&text));
    keys.map_err(|problem| anyhow!("{} (from {}): {problem}", file.display(), names::TRUSTED_KEYS_FILE))
}

fn read(file: &Path, name: &str) -> anyhow::Result<Vec<u8>> {
    match fs::read(file) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(anyhow!("{} (from {name}) is not there", file.display()))
        }
        Err(error) => Err(error).with_context(|| format!("{} (from {name}) cannot be read", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;
    use std::os::unix::fs::MetadataExt as _;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let env = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Settings::from_sources(&Sources::collect(None, env).unwrap()).unwrap()
    }

    #[test]
    fn a_key_is_made_once_for_its_owner_alone_and_not_where_nodes_share() {
        let temp = tempfile::TempDir::new().unwrap();
        let folder = temp.path().to_str().unwrap();
        let own = settings(&[(names::DATA_DIR, folder)]);
        assert!(known_audit_keys(&own).unwrap().is_empty());
        let made = audit_keys(&own).unwrap();
        assert_eq!(audit_keys(&own).unwrap()[0].public(), made[0].public());
        assert_eq!(fs::metadata(temp.path().join("audit-key")).unwrap().mode() & 0o777, 0o600);
        let shared = [(names::DATA_DIR, "/nowhere"), (names::DATABASE_URL, "postgres://u@h/d")];
        assert!(audit_keys(&settings(&shared)).unwrap().is_empty());
        let seed = SealKey::text_of(&[1; 32]);
        let given = settings(&[shared[0], shared[1], (names::AUDIT_KEY, &seed)]);
        assert_eq!(audit_keys(&given).unwrap().len(), 1);
        fs::write(temp.path().join("audit-key"), "x").unwrap();
        assert!(audit_keys(&own).is_err());
        assert!(audit_keys(&settings(&[(names::AUDIT_KEY_FILE, "/nowhere/key")])).is_err());
    }

    #[test]
    fn keys_come_in_lists_of_any_form() {
        let keys: Vec<PublicKey> = (1..5).map(|number| SealKey::from_seed(&[number; 32]).public()).collect();
        let text = format!("# ours\n{}\n{}{}{}\n\n{}", keys[0], keys[1].to_pem(), keys[2].to_pem(), keys[3], "");
        assert_eq!(public_keys(&text).unwrap(), keys);
        assert_eq!(public_keys(&format!("{},{}", keys[0], keys[1])).unwrap(), keys[..2]);
        for wrong in ["", "# none", "x", "-----END PUBLIC KEY-----"] {
            assert!(public_keys(wrong).is_err(), "{wrong}");
        }
        assert!(public_keys(&format!("{}\n", keys[0]).repeat(65)).is_err());
        let temp = tempfile::TempDir::new().unwrap();
        let file = temp.path().join("public.key");
        fs::write(&file, [&[1][..], keys[0].as_bytes()].concat()).unwrap();
        let found = trusted_keys(&settings(&[(names::TRUSTED_KEYS_FILE, file.to_str().unwrap())])).unwrap();
        assert_eq!(found, keys[..1]);
    }
}
