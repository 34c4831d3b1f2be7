//! What comes in: bodies, headers, paths and queries, each refused with a problem where it is
//! not what it should be.

pub(crate) mod body;
pub(crate) mod caller;
pub(crate) mod headers;
pub(crate) mod host;
pub(crate) mod if_match;
pub(crate) mod json;
pub(crate) mod path;
pub(crate) mod prefer;
pub(crate) mod query;
