//! What an execution captures from the outside: items, and where its reading stands.
//!
//! Both become durable together, with the outcome or at a checkpoint, or not at all.

use crate::payload::Payload;
use bytes::Bytes;
use std::{collections::BTreeMap, sync::Arc};

/// Most items that an attempt may hold back between two checkpoints.
pub const ITEMS_MAX: usize = 10_000;
/// Most bytes of items and values that an attempt may hold back between two checkpoints.
pub const CAPTURED_BYTES_MAX: usize = 32 << 20;
/// Longest key of an item or a value, in bytes.
pub const KEY_BYTES_MAX: usize = 512;
/// Longest kind of an item, in bytes.
pub const KIND_BYTES_MAX: usize = 63;
/// Most values that an action keeps.
pub const STATE_KEYS_MAX: usize = 256;
/// Most bytes of all values that an action keeps, with their keys.
pub const STATE_BYTES_MAX: usize = 1 << 20;

/// A piece of information from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Items with a key that the action captured before are dropped.
    pub key: Option<Arc<str>>,
    /// What it is, `snake_case`.
    pub kind: Arc<str>,
    /// The information.
    pub content: Payload,
}

/// What an action keeps between executions.
pub type Values = BTreeMap<String, Bytes>;

/// What an attempt captured since its last checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    /// In their order.
    pub items: Vec<Item>,
    /// Values that are set (`Some`) or deleted.
    pub values: BTreeMap<String, Option<Bytes>>,
    /// Bytes of the items, with their keys.
    item_bytes: usize,
}

/// Why something cannot be captured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TooMuch(pub String);

impl Captured {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.values.is_empty()
    }

    /// Bytes that it holds.
    fn bytes(&self) -> usize {
        let value = |(key, value): (&String, &Option<Bytes>)| key.len() + value.as_ref().map_or(0, Bytes::len);
        self.item_bytes + self.values.iter().map(value).sum::<usize>()
    }

    fn has_room_for(&self, bytes: usize) -> Result<(), TooMuch> {
        if self.bytes().saturating_add(bytes) > CAPTURED_BYTES_MAX {
            let message = format!("more than {CAPTURED_BYTES_MAX} bytes are held back; a checkpoint lets them go");
            return Err(TooMuch(message));
        }
        Ok(())
    }

    /// One more item.
    ///
    /// # Errors
    /// Where it breaks a bound, which the text names.
    pub fn emit(&mut self, item: Item) -> Result<(), TooMuch> {
        if self.items.len() >= ITEMS_MAX {
            return Err(TooMuch(format!("more than {ITEMS_MAX} items are held back; a checkpoint lets them go")));
        }
        if item.key.as_ref().is_some_and(|key| key.is_empty() || key.len() > KEY_BYTES_MAX) {
            return Err(TooMuch(format!("an item's key has 1 to {KEY_BYTES_MAX} bytes")));
        }
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if item.kind.is_empty() || item.kind.len() > KIND_BYTES_MAX || !item.kind.bytes().all(plain) {
            let message = format!("an item's kind is snake_case, 1 to {KIND_BYTES_MAX} bytes");
            return Err(TooMuch(message));
        }
        let bytes = item.content.data.len() + item.key.as_ref().map_or(0, |key| key.len());
        self.has_room_for(bytes)?;
        self.item_bytes += bytes;
        self.items.push(item);
        Ok(())
    }

    /// Sets or deletes a value. `kept`: what the action keeps, without what is in here.
    ///
    /// # Errors
    /// Where it breaks a bound, which the text names.
    pub fn set(&mut self, kept: &Values, key: String, value: Option<Bytes>) -> Result<(), TooMuch> {
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(TooMuch(format!("a key has 1 to {KEY_BYTES_MAX} bytes")));
        }
        self.has_room_for(value.as_ref().map_or(0, Bytes::len))?;
        if value.is_none() && !kept.contains_key(&key) {
            self.values.remove(&key);
            return Ok(());
        }
        let before = self.values.insert(key.clone(), value);
        let (keys, bytes) = self.size_of_values(kept);
        if keys > STATE_KEYS_MAX || bytes > STATE_BYTES_MAX {
            match before {
                Some(before) => self.values.insert(key, before),
                None => self.values.remove(&key),
            };
            let message = format!("an action keeps {STATE_KEYS_MAX} values and {STATE_BYTES_MAX} bytes at most");
            return Err(TooMuch(message));
        }
        Ok(())
    }

    /// A value as it would be.
    pub fn value<'a>(&'a self, kept: &'a Values, key: &str) -> Option<&'a Bytes> {
        match self.values.get(key) {
            Some(changed) => changed.as_ref(),
            None => kept.get(key),
        }
    }

    fn size_of_values(&self, kept: &Values) -> (usize, usize) {
        let changed = self.values.iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
        let unchanged = kept.iter().filter(|(key, _)| !self.values.contains_key(*key));
        changed.chain(unchanged).fold((0, 0), |(keys, bytes), (key, value)| (keys + 1, bytes + key.len() + value.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(key: &str, bytes: usize) -> Item {
        let content = Payload { content_type: "text/plain".into(), data: Bytes::from(vec![b'x'; bytes]) };
        Item { key: Some(key.into()), kind: "entry".into(), content }
    }

    #[test]
    fn what_is_held_back_is_bounded() {
        let mut captured = Captured::default();
        for _ in 0..ITEMS_MAX {
            captured.emit(item("k", 1)).unwrap();
        }
        assert!(captured.emit(item("k", 1)).unwrap_err().0.contains("checkpoint"));
        let mut captured = Captured::default();
        captured.emit(item("k", CAPTURED_BYTES_MAX - 2)).unwrap();
        assert!(captured.emit(item("k", 1)).is_err(), "keys count too");
        for kind in ["", "Entry", "a-b"] {
            let wrong = Item { kind: kind.into(), ..item("k", 1) };
            assert!(Captured::default().emit(wrong).is_err(), "{kind}");
        }
    }

    #[test]
    fn values_are_bounded_together_with_those_that_are_kept() {
        let kept: Values = (0..STATE_KEYS_MAX).map(|n| (n.to_string(), Bytes::from_static(b"v"))).collect();
        let mut captured = Captured::default();
        assert!(captured.set(&kept, "new".into(), Some(Bytes::new())).is_err());
        assert!(captured.is_empty(), "what was refused leaves nothing");
        captured.set(&kept, "0".into(), None).unwrap();
        captured.set(&kept, "new".into(), Some(Bytes::new())).unwrap();
        assert_eq!(captured.value(&kept, "0"), None);
        assert_eq!(captured.value(&kept, "1").map(|value| &value[..]), Some(&b"v"[..]));
        let large = Bytes::from(vec![0; STATE_BYTES_MAX]);
        assert!(captured.set(&Values::new(), "large".into(), Some(large)).is_err());
    }
}
