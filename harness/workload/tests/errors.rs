//! What is said about files that cannot be used: one line with file, key, value and remedy.

use std::path::Path;

use workload::{Override, Workload};

/// A file that holds `text` after its name is refused with `expected`.
fn check(text: &str, expected: &str) {
    check_whole(&format!("name = \"x\"\n{text}"), &[], expected);
}

fn check_whole(text: &str, overrides: &[Override], expected: &str) {
    let error = Workload::parse("x.toml", text, overrides).expect_err(text).to_string();
    assert_eq!(error, expected, "for:\n{text}");
    assert_eq!(error.lines().count(), 1);
}

#[test]
fn the_file_itself() {
    let error = Workload::load(Path::new("no/such.toml"), &[]).unwrap_err().to_string();
    assert!(error.starts_with("no/such.toml: cannot be read (No such file"), "{error}");
    assert!(error.ends_with("`bench list` names the workload files"), "{error}");

    let error = Workload::parse("x.toml", "name = \"x\"\nseed = = 3", &[]).unwrap_err().to_string();
    assert!(error.starts_with("x.toml: line 2 is not TOML: "), "{error}");
    assert_eq!(error.lines().count(), 1);

    check_whole("", &[], "x.toml: name: missing: add name = \"my-workload\"");
    check_whole(
        "name = \"Two words\"",
        &[],
        "x.toml: name = \"Two words\": must be made of lower-case letters, digits, hyphens and dots",
    );
}

#[test]
fn unknown_keys() {
    check("repetition = 3", "x.toml: repetition = 3: unknown key: did you mean repetitions?");
    check("load.windw = 3", "x.toml: load.windw = 3: unknown key: did you mean load.window?");
    check("window = 3", "x.toml: window = 3: unknown key: did you mean load.window?");
    check("[comands]\nkeys = \"zipf\"", "x.toml: comands: unknown key: did you mean commands?");
    check(
        "[epaxos]\nthrifty = true",
        "x.toml: epaxos.thrifty = true: unknown key: [epaxos] takes variant, fast_quorum, \
         execution, conflict_window",
    );
    check(
        "colour = \"red\"",
        "x.toml: colour = \"red\": unknown key: a workload takes name, protocols, repetitions, seed, faults \
         and [cluster], [epaxos], [load], [commands], [timeouts], [network], [sim], [returns]",
    );
    check(
        "[[faults]]\nat_s = 1\nkil = 0",
        "x.toml: faults[0].kil = 0: unknown key: did you mean kill?",
    );
}

#[test]
fn wrong_types() {
    check("load = 5", "x.toml: load = 5: must be a table: write [load]");
    check("seed = \"7\"", "x.toml: seed = \"7\": must be a whole number, not a string");
    check("seed = 1.5", "x.toml: seed = 1.5: must be a whole number, not a fraction");
    check(
        "repetitions = [1, 2]",
        "x.toml: repetitions = [1, 2]: must be a whole number, not an array",
    );
    check(
        "[commands]\nconflict_rate = \"half\"",
        "x.toml: commands.conflict_rate = \"half\": must be a number, not a string",
    );
    check(
        "protocols = \"epaxos\"",
        "x.toml: protocols = \"epaxos\": must be an array: write it as [\"paxos\", \"epaxos\"]",
    );
    check("protocols = [3]", "x.toml: protocols = 3: must be a string, not a whole number");
    check("faults = 3", "x.toml: faults = 3: must be an array: write [[faults]]");
    check("faults = [3]", "x.toml: faults[0] = 3: must be a table, not a whole number");
}

