//! Site matrices: the committed ones, the format, and what is said about tables that cannot be used.

use std::{fs, path::PathBuf, time::Duration};

use workload::{Sites, Topology, Workload};

const MS: u64 = 1_000_000;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../workloads")
}

/// A workload beside the committed ones.
fn parse(text: &str) -> Result<Workload, String> {
    let file = folder().join("x.toml").display().to_string();
    Workload::parse(&file, &format!("name = \"x\"\n{text}"), &[])
        .map_err(|error| error.to_string().replace(&format!("{}/", folder().display()), ""))
}

fn sites(text: &str, replicas: usize) -> Sites {
    let workload = parse(text).unwrap_or_else(|error| panic!("{error}"));
    workload.sites(replicas).expect("it has a network")
}

/// `text` in a table is refused with `expected`.
fn check(text: &str, expected: &str) {
    let error = parse(&format!("[network.topology]\n{text}")).expect_err(text);
    assert_eq!(error, format!("x.toml: network.topology{expected}"), "for:\n{text}");
    assert_eq!(error.lines().count(), 1);
}

/// The same, after what every topology holds.
fn check_after(text: &str, expected: &str) {
    check(&format!("source = \"invented\"\nsites = [\"a\", \"b\", \"c\"]\n{text}"), expected);
}

#[test]
fn committed_topologies_hold_every_cluster_up_to_their_size_and_say_what_they_are() {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder().join("topologies")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let file = Topology::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let topology = file.topology;
        assert!(file.description.is_some_and(|text| text.ends_with('.')), "{}", path.display());
        assert_eq!(topology.name.as_deref(), path.file_stem().unwrap().to_str());
        for replicas in 3..=topology.sites.len() {
            let sites = topology.sites(replicas).unwrap_or_else(|lack| panic!("{lack}"));
            assert_eq!(sites.names, topology.sites[..replicas]);
            assert!(sites.is_steady());
            for a in 0..replicas {
                assert_eq!(sites.one_way_ns[a][a], 0);
                assert!((0..replicas).all(|b| a == b || sites.one_way_ns[a][b] > 0));
            }
        }
        assert!(topology.sites.len() >= 5 && topology.sites(topology.sites.len() + 1).is_err());
        names.extend(topology.name);
    }
    names.sort();
    let published = ["ec2-2013", "ec2-2020", "ec2-2021", "ec2-bailis", "gcp-fantoch", "ibm-2024"];
    let invented = ["chain", "skewed", "two-groups"];
    assert_eq!(names, {
        let mut all = [published.as_slice(), &invented].concat();
        all.sort_unstable();
        all
    });
}

/// Cells as their sources have them, seen from both ends; the file holds the mean, rounded to what the source shows.
#[test]
fn published_matrices_hold_the_cells_of_their_sources() {
    let both_ends = [
        ("ec2-2020", "euw1-apne1", 204.431, 204.446),
        ("ec2-2020", "use1-cac1", 15.118, 15.116),
        ("ec2-2020", "apse1-sae1", 338.122, 338.124),
        // Hong Kong's own file was not to be had.
        ("ec2-2020", "ape1-apne1", 51.164, 51.164),
        ("ec2-2021", "euw1-cac1", 72.241, 72.243),
        ("ec2-2021", "apse1-sae1", 321.092, 321.086),
        ("ec2-2021", "usw1-cac1", 78.614, 78.614),
        ("ec2-bailis", "VA-CA", 83.8, 83.8),
        ("ec2-bailis", "SY-SP", 333.0, 339.0),
        ("ec2-bailis", "TY-SG", 89.6, 89.5),
        ("gcp-fantoch", "usw2-use4", 60.174, 60.175),
        ("gcp-fantoch", "euw6-eun1", 38.623, 38.478),
        ("gcp-fantoch", "ae1-ause1", 138.641, 138.650),
        ("gcp-fantoch", "euw1-usc1", 104.919, 104.916),
        ("ibm-2024", "SYD-MAD", 285.0, 281.0),
        ("ibm-2024", "DAL-TOK", 142.0, 141.0),
        ("ibm-2024", "FRA-LON", 12.0, 12.0),
    ];
    for (name, pair, one_ms, other_ms) in both_ends {
        let file = folder().join(format!("topologies/{name}.toml"));
        let topology = Topology::load(&file).unwrap().topology;
        let sites = topology.sites(topology.sites.len()).unwrap();
        let (from, to) = pair.split_once('-').unwrap();
        let place = |site: &str| sites.names.iter().position(|name| name == site).expect(site);
        let ns = sites.round_trip_ns(place(from), place(to));
        let mean_ns = f64::midpoint(one_ms, other_ms) * 1e6;
        assert!((ns as f64 - mean_ns).abs() <= 501.0, "{name} {pair}: {ns} ns, not {mean_ns}");
        assert_eq!(sites.one_way_ns[place(from)][place(to)], ns / 2, "half each way");
    }
}

