//! `bench check` on good and bad histories of each format.

use std::fs;

use crate::place::{Ended, Place, TINY};

/// What `bench check` says about `text`, and its exit code.
fn check(text: &str, more: &[&str]) -> (Option<i32>, String) {
    let place = Place::new(TINY);
    fs::write(place.path().join("h"), text).unwrap();
    let Ended { code, stdout, stderr } = place.bench(&[&["check", "h"], more].concat());
    assert_eq!(stdout.is_empty(), code == Some(2), "{stdout}{stderr}");
    assert_eq!(stderr.lines().count(), usize::from(code == Some(2)), "{stderr}");
    (code, stdout + &stderr)
}

fn holds(text: &str, expected: &str) {
    assert_eq!(check(text, &[]), (Some(0), format!("linearizable: {expected}\n")));
}

/// Refused with a witness of few lines, which has all of `expected`.
fn refused(text: &str, expected: &[&str]) {
    let (code, said) = check(text, &[]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.starts_with("not linearizable: key \""), "{said}");
    assert!(said.lines().count() <= 8, "{said}");
    for expected in expected {
        assert!(said.contains(expected), "{expected:?} in {said}");
    }
}

const PUTS: &str = r#"{"process":1,"key":"k","op":"put","value":"a","invoke_ns":0,"return_ns":10}
{"process":2,"key":"k","op":"put","value":"b","invoke_ns":20,"return_ns":30}
"#;

/// [`PUTS`], and a line like these.
fn then(line: &str) -> String {
    format!("{PUTS}{{\"process\":3,\"key\":\"k\",{line}}}\n")
}

