//! Memory and tables of one instance: all of its memories together, and what it was refused.
//!
//! wasmtime's own limiter counts each memory alone, and a refusal shows only as the trap that
//! the component answers with. This one remembers that it said no, so that the trap can be named.

use action_domain::limits::TABLE_ELEMENTS_MAX;
use wasmtime::{Error, ResourceLimiter, Result};

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Linear memory, beyond this many bytes in all.
    Memory(usize),
    /// Table elements, beyond this many in all.
    Table(usize),
}

/// Counts one store's memory and table elements.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory_bytes_max: usize,
    memory_bytes: usize,
    table_elements: usize,
    refused: Option<Refused>,
}

impl Limiter {
    /// With so many bytes for all memories together.
    pub(crate) fn new(memory_bytes_max: usize) -> Self {
        Self { memory_bytes_max, memory_bytes: 0, table_elements: 0, refused: None }
    }

    /// The most memory that the instance had. Linear memory never shrinks, so it is what it has.
    pub(crate) fn peak_memory_bytes(&self) -> u64 {
        self.memory_bytes as u64
    }

    /// The last thing that was refused.
    pub(crate) fn refused(&self) -> Option<Refused> {
        self.refused
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let wanted = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        if wanted > self.memory_bytes_max {
            self.refused = Some(Refused::Memory(self.memory_bytes_max));
            return Ok(false);
        }
        self.memory_bytes = wanted;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: Error) -> Result<()> {
        // Within the action's limit and over what the pool's slots hold.
        self.refused = Some(Refused::Memory(crate::engine::MEMORY_BYTES_MAX.min(self.memory_bytes_max)));
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let wanted = self.table_elements.saturating_add(desired.saturating_sub(current));
        if wanted > TABLE_ELEMENTS_MAX {
            self.refused = Some(Refused::Table(TABLE_ELEMENTS_MAX));
            return Ok(false);
        }
        self.table_elements = wanted;
        Ok(true)
    }

    fn instances(&self) -> usize {
        64
    }

    fn tables(&self) -> usize {
        64
    }

    fn memories(&self) -> usize {
        8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_count_together() {
        let mut limiter = Limiter::new(100);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(!limiter.memory_growing(0, 60, None).unwrap());
        assert_eq!(limiter.refused(), Some(Refused::Memory(100)));
        assert!(limiter.memory_growing(60, 100, None).unwrap());
        assert_eq!(limiter.peak_memory_bytes(), 100);
    }

    #[test]
    fn all_tables_count_together() {
        let mut limiter = Limiter::new(0);
        assert!(limiter.table_growing(0, TABLE_ELEMENTS_MAX, None).unwrap());
        assert!(!limiter.table_growing(0, 1, None).unwrap());
        assert_eq!(limiter.refused(), Some(Refused::Table(TABLE_ELEMENTS_MAX)));
    }

    #[test]
    fn absurd_sizes_do_not_overflow() {
        let mut limiter = Limiter::new(usize::MAX - 1);
        assert!(limiter.memory_growing(0, 1, None).unwrap());
        assert!(!limiter.memory_growing(0, usize::MAX, None).unwrap());
        assert!(!limiter.table_growing(0, usize::MAX, None).unwrap());
    }
}
