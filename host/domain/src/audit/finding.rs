//! What a verifier may find, with stable words.

use crate::{event::Position, id::EventId};
use serde::Serialize;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)*) => {
        /// What kind of thing is wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum FindingCode { $($(#[$doc])* $variant,)* }

        impl FindingCode {
            /// Every code, for documents and tests.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

codes! {
    /// An event is not as it was sealed.
    EventChanged = "event_changed",
    /// An event stood elsewhere when it was sealed.
    EventMoved = "event_moved",
    /// There is no event where one was, and no prune accounts for it.
    EventRemoved = "event_removed",
    /// There is an event where there was none.
    EventAdded = "event_added",
    /// A payload is not the bytes that its event names.
    PayloadChanged = "payload_changed",
    /// A payload that an event names is not there.
    PayloadRemoved = "payload_removed",
    /// What a prune recorded is not what is missing.
    PruneMismatch = "prune_mismatch",
    /// Nobody with a key of the chain signed that a prune removed events.
    PruneUnproven = "prune_unproven",
    /// A seal cannot be read, or its signature is not of it.
    SealChanged = "seal_changed",
    /// There is no seal where the chain has one.
    SealRemoved = "seal_removed",
    /// A seal does not continue the one before it.
    ChainBroken = "chain_broken",
    /// A seal's list of leaves does not give its root.
    LeavesChanged = "leaves_changed",
    /// A seal has a key that the one before it does not name.
    KeyChanged = "key_changed",
    /// The last seal is signed with a key that is not trusted.
    KeyUntrusted = "key_untrusted",
    /// A seal that somebody remembers is another one.
    AnchorDiffers = "anchor_differs",
    /// A seal that somebody remembers is not there: the end was cut off.
    AnchorMissing = "anchor_missing",
    /// There are events and no seal at all.
    NothingSealed = "nothing_sealed",
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind.
    pub code: FindingCode,
    /// The seal that tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seal: Option<u64>,
    /// The place in the log; the first where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// The last place, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_position: Option<Position>,
    /// The event that stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventId>,
    /// For people.
    pub message: String,
}

impl Finding {
    /// Something is wrong.
    pub(super) fn new(code: FindingCode, message: impl Into<String>) -> Self {
        Self { code, seal: None, position: None, last_position: None, event: None, message: message.into() }
    }

    pub(super) fn of_seal(mut self, sequence: Option<u64>) -> Self {
        self.seal = sequence;
        self
    }

    pub(super) fn at(mut self, position: Position) -> Self {
        self.position = Some(position);
        self
    }

    pub(super) fn over(mut self, first: Position, last: Position) -> Self {
        self.position = Some(first);
        self.last_position = (last != first).then_some(last);
        self
    }

    pub(super) fn of_event(mut self, event: EventId) -> Self {
        self.event = Some(event);
        self
    }

    /// A payload that is kept apart: what is wrong with it.
    pub fn of_payload(event: &super::LoggedEvent, found: Option<&crate::digest::Digest>) -> Option<Self> {
        let wanted = event.payload?;
        let (code, message) = match found {
            Some(found) if *found == wanted => return None,
            Some(found) => (FindingCode::PayloadChanged, format!("the payload {wanted} has other bytes ({found})")),
            None => (FindingCode::PayloadRemoved, format!("the payload {wanted} is not there")),
        };
        Some(Self::new(code, message).at(event.position).of_event(event.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_written_as_it_is_named() {
        for code in FindingCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
