//! Each rule, alone.

use super::*;

fn good(mode: LoadMode) -> RunFacts {
    RunFacts {
        mode,
        offered_ops_per_s: (mode == LoadMode::Open).then_some(1_000.0),
        achieved_ops_per_s: 999.0,
        generator_lag_us_p99: (mode == LoadMode::Open).then_some(100.0),
        generator_still_ms: Some(12.0),
        generator_core_share: Some(0.4),
        due: 5_000,
        foreign_cpu_share: Some(0.01),
        host_busy_share: Some(0.5),
        linearizable: Linearizable::True,
        replicas_agree: Some(true),
        ..RunFacts::default()
    }
}

fn reasons(facts: &RunFacts) -> (bool, Vec<String>) {
    let verdict = judge(facts, &Limits::default());
    (verdict.valid, verdict.reasons.into_iter().map(|finding| finding.text).collect())
}

#[test]
fn a_good_run_is_valid_in_every_mode() {
    for mode in [LoadMode::Closed, LoadMode::Pipelined, LoadMode::Open] {
        assert_eq!(reasons(&good(mode)), (true, vec![]), "{mode:?}");
    }
}

/// The figures of a run that misses a promise are what was measured.
#[test]
fn a_missed_promise_is_told_and_leaves_the_run_valid() {
    let of = |severity| {
        let told = Finding { severity, text: "it is not back".to_owned(), ..Finding::default() };
        reasons(&RunFacts { findings: vec![told], ..good(LoadMode::Closed) })
    };
    assert_eq!(of(Severity::Missed), (true, vec!["it is not back".to_owned()]));
    assert!(of(Severity::Warning).0 && !of(Severity::Invalid).0);
}

#[test]
fn an_open_loop_must_achieve_what_was_offered_and_send_in_time() {
    let missed = RunFacts { achieved_ops_per_s: 949.0, ..good(LoadMode::Open) };
    let expected = "949 of 1000 operations/s offered were answered, less than 95 %";
    assert_eq!(reasons(&missed), (false, vec![expected.to_owned()]));
    let reached = RunFacts { achieved_ops_per_s: 950.0, ..good(LoadMode::Open) };
    assert!(reasons(&reached).0);
    let late = RunFacts { generator_lag_us_p99: Some(20_001.0), ..good(LoadMode::Open) };
    let expected = "the load generator sent 20.0 ms late at its p99, more than 20.0 ms";
    assert_eq!(reasons(&late), (false, vec![expected.to_owned()]));
}

#[test]
fn nothing_due_is_said_as_that_and_nothing_else() {
    for (mode, offered) in [(LoadMode::Open, Some(0.0)), (LoadMode::Closed, None)] {
        let nothing =
            RunFacts { due: 0, offered_ops_per_s: offered, achieved_ops_per_s: 0.0, ..good(mode) };
        let expected = "no request was due in the measured time".to_owned();
        assert_eq!(reasons(&nothing), (false, vec![expected]));
    }
}

#[test]
fn too_many_without_an_answer_are_not_valid_in_any_mode() {
    for mode in [LoadMode::Closed, LoadMode::Pipelined, LoadMode::Open] {
        let some = RunFacts { unanswered: 50, ..good(mode) };
        assert_eq!(reasons(&some), (true, vec![]));
        let many = RunFacts { unanswered: 51, ..good(mode) };
        let expected = "51 of 5000 requests that were due (1.0 %) were not answered, more than 1 %";
        assert_eq!(reasons(&many), (false, vec![expected.to_owned()]));
    }
    let few_answers = RunFacts { due: 200, unanswered: 1, ..good(LoadMode::Closed) };
    assert_eq!(reasons(&few_answers).1, ["199 samples, fewer than 200"]);
}

#[test]
fn a_generator_that_stood_still_or_was_full_measured_itself() {
    for mode in [LoadMode::Closed, LoadMode::Pipelined, LoadMode::Open] {
        let still = RunFacts { generator_still_ms: Some(2_000.0), ..good(mode) };
        let expected = "the load generator stood still for 2000 ms, more than 100 ms";
        assert_eq!(reasons(&still), (false, vec![expected.to_owned()]));
        let full = RunFacts { generator_core_share: Some(0.97), ..good(mode) };
        assert!(!reasons(&full).0 && reasons(&full).1[0].contains("97 % of its core"));
    }
}

