//! Executions as rows.

use crate::World;
use action_domain::{
    execution::{Execution, Lease, Status},
    failure::{ErrorCode, ExecutionError},
    id::ExecutionId,
    repositories::{ExecutionFilter, Page, Store, UnitOfWork, Write},
    services::Random,
    time::Timestamp,
};
use std::{sync::Arc, time::Duration};

/// Every field, at its limits.
pub async fn an_execution_comes_back_whole(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = w.action("a", "http@1.0.0-rc.1+b");
    let worker = w.random.uuid();
    let full = Execution {
        revision: u32::MAX,
        attempt: u32::MAX,
        correlation_id: "日本語 \u{0} ' \" 🦀".into(),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        run_at: Some(Timestamp::from_micros(i64::MAX)),
        ended_at: Some(Timestamp::from_micros(-1)),
        lease: Some(Lease { worker, attempt: 7, until: Timestamp::from_micros(i64::MIN) }),
        error: Some(ExecutionError::new(ErrorCode::Trapped, "ü".repeat(100_000))),
        receipt: w.succeeded(&w.queued(&action)).receipt,
        ..w.running(&action, worker)
    };
    let empty = Execution { run_at: None, ..w.queued(&action) };
    for execution in [full, empty, w.waiting(&w.running(&action, worker)), w.succeeded(&w.queued(&action))] {
        w.write(Write::AddExecution(Box::new(execution.clone()))).await;
        assert_eq!(w.execution_now(execution.id).await, execution);
        let page = Page { after: None, limit: 1 };
        assert_eq!(w.store.executions(&ExecutionFilter::default(), page).await.unwrap(), [execution]);
    }
}

/// Every filter, alone and with the others, in pages of several sizes, the newest first.
pub async fn executions_are_filtered_and_paged(store: Arc<dyn Store>) {
    let w = World::new(store);
    let actions = [w.action("a", "http@1.0.0"), w.action("b", "http@1.0.0")];
    let mut all: Vec<Execution> = Vec::new();
    let mut unit = UnitOfWork::new();
    for number in 0..80_u64 {
        w.clock.advance(Duration::from_micros(number * 997));
        let action = w.random.one_of(&actions);
        let status = *w.random.one_of(&Status::ALL);
        let execution = Execution { status, ..w.running(action, w.random.uuid()) };
        unit = unit.write(Write::AddExecution(Box::new(execution.clone())));
        all.push(execution);
    }
    w.commit(unit).await;
    all.reverse();
    let (early, late) = (all[60].created_at, all[20].created_at);
    for action in [None, Some(actions[0].id), Some(actions[1].id), Some(w.random.action_id())] {
        for status in Status::ALL.map(Some).into_iter().chain([None]) {
            for since in [None, Some(early)] {
                for until in [None, Some(late)] {
                    let filter = ExecutionFilter { action, status, since, until };
                    check(&w, &filter, &all).await;
                }
            }
        }
    }
    let far = ExecutionFilter { since: Some(Timestamp::from_micros(i64::MIN)), ..ExecutionFilter::default() };
    check(&w, &far, &all).await;
    let far = ExecutionFilter { until: Some(Timestamp::from_micros(i64::MAX)), ..ExecutionFilter::default() };
    check(&w, &far, &all).await;
    let none = ExecutionFilter { until: Some(Timestamp::from_micros(0)), ..ExecutionFilter::default() };
    check(&w, &none, &all).await;
}

async fn check(w: &World, filter: &ExecutionFilter, all: &[Execution]) {
    let expected: Vec<&Execution> = all
        .iter()
        .filter(|execution| filter.action.is_none_or(|action| execution.action == action))
        .filter(|execution| filter.status.is_none_or(|status| execution.status == status))
        .filter(|execution| filter.since.is_none_or(|since| execution.created_at >= since))
        .filter(|execution| filter.until.is_none_or(|until| execution.created_at < until))
        .collect();
    for limit in [3, 80, 500] {
        let mut found: Vec<Execution> = Vec::new();
        loop {
            let after = found.last().map(|execution| execution.id);
            let page = w.store.executions(filter, Page { after, limit }).await.unwrap();
            assert!(page.len() <= limit as usize);
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter:?} by {limit}");
    }
}

/// Each status in turn: the execution is found by the new one and by no other.
pub async fn an_execution_moves_through_all_indexes(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = w.action("a", "http@1.0.0");
    let mut execution = w.queued(&action);
    w.write(Write::AddExecution(Box::new(execution.clone()))).await;
    let steps = [
        Status::Running,
        Status::Waiting,
        Status::Queued,
        Status::Running,
        Status::InDoubt,
        Status::Failed,
        Status::Waiting,
        Status::Cancelled,
        Status::Queued,
        Status::Expired,
        Status::Running,
        Status::Succeeded,
    ];
    for status in steps {
        let (before, attempt) = (execution.status, execution.attempt);
        let lease = (status == Status::Running).then(|| w.lease(w.random.uuid(), attempt + 1));
        let run_at = matches!(status, Status::Queued | Status::Waiting).then(|| w.now());
        execution = Execution { status, attempt: attempt + 1, lease, run_at, ..execution };
        w.write(Write::UpdateExecutionIfStatus(Box::new(execution.clone()), before, attempt)).await;
        assert_eq!(w.execution_now(execution.id).await, execution);
        for asked in Status::ALL {
            for action in [None, Some(action.id)] {
                let filter = ExecutionFilter { status: Some(asked), action, ..ExecutionFilter::default() };
                let found = w.store.executions(&filter, Page { after: None::<ExecutionId>, limit: 5 }).await.unwrap();
                assert_eq!(found.len(), usize::from(asked == status), "{asked:?} while {status:?}");
            }
        }
        assert_eq!(w.store.next_due().await.unwrap(), run_at);
        let late = w.now().plus(Duration::from_hours(1));
        let abandoned = w.store.abandoned(late, None, 5).await.unwrap();
        assert_eq!(abandoned.len(), usize::from(status == Status::Running));
    }
}
