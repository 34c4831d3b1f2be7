//! The plan of each statement over a table that grows: it uses its index, reads no table from
//! end to end, and sorts nothing that can be large.

use crate::{
    codes::EventTypes,
    open::SqliteOptions,
    read::{actions, events, executions, protocols},
    writer::{batch, bulk, claim, protocols as removing, state},
};
use action_domain::{
    event::EventType,
    execution::Status,
    id::{ActionId, ExecutionId},
    repositories::{ActionFilter, EventFilter, ExecutionFilter},
    time::Timestamp,
};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _, SqliteConnection};
use uuid::Uuid;

struct Plans {
    connection: SqliteConnection,
    _folder: tempfile::TempDir,
}

impl Plans {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(&folder.path().join("plans.db"));
        let mut connection = options.writer().connect().await.unwrap();
        crate::open::migrate(&mut connection, &options).await.unwrap();
        Self { connection, _folder: folder }
    }

    async fn of(&mut self, sql: &str) -> Vec<String> {
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let rows = sqlx::query(explain).fetch_all(&mut self.connection).await.unwrap();
        rows.iter().map(|row| row.get::<String, _>(3)).collect()
    }

    /// Each way into a table is a search, over these indexes and no others, and nothing is
    /// sorted.
    async fn searches(&mut self, sql: &str, indexes: &[&str]) {
        let plan = self.of(sql).await;
        let ways: Vec<&String> =
            plan.iter().filter(|step| step.starts_with("SEARCH") || step.starts_with("SCAN")).collect();
        for way in &ways {
            assert!(way.starts_with("SEARCH"), "{way}\n{sql}\n{plan:#?}");
        }
        for index in indexes {
            assert!(ways.iter().any(|way| way.contains(index)), "{index} is not used\n{sql}\n{plan:#?}");
        }
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{sql}\n{plan:#?}");
    }
}

#[tokio::test]
async fn executions_are_read_over_indexes() {
    let mut plans = Plans::open().await;
    plans.searches(&executions::one_text(), &["PRIMARY KEY (id=?)"]).await;
    plans.searches(batch::STORED, &["PRIMARY KEY (id=?)"]).await;
    plans.searches(bulk::UPDATE_EXECUTION, &["PRIMARY KEY (id=?)"]).await;
    plans.searches(&claim::due(), &["executions_due (run_at<?)"]).await;
    plans.searches(&executions::abandoned_text(false), &["executions_running (lease_until<?)"]).await;
    plans.searches(executions::NEXT_DUE, &["executions_due"]).await;
    let times = [None, Some(Timestamp::from_micros(0))];
    let actions = [None, Some(ActionId::from_uuid(Uuid::nil()))];
    for (since, until) in times.into_iter().flat_map(|since| times.map(|until| (since, until))) {
        for action in actions {
            for status in Status::ALL.map(Some).into_iter().chain([None]) {
                let sql = executions::page_text(&ExecutionFilter { action, status, since, until });
                match (action, status) {
                    (_, Some(Status::Running)) => {}
                    (None, None | Some(Status::Succeeded)) => {
                        plans.searches(&sql, &["PRIMARY KEY (id>? AND id<?)"]).await;
                    }
                    (Some(_), None | Some(Status::Succeeded)) => {
                        plans.searches(&sql, &["executions_by_action (action=? AND id>? AND id<?)"]).await;
                    }
                    (None, Some(_)) => {
                        plans.searches(&sql, &["executions_by_status (status=? AND id>? AND id<?)"]).await;
                    }
                    (Some(_), Some(_)) => {
                        let index = "executions_by_action_and_status (action=? AND status=? AND id>? AND id<?)";
                        plans.searches(&sql, &[index]).await;
                    }
                }
            }
        }
    }
}

/// What runs is as much as runs at once: an index that holds nothing else may be read whole.
#[tokio::test]
async fn running_executions_are_read_over_their_own_index() {
    let mut plans = Plans::open().await;
    let running = ExecutionFilter { status: Some(Status::Running), ..ExecutionFilter::default() };
    let of_action = ExecutionFilter { action: Some(ActionId::from_uuid(Uuid::nil())), ..running.clone() };
    let listed = [
        state::RUNNING.to_owned(),
        executions::abandoned_text(true),
        executions::page_text(&running),
        executions::page_text(&of_action),
    ];
    for sql in listed {
        let plan = plans.of(&sql).await;
        assert!(plan.iter().any(|step| step.contains("executions USING INDEX executions_running")), "{plan:#?}");
    }
    let plan = plans.of(removing::EXECUTION_ON).await;
    assert!(plan.iter().any(|step| step.contains("executions_open_by_protocol (protocol=?)")), "{plan:#?}");
    assert!(plan.iter().any(|step| step.contains("executions_running")), "{plan:#?}");
}

