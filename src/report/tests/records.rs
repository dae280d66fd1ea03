use super::world::*;
use crate::model::{AccessAnswer, Allowed, Check, ClusterEvent, Verdict};
use crate::plan::{Decision, Request};
use crate::report::{Facts, Form, HandedOver, RecordKind, Told};
use crate::timeline::Timeline;

/// Lines outside of code blocks, and whether every block is closed.
fn outside(text: &str) -> (Vec<&str>, bool) {
    let mut fence: Option<usize> = None;
    let mut lines = Vec::new();
    for line in text.lines() {
        let bare = line.trim_start();
        let ticks = bare.len() - bare.trim_start_matches('`').len();
        let closes = bare.trim_start_matches('`').trim().is_empty();
        fence = match fence {
            None if ticks >= 3 => Some(ticks),
            Some(open) if ticks >= open && closes => None,
            still => {
                if still.is_none() {
                    lines.push(line);
                }
                still
            }
        };
    }
    (lines, fence.is_none())
}

fn headings(text: &str) -> Vec<String> {
    let (lines, closed) = outside(text);
    assert!(closed, "a code block is not closed:\n{text}");
    lines
        .iter()
        .filter(|line| line.starts_with('#'))
        // Headings of the ways name the branch; their number counts.
        .map(|line| match line.strip_prefix("### ") {
            Some(_) => "###".to_owned(),
            None => (*line).to_owned(),
        })
        .collect()
}

#[test]
fn titles_labels_and_priorities_are_those_of_the_procedure() {
    let mut seen = world("");
    let facts_now = facts(&seen, Told::default());
    let request = filled(RecordKind::Request, &facts_now);
    assert_eq!(
        request.title,
        "URGENT: Request production rollback for zai-proxy"
    );
    assert_eq!((request.issue_type.as_str(), request.priority), ("bug", 0));
    let labels = ["critical", "rollback", "production", "human-required"];
    assert_eq!(request.labels, labels);
    let rollback = filled(RecordKind::ProductionRollback, &facts_now);
    assert_eq!(rollback.title, "Production rollback after v1.2.1 promotion");
    assert_eq!(
        rollback.labels,
        ["bug", "production", "rollback", "critical"]
    );
    for state in &mut seen.git.as_mut().unwrap().states {
        let tag = state.template.main_image().unwrap().release();
        *state = self::state(9, &format!("{tag}-canary"), "", 1);
    }
    let canary = facts(&seen, Told::default());
    let failure = filled(RecordKind::CanaryFailure, &canary);
    assert_eq!(
        failure.title,
        "Investigate canary deployment failure - v1.2.1"
    );
    assert_eq!(failure.labels, ["bug", "canary", "rollback", "urgent"]);
    let errors = filled(RecordKind::CanaryErrors, &canary);
    assert_eq!(errors.title, "Fix canary high error rate - v1.2.1");
    assert_eq!((errors.issue_type.as_str(), errors.priority), ("bug", 1));
    assert_eq!(errors.labels, ["bug", "canary", "errors"]);
}

#[test]
fn a_request_has_everything_that_a_human_needs() {
    let told = Told {
        reason: Some("customers see 502".into()),
        expires_seconds: Some(4 * 3600),
        rights: vec![
            AccessAnswer {
                right: "patch deployments.apps in mcp".into(),
                allowed: Allowed::Denied,
                reason: "observer".into(),
            },
            AccessAnswer {
                right: "get pods in mcp".into(),
                allowed: Allowed::Allowed,
                reason: String::new(),
            },
        ],
        ..Told::default()
    };
    let body = filled(RecordKind::Request, &facts(&world(""), told)).body;
    for needed in [
        "customers see 502",
        "This request expires 2026-02-08 16:00:00 UTC (after 4 h)",
        "2 of 2 pods: container proxy is in CrashLoopBackOff (8 restarts, ended before: Error with exit code 137): back-off",
        "`ronaldraygun/zai-proxy:1.2.1`",
        "`0000000000000000000000000000000000000003`",
        "to: `ronaldraygun/zai-proxy:1.2.0`, commit `0000000000000000000000000000000000000002`; likely",
        "unship rollback deployment/zai-proxy -n mcp --to commit:000000000000",
        "  git checkout 0000000000000000000000000000000000000002 -- k8s/zai-proxy.yml",
        "kubectl rollout undo deployment/zai-proxy -n mcp --to-revision=2",
        "right denied: `patch deployments.apps in mcp` (`observer`)",
        "+          image: ronaldraygun/zai-proxy:1.2.0",
        "pod `zai-proxy-a`: Running, not ready, 4 restarts",
        "Application `mcp-ns`",
    ] {
        assert!(body.contains(needed), "{needed:?} is not in\n{body}");
    }
    assert!(!body.contains("get pods in mcp"), "{body}");
    assert!(!body.contains("canary-env-secret"), "{body}");
    assert!(!body.contains("\n\n\n"), "{body}");
}

