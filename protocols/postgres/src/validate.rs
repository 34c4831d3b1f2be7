//! Says everything that is wrong with a config, and what its repeats can do.

use action_protocol::config::Findings;
use action_protocol::{Accepted, Effect, Issue};

use crate::config::{Config, ROWS_MAX, STATEMENTS_MAX, Security};

/// What is wrong with a config, or its effect and what is odd about it.
pub fn validate(config: &Config) -> Result<Accepted, Vec<Issue>> {
    let mut found = Findings::default();
    match (&config.query, &config.execute) {
        (None, None) => found.issue("", "empty", "there is neither query nor execute"),
        (Some(_), Some(_)) => found.issue("/execute", "conflict", "beside query: leave one of the two out"),
        _ => {}
    }
    if config.execute.as_ref().is_some_and(Vec::is_empty) {
        found.issue("/execute", "empty", "there is no statement");
    }
    if config.execute.as_ref().is_some_and(|statements| statements.len() > STATEMENTS_MAX) {
        found.issue("/execute", "out_of_range", format!("there are at most {STATEMENTS_MAX} statements"));
    }
    for part in config.parts() {
        let pointer = part.pointer();
        if part.sql.trim().is_empty() {
            found.issue(format!("{pointer}/sql"), "empty", "there is no statement");
        }
        if part.sql.contains('\0') {
            found.issue(format!("{pointer}/sql"), "invalid_sql", "a statement holds no NUL");
        }
        if part.sql.contains("{{") && part.sql.contains("}}") {
            let message = "a statement is no template: what the input gives stands at $1 and is one of the parameters";
            found.warn(format!("{pointer}/sql"), "no_template", message);
        }
        for (n, value) in part.parameters.iter().enumerate() {
            found.json_template(value, &format!("{pointer}/parameters/{n}"));
        }
    }
    if config.query.as_ref().is_some_and(|query| !(1..=ROWS_MAX).contains(&query.rows_max)) {
        found.issue("/query/rows_max", "out_of_range", format!("from 1 to {ROWS_MAX} rows are given"));
    }
    if config.query.is_some() && config.effect.is_some() {
        found.issue("/effect", "conflict", "a query reads: leave this out");
    }
    for (pointer, name) in [("/user", Some(&config.user)), ("/database", config.database.as_ref())] {
        if name.is_some_and(|name| name.is_empty() || name.contains('\0')) {
            found.issue(pointer, "invalid_name", "this is no name");
        }
    }
    if config.security == Security::None {
        if config.tls.is_some() {
            found.issue("/tls", "conflict", "without TLS this has no meaning: leave it out, or set security to tls");
        }
        found.warn("/security", "in_clear", "without TLS everybody on the way can read and change what is sent");
    }
    found.timeout_ms(Some(config.timeout_ms), "/timeout_ms");
    found.finish(effect(config))
}

/// What a repeat can do.
pub fn effect(config: &Config) -> Effect {
    if config.query.is_some() { Effect::Read } else { config.effect.map_or(Effect::Unsafe, Into::into) }
}
