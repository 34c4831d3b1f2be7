//! Statements over executions.

use super::{Statement, query};
use crate::{codes::status_code, row::EXECUTION};
use action_domain::{
    execution::{Status, WorkerId},
    id::ExecutionId,
    repositories::{ExecutionFilter, Page},
    time::Timestamp,
};
use uuid::Uuid;

pub(crate) const NEXT_DUE: &str = "SELECT run_at FROM executions INDEXED BY executions_due \
     WHERE status IN (0, 2) AND run_at IS NOT NULL ORDER BY run_at LIMIT 1";

pub(crate) const TO_CANCEL: &str = "SELECT id FROM executions INDEXED BY executions_running \
     WHERE status = 1 AND cancel_requested = 1 AND lease_worker = ?";

/// How far the time in an id may be from `created_at`; see [`Write::AddExecution`].
///
/// [`Write::AddExecution`]: action_domain::repositories::Write::AddExecution
const ID_SLACK_MS: i64 = 24 * 3600 * 1000;

pub(super) fn one(id: ExecutionId) -> Statement {
    query(one_text()).bind_id(id.uuid())
}

pub(crate) fn one_text() -> String {
    format!("SELECT {EXECUTION} FROM executions WHERE id = ?")
}

pub(super) fn abandoned(now: Timestamp, except: Option<WorkerId>, limit: u32) -> Statement {
    query(abandoned_text(except.is_some())).bind(now.as_micros()).bind(i64::from(limit)).bind_maybe_id(except)
}

pub(crate) fn abandoned_text(except: bool) -> String {
    // With a worker to except, every running execution has to be looked at: they are few.
    let lost = if except { "(lease_until < ?1 OR lease_worker <> ?3)" } else { "lease_until < ?1" };
    format!(
        "SELECT {EXECUTION} FROM executions INDEXED BY executions_running \
         WHERE status = 1 AND {lost} ORDER BY lease_until, id LIMIT ?2"
    )
}

pub(super) fn expired(now: Timestamp, limit: u32) -> Statement {
    query(expired_text()).bind(now.as_micros()).bind(i64::from(limit))
}

pub(crate) fn expired_text() -> String {
    format!(
        "SELECT {EXECUTION} FROM executions INDEXED BY executions_expiring \
         WHERE status = 0 AND expires_at IS NOT NULL AND expires_at <= ?1 AND attempt = 0 \
         ORDER BY expires_at LIMIT ?2"
    )
}

pub(super) fn page(filter: &ExecutionFilter, page: Page<ExecutionId>) -> Statement {
    let (from, to) = bounds(filter, page.after);
    query(page_text(filter))
        .bind_id(from)
        .bind_id(to)
        .bind(i64::from(page.limit))
        .bind_maybe_id(filter.action.map(|action| action.uuid()))
        .bind(filter.since.map(Timestamp::as_micros))
        .bind(filter.until.map(Timestamp::as_micros))
}

/// The smallest id that can match, and the one that all have to be below (or at, at the end of
/// all ids, which no UUIDv7 is).
fn bounds(filter: &ExecutionFilter, after: Option<ExecutionId>) -> (Uuid, Uuid) {
    let at = |time: Timestamp, slack_ms: i64| {
        let ms = time.as_micros().div_euclid(1000).saturating_add(slack_ms).clamp(0, (1 << 48) - 1);
        Uuid::from_u128((ms as u128) << 80)
    };
    let from = filter.since.map_or(Uuid::nil(), |since| at(since, -ID_SLACK_MS));
    let to = filter.until.map_or(Uuid::max(), |until| at(until, ID_SLACK_MS));
    (from, after.map_or(to, |after| after.uuid().min(to)))
}

/// By the index of the filter. What runs is in no index but its own, and is little: it is
/// sorted. What succeeded is in none, and is most: it is found on the way from the newest.
pub(crate) fn page_text(filter: &ExecutionFilter) -> String {
    const RUNNING: i64 = status_code(Status::Running);
    const SUCCEEDED: i64 = status_code(Status::Succeeded);
    let action = filter.action.is_some();
    let (index, condition) = match filter.status.map(status_code) {
        None if action => ("INDEXED BY executions_by_action", String::new()),
        None => ("", String::new()),
        Some(RUNNING) => ("INDEXED BY executions_running", "status = 1 AND ".to_owned()),
        Some(SUCCEEDED) if action => ("INDEXED BY executions_by_action", "status = 4 AND ".to_owned()),
        Some(SUCCEEDED) => ("", "status = 4 AND ".to_owned()),
        Some(status) => {
            let index = if action { "executions_by_action_and_status" } else { "executions_by_status" };
            // The second condition is the index's own, word for word: so SQLite knows that it serves.
            return text(
                filter,
                &format!("INDEXED BY {index}"),
                &format!("status = {status} AND status <> 1 AND status <> 4 AND "),
            );
        }
    };
    text(filter, index, &condition)
}

fn text(filter: &ExecutionFilter, index: &str, condition: &str) -> String {
    let action = if filter.action.is_some() { "action = ?4 AND " } else { "" };
    let since = if filter.since.is_some() { "created_at >= ?5 AND " } else { "" };
    let until = if filter.until.is_some() { "created_at < ?6 AND " } else { "" };
    format!(
        "SELECT {EXECUTION} FROM executions {index} \
         WHERE {action}{condition}{since}{until}id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_bound_ids_with_room_to_spare() {
        let at = |seconds: i64| Some(Timestamp::from_micros(seconds * 1_000_000));
        let filter = ExecutionFilter { since: at(200_000), until: at(300_000), ..ExecutionFilter::default() };
        let (from, to) = bounds(&filter, None);
        assert_eq!(from.as_u128() >> 80, (200_000 - 86_400) * 1000);
        assert_eq!(to.as_u128() >> 80, (300_000 + 86_400) * 1000);
        let after = ExecutionId::from_uuid(Uuid::from_u128(7));
        assert_eq!(bounds(&filter, Some(after)).1, after.uuid());
        let far = ExecutionFilter { since: at(-9_000_000_000_000), until: at(9_000_000_000_000), ..filter };
        assert_eq!(bounds(&far, None).0, Uuid::nil());
        assert_eq!(bounds(&far, None).1.as_u128() >> 80, (1 << 48) - 1);
    }
}
