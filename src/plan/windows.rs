//! Sync windows: whether Argo CD would sync an Application at an instant, and when next.
//!
//! By `SyncWindows.Matches`, `.active`, `.inactiveAllows` and `.CanSync` of Argo CD 3.0
//! to 3.5, with their edges: a window is not active at the very instant it begins; the
//! offset of its time zone is the one of the instant asked about, so daylight saving
//! moves open windows; a schedule that never fires counts as always active.

use globset::GlobBuilder;
use jiff::{SignedDuration, Timestamp};

use super::cron::{Cron, Unreadable, go_duration, time_zone};
use crate::model::{Destination, SyncWindow};

/// How far ahead openings are looked for.
const HORIZON_MINUTES: i64 = 8 * 24 * 60;

/// A window that keeps automated sync away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockingWindow {
    /// The window in words.
    pub description: String,
    /// Whether it is a `deny` window that is active; else an `allow` window that is not.
    pub deny: bool,
    /// When a deny window closes or an allow window opens; none when that does not
    /// happen within the next 8 days.
    pub until: Option<Timestamp>,
    /// Whether it lets manual syncs through.
    pub manual_sync: bool,
}

/// What the sync windows say about an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowVerdict {
    /// Whether automated sync is allowed.
    pub auto_allowed: bool,
    /// Whether manual sync is allowed.
    pub manual_allowed: bool,
    /// The windows that keep automated sync away.
    pub blocking: Vec<BlockingWindow>,
    /// Windows for this Application that Argo CD cannot read. With one of them it
    /// refuses every sync, automated and manual, until the AppProject is corrected.
    pub invalid: Vec<String>,
    /// Things worth knowing that decide nothing: an unknown time zone (read as UTC).
    pub notes: Vec<String>,
}

/// A readable window, and the last search of its schedule.
struct Compiled<'a> {
    window: &'a SyncWindow,
    schedule: Cron,
    duration: SignedDuration,
    zone: jiff::tz::TimeZone,
    /// (searched from, found): still right for every later start up to what was found.
    last_search: Option<(Timestamp, Option<Timestamp>)>,
}

impl<'a> Compiled<'a> {
    fn read(window: &'a SyncWindow) -> Result<Self, Unreadable> {
        Ok(Self {
            window,
            schedule: Cron::parse(&window.schedule)?,
            duration: go_duration(&window.duration)?,
            zone: time_zone(&window.time_zone).unwrap_or(jiff::tz::TimeZone::UTC),
            last_search: None,
        })
    }

    fn deny(&self) -> bool {
        self.window.kind == "deny"
    }

    fn allow(&self) -> bool {
        self.window.kind == "allow"
    }

    fn active(&mut self, at: Timestamp) -> bool {
        let offset = self.zone.to_offset(at).seconds();
        let shifted = at.checked_add(SignedDuration::from_secs(i64::from(offset)));
        let Ok(shifted) = shifted else { return false };
        let Ok(from) = shifted.checked_sub(self.duration) else {
            return false;
        };
        let next = match self.last_search {
            Some((start, found)) if start <= from && found.is_none_or(|next| from < next) => found,
            _ => {
                let found = self.schedule.next_after(from);
                self.last_search = Some((from, found));
                found
            }
        };
        // Without a next fire robfig/cron gives the zero time, which is before everything.
        next.is_none_or(|next| next < shifted)
    }

    fn flips_at(&mut self, at: Timestamp) -> Option<Timestamp> {
        let now = self.active(at);
        minutes_after(at).find(|minute| self.active(just_after(*minute)) != now)
    }

    fn describe(&self) -> String {
        let SyncWindow {
            kind,
            schedule,
            duration,
            time_zone,
            ..
        } = self.window;
        let zone = if time_zone.is_empty() {
            "UTC"
        } else {
            time_zone
        };
        format!("{kind} window \"{schedule}\" for {duration} ({zone})")
    }
}

/// The whole minutes from an instant on, up to the horizon. Fires are on whole minutes.
fn minutes_after(at: Timestamp) -> impl Iterator<Item = Timestamp> {
    let first = at.as_second().div_euclid(60) + i64::from(at.as_second().rem_euclid(60) != 0);
    (first..=first + HORIZON_MINUTES).filter_map(|minute| Timestamp::from_second(minute * 60).ok())
}

/// A window is not active at the instant it begins, only after it.
fn just_after(minute: Timestamp) -> Timestamp {
    minute
        .checked_add(SignedDuration::from_millis(1))
        .unwrap_or(minute)
}

