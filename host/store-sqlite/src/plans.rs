//! The plan of each statement over a table that grows: it uses its index, reads no table from
//! end to end, and sorts nothing that can be large.

use crate::{
    codes::EventTypes,
    open::SqliteOptions,
    read::{actions, capture, consumers, events, executions, log, protocols, secrets, tokens, triggers},
    writer::{
        actions as saving, batch, capture as keeping_items, claim, consumers as moving, protocols as removing, prune,
        queue, rows, seals, secrets as keeping, state, tokens as revoking, triggers as firing,
    },
};
use action_domain::{
    event::EventType,
    execution::Status,
    id::{ActionId, ExecutionId},
    repositories::{ActionFilter, EventFilter, ExecutionFilter},
    time::Timestamp,
};
use rusqlite::Connection;
use uuid::Uuid;

struct Plans {
    connection: Connection,
    _folder: tempfile::TempDir,
}

impl Plans {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(&folder.path().join("plans.db"));
        let mut connection = options.writer().unwrap();
        crate::open::migrate(&mut connection, &options).unwrap();
        Self { connection, _folder: folder }
    }

    fn of(&mut self, sql: &str) -> Vec<String> {
        let mut explain = self.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        // Nothing needs to be bound: a plan does not depend on values here.
        let rows = explain.raw_query().mapped(|row| row.get(3));
        rows.collect::<rusqlite::Result<_>>().unwrap()
    }

    /// Each way into a table is a search, over these indexes and no others, and nothing is
    /// sorted.
    fn searches(&mut self, sql: &str, indexes: &[&str]) {
        let plan = self.of(sql);
        // A subquery that is read whole is a page of one index, of a page that several give.
        let way = |step: &&String| {
            step.starts_with("SEARCH")
                || step.starts_with("SCAN") && !step.starts_with("SCAN (subquery") && *step != "SCAN CONSTANT ROW"
        };
        let ways: Vec<&String> = plan.iter().filter(way).collect();
        for way in &ways {
            assert!(way.starts_with("SEARCH"), "{way}\n{sql}\n{plan:#?}");
        }
        for index in indexes {
            assert!(ways.iter().any(|way| way.contains(index)), "{index} is not used\n{sql}\n{plan:#?}");
        }
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{sql}\n{plan:#?}");
    }
}

#[test]
fn executions_are_read_over_indexes() {
    let mut plans = Plans::open();
    plans.searches(&executions::one_text(), &["PRIMARY KEY (id=?)"]);
    plans.searches(batch::STORED, &["PRIMARY KEY (id=?)"]);
    plans.searches(rows::UPDATE_EXECUTION, &["PRIMARY KEY (id=?)"]);
    plans.searches(&claim::due(), &["executions_turn (action=? AND <expr>=? AND run_at<?)"]);
    plans.searches(&claim::one_due(), &["PRIMARY KEY (id=?)"]);
    plans.searches(claim::NEXT_ACTION, &["executions_turn (action>?)"]);
    plans.searches(claim::PACE, &["PRIMARY KEY (action=?)"]);
    plans.searches(claim::PAUSED_UNTIL, &["PRIMARY KEY (action=?)"]);
    plans.searches(claim::END_PAUSE, &["PRIMARY KEY (action=?)"]);
    plans.searches(claim::FORGET_PACE, &["PRIMARY KEY (action=?)"]);
    plans.searches(claim::BEHIND, &["executions_ordered (action=? AND ordering_key=?)"]);
    plans.searches(&executions::expired_text(), &["executions_expiring"]);
    plans.searches(queue::KEY, &["PRIMARY KEY (action=? AND key=?)"]);
    plans.searches(queue::CALL_BACK, &["executions_aside (action=?)"]);
    plans.searches(queue::RENEW, &["PRIMARY KEY (id=?)"]);
    plans.searches(queue::OFFER, &["executions_due (run_at<?)"]);
    plans.searches(events::SENT, &["events_by_execution (execution=?)"]);
    plans.searches(&executions::abandoned_text(false), &["executions_running (lease_until<?)"]);
    plans.searches(executions::NEXT_DUE, &["executions_due"]);
    let times = [None, Some(Timestamp::from_micros(0))];
    let actions = [None, Some(ActionId::from_uuid(Uuid::nil()))];
    for (since, until) in times.into_iter().flat_map(|since| times.map(|until| (since, until))) {
        for action in actions {
            for status in Status::ALL.map(Some).into_iter().chain([None]) {
                let sql = executions::page_text(&ExecutionFilter { action, status, since, until });
                match (action, status) {
                    (_, Some(Status::Running)) => {}
                    (None, None | Some(Status::Succeeded)) => {
                        plans.searches(&sql, &["PRIMARY KEY (id>? AND id<?)"]);
                    }
                    (Some(_), None | Some(Status::Succeeded)) => {
                        plans.searches(&sql, &["executions_by_action (action=? AND id>? AND id<?)"]);
                    }
                    (None, Some(_)) => {
                        plans.searches(&sql, &["executions_by_status (status=? AND id>? AND id<?)"]);
                    }
                    (Some(_), Some(_)) => {
                        let index = "executions_by_action_and_status (action=? AND status=? AND id>? AND id<?)";
                        plans.searches(&sql, &[index]);
                    }
                }
            }
        }
    }
}

