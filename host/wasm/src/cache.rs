//! Compiled code on disk: a cache of the node's own, which costs only time when it is lost.
//!
//! Whoever can put machine code here runs it, so each file carries a seal: an HMAC over the
//! component's digest, the engine's compatibility hash and the code, made with a key that is
//! kept outside of the folder. A file is read into memory, verified there, and loaded from
//! there, never mapped: what is changed on disk after the check changes nothing. A file that
//! does not verify is ignored, replaced, and reported in the log.
//!
//! The folder has a bound in bytes. A file's time of change is when its code was used last,
//! as far as the disk knows; the oldest goes first, and none that is in use.

use crate::native::Trusted;
use action_domain::digest::Digest;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::{
    fs,
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
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
    bytes_max: u64,
    /// Held while a file is added, so that two of them do not take the same room.
    adding: Mutex<()>,
}

/// A file of the folder.
struct Entry {
    digest: Digest,
    bytes: u64,
    used: SystemTime,
}

impl Cache {
    /// Opens the folder and reads the key, and makes them where they do not exist. What
    /// other releases left there is removed, and what is over the bound.
    pub(crate) fn open(folder: &Path, key_file: &Path, compatibility: String, bytes_max: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        let key = node_key(key_file)?;
        let cache = Self { folder: folder.to_owned(), key, compatibility, bytes_max, adding: Mutex::default() };
        cache.remove_strangers();
        cache.make_room(0, |_| false);
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
            self.touch(digest);
            return Some(Trusted::verified(file, SEAL_BYTES));
        }
        tracing::warn!(%digest, path = %path.display(), "compiled code was changed by somebody else; compiling anew");
        None
    }

    /// Keeps the compiled form of a component, if there is room for it beside what is in use.
    /// A crash leaves either nothing or all of it.
    pub(crate) fn store(&self, digest: &Digest, code: &[u8], in_use: impl Fn(&Digest) -> bool) -> io::Result<()> {
        let seal = self.seal(digest).chain_update(code).finalize().into_bytes();
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        // Whatever is there under its name will be replaced.
        self.remove(digest)?;
        if !self.make_room((seal.len() + code.len()) as u64, in_use) {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the folder is full of code that is in use"));
        }
        write_whole(&self.path(digest), &[&seal, code])
    }

    /// Removes the compiled form of a component, if it is there.
    pub(crate) fn remove(&self, digest: &Digest) -> io::Result<()> {
        match fs::remove_file(self.path(digest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The code was used until now.
    #[expect(clippy::disallowed_methods, reason = "compared with times that the file system gives")]
    pub(crate) fn touch(&self, digest: &Digest) {
        // Without it this code goes sooner than it should, and is compiled again.
        let file = fs::OpenOptions::new().write(true).open(self.path(digest));
        let _ = file.and_then(|file| file.set_modified(SystemTime::now()));
    }

    /// Removes what was used least lately, until this many bytes more are within the bound.
    /// `false`: what is in use leaves no room for them.
    fn make_room(&self, bytes: u64, in_use: impl Fn(&Digest) -> bool) -> bool {
        let mut entries = self.entries();
        let mut total = entries.iter().fold(bytes, |sum, entry| sum.saturating_add(entry.bytes));
        if total <= self.bytes_max {
            return true;
        }
        entries.sort_by_key(|entry| entry.used);
        entries.retain(|entry| !in_use(&entry.digest));
        let removable = entries.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.bytes));
        if total.saturating_sub(removable) > self.bytes_max {
            return false;
        }
        for Entry { digest, bytes, .. } in entries {
            if total <= self.bytes_max {
                break;
            }
            match self.remove(&digest) {
                Ok(()) => total -= bytes,
                Err(error) => tracing::warn!(%digest, %error, "compiled code could not be removed"),
            }
        }
        total <= self.bytes_max
    }

    /// The files of this engine.
    fn entries(&self) -> Vec<Entry> {
        let own = format!("-{}.cwasm", self.compatibility);
        let entry = |file: fs::DirEntry| {
            let digest = format!("sha256:{}", file.file_name().to_str()?.strip_suffix(&own)?).parse().ok()?;
            let metadata = file.metadata().ok()?;
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            Some(Entry { digest, bytes: metadata.len(), used })
        };
        fs::read_dir(&self.folder).into_iter().flatten().flatten().filter_map(entry).collect()
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
        bounded(data, compatibility, u64::MAX)
    }

    fn bounded(data: &Path, compatibility: &str, bytes_max: u64) -> Cache {
        Cache::open(&data.join("cache"), &data.join("cache-key"), compatibility.into(), bytes_max).unwrap()
    }

    fn nothing(_: &Digest) -> bool {
        false
    }

    /// As if it was used this many seconds after the epoch.
    fn used_at(cache: &Cache, digest: &Digest, second: u64) {
        let file = fs::OpenOptions::new().write(true).open(cache.path(digest)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second)).unwrap();
    }

    fn there(cache: &Cache, digests: &[Digest]) -> Vec<bool> {
        digests.iter().map(|digest| cache.path(digest).exists()).collect()
    }

    fn bytes_in(cache: &Cache) -> u64 {
        fs::read_dir(&cache.folder).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum()
    }

    #[test]
    fn what_was_stored_comes_back() {
        let data = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"component");
        let cache = open(data.path(), "h1");
        assert!(cache.load(&digest).is_none());
        cache.store(&digest, b"code", nothing).unwrap();
        assert_eq!(open(data.path(), "h1").load(&digest).unwrap().bytes(), b"code");
        assert_eq!(fs::metadata(data.path().join("cache-key")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(data.path().join("cache")).unwrap().count(), 1);
    }

    #[test]
    fn whatever_is_changed_on_disk_is_ignored() {
        let data = tempfile::tempdir().unwrap();
        let cache = open(data.path(), "h1");
        let (digest, other) = (Digest::of(b"component"), Digest::of(b"other"));
        cache.store(&digest, b"code", nothing).unwrap();
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
        open(data.path(), "h1").store(&digest, b"code", nothing).unwrap();
        assert!(open(data.path(), "h2").load(&digest).is_none());
        assert_eq!(fs::read_dir(data.path().join("cache")).unwrap().count(), 0);
    }

    #[test]
    fn the_folder_is_bounded_and_what_was_used_least_lately_goes_unless_it_is_in_use() {
        let data = tempfile::tempdir().unwrap();
        let [a, b, c, d] = [b"a", b"b", b"c", b"d"].map(|name| Digest::of(name));
        let all = [a, b, c, d];
        // Each takes 100 bytes, and three have room.
        let code = [7; 100 - SEAL_BYTES];
        let cache = bounded(data.path(), "h1", 300);
        for (second, digest) in [a, b, c].iter().enumerate() {
            cache.store(digest, &code, nothing).unwrap();
            used_at(&cache, digest, second as u64);
        }
        assert_eq!(there(&cache, &all), [true, true, true, false]);
        // `a` was put there first, and is used now: `b` goes, and not `a`.
        assert!(cache.load(&a).is_some());
        cache.store(&d, &code, nothing).unwrap();
        assert_eq!(there(&cache, &all), [true, false, true, true]);
        // `c` would be the next, but is in use.
        used_at(&cache, &d, 10);
        cache.store(&b, &code, |digest| *digest == c).unwrap();
        assert_eq!(there(&cache, &all), [true, true, true, false]);
        // All are in use: what comes is not kept, and nothing goes.
        cache.store(&d, &code, |_| true).unwrap_err();
        assert_eq!(there(&cache, &all), [true, true, true, false]);
        // The same code again needs no room of another's.
        cache.store(&b, &code, |_| true).unwrap();
        assert_eq!((there(&cache, &all), bytes_in(&cache)), (vec![true, true, true, false], 300));
        // What is larger than all of the room costs nobody theirs.
        cache.store(&d, &[7; 301], nothing).unwrap_err();
        assert_eq!(bytes_in(&cache), 300);
        // A node that starts with less room makes it.
        used_at(&cache, &b, 20);
        used_at(&cache, &c, 30);
        assert_eq!(there(&bounded(data.path(), "h1", 150), &all), [true, false, false, false]);
    }

    #[test]
    fn what_is_removed_is_gone_and_may_be_gone_already() {
        let data = tempfile::tempdir().unwrap();
        let (digest, cache) = (Digest::of(b"component"), open(data.path(), "h1"));
        cache.remove(&digest).unwrap();
        cache.store(&digest, b"code", nothing).unwrap();
        cache.remove(&digest).unwrap();
        assert_eq!(bytes_in(&cache), 0);
    }

    #[test]
    fn a_damaged_key_is_said() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join("cache-key"), "short").unwrap();
        let (folder, key) = (data.path().join("cache"), data.path().join("cache-key"));
        let error = Cache::open(&folder, &key, "h".into(), u64::MAX).err().unwrap();
        assert!(error.to_string().contains("not a key"));
    }
}