/// Both ends of a pair saw the same within a few milliseconds, so that one round trip stands for both.
#[test]
fn published_matrices_are_symmetric() {
    for name in ["ec2-2013", "ec2-2020", "ec2-2021", "ec2-bailis", "gcp-fantoch", "ibm-2024"] {
        let topology = Topology::load(&folder().join(format!("topologies/{name}.toml"))).unwrap();
        assert!(topology.topology.one_way_ms.is_empty() && topology.topology.source.len() > 40);
    }
}

/// The numbers of the paper, row by row.
#[test]
fn ec2_2013_is_the_papers() {
    let sites = sites("cluster.replicas = 5\nnetwork.topology = \"ec2-2013\"", 5);
    assert_eq!(sites.names, ["VA", "CA", "EU", "OR", "JP"]);
    let round_trips = [
        [0, 85, 90, 82, 165],
        [85, 0, 156, 21, 118],
        [90, 156, 0, 150, 278],
        [82, 21, 150, 0, 127],
        [165, 118, 278, 127, 0],
    ];
    for (a, row) in round_trips.iter().enumerate() {
        for (b, round_trip_ms) in row.iter().enumerate() {
            assert_eq!(sites.one_way_ns[a][b], round_trip_ms * MS / 2, "from {a} to {b}");
            assert_eq!(sites.round_trip_ns(a, b), round_trip_ms * MS);
        }
    }
    assert_eq!(sites.round_trip_ns_max(), 278 * MS);
}

#[test]
fn a_cluster_takes_the_first_sites_and_needs_no_other() {
    // Nothing is said of d, and nothing needs to be.
    let table = "[network.topology]\nsource = \"invented\"\nsites = [\"a\", \"b\", \"c\", \"d\", \"e\"]\n\
                 round_trip_ms = { a-b = 1, c-b = 2, a-c = 3 }";
    let three = sites(table, 3);
    assert_eq!(three.names, ["a", "b", "c"]);
    assert_eq!((three.round_trip_ns(0, 1), three.round_trip_ns(1, 2)), (MS, 2 * MS));
    let refused = parse(&format!("cluster.replicas = [3, 5]\n{table}")).unwrap_err();
    assert_eq!(
        refused,
        "x.toml: network.topology.round_trip_ms.a-d: missing: add a-d = <ms>, since cluster.replicas = 5 takes the \
         first 5 sites"
    );
}

#[test]
fn directions_and_jitter() {
    let sites = sites(
        "[network.topology]\nsource = \"invented\"\nsites = [\"a\", \"b\", \"c\"]\njitter_ms = 0.5\n\
         one_way_ms = { c-a = [7, 1], a-b = [2, 3] }\n\
         round_trip_ms = { b-c = 0.000003 }\n\
         pair_jitter_ms = { b-a = 2, b-c = 0 }",
        3,
    );
    assert_eq!(sites.one_way_ns, [[0, 2 * MS, MS], [3 * MS, 0, 1], [7 * MS, 2, 0]]);
    assert_eq!(sites.jitter_ns, [[0, 2 * MS, MS / 2], [2 * MS, 0, 0], [MS / 2, 0, 0]]);
    assert!(!sites.is_steady());
    assert_eq!(
        sites.round_trip_ns_max(),
        9 * MS,
        "a-b: 5 ms and twice 2 ms; a-c: 8 ms and twice 0.5 ms"
    );
    assert_eq!(sites.round_trip_max(), Duration::from_millis(9));
}

