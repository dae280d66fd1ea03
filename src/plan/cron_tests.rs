use super::*;
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Schedule, from, next fire.
const NEXT: &[(&str, &str, &str)] = &[
    ("* * * * *", "2026-11-21T10:00:00Z", "2026-11-21T10:01:00Z"),
    (
        "* * * * *",
        "2026-11-21T10:00:59.999Z",
        "2026-11-21T10:01:00Z",
    ),
    ("0 22 * * *", "2026-11-21T22:00:00Z", "2026-11-22T22:00:00Z"),
    (
        "0 22 * * *",
        "2026-11-21T21:59:59.5Z",
        "2026-11-21T22:00:00Z",
    ),
    (
        "5/15 * * * *",
        "2026-11-21T10:00:00Z",
        "2026-11-21T10:05:00Z",
    ),
    (
        "5/15 * * * *",
        "2026-11-21T10:50:00Z",
        "2026-11-21T11:05:00Z",
    ),
    (
        "10-30/10 * * * *",
        "2026-11-21T10:30:00Z",
        "2026-11-21T11:10:00Z",
    ),
    (
        "0 0 1 JAN *",
        "2026-11-21T00:00:00Z",
        "2027-01-01T00:00:00Z",
    ),
    // 2026-11-21 is a Saturday.
    (
        "0 0 * * MON-fri",
        "2026-11-21T00:00:00Z",
        "2026-11-23T00:00:00Z",
    ),
    (
        "0 0 ? * sun",
        "2026-11-21T00:00:00Z",
        "2026-11-22T00:00:00Z",
    ),
    // Neither is a star: one of both is enough.
    (
        "0 0 25 * MON",
        "2026-11-21T00:00:00Z",
        "2026-11-23T00:00:00Z",
    ),
    (
        "0 0 23 * FRI",
        "2026-11-21T00:00:00Z",
        "2026-11-23T00:00:00Z",
    ),
    // A star with a step above 1 is no star: the 25th or every second weekday.
    (
        "0 0 25 * */2",
        "2026-11-21T00:00:00Z",
        "2026-11-22T00:00:00Z",
    ),
    (
        "0 0 25 * */1",
        "2026-11-21T00:00:00Z",
        "2026-11-25T00:00:00Z",
    ),
    ("0 0 29 2 *", "2026-11-21T00:00:00Z", "2028-02-29T00:00:00Z"),
    (
        "TZ=Europe/Berlin 0 22 * * *",
        "2026-11-21T10:00:00Z",
        "2026-11-21T21:00:00Z",
    ),
    (
        "CRON_TZ=Asia/Kolkata  30 0 * * *",
        "2026-11-21T10:00:00Z",
        "2026-11-21T19:00:00Z",
    ),
    // 02:30 does not exist in Berlin on 2027-03-28.
    (
        "TZ=Europe/Berlin 30 2 * * *",
        "2027-03-28T00:00:00Z",
        "2027-03-29T00:30:00Z",
    ),
];

#[test]
fn next_fires() {
    for (schedule, from, expected) in NEXT {
        let cron = Cron::parse(schedule).unwrap();
        assert_eq!(
            cron.next_after(at(from)),
            Some(at(expected)),
            "{schedule} from {from}"
        );
    }
}

#[test]
fn schedules_that_never_fire() {
    for schedule in ["0 0 30 2 *", "0 0 31 4,6,9,11 *", ", * * * *", "0 , * * *"] {
        let cron = Cron::parse(schedule).unwrap();
        assert_eq!(
            cron.next_after(at("2026-11-21T00:00:00Z")),
            None,
            "{schedule}"
        );
    }
    // The next 29th of February is more than five years away: robfig/cron gives up too.
    let cron = Cron::parse("0 0 29 2 *").unwrap();
    assert_eq!(cron.next_after(at("2096-03-01T00:00:00Z")), None);
}

#[test]
fn what_argo_cd_refuses() {
    for schedule in [
        "",
        "* * * *",
        "* * * * * *",
        "@daily",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * 0 *",
        "* * * * 7",
        "5-3 * * * *",
        "*/0 * * * *",
        "1/2/3 * * * *",
        "1-2-3 * * * *",
        "a * * * *",
        "-5 * * * *",
        "* * * * monday",
        "jan * * * *",
        "TZ=Nowhere/Land * * * * *",
        "TZ=UTC",
        "TZ=europe/berlin * * * * *",
        "99999999999 * * * *",
        "*/99999999999 * * * *",
    ] {
        assert!(Cron::parse(schedule).is_err(), "{schedule:?}");
    }
    let error = Cron::parse("61 * * * *").unwrap_err().to_string();
    assert!(
        error.contains("\"61 * * * *\"") && error.contains("0 to 59"),
        "{error}"
    );
}

