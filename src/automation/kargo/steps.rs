//! Where the steps of a promotion write.
//!
//! Steps come from the Stage's template, or from a task that it names (`PromotionTask` of the
//! project, `ClusterPromotionTask`; 1.2 and later). Their paths may have expressions: variables
//! of the step, the task, the template and the Stage (`spec.vars`, 1.6) are put in, and
//! `ctx.stage` and `ctx.project`; what else stands there is open.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::automation::seen::{Seen, Subject};

/// Whether a promotion writes one of the target's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    Not,
    /// Something that decides over it is not known.
    Maybe,
    Surely,
}

type Vars = BTreeMap<String, String>;

/// Variables may name others; deeper than this they are left open.
const MOST_DEEP: usize = 4;

/// Whether a promotion into the Stage has a step that writes one of the target's files: the
/// steps of Kargo that set images, with its file or its folder as their path.
pub(super) fn writes(subject: &Subject<'_>, stage: &Seen) -> Reach {
    let mut vars = Vars::new();
    vars.insert("ctx.stage".to_owned(), stage.name.clone());
    if let Some(project) = &stage.namespace {
        vars.insert("ctx.project".to_owned(), project.clone());
    }
    with_vars(&mut vars, stage.value.pointer("/spec/vars"));
    let template = stage.value.pointer("/spec/promotionTemplate/spec");
    with_vars(&mut vars, template.and_then(|spec| spec.get("vars")));
    let steps = template.and_then(|spec| spec["steps"].as_array());
    let steps = steps.into_iter().flatten();
    let reach = steps.map(|step| match step.get("task") {
        Some(task) => of_task(subject, stage, (task, step), &vars),
        None => of_step(subject, step, &vars),
    });
    reach.max().unwrap_or(Reach::Not)
}

fn of_task(
    subject: &Subject<'_>,
    stage: &Seen,
    (task, step): (&Value, &Value),
    vars: &Vars,
) -> Reach {
    let cluster = task["kind"] == "ClusterPromotionTask";
    let kind = if cluster {
        "ClusterPromotionTask"
    } else {
        "PromotionTask"
    };
    let project = stage.namespace.as_deref().unwrap_or_default();
    let mut tasks = subject.deciding(kind);
    let found =
        tasks.find(|seen| task["name"] == *seen.name && (cluster || seen.may_be_in(project)));
    let Some(found) = found else {
        return Reach::Maybe;
    };
    // The task's own values are those of variables that nobody else sets.
    let mut own = vars.clone();
    with_vars(&mut own, found.value.pointer("/spec/vars"));
    with_vars(&mut own, step.get("vars"));
    let steps = found.value.pointer("/spec/steps");
    let steps = steps.and_then(Value::as_array).into_iter().flatten();
    let reach = steps.map(|step| of_step(subject, step, &own));
    reach.max().unwrap_or(Reach::Not)
}

fn of_step(subject: &Subject<'_>, step: &Value, vars: &Vars) -> Reach {
    let mut vars = vars.clone();
    with_vars(&mut vars, step.get("vars"));
    let config = &step["config"];
    match step["uses"].as_str().unwrap_or_default() {
        "yaml-update" | "json-update" | "kustomize-set-image" | "helm-update-image" => {
            let path = config["path"].as_str().unwrap_or_default();
            let paths = subject.paths().into_iter();
            let ends = paths
                .flat_map(|path| [Some(path), folder_of(path)])
                .flatten();
            let reach = ends.map(|end| ends_with(&put_in(path, &vars), end));
            reach.max().unwrap_or(Reach::Not)
        }
        "argocd-update" => {
            let Some(app) = subject.application else {
                return Reach::Not;
            };
            let apps = config["apps"].as_array().into_iter().flatten();
            let names = apps.filter_map(|own| own["name"].as_str());
            let reach = names.map(|name| is(&put_in(name, &vars), &app.name));
            reach.max().unwrap_or(Reach::Not)
        }
        _ => Reach::Not,
    }
}

fn with_vars(vars: &mut Vars, own: Option<&Value>) {
    let own = own.and_then(Value::as_array).into_iter().flatten();
    for var in own {
        if let (Some(name), Some(value)) = (var["name"].as_str(), var["value"].as_str()) {
            vars.insert(format!("vars.{name}"), value.to_owned());
        }
    }
}

fn folder_of(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(folder, _)| folder)
}

static EXPRESSION: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\$\{\{\s*(.*?)\s*\}\}").ok());

/// The text with the expressions put in that are known.
fn put_in(text: &str, vars: &Vars) -> String {
    let Some(expression) = &*EXPRESSION else {
        return text.to_owned();
    };
    let mut text = text.to_owned();
    for _ in 0..MOST_DEEP {
        let next = expression.replace_all(&text, |found: &regex::Captures<'_>| {
            let whole = found.get(0).map_or("", |m| m.as_str());
            let name = found.get(1).map_or("", |m| m.as_str());
            vars.get(name).map_or(whole, String::as_str).to_owned()
        });
        if next == text {
            break;
        }
        text = next.into_owned();
    }
    text
}

/// Whether a path ends with another one; a path in a step begins with the checkout's folder.
fn ends_with(text: &str, path: &str) -> Reach {
    let text = text.trim_end_matches('/');
    if path.is_empty() || text.is_empty() {
        return Reach::Not;
    }
    match open(text) {
        None => {
            let rest = text.strip_suffix(path);
            let ends = rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'));
            if ends { Reach::Surely } else { Reach::Not }
        }
        Some(pattern) => maybe(&pattern, path),
    }
}

fn is(text: &str, name: &str) -> Reach {
    match open(text) {
        None if text == name => Reach::Surely,
        None => Reach::Not,
        Some(pattern) => maybe(&pattern, name),
    }
}

fn maybe(pattern: &str, text: &str) -> Reach {
    match Regex::new(pattern) {
        Ok(regex) if !regex.is_match(text) => Reach::Not,
        _ => Reach::Maybe,
    }
}

/// A regular expression for what a text with open expressions may end with, by whole folders:
/// the first ones are the checkout's. `None` where nothing is open.
fn open(text: &str) -> Option<String> {
    let expression = EXPRESSION.as_ref()?;
    if !expression.is_match(text) {
        return None;
    }
    // An expression may have slashes of its own.
    let marked = expression.replace_all(text, "\u{0}");
    let literal = |part: &str| regex::escape(part).replace('\u{0}', ".*");
    let (folders, last) = marked.rsplit_once('/').unwrap_or(("", &marked));
    let mut before = String::new();
    for folder in folders.split('/').filter(|folder| !folder.is_empty()) {
        before = format!("(?:{before}{}/)?", literal(folder));
    }
    Some(format!("^{before}{}$", literal(last)))
}
