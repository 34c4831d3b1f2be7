//! Statements over executions.

use super::{Statement, query};
use crate::{
    codes::status_code,
    row::{EXECUTION, blob},
};
use action_domain::{
    execution::{Status, WorkerId},
    id::ExecutionId,
    repositories::{ExecutionFilter, Page},
    time::Timestamp,
};
use uuid::Uuid;

pub(crate) const NEXT_DUE: &str = "SELECT run_at FROM executions INDEXED BY executions_due \
     WHERE status IN (0, 2) AND run_at IS NOT NULL ORDER BY run_at LIMIT 1";

/// How far the time in an id may be from `created_at`; see [`Write::AddExecution`].
///
/// [`Write::AddExecution`]: action_domain::repositories::Write::AddExecution
const ID_SLACK_MS: i64 = 24 * 3600 * 1000;

pub(super) fn one(id: ExecutionId) -> Statement {
    query(one_text()).bind(blob(id.uuid()))
}

pub(crate) fn one_text() -> String {
    format!("SELECT {EXECUTION} FROM executions WHERE id = ?")
}

pub(super) fn abandoned(now: Timestamp, except: Option<WorkerId>, limit: u32) -> Statement {
    query(abandoned_text(except.is_some()))
        .bind(now.as_micros())
        .bind(i64::from(limit))
        .bind(except.map(blob))
}

pub(crate) fn abandoned_text(except: bool) -> String {
    // With a worker to except, every running execution has to be looked at: they are few.
    let lost = if except { "(lease_until < ?1 OR lease_worker <> ?3)" } else { "lease_until < ?1" };
    format!(
        "SELECT {EXECUTION} FROM executions INDEXED BY executions_running \
         WHERE status = 1 AND {lost} ORDER BY lease_until, id LIMIT ?2"
    )
}

pub(super) fn page(filter: &ExecutionFilter, page: Page<ExecutionId>) -> Statement {
    let (from, to) = bounds(filter, page.after);
    query(page_text(filter))
        .bind(blob(from))
        .bind(blob(to))
        .bind(i64::from(page.limit))
        .bind(filter.action.map(|action| blob(action.uuid())))
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

/// By the index of the filter. An action's executions are indexed by status, too: where no
/// status is asked for, each status gives a page, and the page is taken from those.
pub(crate) fn page_text(filter: &ExecutionFilter) -> String {
    let mut times = String::new();
    if filter.since.is_some() {
        times.push_str(" AND created_at >= ?5");
    }
    if filter.until.is_some() {
        times.push_str(" AND created_at < ?6");
    }
    let ids = format!("id >= ?1 AND id < ?2{times} ORDER BY id DESC LIMIT ?3");
    let select = format!("SELECT {EXECUTION} FROM executions");
    let by_action = "INDEXED BY executions_by_action WHERE action = ?4 AND status =";
    match (filter.action.is_some(), filter.status.map(status_code)) {
        (true, Some(status)) => format!("{select} {by_action} {status} AND {ids}"),
        (true, None) => {
            let arms = Status::ALL.map(|status| {
                let status = status_code(status);
                format!("SELECT id FROM (SELECT id FROM executions {by_action} {status} AND {ids})")
            });
            format!("{select} WHERE id IN ({}) ORDER BY id DESC LIMIT ?3", arms.join(" UNION ALL "))
        }
        // Successes are most of all executions: the newest are found among the newest.
        (false, Some(4)) => format!("{select} WHERE status = 4 AND {ids}"),
        (false, Some(status)) => {
            format!("{select} INDEXED BY executions_by_status WHERE status = {status} AND status <> 4 AND {ids}")
        }
        (false, None) => format!("{select} WHERE {ids}"),
    }
}
