//! Chains: actions that events set off one after the other, and why each of them has an end.
//!
//! What an action does makes events, and events set actions off; so does what is refused, which is an
//! event too. Each trigger that an event sets off bears its [`Chain`], also where it is refused, and three
//! rules hold of it:
//!
//! - An action is not set off by an event of a chain that it is in already. So nothing goes in a circle.
//! - A trigger that names no action listens to everybody, and is not set off by what came of
//!   [`CHAIN_ANYBODY_MAX`] such triggers. So a few that listen to one another do not set one another off
//!   in every order that there is.
//! - No chain is longer than [`CHAIN_DEPTH_MAX`].

use crate::id::ActionId;
use serde::{Deserialize, Serialize};

/// Deepest chain of executions that events set off one after the other.
pub const CHAIN_DEPTH_MAX: u32 = 16;
/// Most triggers in a chain that name no action. An alert is told of what failed behind an action that
/// listens to everything, and of little more: `n` such triggers lead to `n * (n - 1) * (n - 2)` executions
/// at most in their last row.
pub const CHAIN_ANYBODY_MAX: u32 = 3;

/// What came before a trigger that an event set off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// How many executions, or triggers that were refused, set one another off before this one, with this
    /// one.
    pub depth: u32,
    /// The actions that they were of, without this one.
    #[serde(default)]
    pub chain: Vec<ActionId>,
    /// How many of them, with this one, were set off by a trigger that names no action.
    #[serde(default)]
    pub anybody: u32,
}

/// Whether an event sets an action off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It does.
    Yes,
    /// It does not, and that is no news.
    No,
    /// The chain is too deep: that is recorded, once in a chain.
    TooDeep,
}

impl Chain {
    /// Of what an event of `action` sets off next, which came behind this.
    pub fn next(&self, action: Option<ActionId>) -> Self {
        let chain = self.chain.iter().copied().chain(action).collect();
        Self { depth: self.depth + 1, chain, anybody: self.anybody }
    }

    /// The same for a trigger that names the action to which it listens, or names none.
    pub fn by(&self, names_action: bool) -> Self {
        Self { anybody: self.anybody + u32::from(!names_action), ..self.clone() }
    }

    /// Whether `action` is set off behind this.
    pub fn admits(&self, action: ActionId) -> Admission {
        if self.chain.contains(&action) || self.anybody > CHAIN_ANYBODY_MAX {
            return Admission::No;
        }
        match self.depth {
            0..=CHAIN_DEPTH_MAX => Admission::Yes,
            // The refusal is an event itself. What that would set off is deeper still.
            depth if depth == CHAIN_DEPTH_MAX + 1 => Admission::TooDeep,
            _ => Admission::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(most: u128) -> Vec<ActionId> {
        (1..=most).map(|number| ActionId::from_uuid(uuid::Uuid::from_u128(number))).collect()
    }

    /// How many executions one event leads to where each of these listens to everything.
    fn led_to(chain: &Chain, listeners: &[ActionId], names_action: bool) -> usize {
        let next = chain.by(names_action);
        let set_off = listeners.iter().filter(|listener| next.admits(**listener) == Admission::Yes);
        set_off.map(|listener| 1 + led_to(&next.next(Some(*listener)), listeners, names_action)).sum()
    }

    #[test]
    fn what_listens_to_everything_has_an_end() {
        let all = actions(10);
        let called = Chain::default().next(Some(all[0]));
        assert_eq!(led_to(&called, &all[1..3], false), 4, "each, and the other behind each");
        assert_eq!(led_to(&called, &all[..1], false), 0, "not itself");
        assert_eq!(led_to(&called, &all[1..], false), 9 + 9 * 8 + 9 * 8 * 7);
        assert_eq!(led_to(&called, &all[1..6], true), 5 + 20 + 60 + 120 + 120, "each order, where all are named");
    }

    #[test]
    fn what_is_too_deep_is_said_once() {
        let all = actions(20);
        let mut chain = Chain::default();
        let mut admitted = Vec::new();
        for (action, listener) in all.iter().zip(&all[1..]) {
            chain = chain.next(Some(*action)).by(true);
            admitted.push(chain.admits(*listener));
        }
        assert_eq!(admitted[..16], [Admission::Yes; 16]);
        assert_eq!(admitted[16..], [Admission::TooDeep, Admission::No, Admission::No]);
    }

    #[test]
    fn what_was_recorded_before_there_were_chains_is_read() {
        let chain: Chain = serde_json::from_str(r#"{"depth":2}"#).unwrap();
        assert_eq!(chain, Chain { depth: 2, ..Chain::default() });
    }
}
