//! Rates of open loops that cannot be: one line with file, key, value and remedy.

use workload::Workload;

fn loaded(text: &str) -> Result<(), String> {
    let text = format!("name = \"x\"\n{text}");
    Workload::parse("x.toml", &text, &[]).map(|_| ()).map_err(|error| error.to_string())
}

/// A file that holds `text` after its name is refused with `expected`.
fn check(text: &str, expected: &str) {
    assert_eq!(loaded(text), Err(expected.to_owned()), "for:\n{text}");
}

#[test]
fn rates_that_contradict_each_other() {
    let open = |more: &str, expected: &str| {
        check(&format!("load = {{ mode = \"open\", {more} }}"), &format!("x.toml: {expected}"));
    };
    open(
        "rate_ops_per_s = \"most\"",
        "load.rate_ops_per_s = \"most\": must be a number or \"max\", not a string",
    );
    open(
        "rate_ops_per_s = \"max\"",
        "load.p99_ms_max: missing: rate_ops_per_s = \"max\" needs it, such as p99_ms_max = 20",
    );
    open(
        "rate_ops_per_s = [1000, \"max\"], p99_ms_max = 20",
        "load.rate_ops_per_s = [1000, \"max\"]: must not mix \"max\" with numbers: give it a workload of its own",
    );
    open("rate_ops_per_s = \"max\", p99_ms_max = 0", "load.p99_ms_max = 0: must be above 0");
    for (key, value) in [("p99_ms_max", "20"), ("rate_start_ops_per_s", "500")] {
        open(
            &format!("rate_ops_per_s = 1000, {key} = {value}"),
            &format!("load.{key} = {value}: goes with rate_ops_per_s = \"max\" only: remove it"),
        );
        check(
            &format!("load.{key} = {value}"),
            &format!(
                "x.toml: load.{key} = {value}: goes with rate_ops_per_s = \"max\" only: remove it"
            ),
        );
    }
    check(
        "load = { rate_ops_per_s = \"max\", p99_ms_max = 20 }",
        "x.toml: load.rate_ops_per_s = \"max\": must be 0 outside an open loop: use mode = \"open\"",
    );
    check(
        "cluster.driver = \"sim\"\nsim = { cpu_us_per_message = 0, cpu_ns_per_byte = 0, nic_mbit_per_s = 0 }\n\
         load = { mode = \"open\", rate_ops_per_s = \"max\", p99_ms_max = 20 }",
        "x.toml: load.rate_ops_per_s = \"max\": has no end where simulated work costs nothing: give [sim] a cost",
    );
}

/// A rate at which fewer than one request is due in all is no load.
#[test]
fn rates_at_which_nothing_is_due() {
    let open = |more: &str| {
        let text = format!("load = {{ mode = \"open\", {more} }}");
        loaded(&text)
    };
    let refused = |more: &str, expected: &str| {
        let remedy = "no request is due: fewer than one in";
        assert_eq!(
            open(more).unwrap_err(),
            format!("x.toml: load.{expected}").replace("…", remedy)
        );
    };
    refused(
        "rate_ops_per_s = 1e-10, duration_s = 1",
        "rate_ops_per_s = 0.0000000001: … 2 s, warm-up included: must be at least 0.5",
    );
    refused(
        "rate_ops_per_s = [10, 0.249, 0.1], duration_s = 4, warmup_s = 0",
        "rate_ops_per_s = 0.249: … 4 s, warm-up included: must be at least 0.25",
    );
    refused(
        "rate_ops_per_s = 3, duration_s = 0.2, warmup_s = 0.1",
        "rate_ops_per_s = 3: … 0.3 s, warm-up included: must be at least 3.333334",
    );
    assert_eq!(open("rate_ops_per_s = [0.25, 10], duration_s = 4, warmup_s = 0"), Ok(()));
    assert_eq!(open("rate_ops_per_s = 0.25, duration_s = 3, warmup_s = 1"), Ok(()));
    let max = "rate_ops_per_s = \"max\", p99_ms_max = 5, warmup_s = 0.1, duration_s = 0.1";
    refused(
        &format!("{max}, rate_start_ops_per_s = 4"),
        "rate_start_ops_per_s = 4: … 0.2 s, warm-up included: must be at least 5",
    );
    assert_eq!(open(&format!("{max}, rate_start_ops_per_s = 5")), Ok(()));
    let default = max.replace("0.1", "0.0001");
    refused(&default, "rate_start_ops_per_s: … 0.0002 s, warm-up included: must be at least 5000");
}
