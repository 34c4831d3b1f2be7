//! The rules of [`action_domain::repositories`], a case each.
//!
//! To add a rule: a case here, its name in [`conformance_suite!`](crate::conformance_suite),
//! then the trait, then each store.

mod actions;
mod audit;
mod capture;
mod consumers;
mod events;
mod executions;
mod load;
mod protocols;
mod queue;
mod secrets;
mod tokens;
mod triggers;
mod turns;
mod units;

pub use actions::*;
pub use audit::*;
pub use capture::*;
pub use consumers::*;
pub use events::*;
pub use executions::*;
pub use load::*;
pub use protocols::*;
pub use queue::*;
pub use secrets::*;
pub use tokens::*;
pub use triggers::*;
pub use turns::*;
pub use units::*;

use action_domain::repositories::Store;
use std::{any::Any, sync::Arc};

/// An empty store for one case, and what has to live as long as it does (a folder).
pub struct Subject {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Dropped when the case is over.
    pub keep: Box<dyn Any + Send>,
}

/// Makes one test of each case, for the store that the given `async fn() -> Subject` makes.
#[macro_export]
macro_rules! conformance_suite {
    ($make:path) => {
        $crate::conformance_suite! { $make:
            a_new_store_is_empty
            actions_take_turns
            first_attempts_go_before_retries
            seats_are_kept
            seats_are_kept_among_many_workers
            keys_are_kept_in_order
            a_rate_spreads_an_action
            an_action_can_be_slowed_down
            a_pause_stops_what_a_rate_has_counted
            a_pace_and_a_pause_can_be_taken_back
            who_is_behind_another_is_looked_at_seldom
            what_is_too_late_is_found
            a_claim_can_name_what_it_wants
            a_cancel_request_reaches_the_worker
            a_cancel_request_is_not_written_over
            a_lease_can_be_required
            leases_are_renewed
            idempotency_keys_are_used_once
            what_is_due_is_offered
            what_was_sent_is_known
            what_ended_long_ago_is_removed
            what_is_still_needed_is_not_removed
            the_log_is_read_as_it_stands
            seals_form_one_chain
            one_of_many_sealers_is_next
            a_prune_accounts_for_what_it_removes
            an_execution_with_a_later_event_is_not_pruned
            events_of_a_unit_get_consecutive_positions
            what_was_committed_is_read_at_once
            a_refused_unit_leaves_nothing_behind
            the_first_conflict_in_the_order_of_the_writes_is_given
            a_unit_sees_its_own_writes
            a_unit_with_an_id_that_is_there_harms_no_other
            payloads_are_kept_once
            protocols_are_read_by_pin_name_and_digest
            versions_come_newest_first
            protocols_are_paged_by_name_and_version
            a_component_goes_with_its_last_protocol
            a_protocol_in_use_is_not_removed
            actions_are_read_by_id_and_name
            revisions_stay_readable
            names_can_be_used_again
            actions_are_filtered_and_paged
            labels_follow_the_current_revision
            secrets_are_read_by_name_in_their_current_version
            a_secret_is_set_version_by_version
            a_secret_in_use_is_not_removed
            an_action_names_secrets_that_are_there
            a_token_comes_back_whole_until_it_is_removed
            tokens_of_a_refused_unit_are_as_before
            tokens_are_paged
            an_action_names_secrets_in_its_triggers_too
            triggers_are_those_of_the_last_save
            a_path_belongs_to_one_action
            what_an_action_has_goes_with_it
            triggers_are_paged_by_kind
            schedules_are_found_when_they_are_due
            a_schedule_fires_when_it_is_due_and_once
            a_trigger_is_used_as_often_as_it_may_be
            a_save_forgets_nothing_of_a_trigger_that_stays
            of_many_saves_none_makes_a_trigger_fresh
            an_instance_is_followed_by_one
            of_many_who_fire_one_does
            an_item_is_captured_once
            many_items_are_captured_at_once
            of_many_who_capture_an_item_one_does
            items_are_found_by_their_kind
            values_are_kept_until_they_are_changed
            a_consumer_goes_on_where_it_acknowledged
            consumers_are_paged_and_bounded
            a_cursor_is_moved_from_where_it_stands
            an_execution_comes_back_whole
            executions_are_filtered_and_paged
            an_execution_moves_through_all_indexes
            events_come_back_whole
            events_are_filtered_and_paged
            the_first_and_the_last_event_of_an_execution_are_found
            a_follower_hears_of_events_and_of_nothing_else
            a_claim_takes_what_is_due_oldest_first
            a_claim_begins_an_attempt
            a_claim_sees_what_was_committed_before
            nobody_gets_what_another_has
            who_lost_a_lease_cannot_write
            the_abandoned_are_found
            the_next_due_time_is_known
            a_thousand_commits_at_once
            conflicts_at_once_harm_nobody_else
            one_of_many_updates_wins
            a_reader_of_positions_misses_nothing
        }
    };
    ($make:path: $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let subject = $make().await;
                $crate::conformance::$case(subject.store.clone()).await;
            }
        )*
    };
}
