//! What a property that may hold templates can be given as.

use serde::Deserialize;
use serde_json::Number;

/// A value that is given once or several times.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a string, a number, a boolean, or a list of them")]
pub enum Values {
    /// Once.
    One(Scalar),
    /// As often as there are elements; not at all where there are none.
    Many(Vec<Scalar>),
}

impl Values {
    /// All of them.
    pub fn all(&self) -> &[Scalar] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

/// A value that is text in the end.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a string, a number or a boolean")]
pub enum Scalar {
    /// Text, which may hold templates.
    Text(String),
    /// A number, for convenience.
    Number(Number),
    /// A boolean, for convenience.
    Flag(bool),
}