/// Of simulated sites of which nothing says what jitter they have. Real ones have theirs.
#[test]
fn simulated_sites_have_a_little_jitter_unless_something_says_how_much() {
    let jitter_ns = |text: &str, round_trip_ms: &str| {
        let table = format!(
            "[network.topology]\nsource = \"x\"\nsites = [\"a\", \"b\", \"c\"]\n{text}\n\
             round_trip_ms = {{ a-b = {round_trip_ms}, b-c = 300 }}\none_way_ms = {{ a-c = [200, 0] }}"
        );
        let of = |driver: &str| {
            sites(&format!("cluster.driver = \"{driver}\"\n{table}"), 3).jitter_ns[0][1]
        };
        (of("sim"), of("quic"))
    };
    assert_eq!(jitter_ns("", "100"), (MS / 2, 0), "half a millisecond");
    assert_eq!(
        jitter_ns("", "4"),
        (MS / 10, 0),
        "a twentieth of the shortest way that takes any time"
    );
    assert_eq!(jitter_ns("jitter_ms = 0", "100"), (0, 0));
    assert_eq!(jitter_ns("jitter_ms = 3", "100"), (3 * MS, 3 * MS));
    assert_eq!(jitter_ns("pair_jitter_ms = { a-b = 7 }", "100"), (7 * MS, 7 * MS));
    // The workload has the last word, over pairs too.
    let over = |own: &str, topology: &str| {
        let text = format!(
            "[cluster]\ndriver = \"sim\"\nreplicas = 5\n[network]\n{own}\ntopology = {topology}"
        );
        sites(&text, 5).jitter_ns
    };
    assert_eq!(over("", "\"ec2-2013\"")[3][4], MS / 2);
    assert!(over("jitter_ms = 0", "\"ec2-2013\"").iter().flatten().all(|ns| *ns == 0));
    let pairs = "{ source = \"x\", sites = [\"a\", \"b\", \"c\", \"d\", \"e\"], jitter_ms = 1, \
        round_trip_ms = { a-b = 1, a-c = 1, a-d = 1, a-e = 1, b-c = 1, b-d = 1, b-e = 1, c-d = 1, c-e = 1, d-e = 1 }, \
        pair_jitter_ms = { a-b = 9 } }";
    assert_eq!(over("", pairs)[0][1], 9 * MS);
    assert_eq!(over("jitter_ms = 2", pairs)[0][1], 2 * MS);
    assert_eq!(
        parse("network = { jitter_ms = -1, topology = \"ec2-2013\" }").unwrap_err(),
        "x.toml: network.jitter_ms = -1: must be within 0..=60000"
    );
    assert_eq!(
        parse("network.jitter_ms = 1").unwrap_err(),
        "x.toml: network.topology: missing: name one, or remove [network]"
    );
}

#[test]
fn names_and_paths() {
    let given = |topology: &str| parse(&format!("network.topology = {topology}"));
    let by_path = given("\"topologies/chain.toml\"").unwrap();
    assert_eq!(by_path, given("\"chain\"").unwrap());
    assert_eq!(by_path.network.unwrap().topology.name.as_deref(), Some("chain"));
    // A workload that is elsewhere finds the named ones in the working directory's workloads/, here there is none.
    assert_eq!(
        given("\"moon\"").unwrap_err(),
        "x.toml: network.topology = \"moon\": there is no topologies/moon.toml: `bench list` names the topologies, a \
         file of your own ends in .toml"
    );
    assert_eq!(
        given("\"../secret\"").unwrap_err(),
        "x.toml: network.topology = \"../secret\": must be made of lower-case letters, digits, hyphens and dots; a \
         file of your own ends in .toml"
    );
    let error = given("\"my/sites.toml\"").unwrap_err();
    assert!(
        error.starts_with(
            "x.toml: network.topology = \"my/sites.toml\": my/sites.toml cannot be read (No such"
        ),
        "{error}"
    );
    assert_eq!(
        given("3").unwrap_err(),
        "x.toml: network.topology = 3: must be a topology's name or a table, not a whole number"
    );
    assert_eq!(given("{}").unwrap_err(), "x.toml: network.topology = {}: must not be empty");
    assert_eq!(
        parse("[network]").unwrap_err(),
        "x.toml: network.topology: missing: name one, or remove [network]"
    );
}

/// What is wrong in a topology's own file is said of that file.
#[test]
fn errors_name_the_topologys_file() {
    let place = tempfile::tempdir().unwrap();
    let refused = |text: &str| {
        fs::write(place.path().join("t.toml"), text).unwrap();
        let file = place.path().join("w.toml").display().to_string();
        let text = "name = \"x\"\nnetwork.topology = \"t.toml\"";
        let error = Workload::parse(&file, text, &[]).unwrap_err().to_string();
        error.replace(&format!("{}/", place.path().display()), "")
    };
    assert_eq!(
        refused("source = \"x\"\nsites = [\"a\"]\nround_trip = 3"),
        "t.toml: round_trip = 3: unknown key: did you mean round_trip_ms?"
    );
    assert_eq!(
        refused("source = \"x\"\nsites = [\"a\", \"b\", \"c\"]"),
        "t.toml: round_trip_ms.a-b: missing: add a-b = <ms>, since cluster.replicas = 3 takes the first 3 sites"
    );
    assert_eq!(
        refused("source = \"x\"\nsites = [\"a\", \"b\"]"),
        "t.toml: sites = [\"a\", \"b\"]: there are only 2: cluster.replicas = 3 takes the first 3 sites"
    );
    assert_eq!(
        refused("name = \"x\""),
        "t.toml: name = \"x\": unknown key: use source, sites, jitter_ms, round_trip_ms, one_way_ms, pair_jitter_ms"
    );
    let twice =
        refused("source = \"x\"\nsites = [\"a\", \"b\"]\n[round_trip_ms]\na-b = 1\na-b = 2");
    assert!(twice.starts_with("t.toml: line 5 is not TOML: duplicate key"), "{twice}");
}

