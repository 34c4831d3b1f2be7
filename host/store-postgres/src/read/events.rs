//! Statements over the log.

use super::{Statement, lead, list, only_checked};
use crate::{codes::FREQUENT, row::EVENT};
use action_domain::{
    event::{EventType, Position},
    id::ExecutionId,
    repositories::{EventFilter, Page},
};
use std::sync::LazyLock;

/// The last event of an execution says how it ended; all others are looked for from the first.
pub(crate) fn of(execution: ExecutionId, r#type: EventType) -> Statement {
    let text = if r#type == EventType::ActionExecuted { &LAST } else { &FIRST };
    sqlx::query(text.as_str()).bind(execution.uuid()).bind(r#type.as_str())
}

static FIRST: LazyLock<String> = LazyLock::new(|| of_text("ASC"));
static LAST: LazyLock<String> = LazyLock::new(|| of_text("DESC"));

fn of_text(order: &str) -> String {
    let (lead, mine) = (lead("execution", 1), only_checked("type = $2"));
    format!("SELECT {EVENT} FROM events WHERE {lead} AND {mine} ORDER BY execution {order}, position {order} LIMIT 1")
}

pub(crate) fn page(filter: &EventFilter, page: Page<Position>) -> Statement {
    list(page_text(filter))
        .bind(page.after.unwrap_or(0))
        .bind(i64::from(page.limit))
        .bind(filter.execution.map(|id| id.uuid()))
        .bind(filter.action.map(|id| id.uuid()))
        .bind(filter.correlation_id.as_ref().map(|text| text.clone().into_bytes()))
        .bind(filter.correlation_id.as_deref().and_then(own).map(|id| id.uuid()))
        .bind(filter.kind.as_ref().map(|text| text.clone().into_bytes()))
}

/// The execution whose own id this correlation id is.
fn own(correlation_id: &str) -> Option<ExecutionId> {
    correlation_id.parse().ok()
}

/// Whether an execution has an event of a type in one attempt.
pub(crate) fn sent(execution: ExecutionId, attempt: u32) -> Statement {
    sqlx::query(SENT.as_str()).bind(execution.uuid()).bind(EventType::AttemptSending.as_str()).bind(i64::from(attempt))
}

static SENT: LazyLock<String> = LazyLock::new(|| {
    let (lead, this) = (lead("execution", 1), only_checked("type = $2 AND attempt = $3"));
    format!("SELECT position FROM events WHERE {lead} AND {this} ORDER BY execution, position LIMIT 1")
});

/// By the index of the condition that lets the fewest pass. What an execution or a correlation
/// id leaves is little, and the other conditions are checked on it. Items have indexes by their kind.
/// Of an action and of the log there can be much: where only rare types are wanted, each gives a page
/// from its index, and the page is taken from those; frequent types are not far apart and are found
/// on the way.
fn page_text(filter: &EventFilter) -> String {
    let mut wanted: Vec<&str> = filter.types.iter().map(|r#type| r#type.as_str()).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let all_rare = !wanted.is_empty() && !wanted.iter().any(|word| FREQUENT.contains(word));
    if all_rare && filter.execution.is_none() && filter.correlation_id.is_none() && filter.kind.is_none() {
        // The words stand in the text: so Postgres knows that the partial index serves.
        let action = if filter.action.is_some() { lead("action", 4) + " AND " } else { String::new() };
        let arm = |word: &&str| {
            let is = format!("type = ANY (ARRAY['{word}'])");
            let (condition, order) = match filter.action {
                Some(_) => (format!("type = '{word}'"), "action"),
                None => (is, "type"),
            };
            format!(
                "(SELECT {EVENT} FROM events WHERE {action}{condition} AND position > $1 \
                 ORDER BY {order}, position LIMIT $2)"
            )
        };
        let arms: Vec<String> = wanted.iter().map(arm).collect();
        return match &arms[..] {
            [one] => one.clone(),
            _ => format!("{} ORDER BY position LIMIT $2", arms.join(" UNION ALL ")),
        };
    }
    let checked_types = || {
        let words = wanted.join("', '");
        (!wanted.is_empty()).then(|| only_checked(&format!("type IN ('{words}')")))
    };
    let by = |lead_by: Option<(&str, usize)>, others: Vec<String>| {
        let lead_condition = lead_by.map(|(column, number)| lead(column, number));
        let order = lead_by.map_or_else(|| "position".to_owned(), |(column, _)| format!("{column}, position"));
        let conditions: Vec<String> = lead_condition.into_iter().chain(others).chain(checked_types()).collect();
        let conditions = conditions.iter().fold(String::new(), |text, condition| text + condition + " AND ");
        format!("SELECT {EVENT} FROM events WHERE {conditions}position > $1 ORDER BY {order} LIMIT $2")
    };
    let action = filter.action.map(|_| only_checked("action = $4"));
    let kind = filter.kind.as_ref().map(|_| only_checked("kind = $7"));
    let own = filter.correlation_id.as_deref().and_then(own);
    if filter.execution.is_some() {
        let correlation = filter.correlation_id.as_ref().map(|_| match own {
            Some(_) => only_checked(&format!("correlation_id = $5 OR correlation_id = {OWN} AND execution = $6")),
            None => only_checked("correlation_id = $5"),
        });
        return by(Some(("execution", 3)), correlation.into_iter().chain(action).chain(kind).collect());
    }
    if filter.correlation_id.is_some() {
        // The second condition is the index's own: so Postgres knows that it serves.
        let given =
            [format!("correlation_id <> {OWN}")].into_iter().chain(action.clone()).chain(kind.clone()).collect();
        let given = by(Some(("correlation_id", 5)), given);
        let Some(_) = own else { return given };
        let own = [only_checked(&format!("correlation_id = {OWN}"))].into_iter().chain(action).chain(kind).collect();
        let own = by(Some(("execution", 6)), own);
        return format!("({given}) UNION ALL ({own}) ORDER BY position LIMIT $2");
    }
    match (filter.action, &filter.kind) {
        (Some(_), Some(_)) => by(Some(("action", 4)), vec!["kind = $7".to_owned()]),
        (None, Some(_)) => by(Some(("kind", 7)), Vec::new()),
        (action, None) => by(action.map(|_| ("action", 4)), Vec::new()),
    }
}

/// How the schema writes [`row::OWN`](crate::row::OWN).
const OWN: &str = "'\\xff'::bytea";