fn glob(pattern: &str, text: &str) -> bool {
    pattern == "*"
        || GlobBuilder::new(pattern)
            .literal_separator(false)
            .backslash_escape(true)
            .empty_alternates(true)
            .build()
            .is_ok_and(|glob| glob.compile_matcher().is_match(text))
}

/// Whether a window is meant for an Application: any of its lists, or with
/// `andOperator` every list that is not empty. Without any list it is for nobody.
fn applies(window: &SyncWindow, app: &str, destination: &Destination) -> bool {
    let cluster = |text: &str, pattern: &str| !text.is_empty() && glob(pattern, text);
    let by_name = window.applications.iter().any(|p| glob(p, app));
    let by_cluster = window
        .clusters
        .iter()
        .any(|p| cluster(&destination.name, p) || cluster(&destination.server, p));
    let by_namespace = window
        .namespaces
        .iter()
        .any(|p| glob(p, &destination.namespace));
    if !window.and_operator {
        return by_name || by_cluster || by_namespace;
    }
    let lists = [
        (&window.applications, by_name),
        (&window.clusters, by_cluster),
        (&window.namespaces, by_namespace),
    ];
    let mut set = lists.iter().filter(|(list, _)| !list.is_empty()).peekable();
    set.peek().is_some() && set.all(|(_, matched)| *matched)
}

/// The windows for an Application: the readable ones, and what is wrong with the others.
fn matching<'a>(
    windows: &'a [SyncWindow],
    app: &str,
    destination: &Destination,
) -> (Vec<Compiled<'a>>, Vec<String>) {
    let (mut readable, mut invalid) = (Vec::new(), Vec::new());
    for window in windows.iter().filter(|w| applies(w, app, destination)) {
        match Compiled::read(window) {
            Ok(compiled) => readable.push(compiled),
            Err(error) => invalid.push(error.to_string()),
        }
    }
    (readable, invalid)
}

