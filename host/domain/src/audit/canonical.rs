//! The one text of an event: what its leaf is the hash of.
//!
//! It is the event as the API shows it, without white space, its members in a fixed order, what
//! does not apply left out, the digest of a payload kept apart before the data, and the data last,
//! byte for byte as they are stored. Read from the left it can be taken apart in one way only,
//! whatever the data are, so two different events never have the same text.

use super::tree::{self, Hash};
use crate::{
    digest::Digest,
    event::{Context, EventType, ItemData, Position},
    id::EventId,
    time::Timestamp,
};
use serde::Serialize;

/// Before the text of an event in its leaf.
const EVENT_TAG: &[u8] = b"action-service/event/v1\n";
/// Before the number of a position at which there is no event in its leaf.
const ABSENT_TAG: &[u8] = b"action-service/absent/v1\n";

/// An event as it is stored, the data as text that nobody has looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedEvent {
    /// Its place in the log.
    pub position: Position,
    /// Its id.
    pub id: EventId,
    /// The word of its type.
    pub r#type: String,
    /// When it happened.
    pub time: Timestamp,
    /// To whom and what it belongs.
    pub context: Context,
    /// The payload that it refers to, where that is kept apart.
    pub payload: Option<Digest>,
    /// The fact.
    pub data: String,
    /// Of an item: what it is, as stores find it. It stands in the data too, so the text has it once.
    pub kind: Option<String>,
}

/// What is found at a place of the log.
#[derive(Debug, Clone, PartialEq)]
pub enum Logged {
    /// An event.
    Event(Box<LoggedEvent>),
    /// Something that no release of the service wrote: somebody else did.
    Damaged {
        /// Where.
        position: Position,
        /// What cannot be read.
        reason: String,
    },
}

impl Logged {
    /// Where it stands.
    pub fn position(&self) -> Position {
        match self {
            Self::Event(event) => event.position,
            Self::Damaged { position, .. } => *position,
        }
    }
}

/// The members before the data, in their order.
#[derive(Serialize)]
struct Members<'a> {
    position: Position,
    id: EventId,
    r#type: &'a str,
    time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<crate::id::ActionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution: Option<crate::id::ExecutionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causation_id: Option<EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Digest>,
}

impl LoggedEvent {
    /// Its canonical text.
    pub fn canonical(&self) -> String {
        self.canonical_at(self.position)
    }

    /// The text that it would have at another place.
    fn canonical_at(&self, position: Position) -> String {
        let context = &self.context;
        let members = Members {
            position,
            id: self.id,
            r#type: &self.r#type,
            time: self.time,
            action: context.action,
            revision: context.revision,
            execution: context.execution,
            correlation_id: context.correlation_id.as_deref(),
            causation_id: context.causation_id,
            attempt: context.attempt,
            payload: self.payload,
        };
        // Plain members with text for keys: they always have a JSON form.
        let mut text = serde_json::to_string(&members).unwrap_or_default();
        text.pop();
        text.reserve(self.data.len() + 10);
        text.push_str(",\"data\":");
        text.push_str(&self.data);
        text.push('}');
        text
    }

    /// What it should be found by, from its data.
    pub(super) fn kind_by_data(&self) -> Option<String> {
        let is_item = self.r#type == EventType::ItemCaptured.as_str();
        let item: Option<ItemData> = is_item.then(|| serde_json::from_str(&self.data).ok()).flatten();
        item.map(|item| item.kind)
    }

    /// Its leaf.
    pub fn leaf(&self) -> Hash {
        leaf_of(&self.canonical())
    }

    /// The leaf that it would have at another place.
    pub(super) fn leaf_at(&self, position: Position) -> Hash {
        leaf_of(&self.canonical_at(position))
    }
}

/// The leaf of an event with this canonical text.
pub(super) fn leaf_of(canonical: &str) -> Hash {
    tree::leaf(&[EVENT_TAG, canonical.as_bytes()].concat())
}

