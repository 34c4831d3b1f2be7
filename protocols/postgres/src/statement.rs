//! A statement: prepared, given its parameters, and run.

use action_protocol::net::Wire;
use action_protocol::{Failure, OutboundError};
use serde_json::{Map, Value, json};

use crate::session::{Broken, Session};
use crate::values;
use crate::wire::{Builder, Message, SYNC, nonsense};

/// What the server made of a statement.
#[derive(Debug, Default)]
pub struct Prepared {
    /// The types of its parameters.
    pub parameters: Vec<u32>,
    /// Names and types of its columns; none where it gives no rows.
    pub columns: Vec<(String, u32)>,
}

/// What a statement gave.
#[derive(Debug, Default)]
pub struct Ran {
    /// By the names of their columns.
    pub rows: Vec<Value>,
    /// What was done, and to how many rows: `INSERT 0 1`. Nothing where there were more rows than asked for.
    pub tag: String,
    /// How the transaction stands: `T`, or `I` where the statement ended it.
    pub state: u8,
}

impl Ran {
    /// For the output.
    pub fn result(self) -> Value {
        let mut words = self.tag.split(' ');
        let command = words.next().unwrap_or_default();
        let affected: Option<u64> = words.next_back().and_then(|count| count.parse().ok());
        json!({ "command": command, "rows_affected": affected.unwrap_or(0), "rows": self.rows })
    }
}

/// Has a statement looked at.
pub fn prepare<W: Wire>(session: &mut Session<W>, sql: &str) -> Result<Prepared, Broken> {
    let mut bytes = Builder::new(b'P').text("").text(sql).short(0).done();
    bytes.extend(Builder::new(b'D').raw(b"S").text("").done());
    bytes.extend(SYNC);
    session.send(&bytes)?;
    let mut prepared = Prepared::default();
    loop {
        let mut message = session.read()?;
        match message.kind {
            b't' => {
                for _ in 0..message.short()? {
                    prepared.parameters.push(message.int()?);
                }
            }
            b'T' => prepared.columns = columns(&mut message)?,
            b'1' | b'n' => {}
            b'Z' => return Ok(prepared),
            _ => return Err(unexpected()),
        }
    }
}

fn columns(message: &mut Message) -> Result<Vec<(String, u32)>, OutboundError> {
    let mut columns: Vec<(String, u32)> = Vec::new();
    for _ in 0..message.short()? {
        let name = message.text()?;
        message.bytes(6)?;
        let oid = message.int()?;
        message.bytes(8)?;
        // A row is an object: a second column of one name gets another.
        let mut unique = name.clone();
        let mut n = 1;
        while columns.iter().any(|(taken, _)| *taken == unique) {
            n += 1;
            unique = format!("{name}_{n}");
        }
        columns.push((unique, oid));
    }
    Ok(columns)
}

/// Runs what was prepared last. `rows_max`: how many rows are asked for; 0 for all.
pub fn run<W: Wire>(
    session: &mut Session<W>,
    prepared: &Prepared,
    parameters: &[Option<String>],
    rows_max: u32,
) -> Result<Ran, Broken> {
    let count = u16::try_from(parameters.len()).unwrap_or(u16::MAX);
    // All of them, and all columns, in their text form.
    let mut bind = Builder::new(b'B').text("").text("").short(0).short(count);
    for parameter in parameters {
        bind = bind.value(parameter.as_deref().map(str::as_bytes));
    }
    let mut bytes = bind.short(0).done();
    bytes.extend(Builder::new(b'E').text("").int(rows_max).done());
    bytes.extend(SYNC);
    session.send(&bytes)?;
    let mut ran = Ran::default();
    loop {
        let mut message = session.read()?;
        match message.kind {
            b'D' => ran.rows.push(row(&mut message, &prepared.columns)?),
            b'C' => ran.tag = message.text()?,
            b'2' | b's' | b'I' => {}
            b'Z' => {
                ran.state = message.byte()?;
                return Ok(ran);
            }
            b'G' | b'H' | b'W' => {
                return Err(Failure::invalid_config("COPY needs a stream, which an action has not").into());
            }
            _ => return Err(unexpected()),
        }
    }
}

fn row(message: &mut Message, columns: &[(String, u32)]) -> Result<Value, OutboundError> {
    if usize::from(message.short()?) != columns.len() {
        return Err(nonsense("a row has other columns than were announced"));
    }
    let mut row = Map::new();
    for (name, oid) in columns {
        let value = match message.int()? {
            u32::MAX => Value::Null,
            length => values::column(&String::from_utf8_lossy(message.bytes(length as usize)?), *oid),
        };
        row.insert(name.clone(), value);
    }
    Ok(Value::Object(row))
}

fn unexpected() -> Broken {
    nonsense("the server says something that is no answer to a statement").into()
}
