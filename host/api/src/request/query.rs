//! Query strings: every parameter is known and makes sense, or the request is refused. A filter
//! with a typing error would else let everything pass.

use crate::{
    ApiState,
    error::{Answer, Problem},
    request::{caller::Caller, path::parse_action_key},
    wire::page::{self, Cursor},
};
use action_domain::{
    id::ActionId,
    limits::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX},
    repositories::{ActionKey, Page},
};
use axum::extract::{FromRequestParts, Query as AxumQuery};
use http::request::Parts;

/// The parameters of a query, in their order. Take each one, then [`Self::finish`].
pub(crate) struct Query(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let pairs = AxumQuery::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        pairs.map(|AxumQuery(pairs)| Self(pairs)).map_err(|rejection| invalid(rejection.body_text()))
    }
}

/// 400 `invalid_query`.
pub(crate) fn invalid(detail: String) -> Problem {
    Problem::bad_request("invalid_query", detail)
}

impl Query {
    /// A parameter that may be there once.
    pub(crate) fn one(&mut self, name: &str) -> Answer<Option<String>> {
        let mut all = self.all(name);
        match all.len() {
            0 | 1 => Ok(all.pop()),
            _ => Err(invalid(format!("`{name}` is there more than once"))),
        }
    }

    /// Every occurrence of a parameter.
    pub(crate) fn all(&mut self, name: &str) -> Vec<String> {
        self.0.extract_if(.., |(key, _)| key == name).map(|(_, value)| value).collect()
    }

    /// A parameter that has a form; `form` says which, for people.
    pub(crate) fn parsed<T>(
        &mut self,
        name: &str,
        form: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Answer<Option<T>> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        parse(&text).map(Some).ok_or_else(|| invalid(format!("`{name}` is {form}")))
    }

    /// `limit`.
    pub(crate) fn limit(&mut self) -> Answer<u32> {
        let form = format!("a number from 1 to {PAGE_ITEMS_MAX}");
        let in_range = |text: &str| text.parse().ok().filter(|limit| (1..=PAGE_ITEMS_MAX).contains(limit));
        Ok(self.parsed("limit", &form, in_range)?.unwrap_or(PAGE_ITEMS_DEFAULT))
    }

    /// `after`, an opaque cursor.
    fn cursor<K: Cursor>(&mut self) -> Answer<Option<K>> {
        let Some(text) = self.one("after")? else { return Ok(None) };
        let invalid = || Problem::bad_request("invalid_cursor", "`after` is no cursor that this list gave");
        K::decode(&text).map(Some).ok_or_else(invalid)
    }

    /// `limit` and `after`: what a page holds, and what to ask the store for.
    pub(crate) fn page<K: Cursor>(&mut self) -> Answer<(u32, Page<K>)> {
        let limit = self.limit()?;
        Ok((limit, Page { after: self.cursor()?, limit: page::ask(limit) }))
    }

    /// `action`, by id or name. A name that no action within the caller's reach has is none.
    pub(crate) async fn action(&mut self, state: &ApiState, caller: &Caller) -> Answer<Option<ActionId>> {
        match self.parsed("action", "an action's id or name", parse_action_key)? {
            None => Ok(None),
            Some(ActionKey::Id(id)) => Ok(Some(id)),
            Some(key @ ActionKey::Name(_)) => {
                let id = state.engine().action(&key).await?.id;
                if caller.reaches(id) { Ok(Some(id)) } else { Err(Problem::not_found("action")) }
            }
        }
    }

    /// Refuses what nobody took.
    pub(crate) fn finish(self) -> Answer<()> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(invalid(format!("there is no parameter `{name}` here"))),
        }
    }
}
