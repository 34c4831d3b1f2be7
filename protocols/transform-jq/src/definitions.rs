//! jaq's definitions, as far as an expression reaches.

use crate::words::words;
use jaq_core::load::{self, parse::Def};

/// One definition of jq in jq.
struct Definition {
    /// Without its arguments: several may have it.
    name: &'static str,
    /// The whole of it.
    text: &'static str,
    /// Which others it may call.
    names: &'static [usize],
}

/// In an order in which each stands behind those that it calls; made by `build.rs`.
static DEFINITIONS: &[Definition] = include!(concat!(env!("OUT_DIR"), "/definitions.rs"));

/// The definitions that an expression may call, and those that they call.
pub(crate) fn reached(expression: &str) -> Vec<Def<&'static str>> {
    let mut reached = vec![false; DEFINITIONS.len()];
    for word in words(expression) {
        for (index, _) in DEFINITIONS.iter().enumerate().filter(|(_, definition)| definition.name == word) {
            reach(index, &mut reached);
        }
    }
    let wanted = DEFINITIONS.iter().zip(reached).filter(|(_, reached)| *reached);
    wanted.flat_map(|(definition, _)| parse(definition)).collect()
}

fn reach(index: usize, reached: &mut [bool]) {
    if !std::mem::replace(&mut reached[index], true) {
        DEFINITIONS[index].names.iter().for_each(|other| reach(*other, reached));
    }
}

fn parse(definition: &Definition) -> Vec<Def<&'static str>> {
    // They parsed when the table was made.
    load::parse(definition.text, |parser| parser.defs()).unwrap_or_default()
}

/// The names of all of them, and how many arguments each takes.
#[cfg(test)]
pub(crate) fn all() -> impl Iterator<Item = (&'static str, usize)> {
    DEFINITIONS.iter().flat_map(|definition| parse(definition).into_iter().map(|def| (def.name, def.args.len())))
}
