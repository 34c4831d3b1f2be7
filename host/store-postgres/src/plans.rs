//! The plan of each statement over a table that grows: it uses its index, reads no table from
//! end to end, and sorts nothing that can be large.
//!
//! Over tables with many rows that Postgres has looked at and whose rows it may read one after
//! the other if it finds that cheaper. And, where a plan is kept, as this crate's connections
//! make it while the tables are empty: it may serve until long after.

use crate::{
    open::{PostgresOptions, Server},
    read::{Statement, actions, capture, consumers, events, executions, log, protocols, secrets, tokens, triggers},
    writer::{
        bulk, capture as keeping_items, claim, consumers as moving, guard, protocols as removing, prune, queue, seals,
        secrets as keeping, tokens as revoking, triggers as firing,
    },
};
use action_domain::{
    event::EventType,
    execution::Status,
    id::{ActionId, ExecutionId, TokenId},
    repositories::{ActionFilter, ActionKey, EventFilter, ExecutionFilter, Page},
    time::Timestamp,
    trigger::StandingKind,
};
use action_testkit::postgres::{Database, Server as TestServer};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Execute as _, Executor as _, PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

/// A statement, and what its plan has to be like.
struct Case {
    text: String,
    /// `None` for the writer's statements, which are planned without arguments.
    arguments: Option<sqlx::postgres::PgArguments>,
    indexes: Vec<&'static str>,
    /// Whether it may sort: a few pages, or what runs.
    sorts: bool,
    /// Whether the plan may be kept.
    kept: bool,
}

fn reading(mut statement: Statement, indexes: &[&'static str]) -> Case {
    let arguments = statement.take_arguments().unwrap().unwrap_or_default();
    let kept = sqlx::Execute::<sqlx::Postgres>::persistent(&statement);
    let text = statement.sql().as_str().to_owned();
    Case { text, arguments: Some(arguments), indexes: indexes.to_vec(), sorts: false, kept }
}

fn writing(text: &str, indexes: &[&'static str]) -> Case {
    Case { text: text.to_owned(), arguments: None, indexes: indexes.to_vec(), sorts: false, kept: true }
}

fn sorting(case: Case) -> Case {
    Case { sorts: true, ..case }
}

async fn database() -> (Database, Server) {
    let database = TestServer::shared().database();
    let server = Server::new(&database.url, PostgresOptions::default()).unwrap();
    server.migrate().await.unwrap();
    (database, server)
}

async fn check(connection: &mut PgConnection, cases: Vec<Case>) {
    for case in cases {
        let rows = match case.arguments {
            Some(arguments) => {
                let explain = AssertSqlSafe(format!("EXPLAIN (COSTS OFF) {}", case.text));
                sqlx::query_with(explain, arguments).fetch_all(&mut *connection).await.unwrap()
            }
            None => explain_prepared(connection, &case.text).await,
        };
        let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let plan = plan.join("\n");
        for index in case.indexes {
            assert!(plan.contains(&format!(" {index} on ")), "{index} is not used\n{}\n{plan}", case.text);
        }
        // The end of the log is one row.
        let whole = plan.lines().any(|line| line.contains("Seq Scan on") && !line.contains("Seq Scan on log"));
        assert!(!whole, "{}\n{plan}", case.text);
        assert!(case.sorts || !plan.contains("Sort"), "{}\n{plan}", case.text);
    }
}

/// The plan of the writer's connection: one for all arguments.
async fn explain_prepared(connection: &mut PgConnection, text: &str) -> Vec<PgRow> {
    let parameters = (1..100).take_while(|number| text.contains(&format!("${number}"))).count();
    let nulls = vec!["NULL"; parameters].join(", ");
    connection.execute("SET plan_cache_mode = force_generic_plan").await.unwrap();
    connection.execute(AssertSqlSafe(format!("PREPARE planned AS {text}"))).await.unwrap();
    let explain = AssertSqlSafe(format!("EXPLAIN (COSTS OFF) EXECUTE planned({nulls})"));
    let rows = sqlx::query(explain).fetch_all(&mut *connection).await.unwrap();
    connection.execute("DEALLOCATE planned; RESET plan_cache_mode").await.unwrap();
    rows
}

/// An id of row `number` in the filled tables.
fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0000 + number)
}

