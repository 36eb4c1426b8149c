//! Whether two results are of one workload, by what their manifests recorded.

use serde_json::Value;

/// Keys that may differ: what is measured is the same, once more or more often.
const FREE: [&str; 4] = ["name", "seed", "repetitions", "cluster.driver"];

/// Chosen: a value longer than this is told by its beginning.
const VALUE_CHARS_MAX: usize = 40;

/// All keys in which two recorded workloads differ, as `load.window (1 and 4)`.
pub fn differing_keys(a: &Value, b: &Value) -> Vec<String> {
    let mut differing = Vec::new();
    walk("", Some(a), Some(b), &[], &mut differing);
    differing
}

/// The same but for keys that change nothing of what is measured.
pub(super) fn differing(a: &Value, b: &Value) -> Vec<String> {
    let mut differing = Vec::new();
    walk("", Some(a), Some(b), &FREE, &mut differing);
    // What work costs is the simulator's alone.
    let driver = |workload: &Value| workload["cluster"]["driver"].clone();
    if driver(a) != driver(b) {
        differing.retain(|difference| !difference.starts_with("sim"));
    }
    differing
}

fn walk(
    key: &str,
    a: Option<&Value>,
    b: Option<&Value>,
    free: &[&str],
    differing: &mut Vec<String>,
) {
    if a == b || free.contains(&key) {
        return;
    }
    if let (Some(Value::Object(of_a)), Some(Value::Object(of_b))) = (a, b) {
        let only_b = of_b.keys().filter(|name| !of_a.contains_key(*name));
        for name in of_a.keys().chain(only_b) {
            let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            walk(&key, of_a.get(name), of_b.get(name), free, differing);
        }
        return;
    }
    let key = if key.is_empty() { "the workload" } else { key };
    differing.push(format!("{key} ({} and {})", short(a), short(b)));
}

fn short(value: Option<&Value>) -> String {
    let Some(value) = value else { return "absent".to_owned() };
    let text = value.to_string();
    if text.chars().count() <= VALUE_CHARS_MAX {
        return text;
    }
    format!("{}…", text.chars().take(VALUE_CHARS_MAX).collect::<String>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_that_differ_are_named_with_both_values() {
        let a = json!({ "name": "a", "seed": 1, "repetitions": 3, "load": { "window": 1, "mode": "closed" } });
        let mut b = a.clone();
        assert_eq!(differing(&a, &b), Vec::<String>::new());
        b["load"]["window"] = json!([1, 4]);
        b["network"] = json!({ "topology": "ec2-2013" });
        let expected =
            ["load.window (1 and [1,4])", "network (absent and {\"topology\":\"ec2-2013\"})"];
        assert_eq!(differing(&a, &b), expected);
    }

    #[test]
    fn name_seed_repetitions_and_driver_are_no_other_workload() {
        let a = json!({ "name": "a", "seed": 1, "repetitions": 3, "cluster": { "driver": "sim" }, "sim": { "x": 1 } });
        let b =
            json!({ "name": "b", "seed": 2, "repetitions": 9, "cluster": { "driver": "quic" } });
        assert_eq!(differing(&a, &b), Vec::<String>::new());
        assert_eq!(differing_keys(&a, &b).len(), 5, "every key counts");
        let mut costly = a.clone();
        costly["sim"]["x"] = json!(2);
        assert_eq!(differing(&a, &costly), ["sim.x (1 and 2)"]);
    }
}
