//! Patterns of statuses: `201`, `"2xx"`, `"200-299"`.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

/// A code, a class, or a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct StatusPattern {
    first: u16,
    last: u16,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a status, a class like \"2xx\", or a range like \"200-299\"")]
enum Written {
    Code(u16),
    Text(String),
}

impl StatusPattern {
    /// 2xx.
    pub const SUCCESS: Self = Self { first: 200, last: 299 };

    /// Whether a status fits.
    pub fn holds(self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some(class) = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX")) {
            let first = class.parse::<u16>().ok()?.checked_mul(100)?;
            return Self::new(first, first.checked_add(99)?);
        }
        match text.split_once('-') {
            Some((first, last)) => Self::new(first.parse().ok()?, last.parse().ok()?),
            None => text.parse().ok().and_then(|code| Self::new(code, code)),
        }
    }

    fn new(first: u16, last: u16) -> Option<Self> {
        (100 <= first && first <= last && last <= 599).then_some(Self { first, last })
    }
}

impl JsonSchema for StatusPattern {
    fn schema_name() -> Cow<'static, str> {
        "StatusPattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "minimum": 100,
            "maximum": 599,
            "pattern": "^([1-5]xx|[1-5]XX|[1-5][0-9]{2}(-[1-5][0-9]{2})?)$",
        })
    }
}

impl TryFrom<Written> for StatusPattern {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let (pattern, text) = match written {
            Written::Code(code) => (Self::new(code, code), code.to_string()),
            Written::Text(text) => (Self::parse(&text), text),
        };
        pattern
            .ok_or_else(|| format!("{text} is not a status from 100 to 599, a class like 2xx, or a range like 200-299"))
    }
}

impl fmt::Display for StatusPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (first, last) if first == last => write!(f, "{first}"),
            (first, last) if first % 100 == 0 && last == first + 99 => write!(f, "{}xx", first / 100),
            (first, last) => write!(f, "{first}-{last}"),
        }
    }
}

impl Serialize for StatusPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<StatusPattern, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn patterns_are_read_and_written() {
        for (json, text, inside, outside) in [
            ("201", "201", 201, 200),
            (r#""201""#, "201", 201, 202),
            (r#""2xx""#, "2xx", 299, 300),
            (r#""4XX""#, "4xx", 400, 399),
            (r#""200-204""#, "200-204", 204, 205),
        ] {
            let pattern = parse(json).unwrap();
            assert_eq!(pattern.to_string(), text);
            assert!(pattern.holds(inside) && !pattern.holds(outside), "{json}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for json in ["99", "600", r#""xx""#, r#""0xx""#, r#""6xx""#, r#""299-200""#, r#""ok""#, "true", r#""99999xx""#]
        {
            assert!(parse(json).is_err(), "{json}");
        }
        assert!(parse("42").unwrap_err().to_string().contains("42"));
    }
}
