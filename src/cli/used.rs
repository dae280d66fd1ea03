//! A ConfigMap or a Service as the target: the commit that changed it last is taken back, as far as
//! it is about that object, judged by the workloads whose pods use it.

use jiff::Timestamp;
use serde_json::json;

use super::args::{Acting, Global, Source, Wish, is_name};
use super::carry::{Consent, Planned, carry_out, decide, dry_run, scope_for};
use super::context::Context;
use super::failure::Failure;
use super::fleet::{self, Staging, Wanted};
use super::gone::nothing_to_do;
use super::rollback::in_manner;
use super::ui::Ui;
use crate::exit::ExitStatus;
use crate::model::{Gap, ObjectRef, UsedChange, WorkloadRef};
use crate::observe::{Scope, observe_many};
use crate::plan::{Intent, Request};
use crate::report::HistoryReport;
use crate::timeline::Timeline;

/// Changes of the object that are looked for in the history of each workload's files.
const CHANGES: usize = 50;

/// The object that a word names, where it is one of these kinds; short names as kubectl has them.
pub(super) fn object(word: &str, namespace: &str) -> Option<ObjectRef> {
    let (kind, name) = word.split_once('/')?;
    let kind = match kind.to_ascii_lowercase().as_str() {
        "configmap" | "configmaps" | "cm" => "ConfigMap",
        "service" | "services" | "svc" => "Service",
        _ => return None,
    };
    Some(ObjectRef {
        group: String::new(),
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    })
}

/// What is known of an object.
struct Known {
    /// Its changes, newest first.
    changes: Vec<UsedChange>,
    /// The workloads whose pods use it, by its newest change.
    users: Vec<WorkloadRef>,
    gaps: Vec<Gap>,
}

/// Looks at every workload of the namespace that may use the object.
async fn known(context: &Context, object: &ObjectRef, source: &Source) -> Result<Known, Failure> {
    if !is_name(&object.name) {
        let name = &object.name;
        return Err(Failure::usage(format!(
            "{name:?} is no name of a Kubernetes object"
        )));
    }
    let cluster = context.cluster()?;
    let found = cluster.workloads(Some(&object.namespace), None).await;
    if let Some(gap) = found.gaps.first() {
        return Err(Failure::error(format!(
            "which workloads use {} is not known: {gap}",
            short(object)
        ))
        .hint("take its commit back by `unship revert COMMIT TARGET`"));
    }
    // Whose pods a Service selects is told by its selector, in Git on both sides of a change.
    let named = json!({"kind": object.kind, "metadata": {"name": object.name}});
    let may_use = |workload: &crate::model::Workload| {
        object.kind == "Service" || workload.template.usage(&named).is_some()
    };
    let near = found.items.into_iter().filter(may_use);
    let scopes: Vec<Scope> = near
        .map(|workload| {
            let own = workload.reference;
            let mut scope = context.scope(Some(own.kind), own.name, source);
            scope.namespace = own.namespace;
            scope.rights = false;
            scope.used = CHANGES;
            scope
        })
        .collect();
    if scopes.is_empty() {
        return Err(Failure::refused(format!(
            "no workload in namespace {} uses {}: which one shows that taking it back went well is not known",
            object.namespace,
            short(object)
        ))
        .hint("`unship revert COMMIT TARGET` takes a commit back that you know"));
    }
    let looks = observe_many(&context.clients, &scopes, Timestamp::now()).await;
    let mut gaps: Vec<Gap> = Vec::new();
    let mut by_user = Vec::new();
    for look in looks {
        let observation = look?.observation;
        let git = observation.git.as_ref();
        let changes = git.map_or(&[][..], |git| &git.used_changes).iter();
        let changes: Vec<UsedChange> = changes
            .filter(|own| is_same(&own.object, object))
            .cloned()
            .collect();
        for gap in observation.gaps {
            if !gaps.contains(&gap) {
                gaps.push(gap);
            }
        }
        by_user.push((observation.target, changes));
    }
    Ok(together(by_user, gaps))
}