#[test]
fn ranges() {
    for replicas in ["0", "1", "4", "53", "-3"] {
        check(
            &format!("cluster.replicas = {replicas}"),
            &format!("x.toml: cluster.replicas = {replicas}: must be odd, 3 to 51"),
        );
    }
    check("cluster.replicas = [3, 6]", "x.toml: cluster.replicas = 6: must be odd, 3 to 51");
    check("load.window = 0", "x.toml: load.window = 0: must be at least 1");
    check("load.window = -1", "x.toml: load.window = -1: must be at least 1");
    check("load.clients_per_site = 0", "x.toml: load.clients_per_site = 0: must be at least 1");
    check(
        "load.clients_per_site = 200000",
        "x.toml: load.clients_per_site = 200000: must be at most 100000",
    );
    check("load.clients = 0", "x.toml: load.clients = 0: must be at least 1");
    check("load.clients = [3, 200000]", "x.toml: load.clients = 200000: must be at most 100000");
    check("load.duration_s = 0", "x.toml: load.duration_s = 0: must be above 0");
    check("load.duration_s = inf", "x.toml: load.duration_s = inf: must be finite");
    check("load.warmup_s = -1", "x.toml: load.warmup_s = -1: must be within 0..=86400");
    check("repetitions = 0", "x.toml: repetitions = 0: must be at least 1");
    check("seed = -1", "x.toml: seed = -1: must be at least 0");
    for rate in ["1.4", "-0.1"] {
        check(
            &format!("commands.conflict_rate = [0, {rate}]"),
            &format!("x.toml: commands.conflict_rate = {rate}: must be within 0..=1"),
        );
    }
    check("commands.write_ratio = nan", "x.toml: commands.write_ratio = nan: must be finite");
    check(
        "commands = { write_ratio = [0.4, 1], cas_ratio = 0.3, delete_ratio = [0.05, 0.2] }",
        "x.toml: commands.delete_ratio = [0.05, 0.2]: appends, deletes and compare-and-sets are writes: together they must \
         be at most write_ratio = 0.4, lower them or raise it",
    );
    check(
        "commands = { append_ratio = 0.95, delete_ratio = 0.05 }",
        "x.toml: commands.append_ratio = 0.95: values would grow without end: must be at most 16 times the share of puts and \
         deletes",
    );
    check(
        "commands = { append_ratio = 0.5, value_bytes = 1000000 }",
        "x.toml: commands.value_bytes = 1000000: must be at most 524288 with appends",
    );
    check("commands.value_bytes = 15", "x.toml: commands.value_bytes = 15: must be at least 16");
    check(
        "commands.value_bytes = 1048577",
        "x.toml: commands.value_bytes = 1048577: must be at most 1048576",
    );
    check(
        "returns.share = 0.5",
        "x.toml: returns.within_s: missing: say how soon, such as within_s = 5",
    );
    check(
        "returns = { within_s = 3, share = 1.1 }",
        "x.toml: returns.share = 1.1: must be at most 1",
    );
    check("timeouts.client_ms = 0", "x.toml: timeouts.client_ms = 0: must be above 0");
}

#[test]
fn names() {
    check(
        "protocols = [\"raft\"]",
        "x.toml: protocols = \"raft\": unknown protocol: use \"paxos\", \"multi-paxos\" or \"epaxos\"",
    );
    check(
        "protocols = [\"paxos\", \"paxos\"]",
        "x.toml: protocols = \"paxos\": is listed twice: list it once",
    );
    check("protocols = []", "x.toml: protocols = []: must name at least one protocol");
    check(
        "load.mode = \"opne\"",
        "x.toml: load.mode = \"opne\": must be \"closed\", \"pipelined\" or \"open\"",
    );
    check(
        "epaxos.variant = \"moon\"",
        "x.toml: epaxos.variant = \"moon\": must be \"star\" or \"sosp13\"",
    );
    for (kinds, told) in [
        ("\"optimized\"", "\"optimized\""),
        ("[\"simple\", \"optimized\"]", "[\"simple\", \"optimized\"]"),
    ] {
        check(
            &format!("epaxos = {{ variant = \"sosp13\", fast_quorum = {kinds} }}"),
            &format!(
                "x.toml: epaxos.fast_quorum = {told}: goes with variant = \"star\" only: \"sosp13\" has the simple one: \
                 remove it"
            ),
        );
    }
}

#[test]
fn lists() {
    check("load.window = []", "x.toml: load.window = []: must hold at least one value");
    check(
        "commands.conflict_rate = [0, 0.0]",
        "x.toml: commands.conflict_rate = 0.0: is listed twice: list it once",
    );
    let hundred: Vec<String> = (1..=101).map(|n| n.to_string()).collect();
    check(
        &format!(
            "[load]\nclients_per_site = [{0}]\nmode = \"pipelined\"\nwindow = [{0}]",
            hundred.join(",")
        ),
        "x.toml: clients_per_site, window swept together make 10201 points: must be at most 10000, shorten a list",
    );
    check(
        &format!("repetitions = 1000\nload.clients_per_site = [{}]", hundred.join(",")),
        "x.toml: repetitions = 1000: makes 303000 runs: must be at most 100000 in all",
    );
}

