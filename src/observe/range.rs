//! A `targetRevision` that is a range of versions: what ships is decided where they are published.

use crate::model::{Application, Blocker, mask_url};
use crate::provenance::is_exact;

/// The blocker of a source that follows a range; `None` where it names one revision.
pub(super) fn blocker(application: &Application, index: usize) -> Option<Blocker> {
    let source = application.sources.get(index)?;
    let written = source.target_revision.as_str();
    let is_chart = !source.chart.is_empty();
    let is_range = match is_chart {
        true => !is_exact(written),
        false => is_constraint(written),
    };
    if !is_range {
        return None;
    }
    let at = application.compared_index(index);
    let resolved = at.and_then(|at| application.compared_commits.get(at));
    let now = resolved.map_or_else(String::new, |own| format!(", at the moment {own}"));
    let what = match is_chart {
        true => format!("chart {} of {}", source.chart, mask_url(&source.repo_url)),
        false => format!("the tags of {}", mask_url(&source.repo_url)),
    };
    let past = application.history.iter().rev();
    let mut past = past.filter_map(|entry| entry.commits.get(index));
    let before = past.find(|own| !own.is_empty() && Some(*own) != resolved);
    let hint = before.map_or_else(
        || "write the good version where targetRevision stands".to_owned(),
        |before| format!("write {before}, which was deployed before, where targetRevision stands"),
    );
    Some(Blocker::new(
        "revision-range",
        format!(
            "targetRevision {written:?} is a range over {what}{now}: the newest one in it ships, whatever the repository says"
        ),
        hint,
    ))
}

/// Whether a revision of a repository can be nothing but a range: no branch and no tag has such a
/// name (`git check-ref-format`), or it begins as a comparison does.
fn is_constraint(text: &str) -> bool {
    let compares = text.starts_with(['<', '>', '=', '!']);
    text.contains(['*', '^', '~', ' ']) || compares && text.contains(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn application(source: &serde_json::Value) -> Application {
        Application::from_json(&json!({
            "metadata": {"name": "web", "namespace": "argocd"},
            "spec": {"source": source},
            "status": {
                "sync": {"revision": "1.3.0", "comparedTo": {"source": source}},
                "history": [
                    {"id": 0, "revision": "1.2.0", "deployedAt": "2026-01-01T00:00:00Z"},
                    {"id": 1, "revision": "1.3.0", "deployedAt": "2026-01-02T00:00:00Z"},
                ],
            },
        }))
        .unwrap()
    }

    #[test]
    fn what_a_range_ships_is_named_with_what_it_shipped_before() {
        let chart = json!({"repoURL": "https://u:sekret@charts.local", "chart": "web", "targetRevision": "1.*"});
        let found = blocker(&application(&chart), 0).unwrap();
        assert_eq!(
            found.message,
            "targetRevision \"1.*\" is a range over chart web of https://charts.local, at the moment 1.3.0: the newest one in it ships, whatever the repository says"
        );
        assert!(found.hint.starts_with("write 1.2.0,"), "{}", found.hint);
        let tags = json!({"repoURL": "https://git.local/web.git", "path": "k8s", "targetRevision": "~1.2"});
        let found = blocker(&application(&tags), 0).unwrap();
        assert!(
            found
                .message
                .contains("the tags of https://git.local/web.git")
        );
    }

    #[test]
    fn one_revision_is_no_range() {
        let of = |chart: &str, revision: &str| {
            let source = json!({"repoURL": "x", "chart": chart, "targetRevision": revision});
            blocker(&application(&source), 0).is_some()
        };
        for revision in ["1.2.0", "v1.2.0", "1.2.1-crash", "1.0.0+build.7"] {
            assert!(!of("web", revision), "{revision}");
        }
        for revision in ["", "*", "1.x", "1.2", "^1.2.0", ">=1.0.0 <2.0.0"] {
            assert!(of("web", revision), "{revision}");
        }
        for revision in ["", "HEAD", "main", "v1.2.0", "1.2", "release-1.x", "a=b"] {
            assert!(!of("", revision), "{revision}");
        }
        for revision in ["1.*", "~1.2", "^1", ">=1.2", "1.0 - 2.0"] {
            assert!(of("", revision), "{revision}");
        }
    }
}
