//! What `bindgen!` makes of the WIT: one module for each released version of the contract.

pub(crate) mod names;
pub(crate) mod reconciler;
pub(crate) mod transform;
pub(crate) mod v0_1;
