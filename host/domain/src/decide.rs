//! What comes after an attempt: the pure heart.
//!
//! Everything that the service knows about an attempt that ended goes in, one [`Step`] comes
//! out. Nothing is read and nothing is written here, so every case can be tested.

use crate::{
    action::{Delivery, OnDoubt},
    failure::{Advice, Effect, ErrorCode, Sent},
    time::Timestamp,
};
use std::time::Duration;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With an outcome.
    Succeeded,
    /// With a failure that the protocol reported, and its advice.
    Reported(Advice),
    /// The host ended it, or its process was lost.
    Broken(ErrorCode),
}

/// What the decision may depend on, beside how the attempt ended.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// What a repeat does to the outside.
    pub effect: Effect,
    /// How far the attempt got.
    pub sent: Sent,
    /// The number of the attempt; 1 for the first.
    pub attempt: u32,
    /// What the protocol found out about an attempt in doubt.
    pub reconciled: Reconciled,
    /// The action's own rules.
    pub delivery: &'a Delivery,
    /// When the attempt ended.
    pub ended_at: Timestamp,
    /// Between 0 and 1, for jitter.
    pub random: f64,
}

impl Circumstances<'_> {
    /// Whether another attempt does no harm, whatever became of this one.
    pub fn is_harmless_again(&self) -> bool {
        self.effect != Effect::Unsafe || self.sent == Sent::NotSent || self.reconciled == Reconciled::DidNot
    }
}

/// What a protocol knows about an attempt in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconciled {
    /// It cannot find out.
    Cannot,
    /// It can, and was not asked yet.
    NotAsked,
    /// It took effect.
    TookEffect,
    /// It did not.
    DidNot,
    /// It was asked and does not know either.
    Unknown,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The execution succeeded.
    Succeed,
    /// Another attempt at this time.
    RetryAt(Timestamp),
    /// The execution failed.
    GiveUp,
    /// Somebody has to say what became of it.
    Hold,
    /// The protocol has to be asked what became of it; then this is decided again.
    Reconcile,
}

/// Decides what comes after an attempt.
pub fn next_step(ended: Ended, given: &Circumstances<'_>) -> Step {
    match ended {
        Ended::Succeeded => Step::Succeed,
        Ended::Reported(advice @ (Advice::Retry | Advice::RetryAfterMs(_))) => retry(given, advice.asked_wait()),
        Ended::Reported(Advice::InDoubt) => unanswered(given),
        Ended::Broken(code) if ended_without_an_answer(code) => {
            if code.retry_can_help() || in_doubt(given) {
                unanswered(given)
            } else {
                Step::GiveUp
            }
        }
        Ended::Reported(Advice::GiveUp) | Ended::Broken(_) => Step::GiveUp,
    }
}

/// Whether the protocol was cut off, so that nobody says what became of its work.
const fn ended_without_an_answer(code: ErrorCode) -> bool {
    matches!(
        code,
        // A config may show only at work that it cannot work.
        ErrorCode::InvalidConfig
            | ErrorCode::Trapped
            | ErrorCode::FuelExhausted
            | ErrorCode::DeadlineExceeded
            | ErrorCode::MemoryExceeded
            | ErrorCode::OutputTooLarge
            | ErrorCode::WorkerLost
            | ErrorCode::HostError
    )
}

/// Whether a repeat might act twice.
fn in_doubt(given: &Circumstances<'_>) -> bool {
    given.effect == Effect::Unsafe && given.sent != Sent::NotSent
}

fn unanswered(given: &Circumstances<'_>) -> Step {
    if !in_doubt(given) {
        return retry(given, None);
    }
    match given.reconciled {
        Reconciled::NotAsked => return Step::Reconcile,
        Reconciled::TookEffect => return Step::Succeed,
        Reconciled::DidNot => return retry(given, None),
        Reconciled::Cannot | Reconciled::Unknown => {}
    }
    match given.delivery.on_doubt {
        OnDoubt::Hold => Step::Hold,
        OnDoubt::Retry => retry(given, None),
        OnDoubt::Fail => Step::GiveUp,
    }
}

