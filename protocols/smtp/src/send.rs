//! One execution: a mail is handed over. And the connection test.

use std::time::Instant;

use action_protocol::net::{Deadline, Dialer};
use action_protocol::{Call, ConnectionReport, Failure, Outcome, Payload};
use serde_json::{Value, json};

use crate::config::Config;
use crate::dialog::Dialog;
use crate::message;

/// One execution, with whatever connects.
pub fn execute(call: &Call<Config>, dialer: &impl Dialer) -> Result<Outcome, Failure> {
    let config = &call.config;
    let mail = message::build(call)?;
    let mut dialog = Dialog::open(config, dialer, Deadline::of_call(call, config.timeout_ms))?;
    let most = dialog.parameters("SIZE").and_then(|size| size.parse::<usize>().ok()).filter(|size| *size > 0);
    if let Some(most) = most.filter(|most| mail.bytes.len() > *most) {
        let message = format!("the mail has {} bytes, and the server takes {most}", mail.bytes.len());
        return Err(Failure::invalid_input(message));
    }
    let ascii = mail.from.is_ascii() && mail.recipients.iter().all(|address| address.is_ascii());
    if !ascii && !dialog.offers("SMTPUTF8") {
        return Err(Failure::rejected("an address is beyond ASCII, and the server does not take such"));
    }
    let utf8 = if ascii { "" } else { " SMTPUTF8" };
    let size = if most.is_some() { format!(" SIZE={}", mail.bytes.len()) } else { String::new() };
    dialog.must(&format!("MAIL FROM:<{}>{size}{utf8}", mail.from), 250)?;
    let mut refused = Vec::new();
    for address in &mail.recipients {
        let reply = dialog.ask(&format!("RCPT TO:<{address}>"))?;
        if !matches!(reply.code, 250 | 251) {
            refused.push((address, reply));
        }
    }
    // All get it or nobody does: a mail that some have got could not be sent again.
    if let Some((address, reply)) = refused.iter().find(|(_, reply)| reply.code >= 500).or(refused.first()) {
        let list: Vec<Value> =
            refused.iter().map(|(address, reply)| json!({ "address": address, "reply": reply.text() })).collect();
        let failure = reply.refusal(&format!("recipient {address}"));
        dialog.close();
        return Err(failure.details(&json!({ "refused": list })));
    }
    dialog.must("DATA", 354)?;
    dialog.write(&message::stuffed(&mail.bytes))?;
    let taken = dialog.end_of_mail()?;
    if taken.code != 250 {
        return Err(taken.refusal("the mail"));
    }
    dialog.close();
    let output = json!({ "message_id": mail.id, "recipients": mail.recipients, "reply": taken.text() });
    Ok(Payload::json(&output)?.into())
}

/// test-connection: everything up to the mail.
pub fn test(config: &Config, dialer: &impl Dialer) -> Result<ConnectionReport, Failure> {
    let start = Instant::now();
    let dialog = Dialog::open(config, dialer, Deadline::after_ms(config.timeout_ms))?;
    let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let user = match (&config.username, dialog.method) {
        (Some(user), Some(method)) => format!("as user {user} ({method})"),
        _ => "without a user".to_owned(),
    };
    let summary = format!("{} at {} answered {user} in {ms} ms", dialog.greeting, config.address);
    let details = json!({
        "address": config.address.to_string(),
        "greeting": dialog.greeting,
        "extensions": dialog.extensions,
        "user": config.username,
        "authentication": dialog.method,
        "ms": ms,
    });
    dialog.close();
    Ok(ConnectionReport::new(summary).details(&details))
}
