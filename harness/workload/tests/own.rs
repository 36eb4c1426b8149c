//! Options that are a protocol's own, of protocols that are known by their facts alone.

use protocols::{
    Facts, Protocol,
    options::{Choice, Fixed, InFiles, OptionFacts, OptionKind},
    registry,
};
use workload::{Plan, Workload};

const NUMBER: OptionFacts = OptionFacts {
    key: "depth",
    about: "how deep",
    kind: OptionKind::Number { least: 2, most: 9 },
    default: 4,
    files: InFiles::Swept,
    fixed: None,
    hostile: &[],
};

static ONE: Facts = Facts {
    options: &[
        OptionFacts {
            key: "mode",
            about: "how",
            kind: OptionKind::Choice(&[
                Choice { name: "plain", about: "as it comes" },
                Choice { name: "shallow", about: "never deep" },
            ]),
            default: 0,
            files: InFiles::One,
            fixed: None,
            hostile: &[],
        },
        OptionFacts {
            // A mode that is not the first one leaves no choice of the depth.
            fixed: Some(|options| {
                let remedy = "goes with mode = \"plain\" only: remove it";
                (options.get(0) == Some(1)).then_some(Fixed { value: 2, remedy })
            }),
            ..NUMBER
        },
        OptionFacts { key: "window", ..NUMBER },
        OptionFacts { key: "secret", files: InFiles::Absent, ..NUMBER },
    ],
    ..Facts::plain("one")
};

/// It has an option of the same name.
static OTHER: Facts = Facts { options: &[NUMBER], ..Facts::plain("other") };

fn registered() -> [Protocol; 2] {
    [&ONE, &OTHER].map(|facts| registry::register(facts).expect("its name is free"))
}

fn parse(more: &str) -> Result<Workload, String> {
    registered();
    let text = format!("name = \"x\"\nrepetitions = 1\n{more}");
    Workload::parse("x.toml", &text, &[]).map_err(|error| error.to_string())
}

/// Every run, and the values of its protocol's options.
fn runs(more: &str) -> Vec<String> {
    let plan = Plan::new(
        &parse(&format!("protocols = [\"one\", \"other\"]\n{more}")).expect("it is a workload"),
    );
    let told = plan.runs.iter().map(|run| {
        let values = (0..4).map(|place| run.point.options.get(place));
        let values: Vec<String> =
            values.map(|value| value.map_or("-".to_owned(), |value| value.to_string())).collect();
        format!("{} {}: {}", run.protocol, run.point.canonical(), values.join(" "))
    });
    told.collect()
}

#[test]
fn an_option_is_what_the_file_says_or_its_default() {
    assert_eq!(runs(""), ["one default: 0 4 4 -", "other default: 4 - - -"]);
    assert_eq!(
        runs("one = { depth = 9, window = 2 }\nother.depth = 3"),
        ["one default: 0 9 2 -", "other default: 3 - - -"]
    );
    assert_eq!(runs("one.mode = \"shallow\"")[0], "one default: 1 2 4 -", "the depth is fixed");
    assert_eq!(runs("one = { mode = \"shallow\", depth = 2 }")[0], "one default: 1 2 4 -");
}

#[test]
fn a_swept_option_multiplies_its_own_protocols_runs_alone() {
    assert_eq!(
        runs("one.depth = [2, 3]\nother.depth = [9, 8]\ncluster.replicas = [3, 5]"),
        [
            "one depth=2 replicas=3: 0 2 4 -",
            "other depth=9 replicas=3: 9 - - -",
            "one depth=2 replicas=5: 0 2 4 -",
            "other depth=9 replicas=5: 9 - - -",
            "other depth=8 replicas=3: 8 - - -",
            "other depth=8 replicas=5: 8 - - -",
            "one depth=3 replicas=3: 0 3 4 -",
            "one depth=3 replicas=5: 0 3 4 -",
        ]
    );
}

#[test]
fn what_an_option_cannot_be_is_refused_with_the_remedy() {
    let refused = |more: &str| parse(more).unwrap_err();
    for (more, expected) in [
        ("one.depth = 1", "one.depth = 1: must be at least 2"),
        ("one.depth = [2, 2]", "one.depth = 2: is listed twice: list it once"),
        ("one.mode = \"deep\"", "one.mode = \"deep\": must be \"plain\" or \"shallow\""),
        ("one.secret = 3", "one.secret = 3: unknown key: [one] takes mode, depth, window"),
        (
            "one = { mode = \"shallow\", depth = 3 }",
            "one.depth = 3: goes with mode = \"plain\" only: remove it",
        ),
        (
            "one.window = [2, 3]",
            "one.window = [2, 3]: must be one value: another key that is swept has this name, too",
        ),
        ("one = 3", "one = 3: must be a table: write [one]"),
    ] {
        assert_eq!(refused(more), format!("x.toml: {expected}"));
    }
    assert!(refused("one.mode = [\"plain\"]").contains("must be \"plain\" or \"shallow\""));
}

#[test]
fn what_is_recorded_runs_again() {
    let workload = parse("one = { mode = \"shallow\", window = 7 }\nother.depth = [3, 5]").unwrap();
    let recorded = serde_json::to_value(&workload).unwrap();
    assert_eq!(recorded["one"], serde_json::json!({ "mode": "shallow", "depth": 2, "window": 7 }));
    assert_eq!(recorded["other"], serde_json::json!({ "depth": [3, 5] }));
    assert_eq!(recorded["epaxos"]["variant"], "star");
    assert!(recorded.get("paxos").is_none(), "it has no option that files give");
    let again = Workload::recorded("manifest.json", &recorded).unwrap();
    assert_eq!(again.own, workload.own);
    assert_eq!(Plan::new(&again), Plan::new(&workload));
}