/// The changes that any of the workloads shows, and those that show the newest.
fn together(by_user: Vec<(WorkloadRef, Vec<UsedChange>)>, gaps: Vec<Gap>) -> Known {
    let mut changes: Vec<UsedChange> = Vec::new();
    for change in by_user.iter().flat_map(|(_, changes)| changes) {
        if !changes.iter().any(|own| own.commit.id == change.commit.id) {
            changes.push(change.clone());
        }
    }
    changes.sort_by_key(|change| std::cmp::Reverse(change.commit.time));
    let newest = changes.first().map(|change| change.commit.id.clone());
    let has_it = |own: &[UsedChange]| {
        let mut ids = own.iter().map(|change| &change.commit.id);
        newest
            .as_ref()
            .is_some_and(|newest| ids.any(|id| id == newest))
    };
    let users = by_user.iter().filter(|(_, own)| has_it(own));
    Known {
        users: users.map(|(target, _)| target.clone()).collect(),
        changes,
        gaps,
    }
}

fn is_same(own: &ObjectRef, wanted: &ObjectRef) -> bool {
    (&own.kind, &own.namespace, &own.name) == (&wanted.kind, &wanted.namespace, &wanted.name)
}

fn short(object: &ObjectRef) -> String {
    format!("{}/{}", object.kind.to_ascii_lowercase(), object.name)
}

/// What is to be done about the object.
enum Wanting {
    /// Nothing; why.
    Nothing(String),
    /// This change is taken back, judged by these workloads.
    Back(Box<UsedChange>, Vec<WorkloadRef>),
}

async fn wanting(
    context: &Context,
    object: &ObjectRef,
    (wish, source): (&Wish, &Source),
) -> Result<Wanting, Failure> {
    fits(wish)?;
    let known = known(context, object, source).await?;
    let Some(newest) = known.changes.into_iter().next() else {
        let hint = "`unship revert COMMIT TARGET` takes a commit back that you know";
        if let Some(gap) = known.gaps.first() {
            let name = short(object);
            return Err(
                Failure::error(format!("who changed {name} is not known: {gap}")).hint(hint),
            );
        }
        return Err(Failure::refused(format!(
            "no commit is known that changed {} in namespace {}, beside a workload whose pods use it",
            short(object),
            object.namespace
        ))
        .hint(hint));
    };
    if let Some(of) = takes_back(&newest) {
        return Ok(Wanting::Nothing(format!(
            "{} is back already: {} {:?} took {of} back",
            short(object),
            newest.commit.id.short(),
            newest.commit.subject()
        )));
    }
    Ok(Wanting::Back(Box::new(newest), known.users))
}

/// The commit that another one takes back, by its own words: a second rollback must not bring the
/// bad state again.
fn takes_back(change: &UsedChange) -> Option<String> {
    let trailers = change.commit.trailers().into_iter();
    let mut own = trailers.filter(|trailer| trailer.key.eq_ignore_ascii_case("Rollback-Of"));
    let of = own.next().map(|trailer| trailer.value).or_else(|| {
        let (_, rest) = change.commit.message.split_once("This reverts commit ")?;
        let id = rest.split(|c: char| !c.is_ascii_hexdigit()).next()?;
        (id.len() >= 7).then(|| id.to_owned())
    })?;
    Some(of.chars().take(7).collect())
}

/// What a wish says about a pod template says nothing about a ConfigMap.
fn fits(wish: &Wish) -> Result<(), Failure> {
    let flags = [
        (wish.to != "previous", "--to"),
        (wish.to_revision.is_some(), "--to-revision"),
        (wish.from.is_some(), "--from"),
        (!wish.only.is_empty(), "--only"),
        (!wish.with.is_empty(), "--with"),
        (wish.hold, "--hold"),
    ];
    match flags.into_iter().find(|(is_given, _)| *is_given) {
        None => Ok(()),
        Some((_, flag)) => Err(Failure::usage(format!(
            "{flag} is about a workload: a ConfigMap or a Service goes back to what it was before its last change"
        ))
        .hint("`unship history KIND/NAME` lists its changes; `unship revert COMMIT` takes one back")),
    }
}

fn request(
    object: &ObjectRef,
    (change, target): (&UsedChange, &WorkloadRef),
    (wish, consent): (&Wish, bool),
) -> Result<Request, Failure> {
    let request = Request {
        intent: Intent::Revert {
            commit: change.commit.id.to_string(),
            parent: None,
            all: false,
            only: Some(object.clone()),
        },
        ..Request::new(target.clone())
    };
    let mut request = in_manner(request, &wish.manner)?;
    request.discard_later = wish.discard_later;
    request.consent = consent;
    Ok(request)
}