#[test]
fn tables_that_cannot_be_used() {
    check(
        "sites = [\"a\"]",
        ".source: missing: say where the numbers come from, if only source = \"invented\"",
    );
    check("source = \" \"", ".source = \" \": must not be empty: say where the numbers come from");
    check("source = 3", ".source = 3: must be a string, not a whole number");
    check("source = \"x\"", ".sites: missing: name them, such as sites = [\"VA\", \"CA\", \"EU\"]");
    let sites = |list: &str, remedy: &str| {
        check(&format!("source = \"x\"\nsites = {list}"), &format!(".sites = {list}: {remedy}"));
    };
    sites("\"a\"", "must be an array of names, not a string");
    sites("[1]", "must be an array of names, not a whole number");
    sites("[\"a\", \"b\", \"a\"]", "a is named twice: name it once");
    sites(
        "[\"us-east\"]",
        "\"us-east\": a name is made of letters, digits and underscores, since hyphens join pairs",
    );
    check_after("site = 3", ".site = 3: unknown key: did you mean sites?");
    check_after("jitter_ms = -1", ".jitter_ms = -1: must be within 0..=60000");
    check_after(
        "round_trip_ms = 3",
        ".round_trip_ms = 3: must be a table with pairs of sites, such as { VA-CA = 85 }, not a whole number",
    );
    let pair = |table: &str, pair: &str, remedy: &str| {
        check_after(&format!("{table} = {{ {pair} }}"), &format!(".{table}.{pair}: {remedy}"));
    };
    pair("round_trip_ms", "a-b = -1", "must be within 0..=60000");
    pair("round_trip_ms", "a-b = \"1\"", "must be a number, not a string");
    pair("round_trip_ms", "a-x = 1", "there is no site x: sites are a, b, c");
    pair("pair_jitter_ms", "x-a = 1", "there is no site x: sites are a, b, c");
    pair("round_trip_ms", "ab = 1", "is no pair of sites: write it as A-B");
    pair("round_trip_ms", "a-a = 0", "a site is no distance from itself: remove it");
    pair(
        "one_way_ms",
        "a-b = 3",
        "must be two numbers: from the first to the second and back, such as [40, 45]",
    );
    pair("one_way_ms", "a-b = [3, -4]", "must be within 0..=60000");
    check_after(
        "round_trip_ms = { a-b = 1, b-a = 2 }",
        ".round_trip_ms.b-a = 2: stands there as a-b too: give each pair once",
    );
    for twice in ["a-b", "b-a"] {
        check_after(
            &format!("round_trip_ms = {{ a-b = 1 }}\none_way_ms = {{ {twice} = [1, 2] }}"),
            &format!(
                ".one_way_ms.{twice} = [1, 2]: stands in round_trip_ms as a-b too: give each pair once"
            ),
        );
    }
    check_after(
        "round_trip_ms = { a-b = 1, b-c = 1 }",
        ".round_trip_ms.a-c: missing: add a-c = <ms>, since cluster.replicas = 3 takes the first 3 sites",
    );
}

#[test]
fn a_topology_that_is_not_there() {
    let error = Topology::load(&folder().join("topologies/moon.toml")).unwrap_err().to_string();
    assert!(error.contains("topologies/moon.toml: cannot be read (No such file"), "{error}");
    assert!(error.ends_with("`bench list` names the topologies"), "{error}");
}

/// The format's description for users is a topology itself.
#[test]
fn the_described_file_loads() {
    let text = fs::read_to_string(folder().join("topologies/README.md")).unwrap();
    let (_, described) = text.split_once("A file holds\n\n```toml\n").unwrap();
    let (described, _) = described.split_once("```").unwrap();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("described.toml");
    fs::write(&path, described).unwrap();
    let file = Topology::load(&path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(file.description.as_deref(), Some("What it is. `bench list` shows this paragraph."));
    let sites = file.topology.sites(3).unwrap_or_else(|lack| panic!("{lack}"));
    assert_eq!((sites.one_way_ns[1][2], sites.one_way_ns[2][1]), (80 * MS, 76 * MS));
    assert_eq!((sites.jitter_ns[0][1], sites.jitter_ns[2][1]), (MS / 2, 2 * MS));
}
