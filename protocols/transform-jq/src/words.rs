//! The names in a text of jq, in the widest sense: what a definition may be called by.

/// Every word that could be the name of a definition; too many rather than too few.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    let in_a_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '@';
    // `..` is short for a call.
    let recursion = text.contains("..").then_some("recurse");
    text.split(move |c: char| !in_a_name(c)).filter(|word| !word.is_empty()).chain(recursion)
}
