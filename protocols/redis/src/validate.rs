//! Says everything that is wrong with a config, and what its repeats can do.

use action_protocol::config::Findings;
use action_protocol::template::{Scalar, Values, is_template};
use action_protocol::{Accepted, Issue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::config::{Argument, COMMANDS_MAX, Config, Security, Special};
use crate::effect;

/// Commands that are about the connection, and what to do instead. Each would change what the replies
/// behind it mean, or bring replies without end.
const OF_THE_CONNECTION: &[(&[&str], &str)] = &[
    (&["AUTH", "HELLO"], "username and password say who asks"),
    (&["SELECT"], "database says which one"),
    (&["MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH"], "transaction makes one of all commands"),
    (&["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"], "an execution ends"),
    (&["MONITOR", "SYNC", "PSYNC", "REPLCONF"], "an execution ends"),
    (&["CLIENT", "QUIT", "RESET", "READONLY", "READWRITE", "ASKING"], "the connection lasts for one execution"),
];

/// What is wrong with a config, or its effect and what is odd about it.
pub fn validate(config: &Config) -> Result<Accepted, Vec<Issue>> {
    let mut found = Findings::default();
    if config.commands.is_empty() {
        found.issue("/commands", "empty", "there is no command");
    }
    if config.commands.len() > COMMANDS_MAX {
        found.issue("/commands", "out_of_range", format!("there are at most {COMMANDS_MAX} commands"));
    }
    for (n, command) in config.commands.iter().enumerate() {
        check_command(&mut found, command, &format!("/commands/{n}"));
    }
    if config.username.is_some() && config.password.is_none() {
        found.issue("/username", "conflict", "a user is known by a password: give one, or leave the user out");
    }
    if config.username.as_deref() == Some("") {
        found.issue("/username", "empty", "there is no name");
    }
    if config.security == Security::None {
        if config.tls.is_some() {
            found.issue("/tls", "conflict", "without TLS this has no meaning: leave it out, or set security to tls");
        }
        if config.password.is_some() {
            found.warn("/security", "credentials_in_clear", "without TLS everybody on the way can read the password");
        }
    }
    found.timeout_ms(Some(config.timeout_ms), "/timeout_ms");
    found.finish(effect::of(config))
}

fn check_command(found: &mut Findings, command: &[Argument], pointer: &str) {
    match Config::name_of(command) {
        None if command.is_empty() => found.issue(pointer, "empty", "a command begins with its name"),
        None => {
            let message = "a command's name is a word, and no template: it says what a repeat can do";
            found.issue(format!("{pointer}/0"), "invalid_command", message);
        }
        Some(name) => {
            let refused = OF_THE_CONNECTION.iter().find(|(names, _)| names.contains(&name.as_str()));
            if let Some((_, instead)) = refused {
                found.issue(format!("{pointer}/0"), "invalid_command", format!("{name} is not for actions: {instead}"));
            }
        }
    }
    for (n, argument) in command.iter().enumerate().skip(1) {
        let pointer = format!("{pointer}/{n}");
        match argument {
            Argument::Values(values) => {
                for (m, value) in values.all().iter().enumerate() {
                    let pointer = match values {
                        Values::One(_) => pointer.clone(),
                        Values::Many(_) => format!("{pointer}/{m}"),
                    };
                    if let Scalar::Text(text) = value {
                        found.template(text, &pointer);
                    }
                }
            }
            Argument::Special(Special::Json(value)) => found.json_template(value, &format!("{pointer}/json")),
            Argument::Special(Special::Base64(text)) if is_template(text) => {
                found.template(text, &format!("{pointer}/base64"));
            }
            Argument::Special(Special::Base64(text)) => {
                if let Err(error) = STANDARD.decode(text.trim()) {
                    found.issue(format!("{pointer}/base64"), "invalid_base64", error.to_string());
                }
            }
            Argument::Special(Special::Raw(_)) => {}
        }
    }
}
