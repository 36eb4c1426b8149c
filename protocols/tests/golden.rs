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
    duplicate_validate,
    each_in_the_others_dependencies,
    fast_commit_beside_a_conflicting_command,
    fast_commit_seen_by_a_client_alone,
    late_messages_of_the_owner,
    one_match_of_seven,
    owners_in_the_quorum,
    recoveries_that_wait_for_each_other,
    replies_equal_to_each_other,
    sutra_short_form,
    sutra_trace,
);
scripts!(multi_paxos, MultiPaxos:
    a_gap_between_constrained_slots,
    a_stale_leaders_read,
    commit_index_over_an_entry_of_an_older_ballot,
    discarded_slots_are_not_empty,
    two_leaders,
);
scripts!(paxos, Paxos:
    a_crash_between_persist_and_reply,
    a_proposer_that_dies_in_phase_1,
    a_proposer_that_dies_in_phase_2,
    duelling_proposers,
);
