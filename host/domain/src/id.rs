//! Identifiers: TypeIDs over UUIDv7, so that every indexed key is ordered by time.
//!
//! They are made by [`crate::services::Random`], never here: ids are parameters.

use type_safe_id::{StaticType, TypeSafeId};

/// An id together with the prefix that tells people what it names.
pub type ActionId = TypeSafeId<Action>;
/// `exe_…`
pub type ExecutionId = TypeSafeId<Execution>;
/// `evt_…`
pub type EventId = TypeSafeId<Event>;
/// `tok_…`
pub type TokenId = TypeSafeId<Token>;

/// The prefix `act`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Action;
impl StaticType for Action {
    const TYPE: &'static str = "act";
}

/// The prefix `exe`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Execution;
impl StaticType for Execution {
    const TYPE: &'static str = "exe";
}

/// The prefix `evt`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Event;
impl StaticType for Event {
    const TYPE: &'static str = "evt";
}

/// The prefix `tok`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token;
impl StaticType for Token {
    const TYPE: &'static str = "tok";
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn the_text_form_is_a_typeid() {
        // From the TypeID specification's valid.json, with our prefix.
        let uuid: Uuid = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let id = ActionId::from_uuid(uuid);
        assert_eq!(id.to_string(), "act_01h455vb4pex5vsknk084sn02q");
        assert_eq!(id.to_string().parse::<ActionId>().unwrap(), id);
        assert!(id.to_string().parse::<ExecutionId>().is_err());
    }
}
