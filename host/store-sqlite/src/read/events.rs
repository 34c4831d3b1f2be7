//! Statements over the log.

use super::{Statement, query};
use crate::{
    codes::{EventTypes, FREQUENT_MAX},
    row::EVENT,
};
use action_domain::{
    event::{EventType, Position},
    id::ExecutionId,
    repositories::{EventFilter, Page},
};

/// The last event of an execution says how it ended; all others are looked for from the first.
pub(super) fn of(execution: ExecutionId, r#type: EventType, types: &EventTypes) -> Statement {
    query(of_text(r#type)).bind_id(execution.uuid()).bind(types.code(r#type))
}

pub(crate) fn of_text(r#type: EventType) -> String {
    let order = if r#type == EventType::ActionExecuted { "DESC" } else { "ASC" };
    format!(
        "SELECT {EVENT} FROM events INDEXED BY events_by_execution \
         WHERE execution = ? AND type = ? ORDER BY position {order} LIMIT 1"
    )
}

pub(crate) const SENT: &str = "SELECT EXISTS (SELECT 1 FROM events INDEXED BY events_by_execution \
     WHERE execution = ? AND type = ? AND attempt = ?)";

/// The end of the log. What retention removes is never the last event: behind it stands what says so.
pub(crate) const LAST_POSITION: &str = "SELECT coalesce(max(position), 0) FROM events";

pub(super) fn page(filter: &EventFilter, page: Page<Position>, types: &EventTypes) -> Statement {
    query(page_text(filter, types))
        .bind(page.after.unwrap_or(0))
        .bind(i64::from(page.limit))
        .bind_maybe_id(filter.execution.map(|id| id.uuid()))
        .bind_maybe_id(filter.action.map(|id| id.uuid()))
        .bind(filter.correlation_id.clone())
        .bind_maybe_id(filter.correlation_id.as_deref().and_then(own).map(|id| id.uuid()))
        .bind(filter.kind.clone())
}

/// By the index of the condition that lets the fewest pass. What an execution or a correlation
/// id leaves is little, and the other conditions are checked on it. Items have indexes by their kind.
/// Of an action and of the log there can be much: where only rare types are wanted, each gives a page
/// from its index, and the page is taken from those; frequent types are not far apart and are found
/// on the way.
pub(crate) fn page_text(filter: &EventFilter, types: &EventTypes) -> String {
    let select = format!("SELECT {EVENT} FROM events");
    let end = "position > ?1 ORDER BY position LIMIT ?2";
    let mut wanted: Vec<i64> = filter.types.iter().map(|r#type| types.code(*r#type)).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let all_rare = wanted.first().is_some_and(|code| *code > FREQUENT_MAX);
    let action = if filter.action.is_some() { "action = ?4 AND " } else { "" };
    let kind = if filter.kind.is_some() { "kind = ?7 AND " } else { "" };
    let types = if wanted.is_empty() { String::new() } else { format!("type IN ({}) AND ", list(&wanted)) };
    let correlation = match &filter.correlation_id {
        Some(id) if own(id).is_some() => "(correlation_id = ?5 OR correlation_id = '' AND execution = ?6) AND ",
        Some(_) => "correlation_id = ?5 AND ",
        None => "",
    };
    let by = |index: &str| format!("{select} INDEXED BY {index} WHERE {correlation}{action}{kind}{types}");
    if filter.execution.is_some() {
        by("events_by_execution") + "execution = ?3 AND " + end
    } else if let Some(id) = &filter.correlation_id {
        // The second condition is the index's own: so SQLite knows that it serves.
        let others = format!(
            "events_by_correlation WHERE correlation_id = ?5 AND correlation_id > '' AND {action}{kind}{types}{end}"
        );
        let own = own(id).map(|_| {
            format!("events_by_execution WHERE execution = ?6 AND correlation_id = '' AND {action}{kind}{types}{end}")
        });
        merged(&select, std::iter::once(others).chain(own))
    } else if filter.kind.is_some() {
        by(if filter.action.is_some() { "events_by_action_and_kind" } else { "events_by_kind" }) + end
    } else if all_rare {
        let index = if filter.action.is_some() { "events_by_action_and_type" } else { "events_by_type" };
        // The second condition on the type is the index's own: so SQLite knows that it serves.
        let arm = |code| format!("{index} WHERE {action}type = {code} AND type > {FREQUENT_MAX} AND {end}");
        merged(&select, wanted.iter().map(arm))
    } else if filter.action.is_some() {
        by("events_by_action") + end
    } else {
        format!("{select} WHERE {types}{end}")
    }
}

/// A page out of the pages that several indexes give.
fn merged(select: &str, arms: impl Iterator<Item = String>) -> String {
    let arms: Vec<String> =
        arms.map(|arm| format!("SELECT position FROM (SELECT position FROM events INDEXED BY {arm})")).collect();
    format!("{select} WHERE position IN ({}) ORDER BY position LIMIT ?2", arms.join(" UNION ALL "))
}

/// The execution whose own id this correlation id is.
fn own(correlation_id: &str) -> Option<ExecutionId> {
    correlation_id.parse().ok()
}

fn list(codes: &[i64]) -> String {
    codes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