#[test]
fn values_that_contradict_each_other() {
    check(
        "load.window = 2",
        "x.toml: load.window = 2: must be 1 in a closed loop: use mode = \"pipelined\"",
    );
    check(
        "[load]\nmode = \"open\"\nrate_ops_per_s = 10\nwindow = [1, 4]",
        "x.toml: load.window = [1, 4]: must be 1: an open loop sends on time, whatever is outstanding",
    );
    check("load.mode = \"open\"", "x.toml: load.rate_ops_per_s: must be above 0 in an open loop");
    check(
        "[load]\nmode = \"open\"\nrate_ops_per_s = -5",
        "x.toml: load.rate_ops_per_s = -5: must be within 0..=10000000",
    );
    check(
        "load.rate_ops_per_s = [0, 100]",
        "x.toml: load.rate_ops_per_s = [0, 100]: must be 0 outside an open loop: use mode = \"open\"",
    );
    check(
        "load = { clients = 16, clients_per_site = 16 }",
        "x.toml: load.clients = 16: goes without load.clients_per_site: remove one of them",
    );
    check(
        "load.arrival = \"constant\"",
        "x.toml: load.arrival = \"constant\": goes with an open loop only: use mode = \"open\"",
    );
    check(
        "[cluster]\nreplicas = [5, 3]\nleader = 3",
        "x.toml: cluster.leader = 3: must be below 3, the smallest number of replicas",
    );
    for keys in ["uniform", "zipf"] {
        check(
            &format!("[commands]\nkeys = \"{keys}\"\nkey_count = 9\nconflict_rate = 0"),
            "x.toml: commands.conflict_rate = 0: goes with keys = \"conflict\" only: remove one of them",
        );
        check(
            &format!("commands.keys = \"{keys}\""),
            "x.toml: commands.key_count: missing: say how many keys, such as key_count = 10000",
        );
    }
    check(
        "commands.key_count = 5",
        "x.toml: commands.key_count = 5: goes with keys = \"uniform\" or \"zipf\" only: remove one of them",
    );
    check(
        "[commands]\nkeys = \"uniform\"\nkey_count = 5\ntheta = 1",
        "x.toml: commands.theta = 1: goes with keys = \"zipf\" only: remove one of them",
    );
    check(
        "[commands]\nkeys = \"zipf\"\nkey_count = 5\ntheta = 0",
        "x.toml: commands.theta = 0: must be above 0",
    );
}

#[test]
fn memory() {
    check("cluster.memory_mib = 0", "x.toml: cluster.memory_mib = 0: must be at least 1");
    check(
        "cluster.memory_mib = 2000000",
        "x.toml: cluster.memory_mib = 2000000: must be at most 1048576",
    );
    check(
        "cluster.memory_mib = [64, 128]",
        "x.toml: cluster.memory_mib = [64, 128]: must be a whole number, not an array",
    );
}

#[test]
fn batches() {
    check(
        "cluster.batch_delay_us = 5",
        "x.toml: cluster.batch_delay_us = 5: goes with cluster.batch_commands above 1: nothing waits to be joined without it",
    );
    check(
        "[cluster]\nbatch_commands = 0",
        "x.toml: cluster.batch_commands = 0: must be at least 1",
    );
    check(
        "[cluster]\nbatch_commands = 2\nbatch_delay_us = 2000000",
        "x.toml: cluster.batch_delay_us = 2000000: must be at most 1000000",
    );
    let swept = "name = \"x\"\n[cluster]\nbatch_commands = [1, 64]\nbatch_delay_us = 100";
    assert!(Workload::parse("x.toml", swept, &[]).is_ok(), "a delay is for those that are joined");
}

