//! Statements over the log.

use super::{Statement, query};
use crate::{
    codes::EventTypes,
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
/// id leaves is little, and the other conditions are checked on it. Of an action and of types
/// there can be much: each type gives a page from its index, and the page is taken from those.
pub(crate) fn page_text(filter: &EventFilter, types: &EventTypes) -> String {
    let select = format!("SELECT {EVENT} FROM events");
    let end = "position > ?1 ORDER BY position LIMIT ?2";
    let mut wanted: Vec<i64> = filter.types.iter().map(|r#type| types.code(*r#type)).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut rest = String::new();
    if filter.action.is_some() {
        rest.push_str("action = ?4 AND ");
    }
    if !wanted.is_empty() {
        rest.push_str(&format!("type IN ({}) AND ", list(&wanted)));
    }
    match (filter.execution.is_some(), filter.correlation_id.is_some(), filter.action.is_some()) {
        (true, correlation, _) => {
            let correlation = if correlation { "correlation_id = ?5 AND " } else { "" };
            format!("{select} INDEXED BY events_by_execution WHERE execution = ?3 AND {correlation}{rest}{end}")
        }
        (false, true, _) => {
            format!("{select} INDEXED BY events_by_correlation WHERE correlation_id = ?5 AND {rest}{end}")
        }
        (false, false, true) => {
            let wanted = if wanted.is_empty() { types.all().collect() } else { wanted };
            merged(&select, &wanted, |code| format!("events_by_action WHERE action = ?4 AND type = {code} AND {end}"))
        }
        (false, false, false) if wanted.is_empty() => format!("{select} WHERE {end}"),
        (false, false, false) => {
            merged(&select, &wanted, |code| format!("events_by_type WHERE type = {code} AND {end}"))
        }
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
