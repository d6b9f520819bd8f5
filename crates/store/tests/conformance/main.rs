//! What every backend does, told as stories and run on each of them.

use std::sync::Arc;

use tempfile::TempDir;
use tidings_store::Store;
use tidings_store::memory::MemoryStore;
use tidings_store::sqlite::SqliteStore;

use self::support::{Heard, keys, settle};

mod agreement;
mod attachment;
mod checkpoint;
mod delta;
mod directory;
mod folder;
mod identity;
mod incident;
mod ingest;
mod lease;
mod log;
mod mailbox;
mod push;
mod retention;
mod subscription;
#[path = "../support/mod.rs"]
mod support;
mod topic;

/// A store with a few people, and what it publishes.
struct World {
    store: Arc<dyn Store>,
    heard: Heard,
    _directory: Option<TempDir>,
}

async fn memory() -> World {
    let heard = Heard::default();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(heard.publish()));
    settle(&*store).await;
    World { store, heard, _directory: None }
}

async fn sqlite() -> World {
    let heard = Heard::default();
    let directory = TempDir::new().unwrap();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(directory.path(), keys(&[1]), heard.publish()).unwrap());
    settle(&*store).await;
    World { store, heard, _directory: Some(directory) }
}

macro_rules! stories {
    ($($noun:ident { $($story:ident)* })*) => {$(
        mod $noun {
            mod on_memory { $(
                #[tokio::test]
                async fn $story() { crate::$noun::$story(crate::memory().await).await }
            )* }
            mod on_sqlite { $(
                #[tokio::test]
                async fn $story() { crate::$noun::$story(crate::sqlite().await).await }
            )* }
        }
    )*};
}