#[test]
fn costs_of_the_simulator() {
    let driven = [Override::by_flag("--driver", "cluster.driver", "quic")];
    let text = "name = \"x\"\n[cluster]\ndriver = \"sim\"\n[sim]\ncpu_us_per_message = 3";
    let workload = Workload::parse("x.toml", text, &driven).unwrap();
    assert_eq!(workload.sim, None, "the file's costs are the simulator's alone");
    let [driven] = driven;
    let both = [driven, Override::parse("sim.cpu_us_per_message=3").unwrap()];
    let refused = Workload::parse("x.toml", text, &both).unwrap_err().to_string();
    assert!(
        refused.starts_with("--set: sim.cpu_us_per_message = 3: goes with driver"),
        "{refused}"
    );
    check(
        "sim.cpu_us_per_message = 0",
        "x.toml: sim.cpu_us_per_message = 0: goes with driver \"sim\" only: remove [sim], or use --driver sim",
    );
    let sim = |text: &str, expected: &str| {
        check(
            &format!("cluster.driver = \"sim\"\n[sim]\n{text}"),
            &format!("x.toml: sim.{expected}"),
        );
    };
    sim("cpu_us_per_message = -1", "cpu_us_per_message = -1: must be within 0..=1000000");
    sim("cpu_ns_per_byte = \"x\"", "cpu_ns_per_byte = \"x\": must be a number, not a string");
    sim("nic_mbit_per_s = inf", "nic_mbit_per_s = inf: must be finite");
    sim("calibrated = 3", "calibrated = 3: must be a table of protocols, not a whole number");
    sim(
        "calibrated.paxos = 3",
        "calibrated.paxos = 3: must be a table of loads, not a whole number",
    );
    check(
        "sim.calibrated = {}",
        "x.toml: sim.calibrated = {}: goes with driver \"sim\" only: remove [sim], or use --driver sim",
    );
    sim(
        "cost = 1",
        "cost = 1: unknown key: [sim] takes calibration, cpu_us_per_wakeup, cpu_us_per_message, cpu_ns_per_byte, \
         cpu_us_per_command, cpu_us_per_ordering_step, nic_mbit_per_s, calibrated",
    );
    sim(
        "nic_mbit = 1",
        "nic_mbit = 1: unknown key: [sim] takes calibration, cpu_us_per_wakeup, cpu_us_per_message, cpu_ns_per_byte, \
         cpu_us_per_command, cpu_us_per_ordering_step, nic_mbit_per_s, calibrated",
    );
}

#[test]
fn faults() {
    let entry = |text: &str, expected: &str| {
        check(&format!("[[faults]]\n{text}"), &format!("x.toml: faults[0].{expected}"));
    };
    entry("kill = 0", "at_s: missing: say when, in seconds from the start of measuring");
    entry("at_s = 6\nkill = 0", "at_s = 6: must be at most load.duration_s, which is 5");
    entry("at_s = 1\nevery_s = 0\nkill = 0", "every_s = 0: must be above 0");
    entry("at_s = 1\nkill = 3", "kill = 3: there is no replica 3: use 0 to 2");
    entry(
        "at_s = 1\nkill = \"me\"",
        "kill = \"me\": must be a replica's number, \"random\" or \"leader\"",
    );
    entry(
        "at_s = 1",
        "kill: nothing is done here: add kill, restart, pause, resume, partition, heal, slow or \
         loss_rate, duplicate_rate, delay_ms, jitter_ms, reorder_rate, bandwidth_mbit_per_s",
    );
    entry(
        "at_s = 1\nkill = 0\npause = 1",
        "pause = 1: one action per entry: move it to a [[faults]] of its own",
    );
    entry(
        "at_s = 1\nheal = true\nloss_rate = 0.1\nlayer = \"packet\"",
        "loss_rate = 0.1: one action per entry: move it to a [[faults]] of its own",
    );
    entry("at_s = 1\nheal = false", "heal = false: must be true");
    entry(
        "at_s = 1\nrestart = 0",
        "restart = 0: nothing survives in memory: use cluster.durability = \"fsync\" or \"buffered\"",
    );
    entry(
        "at_s = 1\nloss_rate = 0.1",
        "layer: missing: add layer = \"packet\" or layer = \"message\"",
    );
    entry("at_s = 1\nloss_rate = 10\nlayer = \"packet\"", "loss_rate = 10: must be within 0..=1");
    entry(
        "at_s = 1\nkill = 0\nlayer = \"packet\"",
        "layer = \"packet\": goes with loss_rate, duplicate_rate, delay_ms, jitter_ms, reorder_rate, \
         bandwidth_mbit_per_s only, not with kill: remove it",
    );
    entry(
        "at_s = 1\nfrom = [0]",
        "from = [0]: nothing is done here: add kill, restart, pause, resume, partition, heal, \
         slow or loss_rate, duplicate_rate, delay_ms, jitter_ms, reorder_rate, bandwidth_mbit_per_s",
    );
    entry(
        "at_s = 1\nreorder_rate = 0.1\nlayer = \"message\"",
        "reorder_rate = 0.1: is of packets only: use layer = \"packet\"",
    );
    entry(
        "at_s = 1\nbandwidth_mbit_per_s = 0.001\nlayer = \"packet\"",
        "bandwidth_mbit_per_s = 0.001: must be 0, for no limit, or at least 0.01",
    );
    entry(
        "at_s = 1\nloss_rate = 0.1\nto = [7]\nlayer = \"packet\"",
        "to = [7]: there is no replica 7: use 0 to 2",
    );
    entry(
        "at_s = 1\nloss_rate = 0.1\nfrom = [1, 1]\nlayer = \"packet\"",
        "from = [1, 1]: replica 1 is named twice: name it once",
    );
    entry("at_s = 1\nslow = 2", "slow = 2: must be written as { replica = 0, factor = 4 }");
    entry(
        "at_s = 1\nslow = { replica = 0, factor = 0.5 }",
        "slow.factor = 0.5: must be at least 1",
    );
    entry(
        "at_s = 1\nslow = { replica = 0, facter = 2 }",
        "slow.facter = 2: unknown key: did you mean factor?",
    );
}