#[test]
fn durations() {
    for (text, seconds) in [
        ("1h30m", 5400.0),
        ("90s", 90.0),
        ("1.5h", 5400.0),
        ("0", 0.0),
        ("-1m", -60.0),
        ("+2m", 120.0),
        (".5m", 30.0),
        ("5.s", 5.0),
        ("250ms", 0.25),
        ("1µs", 1e-6),
        ("1us", 1e-6),
        ("24h0m0s", 86400.0),
    ] {
        let found = go_duration(text).unwrap().as_secs_f64();
        assert!((found - seconds).abs() < 1e-9, "{text}: {found}");
    }
    for text in [
        "",
        "1",
        "h",
        "1d",
        "1h 30m",
        "1..5h",
        "--1h",
        "9999999999h",
        ".h",
        "1.2.3s",
        "+",
    ] {
        assert!(go_duration(text).is_err(), "{text:?}");
    }
}

/// One item of a field by its meaning, for an oracle that does not share the parser.
#[derive(Debug, Clone)]
enum Item {
    Star(Option<u32>),
    From(u32, Option<u32>),
    Range(u32, u32, Option<u32>),
}

impl Item {
    fn text(&self) -> String {
        let step = |step: &Option<u32>| step.map_or(String::new(), |n| format!("/{n}"));
        match self {
            Self::Star(n) => format!("*{}", step(n)),
            Self::From(a, n) => format!("{a}{}", step(n)),
            Self::Range(a, b, n) => format!("{a}-{b}{}", step(n)),
        }
    }

    fn matches(&self, value: u32, low: u32) -> bool {
        match *self {
            Self::Star(n) => (value - low).is_multiple_of(n.unwrap_or(1)),
            Self::From(a, None) => value == a,
            Self::From(a, Some(n)) => value >= a && (value - a).is_multiple_of(n),
            Self::Range(a, b, n) => {
                value >= a && value <= b && (value - a).is_multiple_of(n.unwrap_or(1))
            }
        }
    }

    fn star(&self) -> bool {
        matches!(self, Self::Star(None | Some(1)))
    }
}

fn items(low: u32, high: u32) -> impl Strategy<Value = Vec<Item>> {
    let step = proptest::option::of(1_u32..9);
    let item = prop_oneof![
        2 => step.clone().prop_map(Item::Star),
        2 => (low..=high, step.clone()).prop_map(|(a, n)| Item::From(a, n)),
        2 => (low..=high, low..=high, step)
            .prop_map(|(a, b, n)| Item::Range(a.min(b), a.max(b), n)),
    ];
    proptest::collection::vec(item, 1..3)
}

fn any(items: &[Item], value: i8, low: u32) -> bool {
    items
        .iter()
        .any(|item| item.matches(u32::try_from(value).unwrap(), low))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn next_is_what_a_minute_by_minute_search_finds(
        minute in items(0, 59), hour in items(0, 23), day in items(1, 31),
        month in items(1, 12), weekday in items(0, 6),
        start in 1_700_000_000_i64..1_900_000_000,
    ) {
        let join = |items: &[Item]| items.iter().map(Item::text).collect::<Vec<_>>().join(",");
        let schedule = [&minute, &hour, &day, &month, &weekday].map(|f| join(f)).join(" ");
        let start = Timestamp::from_second(start).unwrap();
        let found = Cron::parse(&schedule).unwrap().next_after(start);
        let horizon = 10 * 1440; // ten days of minutes
        let first = start.as_second().div_euclid(60) + 1;
        let expected = (first..first + horizon).find_map(|n| {
            let instant = Timestamp::from_second(n * 60).unwrap();
            let local = TimeZone::UTC.to_datetime(instant);
            let by_day = any(&day, local.day(), 1);
            let by_week = any(&weekday, local.weekday().to_sunday_zero_offset(), 0);
            let star = day.iter().chain(&weekday).any(Item::star);
            let date = if star { by_day && by_week } else { by_day || by_week };
            let all = date && any(&minute, local.minute(), 0) && any(&hour, local.hour(), 0)
                && any(&month, local.month(), 1);
            all.then_some(instant)
        });
        match expected {
            Some(_) => prop_assert_eq!(found, expected, "{}", schedule),
            None => {
                let end = Timestamp::from_second((first + horizon) * 60).unwrap();
                prop_assert!(found.is_none_or(|f| f >= end), "{} {:?}", schedule, found);
            }
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,24}", start in -1_000_000_000_i64..4_000_000_000) {
        let _ = go_duration(&text);
        if let Ok(cron) = Cron::parse(&text) {
            let _ = cron.next_after(Timestamp::from_second(start).unwrap());
        }
    }

    #[test]
    fn a_zone_prefix_of_utc_changes_nothing(
        minute in items(0, 59), hour in items(0, 23), start in 1_700_000_000_i64..1_900_000_000,
    ) {
        let join = |items: &[Item]| items.iter().map(Item::text).collect::<Vec<_>>().join(",");
        let plain = format!("{} {} * * *", join(&minute), join(&hour));
        let start = Timestamp::from_second(start).unwrap();
        prop_assert_eq!(
            Cron::parse(&plain).unwrap().next_after(start),
            Cron::parse(&format!("TZ=UTC {plain}")).unwrap().next_after(start)
        );
    }
}
