//! From events to the times during which a fault lasted.
//!
//! Pure text: a fault is known by its name in `events.csv`, whom it struck by the first word of its
//! detail. What has no end in the file lasts to the end of the plot.

use crate::run::Event;

/// A fault that lasts. Times are in seconds since the start of measuring.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// When it began.
    pub from_s: f64,
    /// When it ended; the end that was given for all if it did not.
    pub to_s: f64,
    /// What it is, for people: `kill r0`, `10 % lost`.
    pub label: String,
    /// The same without whom it struck.
    pub kind: String,
}

/// A window that is open, and what will end it.
struct Open {
    window: Window,
    /// The replica or, of worse links, the property.
    of: String,
}

/// Does an event of this name open or end a window? Others are moments.
pub fn makes_windows(event: &str) -> bool {
    const NAMES: [&str; 10] = [
        "kill",
        "restart",
        "back",
        "pause",
        "resume",
        "partition",
        "heal",
        "slow",
        "links",
        "faults-end",
    ];
    NAMES.contains(&event)
}

/// The windows of one run's events, in the order in which they began; none is longer than to
/// `end_s`.
pub fn windows(events: &[Event], end_s: f64) -> Vec<Window> {
    let mut open: Vec<Open> = Vec::new();
    let mut closed: Vec<Window> = Vec::new();
    let void = |event: &Event| {
        event.detail.contains("nobody to strike") || event.detail.contains("nothing to do")
    };
    for (place, event) in events.iter().enumerate() {
        if void(event) || event.t_s > end_s {
            continue;
        }
        let whom = whom(event);
        let mut close = |kind: &str, of: Option<&str>| {
            open.retain_mut(|open| {
                let ends = (kind.is_empty() || open.window.kind == kind)
                    && of.is_none_or(|of| open.of == of);
                if ends {
                    open.window.to_s = event.t_s;
                    closed.push(open.window.clone());
                }
                !ends
            });
        };
        match event.event.as_str() {
            // A replica that is restarted is down until it is back, if the file says when that was.
            "restart" => {
                let back = |later: &Event| later.event == "back" && self::whom(later) == whom;
                if !events[place..].iter().any(back) {
                    close("kill", Some(whom));
                }
            }
            "back" => close("kill", Some(whom)),
            "resume" => close("pause", Some(whom)),
            "heal" => close("partition", None),
            "faults-end" => close("", None),
            "slow" => {
                close("slow", Some(whom));
                if !event.detail.contains(" 1 times") {
                    open.push(opened(event, "slow", whom, end_s));
                }
            }
            "links" => {
                for part in properties(&event.detail) {
                    close_links(&mut open, &mut closed, part, event.t_s);
                    if !is_off(part) {
                        open.push(opened(event, "links", part, end_s));
                    }
                }
            }
            "kill" | "pause" => open.push(opened(event, &event.event, whom, end_s)),
            "partition" => open.push(opened(event, "partition", "", end_s)),
            _ => {}
        }
    }
    closed.extend(open.into_iter().map(|open| open.window));
    closed.retain(|window| window.to_s > 0.0);
    closed.sort_by(|a, b| a.from_s.total_cmp(&b.from_s));
    closed
}

/// The first word of what an event says, `r0` of `r0: up again`.
fn whom(event: &Event) -> &str {
    event.detail.split_whitespace().next().unwrap_or_default().trim_end_matches(':')
}

fn opened(event: &Event, kind: &str, of: &str, end_s: f64) -> Open {
    let (label, kind) = match kind {
        "links" => (of.to_owned(), of.to_owned()),
        _ if of.is_empty() => (kind.to_owned(), kind.to_owned()),
        _ => (format!("{kind} {of}"), kind.to_owned()),
    };
    Open {
        window: Window { from_s: event.t_s.max(0.0), to_s: end_s, label, kind },
        of: if property(of).is_empty() { of.to_owned() } else { property(of).to_owned() },
    }
}