/// Looks and decides; `None` with the reason where there is nothing to do.
pub(super) async fn plan(
    context: &Context,
    object: &ObjectRef,
    (wish, source): (&Wish, &Source),
    consent: bool,
) -> Result<Result<Planned, String>, Failure> {
    match wanting(context, object, (wish, source)).await? {
        Wanting::Nothing(why) => Ok(Err(why)),
        Wanting::Back(change, users) => match users.as_slice() {
            [only] => one(context, (object, &change, only), (wish, source), consent)
                .await
                .map(Ok),
            many => Err(Failure::usage(format!(
                "the pods of {} use {}: a plan is about one target",
                many.iter()
                    .map(WorkloadRef::short)
                    .collect::<Vec<_>>()
                    .join(", "),
                short(object)
            ))
            .hint(format!(
                "`unship rollback {} --dry-run` shows the plan of all of them",
                short(object)
            ))),
        },
    }
}

async fn one(
    context: &Context,
    (object, change, user): (&ObjectRef, &UsedChange, &WorkloadRef),
    (wish, source): (&Wish, &Source),
    consent: bool,
) -> Result<Planned, Failure> {
    let request = request(object, (change, user), (wish, consent))?;
    let mut scope = context.scope(Some(user.kind), user.name.clone(), source);
    scope.namespace.clone_from(&user.namespace);
    decide(context, scope_for(scope, &request), request).await
}

/// `unship rollback configmap/NAME`.
pub(super) async fn rollback(
    global: &Global,
    (context, object): (&Context, &ObjectRef),
    (wish, source, acting): (&Wish, &Source, &Acting),
    ui: Ui,
) -> Result<ExitStatus, Failure> {
    let (change, users) = match wanting(context, object, (wish, source)).await? {
        Wanting::Nothing(why) => {
            return Ok(nothing_to_do(&why, ui));
        }
        Wanting::Back(change, users) => (change, users),
    };
    if let [only] = users.as_slice() {
        let planned = one(context, (object, &change, only), (wish, source), acting.yes).await?;
        if acting.dry_run.is_some() {
            return Ok(dry_run(&planned, ui));
        }
        let consent = Consent::of(acting, &wish.manner);
        return Box::pin(carry_out(global, context, planned, &consent, ui)).await;
    }
    let requests = users.iter();
    let requests: Result<Vec<Request>, Failure> = requests
        .map(|user| request(object, (&change, user), (wish, acting.yes)))
        .collect();
    let subject = wish.manner.message.clone();
    let wanted = Wanted {
        subject: subject.unwrap_or_else(|| format!("revert: {}", change.commit.subject())),
        image: None,
        requests: requests?,
        staging: &Staging {
            stages: Vec::new(),
            skip_refused: false,
        },
        scope: context.scope(None, String::new(), source),
        manner: &wish.manner,
        acting,
    };
    Box::pin(fleet::run(global, context, wanted, ui)).await
}

/// `unship history configmap/NAME`.
pub(super) async fn history(
    context: &Context,
    object: &ObjectRef,
    (source, limit): (&Source, usize),
    ui: Ui,
) -> Result<ExitStatus, Failure> {
    let known = known(context, object, source).await?;
    let mut timeline = Timeline::default();
    timeline.missing.extend(known.gaps);
    let target = format!("{} in namespace {}", short(object), object.namespace);
    let changes = known.changes.get(..limit).unwrap_or(&known.changes);
    let report = HistoryReport::new(&target, &timeline, Timestamp::now())
        .with_used(changes, &object.namespace);
    ui.result(&report, &report.text(ui.style()), None);
    Ok(ExitStatus::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_as_kubectl_has_them() {
        let kind = |word: &str| object(word, "mcp").map(|own| own.kind);
        for word in ["configmap/limits", "cm/limits", "ConfigMaps/limits"] {
            assert_eq!(kind(word).as_deref(), Some("ConfigMap"), "{word}");
        }
        assert_eq!(kind("svc/zai-proxy").as_deref(), Some("Service"));
        for word in ["zai-proxy", "deploy/zai-proxy", "secret/limits"] {
            assert_eq!(kind(word), None, "{word}");
        }
    }
}