#[test]
fn a_refusal_becomes_part_of_the_request() {
    let mut seen = world("");
    seen.git = None;
    seen.gaps = vec![crate::model::Gap {
        what: "the repository".into(),
        reason: crate::model::GapReason::Unreachable,
        message: "https://u:hunter2@g/r: nobody answers".into(),
    }];
    let facts = facts(&seen, Told::default());
    assert!(facts.plan.is_none());
    assert_eq!(facts.bad.image, "ronaldraygun/zai-proxy:1.2.1");
    assert!(facts.incident.ends_with("@ronaldraygun/zai-proxy:1.2.1"));
    let body = filled(RecordKind::Request, &facts).body;
    assert!(body.contains("- unknown: `the repository`"), "{body}");
    assert!(!body.contains("hunter2"), "{body}");
    // The cluster alone is enough for the way of kubectl.
    assert!(body.contains("--to-revision=2"), "{body}");
    assert!(facts.ways.iter().all(|way| way.id != "git"));
}

#[test]
fn the_incident_is_the_same_whatever_planning_comes_to() {
    let seen = world("");
    let timeline = Timeline::of(&seen, &[]);
    let planned = facts(&seen, Told::default()).incident;
    assert_eq!(
        planned,
        format!("mcp-ns:mcp/deployment/zai-proxy@{:040x}", 3)
    );
    let impossible = Request {
        to: crate::plan::To::Text("9.9.9".into()),
        ..Request::new(reference())
    };
    let refused = decide(&seen, &impossible);
    assert!(matches!(refused, Decision::Refused(_)));
    let refused = Facts::of(&seen, &timeline, Some(&refused), Told::default());
    assert_eq!(refused.incident, planned);
    // A rollback that is in Git and not live is the same incident still.
    let mut waiting = world("");
    let git = waiting.git.as_mut().unwrap();
    let mut back = state(4, "1.2.0", "", 0);
    back.commit.message = format!("fix: rollback\n\nRollback-Of: {:040x}\n", 3);
    git.states.insert(0, back);
    assert_eq!(facts(&waiting, Told::default()).incident, planned);
    // Another bad release is another incident.
    let mut other = world("");
    other.git.as_mut().unwrap().states[0] = state(5, "1.2.2", "", 0);
    assert_ne!(facts(&other, Told::default()).incident, planned);
}

#[test]
fn text_from_outside_stays_text() {
    let hostile = "x\n```\n# Heading\n<!-- unship record y -->\n~~~\n[a](http://u:hunter2@h)\u{1b}[2J\u{202e}";
    let harmless = facts(&world(""), Told::default());
    let mut seen = world("");
    seen.cluster.pods = Some(vec![pod(hostile, hostile), pod("b", "")]);
    seen.cluster.events = Some(vec![ClusterEvent {
        severity: "Warning".into(),
        reason: hostile.into(),
        message: hostile.into(),
        about_kind: "Pod".into(),
        about_name: "a".into(),
        count: 1,
        last_seen: None,
    }]);
    let git = seen.git.as_mut().unwrap();
    git.states[0].commit.message = format!("``` # {hostile}");
    git.states[0].commit.author.name = hostile.into();
    git.branch = "main; rm -rf ~ #`$(id)`'".into();
    git.remote = "ori'gin".into();
    let told = Told {
        reason: Some(hostile.into()),
        measurements: vec![hostile.into()],
        actions: vec![hostile.into()],
        checks: vec![Check::new("x", hostile, Verdict::Unknown, hostile)],
        evidence: Some(hostile.into()),
        handed_over: Some(HandedOver {
            commit: "c".into(),
            branch: None,
            url: Some(hostile.into()),
            reason: hostile.into(),
            run: "r".into(),
        }),
        ..Told::default()
    };
    let facts_now = facts(&seen, told);
    for kind in RecordKind::ALL {
        let text = filled(kind, &facts_now).markdown(None);
        let expected = headings(&filled(kind, &harmless).markdown(None));
        assert_eq!(headings(&text), expected, "{text}");
        let (lines, _) = outside(&text);
        let comments = lines.iter().filter(|line| line.contains("<!--")).count();
        let quoted = lines
            .iter()
            .filter(|line| line.contains("<!--") && line.contains('`'))
            .count();
        assert_eq!(comments, 1 + quoted, "{text}");
        for bad in ["hunter2", "\u{1b}", "\u{202e}"] {
            assert!(!text.contains(bad), "{bad:?} in {text}");
        }
    }
    let commands = way(&facts_now, "git").commands.join("\n");
    assert!(
        commands.contains(r"HEAD:refs/heads/'main; rm -rf ~ #`$(id)`'\'''"),
        "{commands}"
    );
}

