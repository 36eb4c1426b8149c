//! The golden scripts of `testdata/`, each a test of its own, named after the bug or the paper that it comes from.

#[path = "support/script/mod.rs"]
mod script;

use protocols::{epaxos::EPaxos, multi_paxos::MultiPaxos, paxos::Paxos};

/// A test per script, and one that no script is left out.
macro_rules! scripts {
    ($protocol:ident, $core:ty: $($name:ident),+ $(,)?) => {
        mod $protocol {
            use super::*;

            const FOLDER: &str =
                concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/", stringify!($protocol));

            $(
                #[test]
                fn $name() {
                    script::check_file::<$core>(&format!("{FOLDER}/{}.txt", stringify!($name)));
                }
            )+

            #[test]
            fn every_script_is_run() {
                let mut listed = vec![$(stringify!($name)),+];
                listed.sort_unstable();
                let files = std::fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
                let mut present: Vec<_> =
                    files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
                present.sort_unstable();
                assert_eq!(present, listed);
            }
        }
    };
}

scripts!(epaxos, EPaxos:
    a_checkpoint_collects_nothing,
    a_checkpoint_keeps_its_promise,
    a_collected_instance_is_not_none,
    a_crash_between_persist_and_reply,
    a_cycle_does_not_reorder_what_was_answered,
    a_dependency_on_a_dead_replica,
    a_duplicate_pre_accept,
    a_fast_commit_survives_its_owners_crash,
    a_fast_commit_that_was_not_persisted,
    a_live_owner_in_the_quorum,
    a_majority_is_no_fast_quorum,
    a_retry_across_a_snapshot,
    a_retry_at_another_replica,
    a_window_of_one,
    an_accept_below_the_promise,
    duplicate_validate,
    each_in_the_others_dependencies,
    fast_commit_beside_a_conflicting_command,
    fast_commit_seen_by_a_client_alone,
    late_messages_of_the_owner,
    one_match_of_seven,
    owners_in_the_quorum,
    pruned_below_the_root,
    recoveries_that_wait_for_each_other,
    replies_equal_to_each_other,
    sutra_short_form,
    sutra_trace,
);
scripts!(epaxos_sosp13, EPaxos:
    a_checkpoint_keeps_phase_1_of_a_recovery,
    a_fast_commit_survives_its_owners_crash,
    fast_commit_seen_by_a_client_alone,
    one_match_of_five,
    pruned_below_the_root,
    pruned_by_an_unsettled_value,
    pruned_relative_to_the_root,
    sutra_short_form,
    sutra_trace,
    two_answers_after_widening,
    what_widening_stored_is_no_fast_path,
);
scripts!(multi_paxos, MultiPaxos:
    a_checkpoint_keeps_its_promise,
    a_crash_between_persist_and_reply,
    a_gap_between_constrained_slots,
    a_stale_leaders_read,
    commit_index_over_an_entry_of_an_older_ballot,
    discarded_slots_are_not_empty,
    two_leaders,
);
scripts!(paxos, Paxos:
    a_checkpoint_keeps_its_promise,
    a_crash_between_persist_and_reply,
    a_proposer_that_dies_in_phase_1,
    a_proposer_that_dies_in_phase_2,
    duelling_proposers,
);

/// The language itself: what a script says wrongly, or what does not come true, is refused with the line.
#[test]
fn what_is_not_so_is_refused() {
    let begin = "cluster of 3\nr0 proposes a: put k\n";
    for (script, error) in [
        ("r0 proposes a: put k\n", "line 1: r0 proposes a: put k: a script begins with"),
        ("cluster of 3, with luck\n", "says nothing about a cluster"),
        ("cluster of 3, variant moon\n", "unknown variant: use star or sosp13"),
        ("cluster of 3, execution moon\n", "unknown execution: use closed or bounded"),
        ("expect r0: 0.1 = a", "expected 'a', found 'undecided'"),
        ("expect r0: executed a", "expected 'a', found ''"),
        ("expect r0: answered a", "expected 'answered', found 'not'"),
        ("expect all: value k is a", "expected 'a', found 'nothing'"),
        ("expect no PreAccept", "r0 -> r1: PreAccept 0.1 = a after {}"),
        ("deliver Accept r0 -> r1", "no such message to r1 is under way"),
        ("deliver PreAccept 0.2 r0 -> r1", "no such message to r1 is under way"),
        ("deliver PreAccept r0 -> them", "'them' is no replica"),
        ("r1 timer row 2", "it does not run"),
        ("r1 timer clock", "there is no timer of that name"),
        ("r1 proposes b again", "it was not proposed before"),
        ("deliver PreAccept r0 -> r1, and r1 leaves", "crashes before it persists"),
        ("wait", "no such directive"),
    ] {
        let script =
            if script.ends_with('\n') { script.to_owned() } else { format!("{begin}{script}\n") };
        let refused = script::run::<EPaxos>(&script, script::Mode::Strict);
        let refused = refused.expect_err(&script);
        assert!(refused.contains(error), "{script}\n{refused}");
    }
}

/// Following a script as far as it goes passes over what is not there, and still judges.
#[test]
fn a_lenient_run_passes_over_what_is_missing_and_judges_the_rest() {
    let lenient = |script: &str| script::run::<EPaxos>(script, script::Mode::Lenient);
    let script =
        "cluster of 3\nr0 proposes a: put k\ndeliver Accept r0 -> r1\nr1 timer row 2\nrest\n";
    lenient(&format!("{script}expect all: executed a\n")).unwrap();
    lenient(&format!("{script}expect all: executed nothing\n")).expect_err("a was executed");
}
