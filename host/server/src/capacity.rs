//! How many attempts at once this machine carries.
//!
//! Taking more than it carries ends in failures in the middle of other people's work; the
//! number is told at the start, and what is set above it is lowered.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Memory of an attempt in the middle of its work, by plan: a few MiB of linear memory, its
/// input, output and buffers. Some need far more, most far less.
const BYTES_PER_ATTEMPT: u64 = 16 << 20;
/// A parked attempt was measured to hold 4; twice that for components of several modules.
const MAPS_PER_ATTEMPT: u64 = 8;
/// Its caller's connection, and some to the outside.
const FILES_PER_ATTEMPT: u64 = 4;
/// The database, listeners, the runtime's own.
const FILES_RESERVED: u64 = 256;
/// Callers that wait cost a connection and some 50 KiB each, as measured; more than this
/// would only wait for each other.
const WAITERS_MAX: u64 = 4096;
/// Connections of a listener, however few files there are.
const CONNECTIONS_MIN: u64 = 128;

/// What the machine has for this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine {
    /// Bytes that can still be used.
    memory_bytes: u64,
    /// Memory maps of a process.
    maps: u64,
    /// Open files of this process.
    files: u64,
}

/// What this process takes on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capacity {
    /// Attempts that the machine carries.
    pub(crate) carries: u32,
    /// Attempts that are run at once.
    pub(crate) concurrency: u32,
    /// Callers that may wait at once.
    pub(crate) waiters: u32,
    /// Connections that each listener takes at once.
    pub(crate) connections: usize,
}

impl Machine {
    /// Looks at this machine, after it has raised the limit on open files as far as it may.
    pub(crate) fn look() -> Self {
        let cgroup = room_in_cgroup().unwrap_or(u64::MAX);
        let free = available_memory().unwrap_or(u64::MAX);
        let maps = read_number("/proc/sys/vm/max_map_count").unwrap_or(65_530);
        Self { memory_bytes: free.min(cgroup), maps, files: raise_open_files() }
    }

    /// What to take on, given the attempts at once that are wished for.
    pub(crate) fn capacity(self, wished: u32) -> Capacity {
        // Half of memory and maps is for the rest: caches, compiled code, the database.
        let by_memory = self.memory_bytes / 2 / BYTES_PER_ATTEMPT;
        let by_maps = self.maps / 2 / MAPS_PER_ATTEMPT;
        let by_files = self.files.saturating_sub(FILES_RESERVED) / FILES_PER_ATTEMPT;
        let carries = u32::try_from(by_memory.min(by_maps).min(by_files).max(1)).unwrap_or(u32::MAX);
        let concurrency = wished.min(carries);
        let waiters = by_files.min(WAITERS_MAX).max(u64::from(concurrency));
        // Those who wait, and room for those who only look.
        let connections = by_files.clamp(CONNECTIONS_MIN, WAITERS_MAX + CONNECTIONS_MIN);
        Capacity {
            carries,
            concurrency,
            waiters: u32::try_from(waiters).unwrap_or(u32::MAX),
            connections: usize::try_from(connections).unwrap_or(usize::MAX),
        }
    }
}

fn read_number(path: &str) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

/// What the container's limit leaves; `None` without one. Inside a container its own group is
/// the root of what can be seen.
fn room_in_cgroup() -> Option<u64> {
    let limit = read_number("/sys/fs/cgroup/memory.max")?;
    Some(limit.saturating_sub(read_number("/sys/fs/cgroup/memory.current").unwrap_or(0)))
}

/// Raises the soft limit to the hard one; the soft one is kept low for programs that use
/// `select`, which this is not.
fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Where it is refused, the old one goes on holding.
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: Machine = Machine { memory_bytes: 64 << 30, maps: 1 << 20, files: 1 << 20 };

    #[test]
    fn the_scarcest_thing_decides() {
        let carries = |machine: Machine| machine.capacity(64).carries;
        assert_eq!(carries(Machine { memory_bytes: 4 << 30, ..LARGE }), 128);
        assert_eq!(carries(Machine { maps: 65_530, ..LARGE }), 2_048);
        assert_eq!(carries(Machine { files: 1_024, ..LARGE }), 192);
        assert_eq!(carries(Machine { files: 0, ..LARGE }), 1, "it always tries one");
    }

    #[test]
    fn a_wish_is_lowered_and_never_raised() {
        let small = Machine { memory_bytes: 1 << 30, ..LARGE };
        assert_eq!(small.capacity(64).concurrency, 32);
        assert_eq!(LARGE.capacity(64).concurrency, 64);
        assert!(LARGE.capacity(64).waiters >= 64);
    }

    #[test]
    fn this_machine_carries_something() {
        assert!(Machine::look().capacity(64).carries >= 1);
    }
}
