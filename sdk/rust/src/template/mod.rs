//! Templates: texts of a config with `{{ … }}` in them, filled in from the input.
//!
//! The same language in every protocol that has templates, so that whoever knows one knows all. A
//! protocol checks a text with [`Template::parse`] when an action is saved, and fills it in with a
//! [`Context`] when the action is executed; [`Findings`](crate::config::Findings) does the former.

mod context;
mod language;
mod values;

pub use context::{Context, Structures, below, refused};
pub use language::{About, Fill, Mistake, Part, Source, Template, is_template};
pub use values::{Scalar, Values};
