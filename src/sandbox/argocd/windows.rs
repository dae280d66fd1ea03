//! Sync windows of AppProjects.

use globset::Glob;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::cron::{Schedule, go_duration};
use super::project_of;
use crate::sandbox::json::{flag, list, text};

/// The windows that concern an Application, and whether it may sync.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    /// Each with whether it is open now.
    pub(crate) assigned: Vec<(Value, bool)>,
    /// A schedule or duration that cannot be read refuses every sync.
    pub(crate) broken: Option<String>,
}

fn glob_matches(patterns: &[Value], candidates: &[&str]) -> bool {
    patterns.iter().filter_map(Value::as_str).any(|pattern| {
        let Ok(glob) = Glob::new(pattern) else {
            return false;
        };
        let glob = glob.compile_matcher();
        candidates.iter().any(|c| glob.is_match(c))
    })
}

fn concerns(window: &Value, app: &Value) -> bool {
    let name = text(app, "/metadata/name");
    let destination = "/spec/destination";
    let clusters = [
        text(app, &format!("{destination}/server")),
        text(app, &format!("{destination}/name")),
    ];
    let namespace = text(app, &format!("{destination}/namespace"));
    let parts = [
        ("/applications", vec![name]),
        ("/namespaces", vec![namespace]),
        ("/clusters", clusters.to_vec()),
    ];
    let given: Vec<bool> = parts
        .iter()
        .map(|(field, candidates)| (list(window, field), candidates))
        .filter(|(patterns, _)| !patterns.is_empty())
        .map(|(patterns, candidates)| glob_matches(patterns, candidates))
        .collect();
    if flag(window, "/andOperator") {
        !given.is_empty() && given.iter().all(|m| *m)
    } else {
        given.iter().any(|m| *m)
    }
}

fn is_open(window: &Value, now: Timestamp) -> Result<bool, String> {
    let schedule = text(window, "/schedule");
    let parsed = Schedule::parse(schedule)
        .map_err(|e| format!("cannot parse schedule '{schedule}': {e}"))?;
    let duration = text(window, "/duration");
    let length = go_duration(duration)
        .ok_or_else(|| format!("cannot parse duration '{duration}': time: invalid duration"))?;
    // An unknown zone counts as UTC; the offset is today's, as upstream.
    let zone = TimeZone::get(text(window, "/timeZone")).unwrap_or(TimeZone::UTC);
    Ok(parsed.open_at(now.to_zoned(zone).datetime(), length))
}

impl Windows {
    /// The windows of an Application's project.
    pub(crate) fn of(app: &Value, project: Option<&Value>, now: Timestamp) -> Self {
        let mut out = Self::default();
        let all = project.map_or(&[][..], |p| list(p, "/spec/syncWindows"));
        for window in all.iter().filter(|w| concerns(w, app)) {
            match is_open(window, now) {
                Ok(open) => out.assigned.push((window.clone(), open)),
                Err(error) => {
                    let project = project_of(app);
                    out.broken = Some(format!(
                        "invalid sync windows of project {project}: {error}"
                    ));
                }
            }
        }
        out
    }

    /// Whether a sync is allowed; `manual` for one that a person asked for.
    pub(crate) fn allow(&self, manual: bool) -> bool {
        if self.broken.is_some() {
            return false;
        }
        let of = |kind: &str, open: bool| -> Vec<&Value> {
            let chosen = self
                .assigned
                .iter()
                .filter(|(w, o)| *o == open && w["kind"] == kind);
            chosen.map(|(w, _)| w).collect()
        };
        let all_manual =
            |windows: &[&Value]| manual && windows.iter().all(|w| flag(w, "/manualSync"));
        let denies = of("deny", true);
        if !denies.is_empty() {
            return all_manual(&denies);
        }
        if !of("allow", true).is_empty() {
            return true;
        }
        let closed = of("allow", false);
        closed.is_empty() || all_manual(&closed)
    }

    /// The windows of a project that are open now, whomever they concern.
    pub(crate) fn open_of_project(project: &Value) -> Vec<Value> {
        let all = list(project, "/spec/syncWindows").iter();
        all.filter(|w| is_open(w, Timestamp::now()) == Ok(true))
            .cloned()
            .collect()
    }

    /// The answer of `GET …/syncwindows`.
    pub(crate) fn view(&self) -> Value {
        let show = |w: &Value| {
            let mut out = json!({});
            for field in ["kind", "schedule", "duration", "manualSync"] {
                if let Some(value) = w.get(field) {
                    out[field] = value.clone();
                }
            }
            out
        };
        let mut out = json!({});
        let assigned: Vec<Value> = self.assigned.iter().map(|(w, _)| show(w)).collect();
        let active: Vec<Value> = self
            .assigned
            .iter()
            .filter(|(_, open)| *open)
            .map(|(w, _)| show(w))
            .collect();
        if !assigned.is_empty() {
            out["assignedWindows"] = json!(assigned);
        }
        if !active.is_empty() {
            out["activeWindows"] = json!(active);
        }
        if self.allow(true) {
            out["canSync"] = json!(true);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> Value {
        json!({"metadata": {"name": "a"}, "spec": {"destination": {"namespace": "mcp"}}})
    }

    fn allow(windows: Value, manual: bool) -> bool {
        let project = json!({"spec": {"syncWindows": windows}});
        Windows::of(&app(), Some(&project), Timestamp::now()).allow(manual)
    }

    #[test]
    fn deny_wins_and_manual_may_pass() {
        let always = |kind: &str, manual: bool| {
            json!({"kind": kind, "schedule": "* * * * *", "duration": "24h",
            "namespaces": ["mc*"], "manualSync": manual})
        };
        assert!(allow(json!([]), false));
        assert!(!allow(
            json!([always("deny", false), always("allow", false)]),
            true
        ));
        assert!(allow(json!([always("deny", true)]), true));
        assert!(!allow(json!([always("deny", true)]), false));
    }

    #[test]
    fn windows_that_match_nothing_do_not_count() {
        let deny = json!([{"kind": "deny", "schedule": "* * * * *", "duration": "24h"}]);
        assert!(allow(deny, false));
        let and = json!([{"kind": "deny", "schedule": "* * * * *", "duration": "24h",
            "andOperator": true, "namespaces": ["mcp"], "applications": ["other"]}]);
        assert!(allow(and, false));
    }

    #[test]
    fn broken_schedules_refuse() {
        let broken =
            json!([{"kind": "allow", "schedule": "x", "duration": "1h", "namespaces": ["*"]}]);
        assert!(!allow(broken, true));
    }
}
