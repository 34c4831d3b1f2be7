//! Statements over the log.

use super::{Statement, query};
use crate::{
    codes::{EventTypes, FREQUENT_MAX},
    row::{EVENT, blob},
};
use action_domain::{
    event::{EventType, Position},
    id::ExecutionId,
    repositories::{EventFilter, Page},
};

/// The last event of an execution says how it ended; all others are looked for from the first.
pub(super) fn of(execution: ExecutionId, r#type: EventType, types: &EventTypes) -> Statement {
    query(of_text(r#type)).bind(blob(execution.uuid())).bind(types.code(r#type))
}

pub(crate) fn of_text(r#type: EventType) -> String {
    let order = if r#type == EventType::ActionExecuted { "DESC" } else { "ASC" };
    format!(
        "SELECT {EVENT} FROM events INDEXED BY events_by_execution \
         WHERE execution = ? AND type = ? ORDER BY position {order} LIMIT 1"
    )
}

pub(super) fn page(filter: &EventFilter, page: Page<Position>, types: &EventTypes) -> Statement {
    query(page_text(filter, types))
        .bind(page.after.unwrap_or(0))
        .bind(i64::from(page.limit))
        .bind(filter.execution.map(|id| blob(id.uuid())))
        .bind(filter.action.map(|id| blob(id.uuid())))
        .bind(filter.correlation_id.clone())
}

/// By the index of the condition that lets the fewest pass. What an execution or a correlation
/// id leaves is little, and the other conditions are checked on it. Of an action and of the log
/// there can be much: where only rare types are wanted, each gives a page from its index, and
/// the page is taken from those; frequent types are not far apart and are found on the way.
pub(crate) fn page_text(filter: &EventFilter, types: &EventTypes) -> String {
    let select = format!("SELECT {EVENT} FROM events");
    let end = "position > ?1 ORDER BY position LIMIT ?2";
    let mut wanted: Vec<i64> = filter.types.iter().map(|r#type| types.code(*r#type)).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let all_rare = wanted.first().is_some_and(|code| *code > FREQUENT_MAX);
    let action = if filter.action.is_some() { "action = ?4 AND " } else { "" };
    let types = if wanted.is_empty() { String::new() } else { format!("type IN ({}) AND ", list(&wanted)) };
    let correlation = if filter.correlation_id.is_some() { "correlation_id = ?5 AND " } else { "" };
    let by = |index: &str| format!("{select} INDEXED BY {index} WHERE {correlation}{action}{types}");
    if filter.execution.is_some() {
        by("events_by_execution") + "execution = ?3 AND " + end
    } else if filter.correlation_id.is_some() {
        by("events_by_correlation") + end
    } else if all_rare {
        let index = if filter.action.is_some() { "events_by_action_and_type" } else { "events_by_type" };
        merged(&select, &wanted, |code| {
            // The second condition on the type is the index's own: so SQLite knows that it serves.
            format!("{index} WHERE {action}type = {code} AND type > {FREQUENT_MAX} AND {end}")
        })
    } else if filter.action.is_some() {
        by("events_by_action") + end
    } else {
        format!("{select} WHERE {types}{end}")
    }
}

/// A page out of the pages of several types.
fn merged(select: &str, codes: &[i64], arm: impl Fn(i64) -> String) -> String {
    let arms: Vec<String> = codes
        .iter()
        .map(|code| format!("SELECT position FROM (SELECT position FROM events INDEXED BY {})", arm(*code)))
        .collect();
    format!("{select} WHERE position IN ({}) ORDER BY position LIMIT ?2", arms.join(" UNION ALL "))
}

fn list(codes: &[i64]) -> String {
    codes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
