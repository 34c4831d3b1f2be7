//! What never changes once it is out: the contract, and the record.

use crate::{
    none,
    workspace::{files, read},
};
use sha2::{Digest, Sha256};

/// Of `wit/v0.1/action.wit`. Components in the field were built against these bytes: a change
/// makes a new version beside this one (`wit/README.md` says how), never another digest here.
const WIT_0_1_SHA256: &str = "1d2706381e6368064160fba67f465e13276267e45bab1eba78e3c2f9564be420";

#[test]
fn the_released_contract_is_frozen() {
    let digest = Sha256::digest(read("wit/v0.1/action.wit"));
    assert_eq!(hex::encode(digest), WIT_0_1_SHA256, "a released contract never changes by a byte");
}

/// The SQL of every migration, in order, with its file.
fn migrations(database: &str) -> Vec<(String, String)> {
    let files = files(&format!("migrations/{database}"), "sql");
    files.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

#[test]
fn migrations_are_numbered_from_one_without_gaps() {
    let mut breaches = Vec::new();
    for database in ["sqlite", "postgres"] {
        let all = migrations(database);
        assert!(!all.is_empty());
        for (expected, (path, _)) in (1..).zip(&all) {
            let name = path.rsplit('/').next().unwrap();
            let number = name.split('_').next().and_then(|number| number.parse::<u32>().ok());
            if number != Some(expected) {
                breaches.push(format!("{path} should begin with {expected:04}_"));
            }
        }
    }
    none(&breaches);
}

#[test]
fn the_database_itself_refuses_to_update_and_to_delete_events() {
    let sql: String = migrations("sqlite").into_iter().map(|(_, sql)| sql).collect();
    let sql = sql.lines().map(|line| line.split("--").next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
    let sql = sql.to_uppercase().split_whitespace().collect::<Vec<_>>().join(" ");
    for verb in ["UPDATE", "DELETE"] {
        let trigger = format!("BEFORE {verb} ON EVENTS ");
        let Some(at) = sql.find(&trigger) else { panic!("no trigger {trigger}") };
        let body = sql[at..].split("END;").next().unwrap();
        assert!(body.contains("RAISE(ABORT"), "{trigger} does not abort: {body}");
        let exception = body.split(" WHEN ").nth(1).and_then(|rest| rest.split(" BEGIN").next());
        // Retention names what it removes in a table that is empty outside its transaction.
        let retention = "NOT EXISTS (SELECT 1 FROM PRUNING WHERE EXECUTION = OLD.EXECUTION)";
        assert_eq!(exception, (verb == "DELETE").then_some(retention), "{trigger}");
    }
    assert!(!sql.contains("DROP TRIGGER"), "a migration drops a trigger");
}

/// What its triggers do is tried in its store's tests; here, that nobody takes them away.
#[test]
fn postgres_refuses_it_too() {
    let sql: String = migrations("postgres").into_iter().map(|(_, sql)| sql.to_uppercase()).collect();
    for trigger in ["BEFORE UPDATE OR TRUNCATE ON EVENTS", "BEFORE DELETE ON EVENTS"] {
        assert!(sql.contains(trigger), "no trigger {trigger}");
    }
    for way_out in ["DROP TRIGGER", "DISABLE TRIGGER", "DROP FUNCTION"] {
        assert!(!sql.contains(way_out), "a migration has {way_out}");
    }
}