/// The same in SQL.
const ID: &str = "CREATE FUNCTION pg_temp.id(number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE RETURN \
     ('01930000-0000-7000-8000-' || lpad(to_hex(number), 12, '0'))::uuid";

async fn fill(database: &Database, statements: &[&'static str]) -> PgConnection {
    let server = Server::new(&database.url, PostgresOptions::default()).unwrap();
    let mut connection = server.reader().connect().await.unwrap();
    for statement in [&["SET enable_seqscan = on", ID], statements, &["ANALYZE"]].concat() {
        connection.execute(statement).await.unwrap();
    }
    connection
}

/// Mostly succeeded; a hundredth waits, and something of everything else.
const EXECUTIONS: &str = "INSERT INTO executions (id, action, revision, protocol, status, attempt, correlation_id, traceparent, \
        created_at, started_at, ended_at, run_at, lease_worker, lease_attempt, lease_until, aside, cancel_requested, \
        ordering_key, expires_at) \
     SELECT pg_temp.id(g), pg_temp.id(g % 20), 1, 'http@1.0.0', status, 1, 'c', NULL, 1730871820288000 + g, g, g, \
        CASE WHEN status IN (0, 2) THEN g END, CASE WHEN status = 1 THEN pg_temp.id(g % 3) END, \
        CASE WHEN status = 1 THEN 1 END, CASE WHEN status = 1 THEN g END, status = 0 AND g % 3 = 0, false, \
        CASE WHEN g % 10 = 0 THEN sha256((g % 100)::text::bytea) END, CASE WHEN g % 10 = 1 THEN g END \
     FROM (SELECT g, CASE WHEN g % 1000 < 950 THEN 4 WHEN g % 1000 < 960 THEN 0 ELSE g % 8 END AS status \
        FROM generate_series(1, 60000) AS g) AS numbers";

const PACES: &str = "INSERT INTO action_paces SELECT pg_temp.id(g), g FROM generate_series(1, 20000) AS g";
const KEYS: &str = "INSERT INTO idempotency_keys \
     SELECT pg_temp.id(g % 20), g::text::bytea, sha256(''), pg_temp.id(g), g FROM generate_series(1, 20000) AS g";
const PAYLOADS: &str = "INSERT INTO payloads SELECT sha256(g::text::bytea), '' FROM generate_series(1, 20000) AS g";

/// The frequent types, and a hundredth of rare ones.
const EVENTS: &str = "INSERT INTO events \
     SELECT g, pg_temp.id(g), CASE WHEN g % 100 = 0 THEN (ARRAY['message_logged', 'request_made'])[1 + g / 100 % 2] \
        ELSE (ARRAY['trigger_received', 'execution_queued', 'attempt_started', 'action_executed'])[1 + g % 4] END, \
        g, pg_temp.id(g / 4 % 20), 1, pg_temp.id(g / 4), convert_to('c' || g / 4, 'UTF8'), NULL, 1, CASE WHEN g % 50 = 0 THEN sha256(g::text::bytea) END, '{}' \
     FROM generate_series(1, 200000) AS g";

fn execution_cases() -> Vec<Case> {
    let page = || Page { after: None, limit: 50 };
    // The time in the ids.
    let now = Timestamp::from_micros(0x0193_0000_0000 * 1000 + 30_000);
    let mut cases = vec![
        reading(executions::one(ExecutionId::from_uuid(id(7))), &["executions_pkey"]),
        sorting(writing(guard::GUARDS, &["executions_pkey"])),
        writing(&bulk::WRITE_ROWS, &["executions_pkey"]),
        writing(claim::WAITING, &["executions_turn"]),
        writing(&claim::DUE, &["executions_turn"]),
        writing(&claim::THESE, &["executions_pkey"]),
        writing(&claim::HOLD, &["executions_pkey"]),
        writing(claim::BEHIND, &["executions_ordered"]),
        sorting(writing(claim::RUNNING_OF, &["executions_running"])),
        writing(claim::PACES, &["action_paces_pkey"]),
        reading(sqlx::query(queue::PAUSED_UNTIL).bind(id(1)), &["action_paces_pkey"]),
        writing(queue::END_PAUSE, &["action_paces_pkey"]),
        writing(queue::FORGET_PACE, &["action_paces_pkey"]),
        writing(queue::CANCEL, &["executions_pkey"]),
        writing(queue::RENEW, &["executions_running"]),
        sorting(writing(queue::CALL_BACK, &["executions_aside", "executions_pkey"])),
        writing(queue::KEYS, &["idempotency_keys_pkey"]),
        writing(queue::OFFER, &["executions_due", "executions_pkey"]),
        writing(prune::CHOOSE, &["executions_pkey", "events_by_execution", "idempotency_keys_by_execution"]),
        writing(prune::EXECUTIONS, &["executions_pkey"]),
        writing(prune::KEYS, &["idempotency_keys_by_execution"]),
        reading(executions::expired(now, 9), &["executions_expiring"]),
        reading(sqlx::query(executions::TO_CANCEL).bind(id(1)), &["executions_running"]),
        sorting(writing(removing::EXECUTION_ON, &["executions_open_by_protocol", "executions_running"])),
        reading(sqlx::query(executions::NEXT_DUE), &["executions_due"]),
        reading(executions::abandoned(now, None, 100), &["executions_running"]),
        reading(executions::abandoned(now, Some(id(1)), 100), &["executions_running"]),
    ];
    let (early, late) = (Timestamp::from_micros(now.as_micros() - 20_000), now);
    for (since, until) in [(None, None), (Some(early), None), (None, Some(late)), (Some(early), Some(late))] {
        for action in [None, Some(ActionId::from_uuid(id(7)))] {
            for status in Status::ALL.map(Some).into_iter().chain([None]) {
                let index = match (action, status) {
                    (_, Some(Status::Running)) => "executions_running",
                    (None, None | Some(Status::Succeeded)) => "executions_pkey",
                    (Some(_), None | Some(Status::Succeeded)) => "executions_by_action",
                    (None, Some(_)) => "executions_by_status",
                    (Some(_), Some(_)) => "executions_by_action_and_status",
                };
                let filter = ExecutionFilter { action, status, since, until };
                let case = reading(executions::page(&filter, page()), &[index]);
                cases.push(if status == Some(Status::Running) { sorting(case) } else { case });
            }
        }
    }
    cases
}

fn event_cases() -> Vec<Case> {
    let one = ExecutionId::from_uuid(id(7));
    let mut cases: Vec<Case> =
        EventType::ALL.iter().map(|r#type| reading(events::of(one, *r#type), &["events_by_execution"])).collect();
    cases.push(reading(events::sent(one, 1), &["events_by_execution"]));
    cases.push(reading(sqlx::query(log::LEFT).bind(id(1)), &["events_by_execution"]));
    cases.push(reading(sqlx::query(log::LOGGED.as_str()).bind(100_i64).bind(50_i64), &["events_pkey"]));
    cases.push(writing(prune::PAYLOADS_OF, &["events_by_execution"]));
    cases.push(sorting(writing(prune::HOLD_PAYLOADS, &["payloads_pkey"])));
    cases.push(writing(prune::EVENTS.as_str(), &["events_by_execution"]));
    cases.push(writing(prune::PAYLOADS, &["payloads_pkey", "events_by_payload"]));
    let rare = vec![EventType::MessageLogged, EventType::RequestMade];
    let mixed = vec![EventType::MessageLogged, EventType::ActionExecuted];
    for types in [vec![], rare.clone(), rare[..1].to_vec(), mixed, EventType::ALL.to_vec()] {
        for action in [None, Some(ActionId::from_uuid(id(7)))] {
            for execution in [None, Some(one)] {
                for correlation_id in [None, Some("c".to_owned()), Some(one.to_string())] {
                    let all_rare = types == rare || types == rare[..1];
                    let index = match (execution, &correlation_id, action) {
                        (Some(_), _, _) => "events_by_execution",
                        (None, Some(_), _) => "events_by_correlation",
                        (None, None, Some(_)) if all_rare => "events_by_action_and_type",
                        (None, None, Some(_)) => "events_by_action",
                        (None, None, None) if all_rare => "events_by_type",
                        (None, None, None) => "events_pkey",
                    };
                    let filter = EventFilter { types: types.clone(), action, execution, correlation_id, kind: None };
                    let case = reading(events::page(&filter, Page { after: Some(50_000), limit: 50 }), &[index]);
                    // Each type's page is taken before one page is taken from them.
                    let own = execution.is_none() && filter.correlation_id.as_ref() == Some(&one.to_string());
                    cases.push(if types == rare || own { sorting(case) } else { case });
                }
            }
        }
    }
    cases
}

/// A twentieth of the events are items, of two kinds.
const ITEMS: &str = "INSERT INTO events (position, id, type, time, action, execution, data, kind) \
     SELECT 200000 + g, pg_temp.id(g), 'item_captured', g, pg_temp.id(g % 20), pg_temp.id(g), '{}', \
        CASE WHEN g % 2 = 0 THEN 'entry' ELSE 'message' END::bytea FROM generate_series(1, 10000) AS g";

fn item_cases() -> Vec<Case> {
    let one = ExecutionId::from_uuid(id(7));
    let mut cases = Vec::new();
    for types in [vec![], vec![EventType::ItemCaptured], EventType::ALL.to_vec()] {
        for action in [None, Some(ActionId::from_uuid(id(7)))] {
            for execution in [None, Some(one)] {
                for correlation_id in [None, Some("c".to_owned())] {
                    let index = match (execution, &correlation_id, action) {
                        (Some(_), _, _) => "events_by_execution",
                        (None, Some(_), _) => "events_by_correlation",
                        (None, None, Some(_)) => "events_by_action_and_kind",
                        (None, None, None) => "events_by_kind",
                    };
                    let kind = Some("entry".to_owned());
                    let filter = EventFilter { types: types.clone(), action, execution, correlation_id, kind };
                    cases.push(reading(events::page(&filter, Page { after: Some(50_000), limit: 50 }), &[index]));
                }
            }
        }
    }
    cases
}

const TRIGGERS: &str = "INSERT INTO triggers SELECT pg_temp.id(g / 4), g % 4, 1 + g % 4, ('i' || g)::bytea, 0, \
        CASE WHEN g % 4 = 0 THEN ('p' || g)::bytea END, CASE WHEN g % 4 = 1 THEN g END, NULL, 0 \
     FROM generate_series(4, 20000) AS g";

/// The tables of what comes in, as they are when they are large.
fn coming_in_cases() -> Vec<Case> {
    let (action, name) = (ActionId::from_uuid(id(7)), "c7".parse().unwrap());
    let page = |after| Page { after, limit: 50 };
    vec![
        reading(triggers::at("p8"), &["triggers_by_path"]),
        reading(triggers::of(action), &["triggers_pkey"]),
        reading(triggers::page(StandingKind::Event, page(None)), &["triggers_by_kind"]),
        reading(triggers::page(StandingKind::Event, page(Some((action, 2)))), &["triggers_by_kind"]),
        reading(triggers::due(Timestamp::from_micros(50), 20), &["triggers_due"]),
        reading(sqlx::query(triggers::NEXT), &["triggers_due"]),
        writing(firing::TAKEN_PATHS, &["triggers_by_path"]),
        writing(firing::REMOVE, &["triggers_pkey"]),
        writing(firing::FIRE, &["triggers_pkey"]),
        writing(firing::USE, &["triggers_pkey"]),
        writing(firing::RESTART, &["triggers_pkey"]),
        sorting(writing(guard::TRIGGERS, &["triggers_pkey"])),
        sorting(writing(guard::ACTIONS, &["actions_pkey"])),
        sorting(writing(guard::CONSUMERS, &["consumers_pkey"])),
        reading(capture::known(action, &["k7".into(), "k8".into()]), &["item_keys_pkey"]),
        reading(capture::values(action), &["action_values_pkey"]),
        writing(keeping_items::ADD_KEYS, &["actions_pkey"]),
        writing(keeping_items::SET, &["actions_pkey"]),
        writing(keeping_items::REMOVE, &["action_values_pkey"]),
        reading(consumers::one(&name), &["consumers_pkey"]),
        reading(consumers::page(&Page { after: Some(name), limit: 50 }), &["consumers_pkey"]),
        reading(consumers::cursors(&Page { after: Some("$".into()), limit: 50 }), &["cursors_pkey"]),
        writing(moving::CHANGE, &["consumers_pkey"]),
        writing(moving::REMOVE, &["consumers_pkey"]),
        writing(moving::ACKNOWLEDGE, &["consumers_pkey"]),
        writing(moving::CURSOR, &["cursors_pkey"]),
        writing(moving::MOVE_CURSOR, &["cursors_pkey"]),
        writing(moving::REMOVE_CURSOR, &["cursors_pkey"]),
    ]
}

fn other_cases() -> Vec<Case> {
    let name = || "http".parse().unwrap();
    let pin = "http@1.0.0".parse().unwrap();
    let mut cases = vec![
        reading(protocols::one(&pin), &["protocols_pkey"]),
        sorting(reading(secrets::named(&[name()]), &["secrets_pkey"])),
        reading(secrets::page(&Page { after: Some(name()), limit: 50 }), &["secrets_pkey"]),
        writing(keeping::VERSION, &["secrets_pkey"]),
        writing(keeping::DELETED, &["deleted_secrets_pkey"]),
        writing(keeping::USERS, &["action_secrets_pkey"]),
        reading(sqlx::query(protocols::VERSIONS).bind("http"), &["protocols_pkey"]),
        reading(sqlx::query(protocols::CHOSEN).bind("http").bind(vec!["1.0.0"]), &["protocols_pkey"]),
        reading(protocols::with(&action_domain::digest::Digest::of(b"")), &["protocols_by_digest"]),
        reading(protocols::page(&Page { after: Some(pin), limit: 50 }), &["protocols_pkey"]),
        reading(sqlx::query(log::PRUNED).bind(100_i64).bind(50_i64), &["pruned_events_pkey"]),
        reading(sqlx::query(log::SEALS.as_str()).bind(100_i64).bind(50_i64), &["seals_pkey"]),
        reading(sqlx::query(log::LEAVES).bind(100_i64), &["seals_pkey"]),
        reading(sqlx::query(log::OVER.as_str()).bind(100_i64), &["seals_by_position"]),
        reading(sqlx::query(seals::LAST.as_str()), &["seals_pkey"]),
        writing(removing::ACTION_ON, &["actions_by_pin"]),
        writing(removing::DIGEST_OF, &["protocols_pkey"]),
        writing(removing::REMOVE_COMPONENT, &["components_pkey", "protocols_by_digest"]),
        reading(actions::revision(ActionId::from_uuid(id(7)), 1), &["action_revisions_pkey"]),
        reading(actions::one(&ActionKey::Id(ActionId::from_uuid(id(7)))), &["actions_pkey", "action_revisions_pkey"]),
        reading(actions::one(&ActionKey::Name(name())), &["actions_by_name", "action_revisions_pkey"]),
    ];
    for label in [None, Some(("k".to_owned(), "v".to_owned()))] {
        for protocol in [None, Some(name())] {
            for enabled in [None, Some(false)] {
                let index = match (&label, &protocol, enabled) {
                    (Some(_), _, _) => "action_labels_pkey",
                    (None, Some(_), _) => "actions_by_protocol",
                    (None, None, Some(_)) => "actions_by_enabled",
                    (None, None, None) => "actions_by_name",
                };
                let filter = ActionFilter { protocol: protocol.clone(), label: label.clone(), enabled };
                let page = Page { after: None, limit: 50 };
                let case = reading(actions::page(&filter, &page), &[index, "action_revisions_pkey"]);
                let conditions =
                    usize::from(label.is_some()) + usize::from(protocol.is_some()) + usize::from(enabled.is_some());
                // Of two indexes the better one depends on the values.
                cases.push(if conditions > 1 { sorting(Case { indexes: vec![], ..case }) } else { case });
            }
        }
    }
    cases
}

fn token_cases() -> Vec<Case> {
    let one = TokenId::from_uuid(id(7));
    vec![
        reading(tokens::one(one), &["tokens_pkey"]),
        reading(tokens::page(Page { after: None, limit: 50 }), &["tokens_pkey"]),
        reading(tokens::page(Page { after: Some(one), limit: 50 }), &["tokens_pkey"]),
        writing(revoking::REMOVE, &["tokens_pkey"]),
    ]
}

#[tokio::test]
async fn tokens_are_found_by_their_ids() {
    let (database, _) = database().await;
    let tokens = "INSERT INTO tokens SELECT pg_temp.id(g), '{}' FROM generate_series(1, 20000) AS g";
    let mut connection = fill(&database, &[tokens]).await;
    check(&mut connection, token_cases()).await;
}

#[tokio::test]
async fn items_are_found_over_the_indexes_of_their_kinds() {
    let (database, _) = database().await;
    let mut connection = fill(&database, &[EVENTS, ITEMS]).await;
    check(&mut connection, item_cases()).await;
}

#[tokio::test]
async fn what_comes_in_is_found_over_indexes() {
    let (database, _) = database().await;
    let statements = [
        "INSERT INTO action_revisions SELECT pg_temp.id(g), 1, '{}' FROM generate_series(0, 5000) AS g",
        "INSERT INTO actions SELECT pg_temp.id(g), 'a' || g, 1, 'p', '1.0.0', true FROM generate_series(0, 5000) AS g",
        TRIGGERS,
        "INSERT INTO item_keys SELECT pg_temp.id(g % 20), ('k' || g)::bytea FROM generate_series(1, 50000) AS g",
        "INSERT INTO action_values SELECT pg_temp.id(g % 500), ('k' || g)::bytea, '' FROM generate_series(1, 20000) AS g",
        "INSERT INTO consumers SELECT 'c' || g, '{}', g, g FROM generate_series(1, 10000) AS g",
        "INSERT INTO cursors SELECT 'c' || g, g FROM generate_series(1, 10000) AS g",
    ];
    let mut connection = fill(&database, &statements).await;
    check(&mut connection, coming_in_cases()).await;
}

#[tokio::test]
async fn executions_are_found_over_indexes() {
    let (database, _) = database().await;
    let mut connection = fill(&database, &[EXECUTIONS, EVENTS, PACES, KEYS]).await;
    check(&mut connection, execution_cases()).await;
}

#[tokio::test]
async fn events_are_found_over_indexes() {
    let (database, _) = database().await;
    let mut connection = fill(&database, &[EVENTS, PAYLOADS]).await;
    check(&mut connection, event_cases()).await;
}

#[tokio::test]
async fn protocols_and_actions_are_found_over_indexes() {
    let (database, _) = database().await;
    let statements = [
        "INSERT INTO seals SELECT g, g * 10, '', '', '' FROM generate_series(1, 20000) AS g",
        "INSERT INTO pruned_events SELECT g, pg_temp.id(g), pg_temp.id(g) FROM generate_series(1, 20000) AS g",
        "INSERT INTO components SELECT sha256(g::text::bytea), '' FROM generate_series(1, 5000) AS g",
        "INSERT INTO protocols SELECT 'p' || g / 5, g % 5 || '.0.0', sha256(g::text::bytea), '{}' \
         FROM generate_series(1, 5000) AS g",
        "INSERT INTO action_revisions SELECT pg_temp.id(g), r, '{}' \
         FROM generate_series(1, 10000) AS g, generate_series(1, 3) AS r",
        "INSERT INTO actions SELECT pg_temp.id(g), 'a' || g, 3, 'p' || g % 50, '1.0.0', g % 50 > 0 \
         FROM generate_series(1, 10000) AS g",
        "INSERT INTO action_labels SELECT 'k', convert_to('v' || g % 50, 'UTF8'), 'a' || g, pg_temp.id(g) \
         FROM generate_series(1, 10000) AS g",
        "INSERT INTO deleted_secrets SELECT 'd' || g, 1 FROM generate_series(1, 10000) AS g",
        "INSERT INTO secrets SELECT 's' || g, 1, 'k', '', '', g, g FROM generate_series(1, 10000) AS g",
        "INSERT INTO action_secrets SELECT 's' || g % 5000, 'a' || g, pg_temp.id(g) FROM generate_series(1, 10000) AS g \
         WHERE g % 5000 > 0",
    ];
    let mut connection = fill(&database, &statements).await;
    check(&mut connection, other_cases()).await;
}

#[tokio::test]
async fn a_plan_that_was_made_for_empty_tables_serves_full_ones() {
    let (_database, server) = database().await;
    for options in [server.reader(), server.writer()] {
        let mut connection = options.connect().await.unwrap();
        for cases in [execution_cases(), event_cases(), other_cases(), token_cases(), item_cases(), coming_in_cases()] {
            check(&mut connection, cases.into_iter().filter(|case| case.kept).collect()).await;
        }
    }
}