/// Another attempt, if the action allows one. What the remote asked for is a lower bound,
/// the action's own backoff too: the later of the two counts.
fn retry(given: &Circumstances<'_>, at_least: Option<Duration>) -> Step {
    if given.attempt >= given.delivery.max_attempts {
        return Step::GiveUp;
    }
    let own = given.delivery.backoff.wait(given.attempt, given.random);
    Step::RetryAt(given.ended_at.plus(at_least.map_or(own, |asked| asked.max(own))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EFFECTS: [Effect; 4] = [Effect::Read, Effect::Idempotent, Effect::Keyed, Effect::Unsafe];
    const SENT: [Sent; 3] = [Sent::NotSent, Sent::MaybeSent, Sent::Acknowledged];
    const DOUBTS: [OnDoubt; 3] = [OnDoubt::Hold, OnDoubt::Retry, OnDoubt::Fail];
    const RECONCILED: [Reconciled; 5] =
        [Reconciled::Cannot, Reconciled::NotAsked, Reconciled::TookEffect, Reconciled::DidNot, Reconciled::Unknown];

    fn every_ending() -> Vec<Ended> {
        let reported = [Advice::GiveUp, Advice::Retry, Advice::RetryAfterMs(90_000), Advice::InDoubt];
        let mut all = vec![Ended::Succeeded];
        all.extend(reported.map(Ended::Reported));
        all.extend(ErrorCode::ALL.map(Ended::Broken));
        all
    }

    fn over_the_whole_domain(mut check: impl FnMut(Ended, &Circumstances<'_>, Step)) {
        for ended in every_ending() {
            for effect in EFFECTS {
                for sent in SENT {
                    for on_doubt in DOUBTS {
                        for attempt in 1..=4 {
                            for reconciled in RECONCILED {
                                let delivery = Delivery { max_attempts: 3, on_doubt, ..Delivery::default() };
                                let given = Circumstances {
                                    effect,
                                    sent,
                                    attempt,
                                    reconciled,
                                    delivery: &delivery,
                                    ended_at: Timestamp::from_micros(0),
                                    random: 0.5,
                                };
                                check(ended, &given, next_step(ended, &given));
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn no_attempt_follows_the_last_one() {
        over_the_whole_domain(|_, given, step| {
            if given.attempt >= 3 {
                assert!(!matches!(step, Step::RetryAt(_)));
            }
        });
    }

    #[test]
    fn what_may_act_twice_is_never_retried_unasked() {
        over_the_whole_domain(|ended, given, step| {
            let cut_off = match ended {
                Ended::Reported(advice) => advice == Advice::InDoubt,
                Ended::Broken(code) => ended_without_an_answer(code),
                Ended::Succeeded => false,
            };
            if cut_off && given.effect == Effect::Unsafe && given.sent != Sent::NotSent {
                let expected = match (given.reconciled, given.delivery.on_doubt) {
                    (Reconciled::NotAsked, _) => step == Step::Reconcile,
                    (Reconciled::TookEffect, _) => step == Step::Succeed,
                    (Reconciled::DidNot, _) | (_, OnDoubt::Retry) => matches!(step, Step::RetryAt(_) | Step::GiveUp),
                    (_, OnDoubt::Hold) => step == Step::Hold,
                    (_, OnDoubt::Fail) => step == Step::GiveUp,
                };
                assert!(expected, "{ended:?} {given:?} {step:?}");
            } else {
                assert!(!matches!(step, Step::Hold | Step::Reconcile), "{ended:?} {given:?}");
            }
        });
    }

    #[test]
    fn success_and_only_success_succeeds() {
        over_the_whole_domain(|ended, given, step| {
            if step == Step::Succeed {
                assert!(ended == Ended::Succeeded || given.reconciled == Reconciled::TookEffect);
            } else {
                assert_ne!(ended, Ended::Succeeded);
            }
        });
    }

    #[test]
    fn a_lost_reader_is_tried_again_and_an_endless_loop_is_not() {
        let delivery = Delivery::default();
        let given = Circumstances {
            effect: Effect::Read,
            sent: Sent::MaybeSent,
            attempt: 1,
            reconciled: Reconciled::Cannot,
            delivery: &delivery,
            ended_at: Timestamp::from_micros(0),
            random: 0.5,
        };
        assert_eq!(
            next_step(Ended::Broken(ErrorCode::WorkerLost), &given),
            Step::RetryAt(Timestamp::from_micros(1_000_000))
        );
        assert_eq!(next_step(Ended::Broken(ErrorCode::FuelExhausted), &given), Step::GiveUp);
    }

    #[test]
    fn the_remotes_wish_is_a_lower_bound() {
        over_the_whole_domain(|ended, _, step| {
            if let (Ended::Reported(Advice::RetryAfterMs(ms)), Step::RetryAt(at)) = (ended, step) {
                assert!(at.as_micros() >= i64::from(ms) * 1000);
            }
        });
    }
}
