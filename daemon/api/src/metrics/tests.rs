//! A strict parser of both formats reads the output, which is then compared with the status.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const FORMATS: [MetricsFormat; 2] = [MetricsFormat::OpenMetrics, MetricsFormat::Prometheus];

/// A status with every field, optional ones too.
fn status_json() -> Value {
    json!({
        "at": "2026-11-22T13:02:10.123456Z", "version": "0.1.0", "pid": 4711, "started": "2026-11-22T10:00:00Z",
        "state": "degraded", "problems": ["one", "two"], "listen": ["[::]:7788"], "socket": "/run/s", "data_dir": "/data",
        "receive_buffer": { "asked": 0, "granted": 0 }, "received": { "datagrams": 0, "bytes": 0 },
        "stored": 0, "queued": 0, "kernel_drops": 0, "dropped": { "denied": 0, "queue_full": 0, "own": 0 },
        "access": { "allow": [], "deny": [], "refused": [{ "address": "192.0.2.1", "at": "2026-11-22T13:02:10Z", "datagrams": 7 }] },
        "sent": { "datagrams": 0, "failed": 0 },
        "inbox": { "entries": 0, "oldest_id": 0, "newest_id": 0, "bytes": 0, "unread": 0, "disk_free_bytes": 0 },
    })
}

fn status() -> Status {
    serde_json::from_value(status_json()).unwrap()
}

/// Returns whether a number is not a metric: the process id measures nothing, and remote hosts choose which addresses are
/// denied.
fn is_no_metric(path: &str) -> bool {
    path == "/pid" || path.starts_with("/access/refused")
}

/// Lists the paths of the numbers that must be metrics.
fn numbers(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| numbers(value, &format!("{path}/{key}"), found));
        }
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(at, value)| numbers(value, &format!("{path}/{at}"), found));
        }
        Value::Number(_) if !is_no_metric(path) => found.push(path.to_owned()),
        _ => {}
    }
}

/// Returns a status whose numbers are all different, and these numbers.
fn status_with(number: impl Fn(usize) -> u64) -> (Status, Vec<u64>) {
    // Serialised by the type itself, so that it has all fields, also those that this test does not name.
    let mut value = serde_json::to_value(status()).unwrap();
    let mut paths = Vec::new();
    numbers(&value, "", &mut paths);
    let all: Vec<u64> = (0..paths.len()).map(number).collect();
    for (path, number) in paths.iter().zip(&all) {
        *value.pointer_mut(path).unwrap() = json!(number);
    }
    (serde_json::from_value(value).unwrap(), all)
}

/// Parses a text strictly: each family has a description, then its samples, and no name occurs twice. Returns the samples,
/// with their labels as written.
fn read(text: &str, format: MetricsFormat) -> BTreeMap<String, String> {
    let is_open = format == MetricsFormat::OpenMetrics;
    let body = if is_open { text.strip_suffix("# EOF\n").expect("an end") } else { text };
    assert!(body.ends_with('\n') && !body.contains("EOF") && !body.contains("\n\n"), "{text}");
    let mut samples = BTreeMap::new();
    let mut lines = body.lines().peekable();
    let mut families = Vec::new();
    while let Some(help) = lines.next() {
        let (name, text) = help.strip_prefix("# HELP ").unwrap().split_once(' ').unwrap();
        assert!(text.ends_with('.') && !text.contains(['\\', '"']) && !text.starts_with(' '), "{help}");
        assert!(!families.contains(&name.to_owned()), "{name} has two descriptions");
        let kind = lines.next().unwrap().strip_prefix(&format!("# TYPE {name} ")).unwrap();
        if let Some(unit) = lines.next_if(|line| line.starts_with("# UNIT ")) {
            let unit = unit.strip_prefix(&format!("# UNIT {name} ")).unwrap();
            assert!(is_open && name.ends_with(&format!("_{unit}")), "{name} is not in {unit}");
        } else {
            assert!(!is_open || !(name.ends_with("_bytes") || name.ends_with("_seconds")), "{name}");
        }
        let sample_name = match kind {
            "counter" if is_open => format!("{name}_total"),
            "counter" | "gauge" => name.to_owned(),
            other => panic!("{other}"),
        };
        assert_eq!(sample_name.ends_with("_total"), kind == "counter", "{name}");
        assert!(sample_name.starts_with("udpchat_"), "{name}");
        assert!(sample_name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        let before = samples.len();
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let labels = series.strip_prefix(&sample_name).unwrap();
            assert!(labels.is_empty() || (labels.starts_with('{') && labels.ends_with('}')), "{line}");
            assert!(value.parse::<f64>().unwrap().is_finite(), "{line}");
            assert!(samples.insert(series.to_owned(), value.to_owned()).is_none(), "{series} occurs twice");
        }
        assert!(samples.len() > before, "{name} has no sample");
        families.push(name.to_owned());
    }
    samples
}

