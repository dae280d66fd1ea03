//! The scenarios: what unship must do, once defined, run on two worlds.
//!
//! A world is nothing but a set of environment variables. With `UNSHIP_WORLD=stack` in the
//! environment the scenarios run on the real API server and the real Argo CD that `ci/stack/up`
//! starts (`ci/e2e` does all of it); else a sandbox is started in this process. Neither the
//! scenarios nor the helpers below ask which of the two it is.

mod admin;
mod blocked;
mod branches;
mod canary;
mod charts;
mod collecting;
mod direct;
mod fleet;
mod holding;
mod identities;
mod intents;
mod landing;
mod layout;
mod levers;
mod looking;
mod plans;
mod races;
mod rendered;
mod repository;
mod requesting;
mod resuming;
mod reverting;
mod snapshot;
mod sources;
mod stage;
mod stages;
mod suspended;
mod unmanaged;
mod unship;
mod world;

use world::World;

/// One test for each scenario: a function over a world.
macro_rules! scenarios {
    ($($module:ident: $($scenario:ident)+;)+) => {$($(
        #[test]
        fn $scenario() {
            $module::$scenario(World::get());
        }
    )+)+};
}

scenarios! {
    looking:
        a_plan_names_the_bad_commit_and_writes_nothing
        restarts_are_folded_and_an_older_image_is_chosen;
    collecting:
        an_observer_collects_the_evidence;
    landing:
        a_rollback_lands
        a_rollback_lands_without_argocd_access
        a_rollback_lands_through_a_plain_http_proxy
        another_teams_tip_is_kept
        rewritten_pod_images_are_explained
        an_application_that_is_never_in_sync_does_not_matter
        a_target_that_never_comes_up_fails_and_keeps_the_old_pods
        nothing_to_do_when_the_target_is_live
        content_that_did_not_land_yet_is_waited_for;
    races:
        a_lost_race_is_planned_again
        a_change_of_the_same_field_by_others_is_respected;
    branches:
        a_protected_branch_gets_a_side_branch
        a_remote_that_takes_nothing_gets_a_request;
    rendered:
        a_kustomize_image_is_rolled_back
        the_words_of_the_good_release_come_back
        a_helm_value_is_rolled_back
        a_program_that_contradicts_is_believed
        an_override_in_the_application_is_refused
        a_rendered_rollback_goes_on
        other_intents_edit_what_is_rendered
        a_shared_entry_is_agreed_to
        a_commit_is_proved_before_the_branch_moves;
    reverting:
        a_commit_is_taken_back_below_later_work
        what_was_changed_since_is_left
        all_of_a_commit_is_taken_back
        a_selector_is_taken_back
        a_config_map_is_taken_back
        a_service_is_a_target
        a_config_map_is_a_target
        a_rendered_config_map_is_a_target
        a_rendered_commit_is_taken_back
        an_undo_is_undone_and_a_merge_needs_its_parent
        what_cannot_be_taken_back_is_refused
        a_revert_goes_on;
    fleet:
        an_image_is_rolled_back_in_stages
        a_stage_that_fails_is_the_last
        a_commit_of_several_workloads_is_taken_back
        a_fleet_goes_on
        a_fleet_is_handed_over
        a_fleet_is_refused_as_a_whole;
    holding:
        a_marker_of_flux_is_held_and_let_go
        a_hold_goes_on
        an_annotated_application_is_held_in_its_manifest
        a_workflow_is_named_and_not_edited;
    sources:
        a_manifest_beside_excluded_ones_is_rolled_back
        a_manifest_that_a_source_file_includes_is_rolled_back
        a_values_file_of_another_repository_is_rolled_back
        a_chart_of_another_repository_is_scaled
        a_rollback_of_lent_values_goes_on
        a_parameter_over_lent_values_is_refused
        an_override_file_is_rolled_back
        a_rollback_of_an_override_file_goes_on
        a_manifest_below_an_override_file_is_refused
        an_applications_own_manifest_is_rolled_back
        an_application_beside_its_files_is_rolled_back
        a_rollback_of_an_application_goes_on
        what_no_file_of_an_application_says_is_refused
        a_parameter_file_is_rolled_back
        a_rollback_of_a_parameter_file_goes_on
        an_expression_of_an_application_set_is_refused
        a_tag_in_an_applications_manifest_is_put_back
        a_rollback_of_a_tag_goes_on
        a_tag_of_a_parameter_file_is_put_back
        a_part_of_a_tagged_release_is_refused
        a_hydrated_source_is_rolled_back
        a_tag_as_target_revision_is_refused
        a_chart_version_is_put_back
        a_rollback_of_a_chart_version_goes_on
        values_of_a_repository_for_a_published_chart_are_put_back
        what_is_in_a_published_chart_is_refused
        a_version_of_a_subchart_is_put_back
        a_value_of_a_subchart_is_put_back
        a_chart_that_cannot_be_read_is_refused;
    requesting:
        a_request_becomes_one_bead
        a_rollback_is_put_on_record
        a_request_without_a_tracker_is_a_file;
    blocked:
        a_paused_deployment_is_unpaused_by_the_same_commit
        a_denying_sync_window_is_refused;
    resuming:
        a_run_killed_around_its_push_goes_on;
    direct:
        an_unmanaged_workload_is_rolled_back_directly
        a_paused_rollout_is_resumed_by_the_same_patch
        a_direct_target_that_never_comes_up_fails
        an_observer_is_refused_the_direct_way
        a_direct_change_that_self_heal_undoes_is_refused
        the_middle_tier_scales_and_does_not_roll_back
        a_denied_patch_is_a_refusal
        a_bounce_returns_to_the_number_before;
    suspended:
        automated_sync_is_suspended_until_git_has_it
        an_owned_application_is_not_suspended
        an_unreachable_git_is_a_debt_that_continue_pays
        a_run_that_is_given_up_tells_what_gives_sync_back
        a_commit_that_does_not_land_is_followed_by_an_emergency
        without_auto_sync_a_sync_is_asked_for
        argo_cds_own_rollback_is_a_route;
    intents:
        other_intents_go_through_git
        pause_and_resume_go_through_git
        adopt_makes_git_say_what_runs;
    canary:
        a_crashing_canary_is_assessed
        a_port_forward_is_told
        a_crashing_canary_is_taken_out
        a_canary_with_errors_is_taken_out
        a_canary_whose_logs_are_forbidden_is_taken_out
        a_canary_is_deleted_through_git
        a_canary_that_is_not_pruned_is_at_0_first
        the_code_of_a_canary_is_reverted
        a_drill_writes_nothing;
    identities:
        each_identity_may_what_its_name_says
        an_operator_and_a_syncer_may_sync;
    stages:
        an_unmanaged_stage_crashes_without_git
        other_workloads_crash_without_git
        a_read_only_command_changes_no_object
        admission_denies_a_patch_by_hand
        a_stage_takes_every_lever
        a_lost_remote_comes_back;
}