#[test]
fn partitions() {
    let check = |value: &str, remedy: &str| {
        check(
            &format!("[[faults]]\nat_s = 1\npartition = {value}"),
            &format!("x.toml: faults[0].partition = {value}: {remedy}"),
        );
    };
    let form = "must be written as [[0], [1, 2]], as [[0]] for 0 and all others, or as { from = [0], to = [1] }";
    check("[]", form);
    check("[[0, 1, 2]]", "must leave some of the 3 replicas out, or name them all");
    check("{ from = [0] }", form);
    check("[[], [0, 1, 2]]", "every group must be an array of at least one replica's number");
    check("[[0, 1], [1, 2]]", "replica 1 is named twice: name it once");
    check("{ from = [0], to = [0] }", "replica 0 is named twice: name it once");
    check("[[0], [1]]", "must name each of the 3 replicas once");
    check("[[0], [1, 7]]", "there is no replica 7: use 0 to 2");
}

/// A promise needs a fault that ends, throughput before it, and time after it.
#[test]
fn returns() {
    let check = |faults: &str, remedy: &str| {
        check(&format!("returns.within_s = 3\nfaults = [{faults}]"), &format!("x.toml: {remedy}"));
    };
    let lasts = "returns.within_s = 3: goes with faults that end: add resume, heal, restart, slow with factor 1 or links \
        that are whole";
    check("", lasts);
    check("{ at_s = 1, pause = 0 }", lasts);
    check(
        "{ at_s = 0.5, pause = 0 }, { at_s = 1, resume = 0 }",
        "faults[0].at_s: must be at least 1: [returns] compares with the throughput before",
    );
    let needs = "it needs within_s and 1 s to measure, 4 s";
    check(
        "{ at_s = 1, pause = 0 }, { at_s = 1.5, resume = 0 }",
        &format!(
            "returns.within_s = 3: the fault that ends at 1.5 s has 3.5 s until load.duration_s: {needs}"
        ),
    );
    check(
        "{ at_s = 1, slow = { replica = 0, factor = 2 } }, { at_s = 1, slow = { replica = 0, factor = 1 } }, \
         { at_s = 3, kill = 0 }",
        &format!(
            "returns.within_s = 3: the fault that ends at 1 s has 2 s until the next one: {needs}"
        ),
    );
}

#[test]
fn overrides() {
    let set = |text: &str, expected: &str| {
        check_whole("name = \"x\"", &[Override::parse(text).unwrap()], expected);
    };
    set("load.windw=4", "--set: load.windw = 4: unknown key: did you mean load.window?");
    set(
        "conflict_rate=0.5",
        "--set: conflict_rate = 0.5: unknown key: did you mean commands.conflict_rate?",
    );
    set("load.window=0", "--set: load.window = 0: must be at least 1");
    set(
        "load.mode=fast",
        "--set: load.mode = \"fast\": must be \"closed\", \"pipelined\" or \"open\"",
    );
    set(
        "faults=[{ at_s = 1, kill = 9 }]",
        "--set: faults[0].kill = 9: there is no replica 9: use 0 to 2",
    );
    assert_eq!(
        Override::parse("load.window").unwrap_err().to_string(),
        "--set: load.window: write it as key=value, such as load.window=4"
    );
    check_whole(
        "name = \"x\"",
        &[Override::by_flag("--seed", "seed", -4)],
        "--seed: seed = -4: must be at least 0",
    );
}

