//! What another version of a protocol changes, on lines for people.

use super::{Colour, Output, field};
use serde_json::Value;

/// How two versions differ, and which actions would be refused.
pub(crate) fn upgrade_lines(upgrade: &Value, output: Output) -> Vec<String> {
    let mut lines = vec![format!("  compared with {}", field(upgrade, "/from"))];
    let list = |name: &str| upgrade.get(name).and_then(Value::as_array).into_iter().flatten();
    let plus = |text: String| output.paint(Colour::Green, &format!("  + {text}"));
    let minus = |text: String| output.paint(Colour::Red, &format!("  - {text}"));
    lines.extend(list("imports_added").map(|import| plus(format!("imports {}", field(import, "")))));
    lines.extend(list("imports_removed").map(|import| minus(format!("imports {}", field(import, "")))));
    lines.extend(list("test_methods_added").map(|method| plus(format!("tests with {}", field(method, "")))));
    for change in list("config") {
        let place = format!("config{}", field(change, "/pointer"));
        lines.push(match field(change, "/change").as_str() {
            "added" => plus(place),
            "removed" => minus(place),
            "required" => plus(format!("{place} is required")),
            "optional" => minus(format!("{place} is required")),
            "egress_added" => output.paint(Colour::Yellow, &format!("  ! {place} may be reached")),
            "egress_removed" => minus(format!("{place} may be reached")),
            "write_only_added" => plus(format!("{place} is a secret")),
            "write_only_removed" => output.paint(Colour::Yellow, &format!("  ! {place} is no secret")),
            _ => format!("  ~ {place}"),
        });
    }
    if upgrade.get("config_cut") == Some(&Value::Bool(true)) {
        lines.push("  … and more differences".to_owned());
    }
    let (mut accepted, mut refused) = (0, Vec::new());
    for action in list("actions") {
        if action.get("accepted") == Some(&Value::Bool(true)) {
            accepted += 1;
            continue;
        }
        for error in action.get("errors").and_then(Value::as_array).into_iter().flatten() {
            let text =
                format!("{}  {}: {}", field(action, "/name"), field(error, "/pointer"), field(error, "/message"));
            refused.push(output.paint(Colour::Yellow, &format!("  ! would refuse {text}")));
        }
    }
    if accepted > 0 {
        lines.push(format!("  would accept {accepted} of the actions as they are"));
    }
    lines.extend(refused);
    if upgrade.get("more") == Some(&Value::Bool(true)) {
        lines.push("  … and more actions that were not asked about".to_owned());
    }
    lines
}

/// How a save changed what an action may do.
pub(crate) fn power_lines(changes: &Value, output: Output) -> Vec<String> {
    let moved = ["protocol", "effect", "private_networks"].into_iter().filter_map(|name| {
        let change = changes.get(name)?;
        Some(
            output.paint(Colour::Yellow, &format!("  ! {name}: {} → {}", field(change, "/from"), field(change, "/to"))),
        )
    });
    let rule = |rule: &Value| {
        let ports = rule.get("ports").and_then(Value::as_array).into_iter().flatten();
        let ports = ports.map(|port| field(port, "")).collect::<Vec<_>>().join(",");
        let ports = if ports.is_empty() { "*".to_owned() } else { ports };
        format!("{}:{ports} ({})", field(rule, "/host"), field(rule, "/from"))
    };
    let rules = |name: &str, sign: char, colour| {
        let rules = changes.get(name).and_then(Value::as_array).into_iter().flatten();
        rules.map(|it| output.paint(colour, &format!("  {sign} may reach {}", rule(it)))).collect::<Vec<_>>()
    };
    let list = |name: &str| changes.get(name).and_then(Value::as_array).into_iter().flatten();
    let lines = |name: &str, words: &str, colour| {
        list(name).map(|it| output.paint(colour, &format!("  {words} {}", field(it, "")))).collect::<Vec<_>>()
    };
    moved
        .chain(rules("egress_added", '+', Colour::Green))
        .chain(rules("egress_removed", '-', Colour::Red))
        .chain(lines("imports_added", "+ imports", Colour::Green))
        .chain(lines("test_methods_added", "+ tests connections with", Colour::Green))
        .chain(lines("secrets_added", "+ may send the secret", Colour::Green))
        .chain(lines("secrets_removed", "- may send the secret", Colour::Red))
        .chain(lines("reveal_added", "! sees the secret", Colour::Yellow))
        .chain(lines("reveal_removed", "- sees the secret", Colour::Red))
        .chain(lines("reveal_kept", "! goes on seeing the secret", Colour::Yellow))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_difference_has_its_line() {
        let upgrade = json!({
            "from": "p@0.1.0", "to": "p@0.2.0", "imports_added": ["wasi:sockets/tcp@0.2.6"], "imports_removed": [],
            "test_methods_added": [], "config_cut": false, "more": true,
            "config": [{"pointer": "/url", "change": "egress_added"}, {"pointer": "/key", "change": "required"}],
            "actions": [
                {"name": "a", "accepted": true, "errors": []},
                {"name": "b", "accepted": false, "errors": [{"pointer": "/config/key", "message": "this member is missing"}]}
            ]
        });
        assert_eq!(
            upgrade_lines(&upgrade, Output::new(true)),
            [
                "  compared with p@0.1.0",
                "  + imports wasi:sockets/tcp@0.2.6",
                "  ! config/url may be reached",
                "  + config/key is required",
                "  would accept 1 of the actions as they are",
                "  ! would refuse b  /config/key: this member is missing",
                "  … and more actions that were not asked about",
            ]
        );
    }

    #[test]
    fn each_power_has_its_line() {
        let changes = json!({
            "protocol": {"from": "p@0.1.0", "to": "p@0.2.0"}, "private_networks": {"from": false, "to": true},
            "egress_added": [{"host": "a.test", "ports": [1, 2], "from": "/grants/egress/0"}],
            "egress_removed": [{"host": "b.test", "ports": [], "from": "/config/url"}],
            "test_methods_added": ["POST"], "secrets_added": ["s"], "reveal_added": ["s"], "reveal_kept": ["t"]
        });
        assert_eq!(
            power_lines(&changes, Output::new(true)),
            [
                "  ! protocol: p@0.1.0 → p@0.2.0",
                "  ! private_networks: false → true",
                "  + may reach a.test:1,2 (/grants/egress/0)",
                "  - may reach b.test:* (/config/url)",
                "  + tests connections with POST",
                "  + may send the secret s",
                "  ! sees the secret s",
                "  ! goes on seeing the secret t",
            ]
        );
    }
}