/// Ends the window of this part's property of the links, if there is one.
fn close_links(open: &mut Vec<Open>, closed: &mut Vec<Window>, part: &str, t_s: f64) {
    open.retain_mut(|open| {
        let ends = open.of == property(part);
        if ends {
            open.window.to_s = t_s;
            closed.push(open.window.clone());
        }
        !ends
    });
}

/// The parts of what worse links are said to do, the layer apart: `10 % lost`, `100 ms longer`.
fn properties(detail: &str) -> impl Iterator<Item = &str> {
    detail.split(", ").filter(|part| !part.starts_with("layer ") && !part.is_empty())
}

/// What a part is about, by its last word; empty of what is no part of worse links.
fn property(part: &str) -> &str {
    match part.rsplit_once(' ') {
        Some((_, last)) => last,
        None => "",
    }
}

fn is_off(part: &str) -> bool {
    part.starts_with("0 ") || part.starts_with("no ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(events: &[(f64, &str, &str)]) -> Vec<(f64, f64, String)> {
        let event = |(t_s, event, detail): &(f64, &str, &str)| Event {
            t_s: *t_s,
            event: (*event).to_owned(),
            detail: (*detail).to_owned(),
        };
        let events: Vec<Event> = events.iter().map(event).collect();
        let windows = windows(&events, 10.0);
        windows.into_iter().map(|window| (window.from_s, window.to_s, window.label)).collect()
    }

    fn window(from_s: f64, to_s: f64, label: &str) -> (f64, f64, String) {
        (from_s, to_s, label.to_owned())
    }

    #[test]
    fn a_kill_lasts_until_the_replica_is_back_or_to_the_end() {
        let killed = (2.0, "kill", "r0 (target: leader)");
        assert_eq!(of(&[killed]), [window(2.0, 10.0, "kill r0")]);
        let restarted = (4.0, "restart", "r0");
        assert_eq!(of(&[killed, restarted]), [window(2.0, 4.0, "kill r0")]);
        let other = (3.0, "restart", "r1");
        let back =
            (4.5, "back", "r0: up and its log replayed after 500.0 ms, no reply to a client");
        assert_eq!(of(&[killed, other, restarted, back]), [window(2.0, 4.5, "kill r0")]);
        let other =
            (4.2, "back", "r01: up and its log replayed after 1.0 ms, no reply to a client");
        assert_eq!(of(&[killed, other, back]), [window(2.0, 4.5, "kill r0")], "not it");
        let nobody = (5.0, "kill", "nobody to strike (target: random)");
        assert_eq!(of(&[nobody]), []);
    }

    #[test]
    fn what_can_be_ended_ends() {
        let events = [
            (1.0, "pause", "r1"),
            (2.0, "partition", "r0 | r1 r2"),
            (3.0, "resume", "r1"),
            (4.0, "heal", "every partition ends"),
            (5.0, "slow", "r2 4 times slower"),
            (6.0, "slow", "r2 1 times slower"),
            (7.0, "pause", "r0"),
            (9.0, "faults-end", "so that the replicas can be compared"),
        ];
        let expected = [
            window(1.0, 3.0, "pause r1"),
            window(2.0, 4.0, "partition"),
            window(5.0, 6.0, "slow r2"),
            window(7.0, 9.0, "pause r0"),
        ];
        assert_eq!(of(&events), expected);
    }

    #[test]
    fn each_property_of_the_links_lasts_until_it_changes() {
        let events = [
            (1.0, "links", "10 % lost, 100 ms longer, layer packet"),
            (2.0, "links", "20 % lost, layer packet"),
            (3.0, "links", "0 % lost, layer packet"),
        ];
        let expected = [
            window(1.0, 2.0, "10 % lost"),
            window(1.0, 10.0, "100 ms longer"),
            window(2.0, 3.0, "20 % lost"),
        ];
        let mut found = of(&events);
        found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        assert_eq!(found, expected);
    }
}
