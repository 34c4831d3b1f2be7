//! Statements over executions.

use super::{Statement, lead, list, only_checked};
use crate::{codes::status_code, row::EXECUTION};
use action_domain::{
    execution::{Status, WorkerId},
    id::ExecutionId,
    repositories::{ExecutionFilter, Page},
    time::Timestamp,
};
use std::sync::LazyLock;
use uuid::Uuid;

pub(crate) const NEXT_DUE: &str = "SELECT run_at FROM executions \
     WHERE status IN (0, 2) AND run_at IS NOT NULL ORDER BY run_at LIMIT 1";

/// How far the time in an id may be from `created_at`; see [`Write::AddExecution`].
///
/// [`Write::AddExecution`]: action_domain::repositories::Write::AddExecution
const ID_SLACK_MS: i64 = 24 * 3600 * 1000;

pub(crate) fn one(id: ExecutionId) -> Statement {
    sqlx::query(ONE.as_str()).bind(id.uuid())
}

/// What the queue asks of running executions, of which there are few.
pub(crate) const TO_CANCEL: &str =
    "SELECT id FROM executions WHERE status = 1 AND cancel_requested AND lease_worker = $1";

pub(crate) fn expired(now: Timestamp, limit: u32) -> Statement {
    sqlx::query(EXPIRED.as_str()).bind(now.as_micros()).bind(i64::from(limit))
}

static EXPIRED: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {EXECUTION} FROM executions \
         WHERE status = 0 AND expires_at IS NOT NULL AND expires_at <= $1 AND attempt = 0 \
         ORDER BY expires_at, id LIMIT $2"
    )
});

static ONE: LazyLock<String> = LazyLock::new(|| format!("SELECT {EXECUTION} FROM executions WHERE id = $1"));

pub(crate) fn abandoned(now: Timestamp, except: Option<WorkerId>, limit: u32) -> Statement {
    list(abandoned_text(except.is_some())).bind(now.as_micros()).bind(i64::from(limit)).bind(except)
}

pub(crate) fn abandoned_text(except: bool) -> String {
    // With a worker to except, every running execution has to be looked at: they are few.
    let lost = if except { "(lease_until < $1 OR lease_worker <> $3)" } else { "lease_until < $1" };
    format!(
        "SELECT {EXECUTION} FROM executions \
         WHERE status = 1 AND {lost} ORDER BY lease_until, id LIMIT $2"
    )
}

pub(crate) fn page(filter: &ExecutionFilter, page: Page<ExecutionId>) -> Statement {
    let (from, to) = bounds(filter, page.after);
    list(page_text(filter))
        .bind(from)
        .bind(to)
        .bind(i64::from(page.limit))
        .bind(filter.action.map(|action| action.uuid()))
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
    let runs = filter.status == Some(Status::Running);
    let ids = "id >= $1 AND id < $2";
    let mut conditions = vec![if runs { only_checked(ids) } else { ids.to_owned() }];
    let mut order = "id DESC";
    if filter.action.is_some() && runs {
        conditions.push(only_checked("action = $4"));
    } else if filter.action.is_some() {
        conditions.push(lead("action", 4));
        order = "action DESC, id DESC";
    }
    // The number of the status stands in the text: so Postgres knows which partial index serves.
    match filter.status.map(|status| (status, status_code(status))) {
        None => {}
        Some((Status::Succeeded, code)) => conditions.push(only_checked(&format!("status = {code}"))),
        Some((_, code)) if filter.action.is_some() && !runs => conditions.push(format!("status = {code}")),
        Some((_, code)) => {
            conditions.push(format!("status = ANY (ARRAY[{code}::smallint])"));
            order = "status DESC, id DESC";
        }
    }
    if filter.since.is_some() {
        conditions.push("created_at >= $5".to_owned());
    }
    if filter.until.is_some() {
        conditions.push("created_at < $6".to_owned());
    }
    format!("SELECT {EXECUTION} FROM executions WHERE {} ORDER BY {order} LIMIT $3", conditions.join(" AND "))
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
