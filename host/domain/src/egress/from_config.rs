//! Finds the values that a config schema annotates with `x-egress`.

use super::{HostPattern, Rule};
use crate::action::escape_pointer;
use serde_json::Value;

/// How an annotated value names its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleSource {
    /// A URL with scheme, host and port. What is behind them may be a template.
    Url,
    /// `host:port`.
    HostPort,
}

/// Deepest nesting of schemas that is followed; references may be circular.
const DEPTH_MAX: usize = 32;

/// The rules that a config gives, with pointers into the config. A value that names no host
/// gives none: the protocol will be refused when it tries to reach it.
pub fn rules_of_config(schema: &Value, config: &Value) -> Vec<Rule> {
    let mut rules = Vec::new();
    walk(schema, schema, config, "", 0, &mut rules);
    rules
}

fn walk(root: &Value, schema: &Value, value: &Value, pointer: &str, depth: usize, rules: &mut Vec<Rule>) {
    let Some(schema) = schema.as_object() else { return };
    if depth > DEPTH_MAX {
        return;
    }
    let mut deeper =
        |schema: &Value, value: &Value, pointer: &str| walk(root, schema, value, pointer, depth + 1, rules);
    if let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|reference| resolve(root, reference)) {
        deeper(target, value, pointer);
    }
    for keyword in ["allOf", "anyOf", "oneOf"] {
        for branch in schema.get(keyword).and_then(Value::as_array).into_iter().flatten() {
            deeper(branch, value, pointer);
        }
    }
    for keyword in ["if", "then", "else"] {
        if let Some(branch) = schema.get(keyword) {
            deeper(branch, value, pointer);
        }
    }
    if let Some(object) = value.as_object() {
        for (key, value) in object {
            let pointer = format!("{pointer}/{}", escape_pointer(key));
            let own = schema.get("properties").and_then(|properties| properties.get(key));
            if let Some(schema) = own.or_else(|| schema.get("additionalProperties")) {
                deeper(schema, value, &pointer);
            }
        }
    }
    if let Some(list) = value.as_array() {
        let prefix = schema.get("prefixItems").and_then(Value::as_array);
        for (index, value) in list.iter().enumerate() {
            let schema = prefix.and_then(|prefix| prefix.get(index)).or_else(|| schema.get("items"));
            if let Some(schema) = schema {
                deeper(schema, value, &format!("{pointer}/{index}"));
            }
        }
    }
    let source = match schema.get("x-egress").and_then(Value::as_str) {
        Some("http") => RuleSource::Url,
        Some("tcp") => RuleSource::HostPort,
        _ => return,
    };
    if let Some((host, port)) = value.as_str().and_then(|text| target(source, text)) {
        let rule = Rule { host, ports: vec![port], from: pointer.to_owned() };
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
}

/// A reference inside the same schema: `#/$defs/thing`.
fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(reference.strip_prefix('#')?)
}

/// The host and port that an annotated value names.
fn target(source: RuleSource, text: &str) -> Option<(HostPattern, u16)> {
    let (host, port) = match source {
        RuleSource::Url => {
            let (scheme, rest) = text.split_once("://")?;
            let default = match scheme.to_ascii_lowercase().as_str() {
                "http" | "ws" => 80,
                "https" | "wss" => 443,
                _ => return None,
            };
            // The authority ends where path, query or fragment begin, also where those are
            // templates. A template inside it grants nothing, and neither does user information.
            let authority = rest.split(['/', '?', '#', '\\']).next()?;
            if authority.contains(['{', '}', '@']) {
                return None;
            }
            split_port(authority, Some(default))?
        }
        RuleSource::HostPort => split_port(text, None)?,
    };
    match HostPattern::parse(host).ok()? {
        HostPattern::Below(_) => None,
        host => Some((host, port)),
    }
}

fn split_port(authority: &str, default: Option<u16>) -> Option<(&str, u16)> {
    let after_brackets = authority.rfind(']').map_or(0, |end| end + 1);
    match authority[after_brackets..].rfind(':') {
        Some(colon) => {
            let colon = after_brackets + colon;
            Some((&authority[..colon], authority[colon + 1..].parse().ok()?))
        }
        None => Some((authority, default?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn annotated_values_wherever_they_stand() {
        let schema = json!({
            "$defs": {"server": {"type": "string", "x-egress": "tcp"}},
            "properties": {
                "url": {"x-egress": "http"},
                "servers": {"items": {"$ref": "#/$defs/server"}},
                "other": {"oneOf": [{"properties": {"u": {"x-egress": "http"}}}, {"type": "null"}]},
                "plain": {"type": "string"}
            }
        });
        let config = json!({
            "url": "https://API.example.com/orders/{{ id }}?x={{ y }}",
            "servers": ["redis.example.com:6379", "[2001:db8::1]:7000", "no-port"],
            "other": {"u": "http://x.test:8080"},
            "plain": "https://not-granted.test/"
        });
        let mut found: Vec<String> = rules_of_config(&schema, &config)
            .iter()
            .map(|rule| format!("{} {} {:?}", rule.from, rule.host, rule.ports))
            .collect();
        found.sort();
        assert_eq!(
            found,
            [
                "/other/u x.test [8080]",
                "/servers/0 redis.example.com [6379]",
                "/servers/1 2001:db8::1 [7000]",
                "/url api.example.com [443]",
            ]
        );
    }

    #[test]
    fn no_template_and_no_trick_in_the_authority_grants_anything() {
        let schema = json!({"x-egress": "http"});
        for url in [
            "https://{{ host }}/",
            "https://{{host}}.example.com/",
            "https://user@example.com/",
            "https://*.example.com/",
            "https://example.com:{{ port }}/",
            "ftp://example.com/",
            "//example.com/",
            "https://",
        ] {
            assert!(rules_of_config(&schema, &json!(url)).is_empty(), "{url}");
        }
    }

    #[test]
    fn a_circular_schema_ends() {
        let schema = json!({"$ref": "#"});
        assert!(rules_of_config(&schema, &json!({"a": 1})).is_empty());
    }
}
