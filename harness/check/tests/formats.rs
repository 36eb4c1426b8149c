//! What is read from text, and that what is written is read again.

use check::{
    History, Kind, Operation, Outcome,
    formats::{self, Format, json},
};

fn operation(kind: Kind, answer: Option<(u64, Outcome)>) -> Operation {
    Operation { process: 3, key: b"k\xff".to_vec(), kind, invoke: 7, answer }
}

#[test]
fn json_lines_are_read_as_written() {
    let swap = |expected: Option<&[u8]>| Kind::CompareAndSet {
        expected: expected.map(<[u8]>::to_vec),
        value: b"\x00\xfe".to_vec(),
    };
    let operations = [
        operation(Kind::Get, Some((7, Outcome::Value(None)))),
        operation(Kind::Get, Some((9, Outcome::Value(Some(b"a\"b".to_vec()))))),
        operation(Kind::Get, None),
        operation(Kind::Put(b"\xc3".to_vec()), Some((9, Outcome::Done))),
        operation(Kind::Append(Vec::new()), None),
        operation(Kind::Delete, Some((9, Outcome::Done))),
        operation(swap(None), Some((9, Outcome::Swapped(false)))),
        operation(swap(Some(b"x")), Some((9, Outcome::Swapped(true)))),
        operation(swap(Some(b"x")), None),
    ];
    let text: String = operations.iter().map(|operation| json::line(operation) + "\n\n").collect();
    let history: History = operations.into_iter().collect();
    assert_eq!(formats::parse(&text, None), Ok(history));
}

fn read(text: &str, format: Format) -> Vec<String> {
    let history = formats::parse(text, None).expect("a history");
    assert_eq!(formats::parse(text, Some(format)), Ok(history.clone()), "content tells the format");
    history.operations().iter().map(ToString::to_string).collect()
}

#[test]
fn jepsen_failures_did_not_happen_and_the_rest_is_unknown() {
    let text = "\
        {:process 0 :type :invoke :f :cas :value [1 2]}
        {:process 1 :type :invoke :f :write :value 3}
        {:process 0 :type :fail :f :cas :value [1 2]}
        {:process 1 :type :info :f :write :value 3 :error \"timed \\\"out\\\"\"}
        {:process 2 :type :invoke :f :cas :value [nil 2]} ; never ends
        {:process 3 :type :invoke :f :read :value nil}
        {:process 3 :type :ok :f :read :value nil}
        {:process 4 :type :invoke :f :write :value nil}";
    let expected = [
        "c1 [1..?] put \"3\" -> no answer",
        "c3 [5..6] get -> absent",
        "c2 [4..?] cas absent to \"2\" -> no answer",
        "c4 [7..?] delete -> no answer",
    ];
    assert_eq!(read(text, Format::Jepsen), expected);
}

#[test]
fn jepsen_keys_stand_in_the_value() {
    let text = "\
        [{:process 0, :type :invoke, :f :cas, :value [9 [1 2]]}
         {:process 0, :type :ok, :f :cas, :value [9 [1 2]]}
         {:process 0, :type :invoke, :f :read, :value [9 nil]}
         {:process 0, :type :ok, :f :read, :value [9 2]}]";
    let history = formats::parse(text, None).unwrap();
    assert!(history.operations().iter().all(|operation| operation.key == b"9"));
    let expected = ["c0 [0..1] cas \"1\" to \"2\" -> swapped", "c0 [2..3] get -> \"2\""];
    assert_eq!(read(text, Format::Jepsen), expected);
}

#[test]
fn porcupine_texts_are_empty_at_first() {
    let text = "\
        {:process 0, :type :invoke, :f :get, :key \"a\", :value nil}
        {:process 0, :type :ok, :f :get, :key \"a\", :value \"\"}
        {:process 0, :type :invoke, :f :put, :key \"a\", :value \"\"}
        {:process 0, :type :ok, :f :put, :key \"a\", :value \"\"}
        {:process 0, :type :invoke, :f :append, :key \"a\", :value \"\"}
        {:process 0, :type :ok, :f :append, :key \"a\", :value \"\"}
        {:process 1, :type :invoke, :f :append, :key \"a\", :value \"x 1 0 y\"}";
    let expected = [
        "c0 [0..1] get -> absent",
        "c0 [2..3] delete -> done",
        "c1 [6..?] append \"x 1 0 y\" -> no answer",
    ];
    assert_eq!(read(text, Format::Porcupine), expected);
}