mod stories {
    stories! {
        directory {
            a_user_is_found_by_address_in_any_case
            a_replaced_user_keeps_the_mailbox
            a_domain_and_an_address_are_had_once
            users_and_apps_need_their_tenant
            what_changed_meanwhile_is_not_replaced
            a_removed_user_leaves_nothing
            the_removed_users_neighbours_keep_theirs
            apps_and_tenants_read_back
        }
        identity {
            a_permission_stands_from_its_grant_to_its_revocation
            scopes_and_roles_are_kept_apart
            a_grant_needs_whom_it_names
            a_code_is_redeemed_once
            what_is_redeemed_is_remembered_as_long_as_asked
            another_app_redeems_nothing
            what_is_over_is_forgotten
            ended_sessions_take_what_was_issued_before
            users_and_apps_take_what_is_theirs_along
        }
        ingest {
            a_batch_is_in_the_log_in_its_order_once_it_is_answered
            a_change_with_a_known_key_is_passed_over
            a_subscription_to_resources_needs_no_mailbox_and_counts_in_its_scope
        }
        mailbox {
            a_new_mailbox_has_the_well_known_folders
            a_commit_writes_the_item_and_appends_its_change
            a_stale_expectation_writes_nothing
            an_item_for_a_missing_folder_is_refused
            a_folder_that_got_an_item_meanwhile_is_not_removed
            an_emptied_folder_is_removed
            a_once_key_writes_once
            a_once_key_is_free_again_when_its_time_is_over
            an_unknown_mailbox_is_refused
            a_quiet_write_appends_nothing
            a_submission_follows_the_changes
            lists_over_folders_are_newest_first
            of_what_was_made_in_one_second_the_last_is_the_newest
            recoverable_items_are_seen_only_in_their_folder
            counts_follow_the_items
            a_folder_keeps_its_properties
            events_are_found_by_when_they_begin_and_end
            lists_are_filtered_and_ordered_as_asked
            a_page_of_long_items_ends_early
            a_page_says_whether_another_follows
        }
        folder {
            of_two_moves_that_make_a_ring_the_second_is_refused
            a_folder_that_was_renamed_meanwhile_is_moved_at_the_next_try
            mail_that_arrives_in_a_folder_is_no_change_of_it
            a_folder_does_not_get_a_namesake
            calendars_and_their_groups_have_names_of_their_own
            a_folder_needs_the_one_that_it_lies_in
            a_folder_that_got_a_folder_meanwhile_is_not_removed
            a_folder_that_is_gone_is_not_written_again
        }
        attachment {
            a_moved_item_is_found_by_the_id_that_stays
            two_items_do_not_have_one_immutable_id
            attachments_are_listed_oldest_first_and_read_whole
            attachments_stay_with_a_moved_item_and_go_with_a_removed_one
            messages_are_found_by_the_names_of_their_attachments
            a_copy_gets_every_attachment
            an_attachment_needs_its_item
            an_upload_takes_its_bytes_in_turn
            an_upload_whose_time_is_over_is_forgotten
        }
        delta {
            a_first_reading_shows_what_is_there_and_no_removals
            a_later_reading_shows_what_changed_since
            an_item_says_when_it_came_to_its_folder
            a_move_is_a_removal_where_the_item_was
            an_item_that_left_and_came_back_shows_its_removal_first
            recoverable_items_are_no_place_of_the_mailbox
            a_delta_is_read_in_parts_and_no_commit_is_parted
            a_delta_of_long_items_ends_early
            what_went_before_a_first_reading_began_is_nothing_to_it
            a_reading_from_before_forgotten_removals_is_too_old
            a_folder_changes_with_its_counts
        }
        subscription {
            a_life_is_told_in_the_log
            a_duplicate_is_refused
            a_full_mailbox_refuses_another
            who_may_not_act_any_more_begins_nothing
            a_patch_needs_the_state_it_was_made_from
            a_moved_expiry_prevents_the_end
            an_app_is_asked_the_same_once
            what_an_app_answered_before_it_lost_access_gives_nothing_back
            whatever_an_app_did_before_wins_over_a_question_and_a_pause
            a_patch_ends_a_pause
            what_is_replayed_is_in_the_log_for_one_subscription
            an_ended_subscription_is_remembered_for_the_node
            who_is_subscribed_is_not_removed
            lists_are_of_one_app_and_creator
        }
        log {
            positions_are_dense_and_published_in_order
            the_log_is_read_in_slices
            partitions_have_logs_of_their_own
        }
        lease {
            a_partition_is_held_by_one_node
            a_lapsed_lease_is_taken_with_a_higher_epoch
            asking_again_gets_other_partitions_first
            leases_given_back_are_free
        }
        checkpoint {
            a_checkpoint_needs_its_epoch_and_its_turn
            parked_rows_come_back_with_their_records
            a_checkpoint_replaces_what_it_unparks
            the_health_of_endpoints_is_kept_with_the_partition_until_a_checkpoint_says_otherwise
            the_ledger_adds_up_over_many_subscriptions
            the_ledgers_of_an_app_add_up_and_are_read_in_pages
            books_say_what_checkpoints_have_recorded
        }
        incident {
            an_incident_is_told_of_once
            what_is_abandoned_before_the_app_has_heard_joins
            what_opened_later_than_was_asked_for_stays_open
            an_ended_subscription_has_no_incident
        }
        retention {
            who_reads_from_below_the_floor_hears_of_what_lies_above
            of_two_who_mark_or_raise_at_one_time_one_is_heard
            what_is_parked_holds_the_floor_back
            a_cut_goes_in_parts_and_never_takes_the_last_record
            a_node_that_takes_over_after_a_cut_has_all_that_it_needs
            a_recount_begins_with_what_was_noted_at_the_floor
            an_opening_knows_who_was_paused_and_who_had_not_ended
            ended_subscriptions_go_with_their_ledgers_when_the_floor_has_passed_their_end
            the_sums_of_an_app_have_those_of_subscriptions_that_are_gone
        }
        push {
            what_pushes_events_is_a_subscription_for_the_node_and_none_of_its_app
            what_is_put_again_is_patched_if_it_is_another_and_keeps_its_id
            what_an_operator_has_pushed_is_its_first_apps_from_then_on
            what_was_stopped_goes_on_when_it_is_put_again
            a_filter_that_is_changed_is_remembered_up_to_the_change
            an_endpoint_that_has_not_consented_is_pushed_nothing_yet
            what_has_expired_begins_anew_under_another_id
            who_puts_hears_what_pushes_no_more_and_what_goes_on_as_another
            what_was_removed_meanwhile_does_not_come_back_when_its_endpoint_consents
            a_consent_that_was_given_meanwhile_is_not_taken_back
            what_is_over_makes_room_unless_something_else_has_its_name_meanwhile
            what_comes_to_be_pushed_is_pulled_no_more_and_what_was_pending_is_counted
            what_pushes_ends_with_its_event_subscription_and_with_its_topic
        }
        topic {
            a_topic_is_made_once_and_found_by_whoever_names_it
            a_topic_belongs_to_the_app_that_asked_first
            a_name_that_somebody_else_has_is_refused
            an_app_has_so_many_topics_and_no_more
            a_topic_is_used_again_until_a_month_after_its_last_subscription
            what_is_published_is_in_the_log_once
            an_event_that_is_longer_in_base64_than_it_was_is_read_back
            what_is_published_before_the_activation_is_dropped_and_counted
            a_removed_topic_takes_what_belongs_to_it_along
            a_topic_that_was_removed_meanwhile_is_not_kept_for_longer
            an_event_subscription_is_put_again_and_keeps_what_is_pending
            who_subscribes_hears_of_what_is_published_from_then_on_as_far_as_the_filter_lets_it_in
            a_lock_that_runs_out_lets_the_event_be_received_again
            a_slow_puller_keeps_no_other_waiting_and_gets_what_it_did_not_finish_in_time_again
            each_token_gets_its_own_answer
            what_is_released_comes_again_when_its_delay_is_over
            a_lock_is_renewed_for_an_hour
            dead_letters_are_kept_if_that_is_wanted
            an_event_subscription_that_is_over_is_not_there
            what_a_topic_keeps_holds_the_floor_back_and_goes_when_it_is_old
        }
    }
}
