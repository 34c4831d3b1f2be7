//! Finds the values that a config schema annotates with `x-egress`.

use super::{
    Host, HostPattern, Rule,
    schema::{self, DEPTH_MAX, For, Inner, KEYWORD},
};
use crate::action::escape_pointer;
use serde_json::{Map, Value};
use std::{
    collections::{HashSet, VecDeque},
    ptr,
};

/// How an annotated value names its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleSource {
    /// A URL with scheme, host and port. What is behind them may be a template.
    Url,
    /// `host:port`.
    HostPort,
}

/// The rules that a config gives, with pointers into the config. A value that names no host
/// gives none: the protocol will be refused when it tries to reach it.
pub fn rules_of_config(schema: &Value, config: &Value) -> Vec<Rule> {
    let mut rules = Vec::new();
    for_each_value(schema, config, |part, value, pointer| {
        if let Some(rule) = rule(part, value, pointer)
            && !rules.contains(&rule)
        {
            rules.push(rule);
        }
    });
    rules
}

/// Calls `then` for each value of a config with each schema that is for it, and its pointer. Every
/// branch of `anyOf` and its like counts, whether or not it is the one that fits.
pub fn for_each_value(schema: &Value, config: &Value, mut then: impl FnMut(&Map<String, Value>, &Value, &str)) {
    // A schema that is referred to twice is looked at once for each value, by the shortest way to
    // it, or a few references to references would take for ever.
    let mut met = HashSet::from([(ptr::from_ref(schema), ptr::from_ref(config))]);
    let mut next = VecDeque::from([(schema, config, String::new(), 0)]);
    while let Some((part, value, pointer, depth)) = next.pop_front() {
        let Some(part) = part.as_object() else { continue };
        then(part, value, &pointer);
        if depth == DEPTH_MAX {
            continue;
        }
        for Inner { schema: inner, values, .. } in schema::inner(schema, part) {
            each(value, &values, &pointer, |value, pointer| {
                if met.insert((ptr::from_ref(inner), ptr::from_ref(value))) {
                    next.push_back((inner, value, pointer, depth + 1));
                }
            });
        }
    }
}

/// What an annotated schema grants for a value.
fn rule(schema: &Map<String, Value>, value: &Value, pointer: &str) -> Option<Rule> {
    let source = match schema.get(KEYWORD)?.as_str()? {
        "http" => RuleSource::Url,
        "tcp" => RuleSource::HostPort,
        _ => return None,
    };
    let (host, port, https_only) = target(source, value.as_str()?)?;
    Some(Rule { host: HostPattern::Is(host), ports: vec![port], https_only, from: pointer.to_owned() })
}

/// The values inside of `value` that a schema is for, with their pointers.
fn each<'a>(value: &'a Value, values: &For<'_>, pointer: &str, mut then: impl FnMut(&'a Value, String)) {
    match (values, value) {
        (For::Itself, value) => then(value, pointer.to_owned()),
        (For::ItselfWith(name), Value::Object(object)) if object.contains_key(*name) => then(value, pointer.to_owned()),
        (For::Property(name), Value::Object(object)) => {
            if let Some(value) = object.get(*name) {
                then(value, format!("{pointer}/{}", escape_pointer(name)));
            }
        }
        (For::PropertiesBut(own), Value::Object(object)) => {
            for (name, value) in object.iter().filter(|(name, _)| own.is_none_or(|own| !own.contains_key(*name))) {
                then(value, format!("{pointer}/{}", escape_pointer(name)));
            }
        }
        (For::Item(index), Value::Array(list)) => {
            if let Some(value) = list.get(*index) {
                then(value, format!("{pointer}/{index}"));
            }
        }
        (For::ItemsFrom(first), Value::Array(list)) => {
            for (index, value) in list.iter().enumerate().skip(*first) {
                then(value, format!("{pointer}/{index}"));
            }
        }
        _ => {}
    }
}

/// The host and port that an annotated value names, and whether it says that TLS is to be spoken there.
fn target(source: RuleSource, text: &str) -> Option<(Host, u16, bool)> {
    let (host, port, https_only) = match source {
        RuleSource::Url => {
            let (scheme, rest) = text.split_once("://")?;
            let (default, https_only) = match scheme.to_ascii_lowercase().as_str() {
                "http" | "ws" => (80, false),
                "https" | "wss" => (443, true),
                _ => return None,
            };
            // The authority ends where path, query or fragment begin, also where those are
            // templates. A template inside it grants nothing, and neither does user information.
            let authority = rest.split(['/', '?', '#', '\\']).next()?;
            if authority.contains(['{', '}', '@']) {
                return None;
            }
            let (host, port) = split_port(authority, Some(default))?;
            (host, port, https_only)
        }
        RuleSource::HostPort => {
            let (host, port) = split_port(text, None)?;
            (host, port, false)
        }
    };
    let host = Host::parse(host).ok()?;
    (port != 0).then_some((host, port, https_only))
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
            .map(|rule| {
                let scheme = if rule.https_only { " https" } else { "" };
                format!("{} {} {:?}{scheme}", rule.from, rule.host, rule.ports)
            })
            .collect();
        found.sort();
        assert_eq!(
            found,
            [
                "/other/u x.test [8080]",
                "/servers/0 redis.example.com [6379]",
                "/servers/1 2001:db8::1 [7000]",
                "/url api.example.com [443] https",
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
            "https://example.com:0/",
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

    #[test]
    fn many_ways_to_one_place_are_gone_once() {
        let twice = json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}], "properties": {"u": {"x-egress": "http"}}});
        assert_eq!(rules_of_config(&twice, &json!({"u": "https://a.test/"})).len(), 1);
    }
}
