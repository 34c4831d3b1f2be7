//! An event on one line.

use super::{Colour, Output, Table, field, one_line};
use serde_json::Value;

/// An event as the API gives it, for people.
pub(crate) struct EventLine<'a>(pub(crate) &'a Value);

impl EventLine<'_> {
    /// Many of them as a table; `of_one` execution needs no column for it.
    pub(crate) fn table(output: Output, events: &[Value], of_one: bool) -> Table {
        let mut table = if of_one {
            Table::new(output, &["position", "time", "type", "attempt", "data"])
        } else {
            Table::new(output, &["position", "time", "type", "execution", "attempt", "data"])
        };
        for event in events {
            let mut cells = vec![field(event, "/position"), field(event, "/time"), field(event, "/type")];
            if !of_one {
                cells.push(field(event, "/execution"));
            }
            cells.extend([field(event, "/attempt"), EventLine(event).summary()]);
            table.row(cells);
        }
        table
    }

    /// The event while others are still to come: no column can know its width yet.
    pub(crate) fn line(&self, output: Output) -> String {
        let get = |pointer: &str| field(self.0, pointer);
        let time = output.paint(Colour::Dim, &get("/time"));
        let execution = output.paint(Colour::Dim, &format!("{:30}", get("/execution")));
        format!("{:>8}  {time}  {execution}  {:18}  {}", get("/position"), get("/type"), self.summary())
            .trim_end()
            .to_owned()
    }

    /// What matters of its data.
    pub(crate) fn summary(&self) -> String {
        let data = self.0.get("data").unwrap_or(&Value::Null);
        let get = |pointer: &str| field(data, pointer);
        let text = match self.0.get("type").and_then(Value::as_str).unwrap_or_default() {
            "protocol_uploaded" | "protocol_deleted" => get("/protocol"),
            "protocol_refused" => first_issue(data),
            "action_updated" if data.pointer("/changes/protocol").is_some() => {
                format!("{}  {} → {}", get("/name"), get("/changes/protocol/from"), get("/changes/protocol/to"))
            }
            "action_created" | "action_updated" | "action_deleted" => join([get("/name"), get("/protocol")], "  "),
            "token_created" => join([get("/token"), get("/name"), words(data, "/scopes")], "  "),
            "token_revoked" => join([get("/token"), get("/name")], "  "),
            "connection_tested" => join([get("/protocol"), get("/verdict")], "  "),
            "trigger_received" => {
                let input = data.get("input").unwrap_or(&Value::Null);
                format!("{}, {}, {} bytes", get("/trigger/type"), field(input, "/content_type"), field(input, "/bytes"))
            }
            "trigger_refused" => join([get("/code"), get("/message")], ": "),
            "execution_queued" => format!("due {}", get("/run_at")),
            "events_pruned" => {
                let (executions, events) = (get("/executions"), get("/events"));
                format!("{executions} executions with {events} events that ended before {}", get("/before"))
            }
            "attempt_failed" => format!("{}; again at {}", error(data), get("/retry_at")),
            "request_made" => {
                let target = format!("{} {}{}", get("/method"), place(data), get("/path"));
                let answer = join([get("/status"), get("/error")], " ");
                format!("{target} {answer}, {} ms", get("/ms"))
            }
            "egress_denied" => join([format!("{}: {}", place(data), get("/rule")), get("/hint")], "; "),
            "message_logged" => format!("{}: {}", get("/level"), get("/message")),
            "progress_reported" => {
                let total = get("/total");
                let of = if total.is_empty() { String::new() } else { format!(" of {total}") };
                format!("{}{of}  {}", get("/completed"), get("/message"))
            }
            "action_executed" if data.get("success") == Some(&Value::Bool(true)) => "succeeded".to_owned(),
            "action_executed" | "attempt_in_doubt" | "execution_cancelled" => error(data),
            "execution_resolved" => format!("as {}", get("/as")),
            // The worker's id tells people nothing.
            "attempt_started" | "attempt_abandoned" | "attempt_sending" | "execution_cancel_requested" => String::new(),
            // A newer release's event.
            _ if data.is_null() => String::new(),
            _ => one_line(&data.to_string()),
        };
        match (text.trim(), get("/by")) {
            (text, by) if by.is_empty() => text.to_owned(),
            ("", by) => format!("by {by}"),
            (text, by) => format!("{text}  by {by}"),
        }
    }
}

fn words(data: &Value, pointer: &str) -> String {
    let words = data.pointer(pointer).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    one_line(&words.collect::<Vec<_>>().join(" "))
}

/// Host and port; port 0 stands for none, where a name was looked up.
fn place(data: &Value) -> String {
    let port = field(data, "/port");
    let host = field(data, "/host");
    if port == "0" { host } else { format!("{host}:{port}") }
}

fn error(data: &Value) -> String {
    join([field(data, "/error/code"), field(data, "/error/message")], ": ")
}

fn first_issue(data: &Value) -> String {
    let errors = data.get("errors").and_then(Value::as_array).map_or(0, Vec::len);
    let first = join([field(data, "/errors/0/pointer"), field(data, "/errors/0/message")], ": ");
    if errors > 1 { format!("{first} (and {} more)", errors - 1) } else { first }
}

fn join<const N: usize>(parts: [String; N], with: &str) -> String {
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(with)
}

#[cfg(test)]
mod tests {
    use super::*;
    use action_domain::event::EventType;
    use serde_json::json;

    #[test]
    fn what_matters_is_on_the_line() {
        let summary = |r#type: &str, data: Value| EventLine(&json!({"type": r#type, "data": data})).summary();
        let request = json!({"method": "POST", "host": "127.0.0.1", "port": 9000, "path": "/orders", "status": 200,
            "error": null, "bytes_out": 1, "bytes_in": 2, "ms": 1});
        assert_eq!(summary("request_made", request), "POST 127.0.0.1:9000/orders 200, 1 ms");
        let trigger = json!({"trigger": {"type": "call"}, "input": {"content_type": "application/json", "bytes": 15}});
        assert_eq!(summary("trigger_received", trigger), "call, application/json, 15 bytes");
        assert_eq!(summary("action_executed", json!({"success": true})), "succeeded");
        let failed = json!({"success": false, "error": {"code": "trapped", "message": "unreachable"}});
        assert_eq!(summary("action_executed", failed), "trapped: unreachable");
        let made = json!({"token": "tok_1", "name": "ci", "scopes": ["invoke", "read"], "by": "admin"});
        assert_eq!(summary("token_created", made), "tok_1  ci  invoke read  by admin");
        assert_eq!(summary("execution_cancel_requested", json!({"by": "subject:x"})), "by subject:x");
        assert_eq!(summary("from_the_future", json!({"a": 1})), r#"{"a":1}"#);
    }

    #[test]
    fn an_event_without_data_has_a_line_too() {
        for r#type in EventType::ALL {
            let event = json!({"position": 1, "type": r#type.as_str(), "time": "t"});
            assert!(EventLine(&event).line(Output::new(true)).contains(r#type.as_str()));
        }
    }
}
