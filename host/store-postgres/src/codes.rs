//! Words as the schema has them: statuses as small integers by their place.

use action_domain::execution::Status;

/// A status as it is stored: its place in [`Status::ALL`]. The schema's partial indexes name
/// these numbers.
pub(crate) const fn status_code(status: Status) -> i16 {
    match status {
        Status::Queued => 0,
        Status::Running => 1,
        Status::Waiting => 2,
        Status::InDoubt => 3,
        Status::Succeeded => 4,
        Status::Failed => 5,
        Status::Cancelled => 6,
        Status::Expired => 7,
    }
}

/// The status that is stored so.
pub(crate) fn status_of(code: i16) -> Option<Status> {
    Status::ALL.into_iter().find(|status| status_code(*status) == code)
}

/// The types that every execution has: two indexes of the schema leave them out.
pub(crate) const FREQUENT: [&str; 4] = ["trigger_received", "execution_queued", "attempt_started", "action_executed"];

#[cfg(test)]
mod tests {
    use super::*;
    use action_domain::event::EventType;

    #[test]
    fn codes_are_the_places_that_the_schema_names() {
        for (place, status) in Status::ALL.into_iter().enumerate() {
            assert_eq!(status_code(status), place as i16);
            assert_eq!(status_of(place as i16), Some(status));
        }
    }

    #[test]
    fn frequent_types_are_types() {
        assert!(FREQUENT.iter().all(|word| EventType::from_word(word).is_some()));
    }

    /// Words stand in statements as they are.
    #[test]
    fn no_word_of_a_type_has_to_be_quoted() {
        for r#type in EventType::ALL {
            assert!(r#type.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
        }
    }
}
