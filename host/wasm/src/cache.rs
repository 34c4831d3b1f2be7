//! Compiled code on disk: a cache of the node's own, which costs only time when it is lost.
//!
//! Whoever can put machine code here runs it, so each file carries a seal: an HMAC over the
//! component's digest, the engine's compatibility hash and the code, made with a key that is
//! kept outside of the folder. A file is read into memory, verified there, and loaded from
//! there, never mapped: what is changed on disk after the check changes nothing. A file that
//! does not verify is ignored, replaced, and reported in the log.

use crate::native::Trusted;
use action_domain::digest::Digest;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::{
    fs,
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

const SEAL_BYTES: usize = 32;
const KEY_BYTES: usize = 32;

/// Compiled code is three to five times as large as a component.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// The folder of compiled code.
pub(crate) struct Cache {
    folder: PathBuf,
    key: [u8; KEY_BYTES],
    compatibility: String,
}

impl Cache {
    /// Opens the folder and reads the key, and makes them where they do not exist. What
    /// other releases left there is removed.
    pub(crate) fn open(folder: &Path, key_file: &Path, compatibility: String) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        let cache = Self { folder: folder.to_owned(), key: node_key(key_file)?, compatibility };
        cache.remove_strangers();
        Ok(cache)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{}-{}.cwasm", digest.hex(), self.compatibility))
    }

    fn seal(&self, digest: &Digest) -> Hmac<Sha256> {
        // The key has the length that HMAC wants, and HMAC takes any.
        #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("any length");
        mac.update(b"action-service compiled component 1\0");
        mac.update(digest.as_bytes());
        mac.update(self.compatibility.as_bytes());
        mac.update(b"\0");
        mac
    }

    /// The compiled form of a component, if it is there and this node made it.
    pub(crate) fn load(&self, digest: &Digest) -> Option<Trusted> {
        let path = self.path(digest);
        let file = match read(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(%digest, %error, "compiled code could not be read; compiling anew");
                return None;
            }
        };
        if let Some((seal, code)) = file.split_at_checked(SEAL_BYTES)
            && self.seal(digest).chain_update(code).verify_slice(seal).is_ok()
        {
            return Some(Trusted::verified(file, SEAL_BYTES));
        }
        tracing::warn!(%digest, path = %path.display(), "compiled code was changed by somebody else; compiling anew");
        None
    }

    /// Keeps the compiled form of a component. A crash leaves either nothing or all of it.
    pub(crate) fn store(&self, digest: &Digest, code: &[u8]) -> io::Result<()> {
        let seal = self.seal(digest).chain_update(code).finalize().into_bytes();
        write_whole(&self.path(digest), &[&seal, code])
    }

    /// Files of other engines, and those that a crash left half written.
    fn remove_strangers(&self) {
        let own = format!("-{}.cwasm", self.compatibility);
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let ours = Path::new(name).extension().is_some_and(|end| end == "cwasm" || end == "tmp");
            if ours && !name.ends_with(&own) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = fs::File::open(path)?;
    let bytes = file.metadata()?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "too large"));
    }
    let mut content = Vec::with_capacity(bytes as usize);
    file.take(FILE_BYTES_MAX).read_to_end(&mut content)?;
    Ok(content)
}

/// A name beside `path` that nobody else uses.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    Ok(path.with_extension(format!("{}.tmp", hex::encode(random))))
}

fn write_new(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_all()
}

fn write_whole(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let temporary = beside(path)?;
    let written = write_new(&temporary, parts).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written?;
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

/// The node's key; made at first start. Two processes that start at once agree on one,
/// because a link, unlike a rename, does not replace what is there.
fn node_key(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    if !path.exists() {
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        let temporary = beside(path)?;
        write_new(&temporary, &[&key])?;
        let linked = fs::hard_link(&temporary, path);
        let _ = fs::remove_file(&temporary);
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    let content = fs::read(path)?;
    content.try_into().map_err(|_| {
        let path = path.display();
        io::Error::new(io::ErrorKind::InvalidData, format!("{path} is not a key of {KEY_BYTES} bytes; delete it"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(data: &Path, compatibility: &str) -> Cache {
        Cache::open(&data.join("cache"), &data.join("cache-key"), compatibility.into()).unwrap()
    }

    #[test]
    fn what_was_stored_comes_back() {
        let data = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"component");
        let cache = open(data.path(), "h1");
        assert!(cache.load(&digest).is_none());
        cache.store(&digest, b"code").unwrap();
        assert_eq!(open(data.path(), "h1").load(&digest).unwrap().bytes(), b"code");
        assert_eq!(fs::metadata(data.path().join("cache-key")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(data.path().join("cache")).unwrap().count(), 1);
    }

    #[test]
    fn whatever_is_changed_on_disk_is_ignored() {
        let data = tempfile::tempdir().unwrap();
        let cache = open(data.path(), "h1");
        let (digest, other) = (Digest::of(b"component"), Digest::of(b"other"));
        cache.store(&digest, b"code").unwrap();
        let whole = fs::read(cache.path(&digest)).unwrap();
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            fs::write(cache.path(&digest), &changed).unwrap();
            assert!(cache.load(&digest).is_none(), "byte {place}");
        }
        for length in 0..whole.len() {
            fs::write(cache.path(&digest), &whole[..length]).unwrap();
            assert!(cache.load(&digest).is_none(), "length {length}");
        }
        // Another component's code, honestly made, under this one's name.
        fs::write(cache.path(&other), &whole).unwrap();
        assert!(cache.load(&other).is_none());
        // Made by a node with another key.
        fs::write(cache.path(&digest), &whole).unwrap();
        fs::write(data.path().join("cache-key"), [7; KEY_BYTES]).unwrap();
        assert!(open(data.path(), "h1").load(&digest).is_none());
    }

    #[test]
    fn another_engine_does_not_find_it_and_tidies_up() {
        let data = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"component");
        open(data.path(), "h1").store(&digest, b"code").unwrap();
        assert!(open(data.path(), "h2").load(&digest).is_none());
        assert_eq!(fs::read_dir(data.path().join("cache")).unwrap().count(), 0);
    }

    #[test]
    fn a_damaged_key_is_said() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join("cache-key"), "short").unwrap();
        let error = Cache::open(&data.path().join("cache"), &data.path().join("cache-key"), "h".into()).err().unwrap();
        assert!(error.to_string().contains("not a key"));
    }
}