#[test]
fn every_number_of_the_status_is_one_metric() {
    let (status, numbers) = status_with(|at| 1_000_003 + 7_919 * at as u64);
    assert!(numbers.len() > 20, "{numbers:?}");
    for format in FORMATS {
        let samples = read(&of_status(&status, format), format);
        for number in &numbers {
            let of_it = samples.values().filter(|value| **value == number.to_string()).count();
            assert_eq!(of_it, 1, "{number} of {:#?}", serde_json::to_value(&status));
        }
        // Beside them: up, build_info, degraded, problems and two times.
        assert_eq!(samples.len(), numbers.len() + 6, "{samples:#?}");
    }
}

proptest! {
    #[test]
    fn any_status_can_be_read_back(all in proptest::collection::vec(any::<u64>(), 64), version in any::<String>()) {
        let (mut status, mut numbers) = status_with(|at| all[at]);
        status.version = version;
        let mut read_back = Vec::new();
        for format in FORMATS {
            let samples = read(&of_status(&status, format), format);
            let own = ["udpchat_up", "udpchat_build_info", "udpchat_degraded", "udpchat_problems"];
            let is_number = |series: &&String| !own.iter().any(|own| series.starts_with(own)) && !series.ends_with("e_seconds") && !series.ends_with("timestamp_seconds");
            let values = samples.iter().filter(|(series, _)| is_number(series)).map(|(_, value)| value.parse::<u64>().unwrap());
            read_back.push({ let mut values: Vec<u64> = values.collect(); values.sort_unstable(); values });
        }
        numbers.sort_unstable();
        prop_assert_eq!(&read_back[0], &numbers);
        prop_assert_eq!(&read_back[1], &numbers);
    }
}

#[test]
fn state_problems_version_and_times_are_metrics_too() {
    let mut status = status();
    for format in FORMATS {
        let samples = read(&of_status(&status, format), format);
        let value = |name: &str| samples[&format!("udpchat_{name}")].as_str();
        assert_eq!((value("up"), value("degraded"), value("problems")), ("1", "1", "2"));
        assert_eq!(value("build_info{version=\"0.1.0\"}"), "1");
        assert_eq!(value("start_time_seconds"), "1795341600");
        assert_eq!(value("status_timestamp_seconds"), "1795352530.123456");
    }
    (status.state, status.problems) = (State::Ok, Vec::new());
    let samples = read(&of_status(&status, FORMATS[0]), FORMATS[0]);
    assert_eq!((&*samples["udpchat_degraded"], &*samples["udpchat_problems"]), ("0", "0"));
}

#[test]
fn without_an_answer_there_is_one_metric() {
    for format in FORMATS {
        let samples = read(&of_silence(format), format);
        assert_eq!(samples, BTreeMap::from([("udpchat_up".to_owned(), "0".to_owned())]));
    }
}

#[test]
fn a_version_cannot_end_its_label() {
    let mut status = status();
    status.version = "1\"} 9\nudpchat_up 0 \\ \u{1b}[31m".to_owned();
    let text = of_status(&status, MetricsFormat::OpenMetrics);
    assert!(text.contains("udpchat_build_info{version=\"1\\\"} 9\\\\u{a}udpchat_up 0 "), "{text}");
    assert!(!text.contains('\u{1b}'));
    let samples = read(&text, MetricsFormat::OpenMetrics);
    assert_eq!(samples["udpchat_up"], "1");
}

#[test]
fn labels_have_no_addresses_and_no_paths() {
    for format in FORMATS {
        let text = of_status(&status(), format);
        for secret in ["192.0.2.1", "/run/s", "/data", "7788", "one", "4711"] {
            assert!(!text.contains(&format!("\"{secret}")), "{text}");
        }
    }
}

/// Returns the fields of the status with their metrics, from the table in PROTOCOL.md.
fn documented() -> Vec<(&'static str, &'static str)> {
    const TEXT: &str = include_str!("../../PROTOCOL.md");
    let rows = TEXT.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | `"));
    rows.filter_map(|(field, rest)| Some((field, rest.split_once("` | ")?.0))).collect()
}

#[test]
fn the_documentation_lists_every_metric() {
    let (mut status, _) = status_with(|at| 1_000_003 + 7_919 * at as u64);
    let (name, last_heard) = ("sensor7".to_owned(), Some(Timestamp::UNIX_EPOCH));
    status.watched_peers.push(WatchedPeer { name, last_heard, silent_since: None });
    let value = serde_json::to_value(&status).unwrap();
    let samples = read(&of_status(&status, MetricsFormat::Prometheus), MetricsFormat::Prometheus);
    let mut undocumented: BTreeSet<&str> = samples
        .keys()
        .map(|series| series.split('{').next().unwrap())
        .filter(|name| *name != "udpchat_up")
        .collect();
    for (field, metric) in documented() {
        let name = format!("udpchat_{metric}");
        assert!(undocumented.remove(&*name), "{metric} does not exist, or is listed twice");
        let value = value.pointer(&format!("/{}", field.replace('.', "/"))).expect(field);
        assert!(
            value.as_u64().is_none_or(|number| samples[&name] == number.to_string()),
            "{field} is not {metric}"
        );
    }
    assert!(undocumented.is_empty(), "{undocumented:?}");
}