#[tokio::test]
async fn events_are_read_over_indexes() {
    let mut plans = Plans::open().await;
    let types = EventTypes::load(&mut plans.connection).await.unwrap();
    for r#type in EventType::ALL {
        let index = "events_by_execution (execution=?)";
        plans.searches(&events::of_text(*r#type), &[index]).await;
    }
    let rare = vec![EventType::MessageLogged, EventType::RequestMade];
    let mixed = vec![EventType::MessageLogged, EventType::ActionExecuted];
    for wanted in [vec![], rare.clone(), rare[..1].to_vec(), mixed, EventType::ALL.to_vec()] {
        for action in [None, Some(ActionId::from_uuid(Uuid::nil()))] {
            for execution in [None, Some(ExecutionId::from_uuid(Uuid::nil()))] {
                for correlation_id in [None, Some("c".to_owned())] {
                    let filter = EventFilter { types: wanted.clone(), action, execution, correlation_id };
                    let sql = events::page_text(&filter, &types);
                    let all_rare = wanted == rare || wanted == rare[..1];
                    let index = match (execution, &filter.correlation_id, action) {
                        (Some(_), _, _) => "events_by_execution (execution=? AND rowid>?)",
                        (None, Some(_), _) => "events_by_correlation (correlation_id=? AND rowid>?)",
                        (None, None, Some(_)) if all_rare => {
                            "events_by_action_and_type (action=? AND type=? AND rowid>?)"
                        }
                        (None, None, Some(_)) => "events_by_action (action=? AND rowid>?)",
                        (None, None, None) if all_rare => "events_by_type (type=? AND rowid>?)",
                        (None, None, None) => "INTEGER PRIMARY KEY (rowid>?)",
                    };
                    if all_rare && execution.is_none() && filter.correlation_id.is_none() {
                        // Each type's page is a list of positions before the page is taken from them.
                        let plan = plans.of(&sql).await;
                        assert!(plan.iter().any(|step| step.contains(index)), "{index}\n{sql}\n{plan:#?}");
                        let whole = |step: &String| step.starts_with("SCAN events");
                        assert!(!plan.iter().any(whole), "{sql}\n{plan:#?}");
                    } else {
                        plans.searches(&sql, &[index]).await;
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn protocols_and_actions_are_read_over_indexes() {
    let mut plans = Plans::open().await;
    plans.searches(protocols::ONE, &["(name=? AND version=?)"]).await;
    plans.searches(&protocols::chosen(3), &["(name=? AND version=?)"]).await;
    plans.searches(protocols::VERSIONS, &["(name=?)"]).await;
    plans.searches(protocols::WITH, &["protocols_by_digest (digest=?)"]).await;
    plans.searches(protocols::PAGE, &["((name,version)>(?,?))"]).await;
    plans.searches(removing::ACTION_ON, &["actions_by_pin (protocol_name=? AND protocol_version=?)"]).await;
    plans.searches(actions::REVISION, &["(action=? AND revision=?)"]).await;
    plans.searches(&actions::one_by("id"), &["PRIMARY KEY (id=?)", "(action=? AND revision=?)"]).await;
    plans.searches(&actions::one_by("name"), &["(name=?)", "(action=? AND revision=?)"]).await;
    for label in [None, Some(("k".to_owned(), "v".to_owned()))] {
        for protocol in [None, Some("http".parse().unwrap())] {
            for enabled in [None, Some(true)] {
                let filter = ActionFilter { protocol: protocol.clone(), label: label.clone(), enabled };
                let index = match (&filter.label, &filter.protocol, enabled) {
                    (Some(_), _, _) => "PRIMARY KEY (key=? AND value=? AND name>?)",
                    (None, Some(_), _) => "actions_by_protocol (protocol_name=? AND name>?)",
                    (None, None, Some(_)) => "actions_by_enabled (enabled=? AND name>?)",
                    (None, None, None) => "(name>?)",
                };
                plans.searches(&actions::page_text(&filter), &[index]).await;
            }
        }
    }
}
