//! Attacks, each named, each with its refusal and with what is recorded of it.

mod addresses;
mod egress;
mod input;
mod intruders;
mod kit;
mod names;
mod policy;
mod strangers;