/// Automated and manual sync allowed, by active windows.
fn allowed(windows: &mut [Compiled<'_>], at: Timestamp) -> (bool, bool) {
    let (mut denied, mut deny_manual) = (false, true);
    let (mut open, mut shut, mut shut_manual) = (false, false, true);
    for window in windows {
        let active = window.active(at);
        if window.deny() && active {
            denied = true;
            deny_manual &= window.window.manual_sync;
        } else if window.allow() && active {
            open = true;
        } else if window.allow() {
            shut = true;
            shut_manual &= window.window.manual_sync;
        }
    }
    if denied {
        (false, deny_manual)
    } else if shut && !open {
        (false, shut_manual)
    } else {
        (true, true)
    }
}

/// What the sync windows of an AppProject (with those of its global projects) say
/// about syncing an Application at an instant.
#[must_use]
pub fn evaluate(
    windows: &[SyncWindow],
    app: &str,
    destination: &Destination,
    at: Timestamp,
) -> WindowVerdict {
    let (mut readable, invalid) = matching(windows, app, destination);
    let (auto, manual) = allowed(&mut readable, at);
    let mut blocking = Vec::new();
    if !auto {
        let denied = readable.iter_mut().any(|w| w.deny() && w.active(at));
        for window in &mut readable {
            let active = window.active(at);
            // While a deny window is active, allow windows are not asked.
            let blocks = if denied {
                window.deny() && active
            } else {
                window.allow() && !active
            };
            if blocks {
                blocking.push(BlockingWindow {
                    description: window.describe(),
                    deny: window.deny(),
                    until: window.flips_at(at),
                    manual_sync: window.window.manual_sync,
                });
            }
        }
    }
    let notes = readable
        .iter()
        .filter(|w| time_zone(&w.window.time_zone).is_none())
        .map(|w| {
            let zone = &w.window.time_zone;
            format!(
                "{}: unknown time zone {zone:?}, Argo CD takes UTC",
                w.describe()
            )
        })
        .collect();
    WindowVerdict {
        auto_allowed: auto && invalid.is_empty(),
        manual_allowed: manual && invalid.is_empty(),
        blocking,
        invalid,
        notes,
    }
}

/// When automated sync is allowed next: the instant itself when it is allowed now;
/// none when that does not happen within 8 days, or when a window is unreadable.
#[must_use]
pub fn opens_at(
    windows: &[SyncWindow],
    app: &str,
    destination: &Destination,
    from: Timestamp,
) -> Option<Timestamp> {
    let (mut readable, invalid) = matching(windows, app, destination);
    if !invalid.is_empty() {
        return None;
    }
    if allowed(&mut readable, from).0 {
        return Some(from);
    }
    minutes_after(from).find(|minute| allowed(&mut readable, just_after(*minute)).0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn window(kind: &str, schedule: &str, duration: &str) -> SyncWindow {
        SyncWindow {
            kind: kind.to_owned(),
            schedule: schedule.to_owned(),
            duration: duration.to_owned(),
            applications: vec!["*".to_owned()],
            ..SyncWindow::default()
        }
    }

    fn there() -> Destination {
        Destination {
            server: "https://kubernetes.default.svc".to_owned(),
            name: String::new(),
            namespace: "mcp".to_owned(),
        }
    }

    fn on(windows: &[SyncWindow], time: &str) -> WindowVerdict {
        evaluate(windows, "zai", &there(), at(time))
    }

    #[test]
    fn a_window_is_open_between_its_ends() {
        let windows = [window("allow", "0 10 * * *", "1h")];
        for (time, open) in [
            ("2026-11-21T09:59:59Z", false),
            ("2026-11-21T10:00:00Z", false), // not at the instant it begins
            ("2026-11-21T10:00:00.001Z", true),
            ("2026-11-21T10:59:59.999Z", true),
            ("2026-11-21T11:00:00Z", false),
        ] {
            assert_eq!(on(&windows, time).auto_allowed, open, "{time}");
        }
    }

    #[test]
    fn the_order_of_precedence() {
        let open = window("allow", "* * * * *", "1h");
        let shut = window("allow", "0 0 1 1 *", "1h");
        let denied = window("deny", "* * * * *", "1h");
        let idle = window("deny", "0 0 1 1 *", "1h");
        let manual = |window: &SyncWindow| SyncWindow {
            manual_sync: true,
            ..window.clone()
        };
        for (windows, auto, by_hand) in [
            (vec![], true, true),
            (vec![idle.clone()], true, true),
            (vec![open.clone()], true, true),
            (vec![open.clone(), denied.clone()], false, false),
            (vec![open.clone(), manual(&denied)], false, true),
            (vec![denied.clone(), manual(&denied)], false, false),
            (vec![manual(&denied), denied.clone()], false, false),
            (vec![shut.clone()], false, false),
            (vec![manual(&shut)], false, true),
            (vec![manual(&shut), shut.clone()], false, false),
            (vec![shut.clone(), open.clone()], true, true),
            (vec![shut.clone(), idle.clone()], false, false),
            (vec![shut, manual(&denied)], false, true),
        ] {
            let verdict = on(&windows, "2026-11-21T12:30:30Z");
            let found = (verdict.auto_allowed, verdict.manual_allowed);
            assert_eq!(found, (auto, by_hand), "{windows:?}");
            assert_eq!(verdict.blocking.is_empty(), auto, "{windows:?}");
        }
    }

    #[test]
    fn whom_a_window_is_for() {
        let texts = |list: &[&str]| list.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        for (apps, clusters, namespaces, or, and) in [
            (&[][..], &[][..], &[][..], false, false),
            (&["zai"][..], &[][..], &[][..], true, true),
            (&["z*"][..], &[][..], &["other"][..], true, false),
            (
                &["z?i", "x"][..],
                &["https://*"][..],
                &["m{c,d}p"][..],
                true,
                true,
            ),
            (
                &["other"][..],
                &["in-cluster"][..],
                &["mcp"][..],
                true,
                false,
            ),
            (
                &[][..],
                &["https://kubernetes.default.svc"][..],
                &[][..],
                true,
                true,
            ),
            (&["[a-y]ai"][..], &[][..], &[][..], false, false),
            (&["[a"][..], &[][..], &[][..], false, false), // no glob: matches nobody
        ] {
            for (and_operator, expected) in [(false, or), (true, and)] {
                let window = SyncWindow {
                    applications: texts(apps),
                    clusters: texts(clusters),
                    namespaces: texts(namespaces),
                    and_operator,
                    ..SyncWindow::default()
                };
                assert_eq!(applies(&window, "zai", &there()), expected, "{window:?}");
            }
        }
        let by_name = SyncWindow {
            clusters: texts(&["*"]),
            ..SyncWindow::default()
        };
        assert!(
            !applies(&by_name, "zai", &Destination::default()),
            "no cluster is named"
        );
    }

    #[test]
    fn unreadable_windows_block_every_sync_of_theirs() {
        for bad in [
            window("deny", "61 * * * *", "1h"),
            window("allow", "@daily", "1h"),
            window("allow", "0 0 * * *", "1 day"),
        ] {
            let verdict = on(std::slice::from_ref(&bad), "2026-11-21T12:00:00Z");
            assert!(!verdict.auto_allowed && !verdict.manual_allowed, "{bad:?}");
            assert!(
                verdict.invalid[0].starts_with("cannot parse"),
                "{:?}",
                verdict.invalid
            );
            let now = at("2026-11-21T12:00:00Z");
            assert_eq!(
                opens_at(std::slice::from_ref(&bad), "zai", &there(), now),
                None
            );
            let elsewhere = SyncWindow {
                applications: vec!["other".to_owned()],
                ..bad
            };
            assert!(on(&[elsewhere], "2026-11-21T12:00:00Z").auto_allowed);
        }
    }

    #[test]
    fn zones_use_the_offset_of_the_instant() {
        let berlin = |kind| SyncWindow {
            time_zone: "Europe/Berlin".to_owned(),
            ..window(kind, "0 22 * * *", "8h")
        };
        let deny = [berlin("deny")];
        assert!(on(&deny, "2026-11-21T20:59:00Z").auto_allowed);
        let verdict = on(&deny, "2026-11-21T21:30:00Z");
        assert!(!verdict.auto_allowed);
        assert_eq!(verdict.blocking[0].until, Some(at("2026-11-22T05:00:00Z")));
        assert_eq!(
            verdict.blocking[0].description,
            "deny window \"0 22 * * *\" for 8h (Europe/Berlin)"
        );
        assert!(
            !on(&deny, "2026-07-01T20:30:00Z").auto_allowed,
            "summer time"
        );
        // The night of the change to summer time: the window shuts an hour early on the clock.
        assert_eq!(
            opens_at(&deny, "zai", &there(), at("2027-03-27T23:00:00Z")),
            Some(at("2027-03-28T04:00:00Z"))
        );
        let odd = [SyncWindow {
            time_zone: "Mars/Base".to_owned(),
            ..deny[0].clone()
        }];
        let verdict = on(&odd, "2026-11-21T21:30:00Z");
        assert!(verdict.auto_allowed, "read as UTC");
        assert!(
            verdict.notes[0].contains("Mars/Base"),
            "{:?}",
            verdict.notes
        );
    }

    #[test]
    fn openings() {
        let now = at("2026-11-21T12:00:30Z");
        let opens = |windows: &[SyncWindow]| opens_at(windows, "zai", &there(), now);
        assert_eq!(opens(&[]), Some(now));
        let allow = window("allow", "0 8 * * MON", "2h");
        assert_eq!(
            opens(std::slice::from_ref(&allow)),
            Some(at("2026-11-23T08:00:00Z"))
        );
        // Denied while the allow window is open at first.
        let deny = window("deny", "30 7 * * MON", "1h");
        assert_eq!(opens(&[allow, deny]), Some(at("2026-11-23T08:30:00Z")));
        assert_eq!(
            opens(&[window("deny", "* * * * *", "1h")]),
            None,
            "shut for good"
        );
        // A schedule that never fires counts as always active.
        assert_eq!(opens(&[window("deny", "0 0 30 2 *", "1h")]), None);
        assert_eq!(opens(&[window("allow", "0 0 30 2 *", "1h")]), Some(now));
        assert_eq!(
            opens(&[window("allow", "0 0 1 1 *", "1h")]),
            None,
            "beyond 8 days"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn remembering_a_search_changes_nothing(
            minute in 0_u8..60, hour in 0_u8..24, length in 1_i64..3000,
            start in 1_700_000_000_i64..1_900_000_000, step in 1_i64..5000,
        ) {
            let window = SyncWindow {
                time_zone: "America/Sao_Paulo".to_owned(),
                ..window("allow", &format!("{minute} {hour} * * *"), &format!("{length}m"))
            };
            let mut kept = Compiled::read(&window).unwrap();
            for n in 0..50 {
                let instant = Timestamp::from_second(start + n * step).unwrap();
                let fresh = Compiled::read(&window).unwrap().active(instant);
                prop_assert_eq!(kept.active(instant), fresh, "{} {}", instant, n);
            }
        }

        #[test]
        fn an_opening_is_the_first_allowed_minute(
            minute in 0_u8..60, hour in 0_u8..24, length in 1_i64..1400,
            start in 1_700_000_000_i64..1_900_000_000,
        ) {
            let kind = if length % 2 == 0 { "allow" } else { "deny" };
            let windows = [window(kind, &format!("{minute} {hour} * * *"), &format!("{length}m"))];
            let start = Timestamp::from_second(start).unwrap();
            let found = opens_at(&windows, "zai", &there(), start).unwrap();
            let allowed = |time| evaluate(&windows, "zai", &there(), time).auto_allowed;
            prop_assert!(found >= start);
            prop_assert!(allowed(just_after(found)) || allowed(found));
            if found > start {
                prop_assert!(!allowed(start));
                prop_assert!(!allowed(found.checked_sub(SignedDuration::from_secs(1)).unwrap()));
            }
        }
    }
}