/// What runs is as much as runs at once: an index that holds nothing else may be read whole.
#[test]
fn running_executions_are_read_over_their_own_index() {
    let mut plans = Plans::open();
    let running = ExecutionFilter { status: Some(Status::Running), ..ExecutionFilter::default() };
    let of_action = ExecutionFilter { action: Some(ActionId::from_uuid(Uuid::nil())), ..running.clone() };
    let listed = [
        state::RUNNING.to_owned(),
        claim::RUNNING_OF.to_owned(),
        executions::TO_CANCEL.to_owned(),
        executions::abandoned_text(true),
        executions::page_text(&running),
        executions::page_text(&of_action),
    ];
    for sql in listed {
        let plan = plans.of(&sql);
        assert!(plan.iter().any(|step| step.contains("executions_running")), "{plan:#?}");
    }
    let plan = plans.of(removing::EXECUTION_ON);
    assert!(plan.iter().any(|step| step.contains("executions_open_by_protocol (protocol=?)")), "{plan:#?}");
    assert!(plan.iter().any(|step| step.contains("executions_running")), "{plan:#?}");
}

#[test]
fn events_are_read_over_indexes() {
    let mut plans = Plans::open();
    let types = EventTypes::load(&plans.connection).unwrap();
    for r#type in EventType::ALL {
        let index = "events_by_execution (execution=?)";
        plans.searches(&events::of_text(*r#type), &[index]);
    }
    let own = ExecutionId::from_uuid(Uuid::nil()).to_string();
    let rare = vec![EventType::MessageLogged, EventType::RequestMade];
    let mixed = vec![EventType::MessageLogged, EventType::ActionExecuted];
    for wanted in [vec![], rare.clone(), rare[..1].to_vec(), mixed, EventType::ALL.to_vec()] {
        for action in [None, Some(ActionId::from_uuid(Uuid::nil()))] {
            for execution in [None, Some(ExecutionId::from_uuid(Uuid::nil()))] {
                for correlation_id in [None, Some("c".to_owned()), Some(own.clone())] {
                    let filter = EventFilter {
                        types: wanted.clone(),
                        action,
                        execution,
                        correlation_id: correlation_id.clone(),
                        kind: None,
                    };
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
                    plans.searches(&sql, &[index]);
                    if execution.is_none() && correlation_id.as_ref() == Some(&own) {
                        plans.searches(&sql, &["events_by_execution (execution=? AND rowid>?)"]);
                    }
                }
            }
        }
    }
}

#[test]
fn items_are_read_over_the_indexes_of_their_kinds() {
    let mut plans = Plans::open();
    let types = EventTypes::load(&plans.connection).unwrap();
    for wanted in [vec![], vec![EventType::ItemCaptured], EventType::ALL.to_vec()] {
        for action in [None, Some(ActionId::from_uuid(Uuid::nil()))] {
            for execution in [None, Some(ExecutionId::from_uuid(Uuid::nil()))] {
                for correlation_id in [None, Some("c".to_owned())] {
                    let kind = Some("entry".to_owned());
                    let index = match (execution, &correlation_id, action) {
                        (Some(_), _, _) => "events_by_execution (execution=? AND rowid>?)",
                        (None, Some(_), _) => "events_by_correlation (correlation_id=? AND rowid>?)",
                        (None, None, Some(_)) => "events_by_action_and_kind (action=? AND kind=? AND rowid>?)",
                        (None, None, None) => "events_by_kind (kind=? AND rowid>?)",
                    };
                    let filter = EventFilter { types: wanted.clone(), action, execution, correlation_id, kind };
                    plans.searches(&events::page_text(&filter, &types), &[index]);
                }
            }
        }
    }
}

#[test]
fn triggers_are_found_by_what_sets_them_off() {
    let mut plans = Plans::open();
    plans.searches(&triggers::at_text(), &["triggers_by_path (path=?)"]);
    plans.searches(&triggers::of_text(), &["PRIMARY KEY (action=?)"]);
    plans.searches(&triggers::page_text(), &["triggers_by_kind (kind=? AND (action,place)>(?,?))"]);
    plans.searches(&triggers::due_text(), &["triggers_due (due_at<?)"]);
    plans.searches(triggers::NEXT, &["triggers_due (due_at>?)"]);
    plans.searches(firing::OWNER_OF_PATH, &["triggers_by_path (path=?)"]);
    plans.searches(firing::REMOVE, &["PRIMARY KEY (action=?)"]);
    for sql in [firing::FIRE, firing::USE, firing::RESTART] {
        plans.searches(sql, &["PRIMARY KEY (action=?)"]);
    }
    plans.searches(saving::CURRENT, &["PRIMARY KEY (id=?)"]);
}

#[test]
fn what_was_captured_and_who_reads_it_is_found_by_its_key() {
    let mut plans = Plans::open();
    plans.searches(capture::KNOWN, &["PRIMARY KEY (action=? AND key=?)"]);
    plans.searches(capture::VALUES, &["(action=?)"]);
    plans.searches(keeping_items::REMOVE, &["(action=? AND key=?)"]);
    plans.searches(consumers::ONE, &["PRIMARY KEY (name=?)"]);
    plans.searches(consumers::PAGE, &["PRIMARY KEY (name>?)"]);
    plans.searches(consumers::CURSORS, &["PRIMARY KEY (name>?)"]);
    for sql in [moving::CHANGE, moving::REMOVE, moving::ACKNOWLEDGE, moving::CURSOR, moving::REMOVE_CURSOR] {
        plans.searches(sql, &["PRIMARY KEY (name=?)"]);
    }
}

#[test]
fn secrets_are_read_over_indexes() {
    let mut plans = Plans::open();
    plans.searches(&secrets::named_text(3), &["PRIMARY KEY (name=?)"]);
    plans.searches(&secrets::page_text(), &["PRIMARY KEY (name>?)"]);
    plans.searches(keeping::VERSION, &["PRIMARY KEY (name=?)"]);
    plans.searches(keeping::DELETED, &["PRIMARY KEY (name=?)"]);
    plans.searches(keeping::USERS, &["PRIMARY KEY (secret=?)"]);
}

#[test]
fn tokens_are_found_by_their_ids() {
    let mut plans = Plans::open();
    plans.searches(tokens::ONE, &["PRIMARY KEY (id=?)"]);
    plans.searches(tokens::PAGE, &["PRIMARY KEY (id<?)"]);
    plans.searches(revoking::REMOVE, &["PRIMARY KEY (id=?)"]);
}

#[test]
fn the_log_and_its_seals_are_read_over_indexes() {
    let mut plans = Plans::open();
    plans.searches(&log::LOGGED, &["INTEGER PRIMARY KEY (rowid>?)"]);
    plans.searches(log::LEFT, &["COVERING INDEX events_by_execution (execution=?)"]);
    plans.searches(log::PRUNED, &["INTEGER PRIMARY KEY (rowid>?)"]);
    plans.searches(&log::SEALS, &["INTEGER PRIMARY KEY (rowid>?)"]);
    plans.searches(log::LEAVES, &["INTEGER PRIMARY KEY (rowid=?)"]);
    plans.searches(&log::OVER, &["seals_by_position (first_position<?)"]);
    // From the end of the log, and of the chain, one row.
    assert_eq!(plans.of(events::LAST_POSITION), ["SEARCH events"]);
    assert_eq!(plans.of(&seals::LAST), ["SCAN seals"]);
    // From the oldest execution.
    let plan = plans.of(prune::CHOOSE);
    assert!(plan.iter().any(|step| step.contains("events_by_execution (execution=? AND rowid>?)")), "{plan:#?}");
}

#[test]
fn protocols_and_actions_are_read_over_indexes() {
    let mut plans = Plans::open();
    plans.searches(protocols::ONE, &["(name=? AND version=?)"]);
    plans.searches(&protocols::chosen(3), &["(name=? AND version=?)"]);
    plans.searches(protocols::VERSIONS, &["(name=?)"]);
    plans.searches(protocols::WITH, &["protocols_by_digest (digest=?)"]);
    plans.searches(protocols::PAGE, &["((name,version)>(?,?))"]);
    plans.searches(removing::ACTION_ON, &["actions_by_pin (protocol_name=? AND protocol_version=?)"]);
    plans.searches(actions::REVISION, &["(action=? AND revision=?)"]);
    plans.searches(&actions::one_by("id"), &["PRIMARY KEY (id=?)", "(action=? AND revision=?)"]);
    plans.searches(&actions::one_by("name"), &["(name=?)", "(action=? AND revision=?)"]);
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
                plans.searches(&actions::page_text(&filter), &[index]);
            }
        }
    }
}