#[test]
fn json_lines() {
    holds(
        &then(r#""op":"get","result":"b","invoke_ns":25,"return_ns":40"#),
        "3 operations on 1 key",
    );
    holds(
        &then(r#""op":"get","result":"a","invoke_ns":25,"return_ns":40"#),
        "3 operations on 1 key",
    );
    // A stale read, a lost write, and a value from nowhere.
    refused(
        &then(r#""op":"get","result":"a","invoke_ns":31,"return_ns":40"#),
        &["c3 [31..40] get -> \"a\"", "c2's put [20..30] ended before c3's get [31..40] began"],
    );
    refused(
        &then(r#""op":"get","result":null,"invoke_ns":31,"return_ns":40"#),
        &["c3 [31..40] get -> absent", "the key was absent at first"],
    );
    refused(
        &then(r#""op":"get","result":"c","invoke_ns":31,"return_ns":40"#),
        &["c3's get [31..40] saw \"c\", which nobody wrote"],
    );
    // Without an answer it may happen late.
    let unanswered = r#"{"process":9,"key":"k","op":"delete","invoke_ns":1}"#;
    let late = then(r#""op":"get","result":null,"invoke_ns":31,"return_ns":40"#);
    holds(&format!("{late}{unanswered}\n"), "4 operations on 1 key");
}

#[test]
fn a_duplicate_apply() {
    let (swap, read) = (
        r#""op":"cas","expected":"b","value":"c","swapped":true,"invoke_ns":31,"return_ns":40}"#,
        r#"{"process":4,"key":"k","op":"cas","expected":"b","value":"d","swapped":true,"invoke_ns":35,"return_ns":45"#,
    );
    refused(&then(&format!("{swap}\n{read}")), &["both came directly after \"b\""]);
    let twice = "\
        {:process 0, :type :invoke, :f :append, :key \"1\", :value \"x 0 0 y\"}\n\
        {:process 0, :type :ok, :f :append, :key \"1\", :value \"x 0 0 y\"}\n\
        {:process 1, :type :invoke, :f :get, :key \"1\", :value nil}\n\
        {:process 1, :type :ok, :f :get, :key \"1\", :value \"x 0 0 yx 0 0 y\"}\n";
    refused(twice, &["c1's get [2..3] saw \"x 0 0 y\" twice"]);
}

/// A write that was acknowledged, and that the next read does not show.
#[test]
fn a_lost_write_in_each_format() {
    refused(
        &then(r#""op":"get","result":"a","invoke_ns":31,"return_ns":40"#),
        &["c3 [31..40] get -> \"a\"", "c2's put [20..30] ended before c3's get [31..40] began"],
    );
    let jepsen = "\
        {:process 0, :type :invoke, :f :write, :value 1}\n\
        {:process 0, :type :ok, :f :write, :value 1}\n\
        {:process 1, :type :invoke, :f :write, :value 2}\n\
        {:process 1, :type :ok, :f :write, :value 2}\n\
        {:process 2, :type :invoke, :f :read, :value nil}\n\
        {:process 2, :type :ok, :f :read, :value 1}\n";
    refused(jepsen, &["get -> \"1\"", "c1's put [2..3] ended before c2's get [4..5] began"]);
    let porcupine = "\
        {:process 0, :type :invoke, :f :append, :key \"1\", :value \"x 0 0 y\"}\n\
        {:process 0, :type :ok, :f :append, :key \"1\", :value \"x 0 0 y\"}\n\
        {:process 1, :type :invoke, :f :append, :key \"1\", :value \"x 1 0 y\"}\n\
        {:process 1, :type :ok, :f :append, :key \"1\", :value \"x 1 0 y\"}\n\
        {:process 2, :type :invoke, :f :get, :key \"1\", :value nil}\n\
        {:process 2, :type :ok, :f :get, :key \"1\", :value \"x 0 0 y\"}\n";
    refused(porcupine, &["get -> \"x 0 0 y\"", "c1's append [2..3]"]);
}

/// A read that shows less than one before it did.
#[test]
fn a_stale_read_in_each_format() {
    let fresh = r#""op":"get","result":"b","invoke_ns":15,"return_ns":18}"#;
    let stale = r#"{"process":4,"key":"k","op":"get","result":"a","invoke_ns":26,"return_ns":28"#;
    // While b is still being written: only that somebody has seen it makes the second read stale.
    let early = then(&format!("{fresh}\n{stale}")).replace("\"invoke_ns\":20", "\"invoke_ns\":12");
    refused(&early, &["c3's get [15..18]", "c4's get [26..28]"]);
    let jepsen = "\
        {:process 0, :type :invoke, :f :write, :value 1}\n\
        {:process 0, :type :ok, :f :write, :value 1}\n\
        {:process 1, :type :invoke, :f :write, :value 2}\n\
        {:process 2, :type :invoke, :f :read, :value nil}\n\
        {:process 2, :type :ok, :f :read, :value 2}\n\
        {:process 3, :type :invoke, :f :read, :value nil}\n\
        {:process 3, :type :ok, :f :read, :value 1}\n";
    refused(jepsen, &["c2's get [3..4]", "c3's get [5..6]"]);
    let porcupine = "\
        {:process 0, :type :invoke, :f :put, :key \"1\", :value \"x 0 0 y\"}\n\
        {:process 0, :type :ok, :f :put, :key \"1\", :value \"x 0 0 y\"}\n\
        {:process 1, :type :invoke, :f :append, :key \"1\", :value \"x 1 0 y\"}\n\
        {:process 2, :type :invoke, :f :get, :key \"1\", :value nil}\n\
        {:process 2, :type :ok, :f :get, :key \"1\", :value \"x 0 0 yx 1 0 y\"}\n\
        {:process 3, :type :invoke, :f :get, :key \"1\", :value nil}\n\
        {:process 3, :type :ok, :f :get, :key \"1\", :value \"x 0 0 y\"}\n";
    refused(porcupine, &["c2's get [3..4] ended before c3's get [5..6] began"]);
}

/// Jepsen's registers cannot append: what took effect twice shows as a value that came back.
#[test]
fn a_duplicate_apply_of_a_register() {
    let read = |process: u32, value: u32| {
        format!(
            "{{:process {process}, :type :invoke, :f :read, :value nil}}\n\
            {{:process {process}, :type :ok, :f :read, :value {value}}}\n"
        )
    };
    let write = |process: u32, value: u32| {
        format!(
            "{{:process {process}, :type :invoke, :f :write, :value {value}}}\n\
            {{:process {process}, :type :ok, :f :write, :value {value}}}\n"
        )
    };
    let twice = [write(0, 1), write(1, 2), read(2, 2), read(3, 1)].concat();
    refused(&twice, &["get -> \"1\"", "c3's get"]);
    let swaps = "\
        {:process 0, :type :invoke, :f :write, :value 1}\n\
        {:process 0, :type :ok, :f :write, :value 1}\n\
        {:process 1, :type :invoke, :f :cas, :value [1 2]}\n\
        {:process 1, :type :ok, :f :cas, :value [1 2]}\n\
        {:process 2, :type :invoke, :f :cas, :value [1 3]}\n\
        {:process 2, :type :ok, :f :cas, :value [1 3]}\n";
    refused(swaps, &["both came directly after \"1\""]);
}

#[test]
fn porcupine() {
    let good = "\
        {:process 0, :type :invoke, :f :get, :key \"1\", :value nil}\n\
        {:process 1, :type :invoke, :f :append, :key \"1\", :value \"x 1 0 y\"}\n\
        {:process 0, :type :ok, :f :get, :key \"1\", :value \"\"}\n\
        {:process 2, :type :invoke, :f :put, :key \"2\", :value \"z\"}\n\
        {:process 1, :type :ok, :f :append, :key \"1\", :value \"x 1 0 y\"}\n\
        {:process 0, :type :invoke, :f :get, :key \"1\", :value nil}\n\
        {:process 0, :type :ok, :f :get, :key \"1\", :value \"x 1 0 y\"}\n";
    holds(good, "4 operations on 2 keys");
    let lost = good.replacen(
        "{:process 0, :type :ok, :f :get, :key \"1\", :value \"x 1 0 y\"}",
        "{:process 0, :type :ok, :f :get, :key \"1\", :value \"\"}",
        1,
    );
    refused(&lost, &["key \"1\"", "c0 [5..6] get -> absent", "c1's append [1..4] ended before"]);
}

#[test]
fn jepsen() {
    let good = "\
        ; a register\n\
        {:process 0, :type :invoke, :f :write, :value 1}\n\
        {:process 0, :type :ok, :f :write, :value 1}\n\
        {:process :nemesis, :type :info, :f :start, :value nil}\n\
        {:process 1, :type :invoke, :f :cas, :value [1 2]}\n\
        {:process 1, :type :info, :f :cas, :value [1 2]}\n\
        {:process 2, :type :invoke, :f :cas, :value [7 8]}\n\
        {:process 2, :type :fail, :f :cas, :value [7 8]}\n\
        {:process 0, :type :invoke, :f :read, :value nil}\n\
        {:process 0, :type :ok, :f :read, :value 2}\n";
    holds(good, "3 operations on 1 key");
    refused(&good.replace(":read, :value 2", ":read, :value 8"), &["\"8\", which nobody wrote"]);
    let stale = format!(
        "{good}{{:process 3, :type :invoke, :f :read, :value nil}}\n\
        {{:process 3, :type :ok, :f :read, :value 1}}\n"
    );
    refused(&stale, &["c3 [", "get -> \"1\"", "\"2\" was made from \"1\""]);
    let keyed = "[{:process 0, :type :invoke, :f :write, :value [5 1]}\
        {:process 1, :type :invoke, :f :write, :value [6 1]}\
        #jepsen.history.Op{:process 0, :type :ok, :f :write, :value [5 1]}]";
    holds(keyed, "2 operations on 2 keys");
}

#[test]
fn the_search_decides_where_values_repeat_and_its_budget_ends() {
    let writes: String = (0..24)
        .map(|process| {
            format!("{{:process {process}, :type :invoke, :f :write, :value {}}}\n", process / 2)
        })
        .collect();
    let ends: String = (0..24)
        .map(|process| {
            format!("{{:process {process}, :type :ok, :f :write, :value {}}}\n", process / 2)
        })
        .collect();
    let read = |process: u32, value: &str| {
        format!(
            "{{:process {process}, :type :invoke, :f :read, :value nil}}\n\
            {{:process {process}, :type :ok, :f :read, :value {value}}}\n"
        )
    };
    let flicker = format!("{writes}{ends}{}{}", read(30, "1"), read(31, "2"));
    let (code, said) = check(&flicker, &["--timeout-s", "0"]);
    assert_eq!(
        (code, said.as_str()),
        (Some(3), "unknown: no more time for key \"register\": raise --timeout-s or --memory-mb\n")
    );
    let (code, said) = check(&flicker, &["--memory-mb", "0"]);
    assert!(code == Some(3) && said.starts_with("unknown: no more memory"), "{said}");
    let small = format!("{}{}", read(1, "nil"), read(2, "nil"));
    let text = "\
        {:process 0, :type :invoke, :f :write, :value 1}\n\
        {:process 0, :type :ok, :f :write, :value 1}\n\
        {:process 0, :type :invoke, :f :write, :value 2}\n\
        {:process 0, :type :ok, :f :write, :value 2}\n\
        {:process 3, :type :invoke, :f :write, :value 1}\n\
        {:process 3, :type :ok, :f :write, :value 1}\n";
    holds(&format!("{small}{text}{}", read(4, "1")), "6 operations on 1 key");
    refused(&format!("{small}{text}{}", read(4, "2")), &["c4 [10..11] get -> \"2\""]);
}

#[test]
fn what_is_no_history() {
    let cases: [(&str, &[&str], &str); 12] = [
        ("", &[], "h:1: no operation: name a file"),
        ("\nhello", &[], "h:2: no history that is known: use JSON lines"),
        ("{\"process\":1}", &[], "h:1: missing field `key`"),
        (&then(r#""op":"get","invoke_ns":5,"return_ns":6"#), &[], "h:3: result: missing: add it"),
        (
            &then(r#""op":"put","value":"v","invoke_ns":5,"return_ns":4"#),
            &[],
            "h:3: return_ns = 4: must",
        ),
        (
            &then(r#""op":"delete","value":"v","invoke_ns":5"#),
            &[],
            "h:3: value: has no meaning here",
        ),
        (PUTS, &["--format", "jepsen"], "h:1: no EDN: a map with a key"),
        (PUTS, &["--key", "j"], "h: --key j: no operation is on this key"),
        ("{:process 1 :type :ok :f :read :value 3}", &[], "h:1: process 1 has nothing under way"),
        ("{:process 1 :type :invoke :f :pop}", &[], "h:1: :f :pop: must be :read, :write or :cas"),
        ("{:process 1 :type :invoke", &[], "h:1: no EDN: ends too early"),
        (
            "{:process 1 :type :invoke :f :read}\n{:process 1 :type :info :f :read}\n\
            {:process 1 :type :invoke :f :read}",
            &[],
            "h:3: process 1 invokes after :info: it must never return",
        ),
    ];
    for (text, more, expected) in cases {
        let (code, said) = check(text, more);
        assert!(code == Some(2) && said.contains(expected), "{expected:?} in {said}");
    }
}