/// The leaf of a position at which there was no event when it was sealed.
pub fn absent_leaf(position: Position) -> Hash {
    tree::leaf(&[ABSENT_TAG, position.to_string().as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ActionId, ExecutionId};
    use proptest::prelude::*;
    use uuid::Uuid;

    fn sample() -> LoggedEvent {
        let id = |number: u128| Uuid::from_u128(0x0189_0a5d_ac96_774b_bcce_b302_099a_8057 + number);
        LoggedEvent {
            position: 4711,
            id: EventId::from_uuid(id(0)),
            r#type: "action_executed".to_owned(),
            time: "2026-11-23T05:08:00.123456Z".parse().unwrap(),
            context: Context {
                action: Some(ActionId::from_uuid(id(1))),
                revision: Some(3),
                execution: Some(ExecutionId::from_uuid(id(2))),
                correlation_id: Some("a \"key\"\n\u{1}ü".into()),
                causation_id: Some(EventId::from_uuid(id(3))),
                attempt: Some(1),
            },
            payload: Some(Digest::of(b"")),
            data: r#"{ "success":true}"#.to_owned(),
            kind: None,
        }
    }

    /// Written out: this text is signed, and never changes.
    #[test]
    fn the_text_is_as_documented() {
        assert_eq!(
            sample().canonical(),
            concat!(
                r#"{"position":4711,"id":"evt_01h455vb4pex5vsknk084sn02q","type":"action_executed","#,
                r#""time":"2026-11-23T05:08:00.123456Z","action":"act_01h455vb4pex5vsknk084sn02r","revision":3,"#,
                r#""execution":"exe_01h455vb4pex5vsknk084sn02s","correlation_id":"a \"key\"\n\u0001ü","#,
                r#""causation_id":"evt_01h455vb4pex5vsknk084sn02t","attempt":1,"#,
                r#""payload":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","#,
                r#""data":{ "success":true}}"#
            )
        );
        let bare = LoggedEvent { context: Context::default(), payload: None, ..sample() };
        assert_eq!(
            bare.canonical(),
            concat!(
                r#"{"position":4711,"id":"evt_01h455vb4pex5vsknk084sn02q","type":"action_executed","#,
                r#""time":"2026-11-23T05:08:00.123456Z","data":{ "success":true}}"#
            )
        );
    }

    /// Takes a text apart as the documentation says: members from the left, the data are the rest.
    fn members(text: &str) -> (serde_json::Value, &str) {
        let mut depth = (false, false);
        let start = (0..text.len()).find(|at| {
            let quoted = depth.0;
            match (text.as_bytes()[*at], depth) {
                (_, (true, true)) => depth.1 = false,
                (b'\\', (true, false)) => depth.1 = true,
                (b'"', _) => depth.0 = !depth.0,
                _ => {}
            }
            !quoted && text[*at..].starts_with(",\"data\":")
        });
        let start = start.unwrap();
        let before = serde_json::from_str(&format!("{}}}", &text[..start])).unwrap();
        (before, &text[start + 8..text.len() - 1])
    }

    proptest! {
        /// Whatever stands in the texts and the data: the parts come back, so no two events share a text.
        #[test]
        fn a_text_can_be_taken_apart_in_one_way(
            correlation in "\\PC{0,12}|.*,\"data\":.*|[\"\\\\]{0,6}", data in ".{0,40}|\\{\\}\\}.*|.*,\"data\":.*",
            word in "[a-z\",{}:\\\\]{1,12}", attempt in prop::option::of(0_u32..3),
        ) {
            let mut event = sample();
            event.context.correlation_id = Some(correlation.as_str().into());
            event.context.attempt = attempt;
            event.r#type.clone_from(&word);
            event.data.clone_from(&data);
            let text = event.canonical();
            let (before, rest) = members(&text);
            prop_assert_eq!(rest, data);
            prop_assert_eq!(&before["type"], &word);
            prop_assert_eq!(&before["correlation_id"], &correlation);
            prop_assert_eq!(before.get("attempt").and_then(serde_json::Value::as_u64), attempt.map(u64::from));
        }
    }

    #[test]
    fn leaves_differ_by_place_and_by_kind() {
        let event = sample();
        assert_eq!(event.leaf_at(4711), event.leaf());
        assert_ne!(event.leaf_at(4712), event.leaf());
        assert_ne!(absent_leaf(4711), absent_leaf(4712));
    }
}
