//! One execution: commands in turn, or as a transaction.

use action_protocol::net::{Deadline, Dialer, Wire};
use action_protocol::template::{Context, Structures, refused};
use action_protocol::{Call, Effect, Failure, Outcome, Payload};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::config::{Argument, Config, Raw, Special};
use crate::resp::{self, Reply};
use crate::session::Session;
use crate::{effect, failure, output};

/// A command with its arguments filled in.
struct Command {
    name: String,
    words: Vec<Vec<u8>>,
}

/// One execution, with whatever connects.
pub fn execute(call: &Call<Config>, dialer: &impl Dialer) -> Result<Outcome, Failure> {
    let config = &call.config;
    let deadline = Deadline::of_call(call, config.timeout_ms);
    // All of it is made before anything is sent.
    let context = Context::new(call);
    let commands: Vec<Command> =
        (0..).zip(&config.commands).map(|(n, c)| fill(c, n, &context)).collect::<Result<_, _>>()?;
    let mut session = Session::open(config, dialer, deadline)?;
    let replies = if config.transaction {
        transaction(&mut session, config, &commands)?
    } else {
        in_turn(&mut session, config, &commands)?
    };
    Ok(Payload::json(&json!({ "replies": replies }))?.into())
}

/// Each command is sent when the one before it was answered: what comes behind an error is not done.
fn in_turn<W: Wire>(session: &mut Session<W>, config: &Config, commands: &[Command]) -> Result<Vec<Value>, Failure> {
    let effect = effect::of(config);
    let mut replies = Vec::new();
    for (n, command) in commands.iter().enumerate() {
        match session.ask(&command.words) {
            Ok(Reply::Error(error)) => {
                let nothing_done = n == 0 || effect != Effect::Unsafe;
                return Err(failure::at_command(failure::of_error(&error, nothing_done), n, replies));
            }
            Ok(reply) => replies.push(output::of(&reply, &command.name)),
            Err(error) => {
                return Err(failure::at_command(failure::of_connection(&error, config, effect), n, replies));
            }
        }
    }
    Ok(replies)
}

/// All commands at once, and their replies with that of EXEC.
fn transaction<W: Wire>(
    session: &mut Session<W>,
    config: &Config,
    commands: &[Command],
) -> Result<Vec<Value>, Failure> {
    let effect = effect::of(config);
    let lost = |error| failure::of_connection(&error, config, effect);
    let mut bytes = resp::write(&[b"MULTI".to_vec()]);
    for command in commands {
        bytes.extend(resp::write(&command.words));
    }
    bytes.extend(resp::write(&[b"EXEC".to_vec()]));
    session.send(&bytes).map_err(lost)?;
    if let Reply::Error(error) = session.reply().map_err(lost)? {
        return Err(failure::of_error(&error, true));
    }
    // Of the first command that is not taken the transaction dies, and EXEC says only that it did.
    let mut not_taken = None;
    for n in 0..commands.len() {
        if let Reply::Error(error) = session.reply().map_err(lost)? {
            not_taken.get_or_insert((n, error));
        }
    }
    let done = session.reply().map_err(lost)?;
    match (done, not_taken) {
        (Reply::Error(_), Some((n, error))) => Err(failure::at_command(failure::of_error(&error, true), n, Vec::new())),
        (Reply::Error(error), None) => Err(failure::of_error(&error, true)),
        (Reply::List(replies), _) if replies.len() == commands.len() => {
            let failed = replies.iter().position(|reply| matches!(reply, Reply::Error(_)));
            let values =
                replies.iter().zip(commands).map(|(reply, command)| output::of(reply, &command.name)).collect();
            match failed.map(|n| (n, &replies[n])) {
                // The others were carried out: Redis does not take them back.
                Some((n, Reply::Error(error))) => {
                    Err(failure::at_command(failure::of_error(error, effect != Effect::Unsafe), n, values))
                }
                _ => Ok(values),
            }
        }
        _ => Err(lost(action_protocol::OutboundError::BadResponse("EXEC gave something else than its replies".into()))),
    }
}

fn fill(command: &[Argument], index: usize, context: &Context<'_>) -> Result<Command, Failure> {
    let name = Config::name_of(command)
        .ok_or_else(|| Failure::invalid_config(format!("config /commands/{index}: a command begins with its name")))?;
    let mut words = vec![name.clone().into_bytes()];
    for (n, argument) in command.iter().enumerate().skip(1) {
        let place = format!("/commands/{index}/{n}");
        match argument {
            Argument::Values(values) => {
                words.extend(context.texts(values, &place)?.into_iter().map(String::into_bytes));
            }
            Argument::Special(Special::Json(value)) => {
                words.push(context.json(value, &format!("{place}/json"))?.to_string().into_bytes());
            }
            Argument::Special(Special::Base64(text)) => {
                let place = format!("{place}/base64");
                let text = context.text(text, &place, Structures::Refused)?;
                let bytes = STANDARD.decode(text.trim());
                words.push(bytes.map_err(|error| refused(&place, "…", &format!("not base64: {error}")))?);
            }
            Argument::Special(Special::Raw(Raw::Input)) => words.push(context.payload().data.clone()),
        }
    }
    Ok(Command { name, words })
}