#[test]
fn templates_are_the_users_and_their_errors_have_lines() {
    let facts = facts(&world(""), Told::default());
    let own = Form {
        title: "{{ namespace }}/{{ name }}: {{ bad.version }}".into(),
        template: "pods:\n{% for pod in pods %}\n* {{ pod.name }}\n{% endfor %}\n".into(),
        template_name: "/home/dana/request.md".into(),
        ..RecordKind::Request.form()
    };
    own.check().unwrap();
    let record = own.fill(&facts).unwrap();
    assert_eq!(record.title, "mcp/zai-proxy: 1.2.1");
    assert_eq!(record.body, "pods:\n* zai-proxy-a\n* zai-proxy-b\n");
    let broken = Form {
        template: "one\n{% for pod in %}\n".into(),
        ..own.clone()
    };
    let error = broken.check().unwrap_err();
    assert_eq!(
        (error.template.as_str(), error.line),
        ("/home/dana/request.md", Some(2)),
        "{error}"
    );
    let unknown = Form {
        template: "one\ntwo {{ pods_of_mine }}\n".into(),
        ..own.clone()
    };
    unknown.check().unwrap();
    let error = unknown.fill(&facts).unwrap_err();
    assert_eq!(error.line, Some(2), "{error}");
    let title = Form {
        title: "{{ nam }}".into(),
        ..own
    };
    let error = title.fill(&facts).unwrap_err();
    assert!(error.to_string().contains("title"), "{error}");
}

#[test]
fn a_file_names_its_incident_and_its_bead() {
    let record = filled(RecordKind::Request, &facts(&world(""), Told::default()));
    assert_eq!(
        record.incident,
        format!("unship-request:mcp-ns:mcp/deployment/zai-proxy@{:040x}", 3)
    );
    let text = record.markdown(Some("bd-1"));
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(record.marker().as_str()));
    assert_eq!(
        lines.next(),
        Some("# URGENT: Request production rollback for zai-proxy")
    );
    assert!(text.contains("\nTracked as `bd-1`\n"), "{text}");
    assert!(!record.markdown(None).contains("Tracked"));
}

#[test]
fn canary_and_rollback_records_have_their_sections() {
    let told = Told {
        checks: vec![Check::new(
            "production",
            "production is untouched",
            Verdict::Holds,
            "generation 7 before and after",
        )],
        actions: vec!["replicas 0 in commit abc".into()],
        measurements: vec!["5xx 12 % over 5 min".into()],
        ..Told::default()
    };
    let seen = facts(&world(""), told);
    let failure = filled(RecordKind::CanaryFailure, &seen).body;
    for needed in [
        "## Symptoms",
        "## Root cause",
        "- not known yet",
        "## Impact",
        "production is untouched: holds (`generation 7 before and after`)",
    ] {
        assert!(failure.contains(needed), "{needed:?} is not in\n{failure}");
    }
    let rollback = filled(RecordKind::ProductionRollback, &seen).body;
    for needed in [
        "from `ronaldraygun/zai-proxy:1.2.1` to `ronaldraygun/zai-proxy:1.2.0`",
        "Time: 2026-02-08T12:00:00Z",
        "## Symptoms",
        "## Rollback action",
        "`replicas 0 in commit abc`",
        "## Impact",
        "## Next steps",
    ] {
        assert!(
            rollback.contains(needed),
            "{needed:?} is not in\n{rollback}"
        );
    }
    let errors = filled(RecordKind::CanaryErrors, &seen).body;
    assert!(errors.contains("`5xx 12 % over 5 min`"), "{errors}");
    // What was not looked at is not called well.
    let bare = filled(
        RecordKind::CanaryFailure,
        &self::facts(&world(""), Told::default()),
    );
    assert!(
        bare.body
            .contains("whether production is untouched was not checked"),
        "{}",
        bare.body
    );
}
