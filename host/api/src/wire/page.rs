//! Pages of lists, and the cursors between them.

use crate::{error::Answer, wire::ok};
use action_domain::{
    id::{ExecutionId, TokenId},
    limits::PAGE_ITEMS_MAX,
    name::Name,
    protocol::Pin,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use utoipa::ToSchema;

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T: ToSchema> {
    /// The items of this page, in the list's order.
    pub(crate) items: Vec<T>,
    /// Give it as `after` to get the page behind this one; null at the end of the list.
    #[schema(required = true)]
    pub(crate) next: Option<String>,
}

/// What a list is ordered by. Its text form is opaque to callers: base64url of the list's kind
/// and the key, so that a cursor of another list is told from one of this list.
pub(crate) trait Cursor: Sized {
    /// The list's kind.
    const KIND: &'static str;
    /// The key as text.
    fn key(&self) -> String;
    /// The key of a text.
    fn parse(key: &str) -> Option<Self>;

    /// As callers see it.
    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}:{}", Self::KIND, self.key()))
    }

    /// Of what a caller gave.
    fn decode(text: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        Self::parse(text.strip_prefix(Self::KIND)?.strip_prefix(':')?)
    }
}

impl Cursor for Name {
    const KIND: &'static str = "action";
    fn key(&self) -> String {
        self.to_string()
    }
    fn parse(key: &str) -> Option<Self> {
        key.parse().ok()
    }
}

impl Cursor for Pin {
    const KIND: &'static str = "protocol";
    fn key(&self) -> String {
        self.to_string()
    }
    fn parse(key: &str) -> Option<Self> {
        key.parse().ok()
    }
}

impl Cursor for ExecutionId {
    const KIND: &'static str = "execution";
    fn key(&self) -> String {
        self.to_string()
    }
    fn parse(key: &str) -> Option<Self> {
        key.parse().ok()
    }
}

impl Cursor for TokenId {
    const KIND: &'static str = "token";
    fn key(&self) -> String {
        self.to_string()
    }
    fn parse(key: &str) -> Option<Self> {
        key.parse().ok()
    }
}

/// A secret's name: its list is another one than that of actions.
pub(crate) struct SecretName(pub(crate) Name);

impl Cursor for SecretName {
    const KIND: &'static str = "secret";
    fn key(&self) -> String {
        self.0.to_string()
    }
    fn parse(key: &str) -> Option<Self> {
        key.parse().ok().map(Self)
    }
}

/// A consumer's name.
pub(crate) struct ConsumerName(pub(crate) Name);

impl Cursor for ConsumerName {
    const KIND: &'static str = "consumer";
    fn key(&self) -> String {
        self.0.to_string()
    }
    fn parse(key: &str) -> Option<Self> {
        key.parse().ok().map(Self)
    }
}

/// How many to ask the store for: one more than the page has tells whether there is another
/// page, as long as the store gives that many.
pub(crate) fn ask(limit: u32) -> u32 {
    (limit + 1).min(PAGE_ITEMS_MAX)
}

/// A page of what the store gave to [`ask`]: each thing's place in the list, and its form.
pub(crate) fn answer<'a, S, K: Cursor, T: Serialize + ToSchema>(
    found: &'a mut Vec<S>,
    limit: u32,
    key: impl FnOnce(&S) -> K,
    form: impl FnMut(&'a S) -> T,
) -> Answer {
    let next = cut(found, limit).map(|last| key(last).encode());
    ok(&Page { items: found.iter().map(form).collect(), next })
}

/// Cuts what the store gave to the page; the item to go on behind, if there (probably) is more.
pub(crate) fn cut<T>(items: &mut Vec<T>, limit: u32) -> Option<&T> {
    let limit = limit as usize;
    let more = items.len() > limit || items.len() == PAGE_ITEMS_MAX as usize;
    items.truncate(limit);
    if more { items.last() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_of_its_list_only() {
        let name: Name = "a".parse().unwrap();
        let pin: Pin = "a@1.0.0".parse().unwrap();
        assert_eq!(Name::decode(&name.encode()), Some(name.clone()));
        assert_eq!(Pin::decode(&pin.encode()), Some(pin.clone()));
        assert_eq!(Pin::decode(&name.encode()), None);
        assert_eq!(Name::decode(&pin.encode()), None);
        for bad in ["", "a", "!!", &URL_SAFE_NO_PAD.encode("action:NOT A NAME"), &URL_SAFE_NO_PAD.encode("action")] {
            assert_eq!(Name::decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_page_ends_where_the_list_ends() {
        let cut_of = |there: u32, limit: u32| {
            let mut items: Vec<u32> = (0..there.min(ask(limit))).collect();
            let next = cut(&mut items, limit).copied();
            (items.len(), next)
        };
        assert_eq!(cut_of(3, 2), (2, Some(1)));
        assert_eq!(cut_of(2, 2), (2, None));
        assert_eq!(cut_of(0, 2), (0, None));
        assert_eq!(cut_of(501, 500), (500, Some(499)));
        assert_eq!(cut_of(499, 500), (499, None));
    }
}