#[test]
fn plans_that_strike_too_often_or_leave_no_majority() {
    check(
        "[[faults]]\nat_s = 1\nevery_s = 0.0001\npause = 0",
        "x.toml: faults[0].every_s = 0.0001: makes 40001 strikes: must be at most 10000 in all",
    );
    let plan = |replicas: usize, faults: &str, expected: &str| {
        let cluster = format!("cluster = {{ replicas = {replicas}, durability = \"buffered\" }}");
        check(
            &format!("{cluster}\nfaults = [{faults}]"),
            &format!(
                "x.toml: faults[{expected} dead at {}: kill fewer, or restart one before",
                "2 s, and a majority must live"
            ),
        );
    };
    plan(
        3,
        "{ at_s = 2, kill = 1 }, { at_s = 1, kill = 0 }",
        "0].kill = 1: may leave 2 of 3 replicas",
    );
    plan(
        3,
        "{ at_s = 1, every_s = 1, kill = \"random\" }",
        "0].kill = \"random\": may leave 2 of 3 replicas",
    );
    plan(
        5,
        "{ at_s = 0, kill = 0 }, { at_s = 1, kill = \"leader\" }, { at_s = 2, kill = 1 }",
        "2].kill = 1: may leave 3 of 5 replicas",
    );
    // Restarting another one does not bring it back.
    plan(
        3,
        "{ at_s = 0, kill = 0 }, { at_s = 1, restart = 1 }, { at_s = 2, kill = \"random\" }",
        "2].kill = \"random\": may leave 2 of 3 replicas",
    );
    // Killing a dead one kills nobody.
    for fitting in [
        "{ at_s = 1, every_s = 1, kill = 0 }",
        "{ at_s = 0, every_s = 2, kill = \"random\" }, { at_s = 1, every_s = 2, restart = \"random\" }",
        "{ at_s = 0, kill = 0 }, { at_s = 1, restart = 0 }, { at_s = 2, kill = 1 }",
    ] {
        let text = format!("name = \"x\"\ncluster.durability = \"fsync\"\nfaults = [{fitting}]");
        Workload::parse("x.toml", &text, &[]).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn what_a_driver_does_not_carry_out() {
    let load =
        |text: &str| Workload::parse("x.toml", &format!("name = \"x\"\n{text}"), &[]).expect(text);
    let check = |text: &str, expected: &str| {
        let error = load(text).unsupported().expect(text).to_string();
        assert_eq!(error, expected);
    };
    check(
        "cluster.driver = \"sim\"\nfaults = [{ at_s = 1, delay_ms = 3, duplicate_rate = 0.1, layer = \"packet\" }]",
        "x.toml: faults[0].layer = \"packet\": driver \"sim\" has no packets: use layer = \"message\"",
    );
    for (fault, shown) in [
        ("jitter_ms = 2", "jitter_ms = 2.0"),
        ("reorder_rate = 0.1", "reorder_rate = 0.1"),
        ("bandwidth_mbit_per_s = 10", "bandwidth_mbit_per_s = 10.0"),
        ("delay_ms = 1, from = [0]", "from = [0]"),
        ("delay_ms = 1, to = [1, 2]", "to = [1, 2]"),
    ] {
        check(
            &format!(
                "cluster.driver = \"sim\"\nfaults = [{{ at_s = 1, {fault}, layer = \"packet\" }}]"
            ),
            &format!(
                "x.toml: faults[0].{shown}: driver \"sim\" does not carry it out: use --driver quic"
            ),
        );
    }
    for carried_out in [
        "",
        "network.topology = { name = \"mine\", source = \"x\", sites = [\"a\", \"b\", \"c\"], \
         round_trip_ms = { a-b = 1, a-c = 1, b-c = 1 } }",
        "cluster.driver = \"sim\"\ncluster.durability = \"buffered\"\nfaults = [{ at_s = 1, restart = 0 }]",
        "cluster.driver = \"sim\"\nfaults = [{ at_s = 1, delay_ms = 3, layer = \"packet\" }]",
        "faults = [{ at_s = 1, kill = \"leader\" }, { at_s = 2, kill = 2 }]\ncluster.replicas = 5",
        "faults = [{ at_s = 1, pause = \"leader\" }, { at_s = 2, resume = 2 }]",
        "cluster.durability = \"fsync\"\nfaults = [{ at_s = 1, kill = 0 }, { at_s = 2, restart = 0 }]",
        "faults = [{ at_s = 1, partition = [[0], [1, 2]] }, { at_s = 2, heal = true }, \
         { at_s = 2, slow = { replica = 0, factor = 4 } }]",
        "faults = [{ at_s = 1, loss_rate = 0.5, layer = \"message\" }, { at_s = 1, delay_ms = 3, layer = \"packet\" }]",
    ] {
        assert_eq!(load(carried_out).unsupported(), None);
    }
}