#[test]
fn an_execution_before_its_commit_is_not_valid() {
    let text = "p99 of executions 1.0 ms, of commits 2.0 ms".to_owned();
    let facts = RunFacts { executed_before_commit: text, ..good(LoadMode::Closed) };
    let expected =
        "executions cannot be faster than commits: p99 of executions 1.0 ms, of commits 2.0 ms";
    assert_eq!(reasons(&facts), (false, vec![expected.to_owned()]));
}

#[test]
fn a_throttled_group_spoils_an_open_loop_and_is_what_a_saturating_one_meets() {
    let throttled = |mode| reasons(&RunFacts { throttled_share: Some(0.3), ..good(mode) });
    let (valid, texts) = throttled(LoadMode::Open);
    assert!(!valid && texts[0].starts_with("the control group was throttled in 30 %"));
    let (valid, texts) = throttled(LoadMode::Closed);
    assert!(valid && texts[0].starts_with(HOST_BOUND), "{texts:?}");
}

#[test]
fn a_full_host_is_a_warning_that_says_what_may_be_used() {
    for mode in [LoadMode::Closed, LoadMode::Pipelined, LoadMode::Open] {
        let full = RunFacts { host_busy_share: Some(0.97), ..good(mode) };
        let expected = "host-bound: the host's CPU was 97 % busy".to_owned();
        assert_eq!(reasons(&full), (true, vec![expected]));
        let bound = RunFacts { host_restriction: "1 of 2 CPUs".to_owned(), ..full };
        let expected =
            "host-bound: the host's CPU was 97 % busy (the run may use 1 of 2 CPUs)".to_owned();
        assert_eq!(reasons(&bound).1, [expected]);
    }
}

#[test]
fn a_host_among_several_is_named() {
    let facts = RunFacts {
        foreign_cpu_share: Some(0.5),
        foreign_host: "r1".to_owned(),
        throttled_share: Some(0.3),
        throttled_host: "r2".to_owned(),
        host_busy_share: Some(0.97),
        busy_host: "r0".to_owned(),
        ..good(LoadMode::Open)
    };
    let texts = reasons(&facts).1.join("; ");
    for part in
        ["50 % of the host r1's CPU", "group on the host r2 was", "the host r0's CPU was 97 %"]
    {
        assert!(texts.contains(part), "{texts}");
    }
}

#[test]
fn what_is_invalid_in_every_mode() {
    for mode in [LoadMode::Closed, LoadMode::Pipelined, LoadMode::Open] {
        let few = RunFacts { due: 199, ..good(mode) };
        assert_eq!(reasons(&few), (false, vec!["199 samples, fewer than 200".to_owned()]));
        let foreign = RunFacts { foreign_cpu_share: Some(0.5), ..good(mode) };
        assert!(!reasons(&foreign).0);
        let dead = RunFacts { deaths: vec!["replica 1: out of memory".into()], ..good(mode) };
        assert_eq!(reasons(&dead).1, ["died unasked: replica 1: out of memory"]);
        assert!(!reasons(&dead).0);
        let interrupted = RunFacts { interrupted: true, ..good(mode) };
        assert!(!reasons(&interrupted).0);
    }
}

#[test]
fn unknown_is_not_a_pass() {
    let unknown = RunFacts {
        linearizable: Linearizable::Unknown,
        history_reason: "no time was left".to_owned(),
        ..good(LoadMode::Closed)
    };
    let expected = "nobody knows whether the clients' history is linearizable: no time was left";
    assert_eq!(reasons(&unknown), (false, vec![expected.to_owned()]));
    assert!(!judge(&unknown, &Limits::default()).is_violation());
}

#[test]
fn a_violation_is_not_valid_and_comes_first() {
    let facts = RunFacts {
        due: 3,
        replicas_agree: Some(false),
        linearizable: Linearizable::False,
        ..good(LoadMode::Closed)
    };
    let verdict = judge(&facts, &Limits::default());
    assert!(verdict.is_violation() && !verdict.valid);
    let severities: Vec<Severity> = verdict.reasons.iter().map(|f| f.severity).collect();
    assert_eq!(severities, [Severity::Violation, Severity::Violation, Severity::Invalid]);
}
