//! One execution: a transaction.

use action_protocol::net::{Deadline, Dialer, Wire};
use action_protocol::template::{Context, below};
use action_protocol::{Call, Effect, Failure, Outcome, Payload};
use serde_json::{Value, json};

use crate::config::{Config, Part};
use crate::session::{Broken, Session};
use crate::statement::{self, Ran};
use crate::{validate, values};

/// One execution, with whatever connects.
pub fn execute(call: &Call<Config>, dialer: &impl Dialer) -> Result<Outcome, Failure> {
    let config = &call.config;
    let context = Context::new(call);
    // All of it is made before anything is sent.
    let mut given = Vec::new();
    for part in config.parts() {
        let place = below(&part.pointer(), "parameters");
        let filled = part.parameters.iter().enumerate().map(|(n, value)| context.json(value, &format!("{place}/{n}")));
        given.push((part, filled.collect::<Result<Vec<Value>, Failure>>()?));
    }
    let deadline = Deadline::of_call(call, config.timeout_ms);
    let mut session = Session::open(config, dialer, deadline)?;
    begin(&mut session, config)?;
    let rows_max = config.query.as_ref().map(|query| query.rows_max);
    let mut results = Vec::new();
    for (part, parameters) in given {
        // One more than is given tells whether there are more.
        results.push(run(&mut session, config, part, &parameters, rows_max.map_or(0, |max| max + 1))?);
    }
    let output = if let Some(max) = rows_max {
        let mut rows = results.pop().unwrap_or_default().rows;
        let truncated = rows.len() > max as usize;
        rows.truncate(max as usize);
        json!({ "rows": rows, "row_count": rows.len(), "truncated": truncated })
    } else {
        commit(&mut session, config)?;
        json!({ "results": results.into_iter().map(Ran::result).collect::<Vec<_>>() })
    };
    session.close();
    Ok(Payload::json(&output)?.into())
}

/// Begins a transaction that the server gives up when we do.
pub fn begin<W: Wire>(session: &mut Session<W>, config: &Config) -> Result<(), Failure> {
    let mode = if config.query.is_some() { "READ ONLY" } else { "READ WRITE" };
    let left_ms = session.deadline().left_ms().unwrap_or(1).min(i32::MAX as u32);
    let begin = format!("BEGIN {mode}; SET LOCAL statement_timeout = {left_ms}");
    session.simple(&begin).map(|_| ()).map_err(|broken| broken.failure(config, Effect::Read, None))
}

fn run<W: Wire>(
    session: &mut Session<W>,
    config: &Config,
    part: Part<'_>,
    parameters: &[Value],
    rows_max: u32,
) -> Result<Ran, Failure> {
    let pointer = part.pointer();
    // What is not committed is taken back, so that a repeat does no harm.
    let failed = |broken: Broken| broken.failure(config, Effect::Read, Some(&pointer));
    let prepared = statement::prepare(session, part.sql).map_err(failed)?;
    check_count(&part, prepared.parameters.len())?;
    let mut texts = Vec::new();
    for (n, (value, oid)) in parameters.iter().zip(&prepared.parameters).enumerate() {
        let text = values::parameter(value, *oid);
        texts.push(text.map_err(|why| Failure::invalid_input(format!("config {pointer}/parameters/{n}: {why}")))?);
    }
    let ran = statement::run(session, &prepared, &texts, rows_max).map_err(failed)?;
    if ran.state != b'T' {
        // Whatever it committed before is done.
        let message =
            format!("config {pointer}/sql: the statement ends the transaction, which is this protocol's to end");
        return Err(Failure::invalid_config(message));
    }
    Ok(ran)
}

/// Whether a statement has as many parameters as the config gives it.
pub fn check_count(part: &Part<'_>, takes: usize) -> Result<(), Failure> {
    if part.parameters.len() == takes {
        return Ok(());
    }
    let message = format!(
        "config {}/parameters: the statement takes {takes} parameters and is given {}",
        part.pointer(),
        part.parameters.len()
    );
    Err(Failure::invalid_config(message))
}

/// Only here it becomes unknown what was done: when the answer to COMMIT does not come.
fn commit<W: Wire>(session: &mut Session<W>, config: &Config) -> Result<(), Failure> {
    let effect = validate::effect(config);
    let (_, tag) = session.simple("COMMIT").map_err(|broken| broken.failure(config, effect, None))?;
    if tag == "COMMIT" { Ok(()) } else { Err(Failure::rejected(format!("the server answered COMMIT with {tag}"))) }
}
