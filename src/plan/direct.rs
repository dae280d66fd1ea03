//! On the cluster itself: a patch of the live object, and Git made to agree.

use super::assemble::{Parts, assemble};
use super::build::{Prepared, name_gaps};
use super::document::{Document, restore_paths};
use super::git_route::{self, content_blockers, describe, unasked_later_work, warnings};
use super::ladder::{Standing, a_sync_puts_back, field_not_in_git, is_argo_managed, ladder};
use super::live::{LIVE, json_patch, live_document, text_with};
use super::steps::Course;
use super::target::{Choice, choose};
use super::{Allow, Blocker, Goal, Intent, Only, Refusal, Request, Route, To, Unknown, intent};
use crate::model::{Desired, DocumentFields, Observation, ReplicaSet, Workload, WorkloadKind};
use crate::timeline::{Entry, Timeline};

/// What Git's side of a direct change comes to.
struct GitPart {
    /// The commit that makes Git agree.
    prepared: Option<Prepared>,
    /// Git says it already.
    agrees: bool,
    /// Why there is no commit, where one would be needed.
    debt: Option<String>,
}

/// Plans the change as a patch of the live object.
pub(super) fn prepare(
    observation: &Observation,
    timeline: &Timeline,
    request: &Request,
) -> Result<Prepared, Refusal> {
    let part = git_part(observation, timeline, request);
    let workload = open(observation, request, part.agrees)?;
    let choice = match request.intent {
        Intent::Rollback => Some(choose(timeline, observation, request)?),
        _ => None,
    };
    let set = choice
        .as_ref()
        .and_then(|c| source_set(observation, c.entry, request));
    let before = live_document(workload).map_err(Refusal::one)?;
    let text = edited(workload, &before, (choice.as_ref(), set), request).map_err(Refusal::one)?;
    let after = Document::of(&text, LIVE, &workload.reference).map_err(Refusal::one)?;
    let (Some(old), Some(new)) = (before.fields(), after.fields()) else {
        return Err(Refusal::one(Blocker::new(
            "no-template",
            "the live object has no pod template",
            "name another target",
        )));
    };
    let mut refusal = Refusal {
        blockers: content_blockers(observation, (&old.template, &new.template), choice.as_ref()),
        unknown: Vec::new(),
    };
    refusal.blockers.extend(bounce_blockers(workload, request));
    let mut target = describe(observation, (&before, &after), choice.as_ref(), request);
    target.replica_set = set.map(|set| set.name.clone());
    if request.consent && !request.discard_later {
        refusal.blockers.extend(unasked_later_work(&target));
    }
    if !refusal.is_empty() {
        return Err(refusal);
    }
    let course = course(observation, request, &part, (&old, &new));
    let mut said = warnings(observation, choice.as_ref(), timeline);
    said.extend(direct_warnings(observation, workload, request, course));
    let mut plan = assemble(
        observation,
        request,
        target,
        Parts {
            route: Route::Direct,
            files: part.prepared.as_ref().map_or(&[][..], |git| &git.files),
            git: observation.git.as_ref().filter(|_| part.prepared.is_some()),
            warnings: said,
            before: before.source("spec.template").unwrap_or_default(),
            course,
            patch: course
                .patch
                .then(|| (before.text().to_owned(), text.clone())),
            debts: part.debt.iter().cloned().collect(),
        },
    );
    plan.with_git_part(part.prepared.as_ref().map(|git| git.plan.effect_id.clone()));
    Ok(Prepared {
        plan,
        files: Vec::new(),
        also: Vec::new(),
        desired: desired(workload, request, (&old, &new)),
        patch: course.patch.then(|| json_patch(workload, &old, &new)),
        git: part.prepared.map(Box::new),
    })
}

/// The live object, if this identity may change it and nothing would undo that.
fn open<'o>(
    observation: &'o Observation,
    request: &Request,
    agrees: bool,
) -> Result<&'o Workload, Refusal> {
    let mut refusal = Refusal::default();
    if request.goal < Goal::Landed {
        refusal.blockers.push(Blocker::new(
            "not-direct",
            "--no-commit, --no-push and --wait=false are about Git, not about the cluster",
            "leave them out, or use --route git",
        ));
    }
    if matches!(
        request.intent,
        Intent::Adopt | Intent::Revert { .. } | Intent::Hold | Intent::Unhold
    ) {
        refusal.blockers.push(Blocker::new(
            "not-direct",
            format!("{} changes Git, not the cluster", request.intent.word()),
            "leave --route out",
        ));
    }
    let steps = ladder(observation, request, agrees);
    for step in steps.iter().filter(|step| step.route == Route::Direct) {
        match step.standing {
            Standing::Possible => {}
            Standing::Closed => refusal.blockers.extend(step.blockers.iter().cloned()),
            Standing::Unknown => {
                refusal
                    .unknown
                    .extend(step.blockers.iter().map(|blocker| Unknown {
                        id: blocker.id.clone(),
                        message: blocker.message.clone(),
                        reason: blocker.hint.clone(),
                    }));
            }
        }
    }
    match &observation.cluster.workload {
        Some(workload) if refusal.is_empty() => Ok(workload),
        _ => {
            let others = steps
                .iter()
                .filter(|s| s.standing == Standing::Possible && s.route != Route::Direct)
                .map(|s| format!("--route {}", s.route.word()));
            let others: Vec<String> = others.collect();
            if let Some(first) = refusal.blockers.first_mut() {
                first.hint = format!(
                    "{}; open to this identity: {}",
                    first.hint,
                    others.join(", ")
                );
            }
            name_gaps(observation, &mut refusal);
            Err(refusal)
        }
    }
}

/// Git's part: needed where Argo CD manages the object and the field is Git's.
fn git_part(observation: &Observation, timeline: &Timeline, request: &Request) -> GitPart {
    let none = GitPart {
        prepared: None,
        agrees: false,
        debt: None,
    };
    if !is_argo_managed(observation)
        || request.intent == Intent::Bounce
        || field_not_in_git(observation, &request.intent).is_some()
    {
        return none;
    }
    let own = Request {
        route: Route::Git,
        goal: Goal::Pushed,
        allow: Allow::default(),
        ..request.clone()
    };
    match git_route::prepare(observation, timeline, &own) {
        Ok(prepared) if prepared.files.is_empty() => GitPart {
            agrees: true,
            ..none
        },
        Ok(prepared) => GitPart {
            prepared: Some(prepared),
            ..none
        },
        Err(refusal) => GitPart {
            debt: Some(format!(
                "Git does not say it yet: {}",
                refusal.first_words()
            )),
            ..none
        },
    }
}

/// The ReplicaSet or ControllerRevision that holds the entry's template.
fn source_set<'o>(
    observation: &'o Observation,
    entry: &Entry,
    request: &Request,
) -> Option<&'o ReplicaSet> {
    let wanted = match &request.to {
        To::ReplicaSet(name) => Some(name),
        _ => entry.replica_set.as_ref(),
    };
    let mut sets = observation.cluster.replica_sets.iter().flatten();
    sets.find(|set| Some(&set.name) == wanted)
}

/// The live object's text after the change.
fn edited(
    workload: &Workload,
    before: &Document,
    (choice, set): (Option<&Choice<'_>>, Option<&ReplicaSet>),
    request: &Request,
) -> Result<String, Blocker> {
    let Some(choice) = choice else {
        return intent::edited(before, (LIVE, &workload.reference), &request.intent);
    };
    // As the cluster recorded it, else as Git has it: a ReplicaSet may be gone
    // (`revisionHistoryLimit`).
    let template = set.map_or_else(|| choice.entry.template.clone(), |set| set.template.clone());
    let after = match &request.only {
        Only::Image => {
            let entry = Entry {
                template,
                ..choice.entry.clone()
            };
            before.set_images(LIVE, &entry)?
        }
        Only::Template | Only::Fields(_) => {
            let text = text_with(workload, &template);
            let good = Document::of(&text, LIVE, &workload.reference)?;
            before.restore(LIVE, &good, &restore_paths(&request.only)?)?
        }
    };
    if !workload.paused || after == before.text() {
        return Ok(after);
    }
    // A paused Deployment takes no new template: it is unpaused by the same patch.
    Document::of(&after, LIVE, &workload.reference)?.unpause(LIVE)
}

fn desired(
    workload: &Workload,
    request: &Request,
    (old, new): (&DocumentFields, &DocumentFields),
) -> Desired {
    let mut desired = Desired::between(Some(old), new);
    match &request.intent {
        Intent::Scale { .. } | Intent::Abort { .. } => {
            desired.replicas = request.intent.replicas();
        }
        Intent::Bounce => desired.replicas = Some(workload.replicas),
        Intent::Pause => desired.paused = Some(true),
        Intent::Resume => desired.paused = Some(false),
        Intent::Rollback
        | Intent::SetImage { .. }
        | Intent::SetEnv { .. }
        | Intent::Restart { .. }
        | Intent::Revert { .. }
        | Intent::Hold
        | Intent::Unhold
        | Intent::Adopt => {}
    }
    desired
}

fn course(
    observation: &Observation,
    request: &Request,
    part: &GitPart,
    (old, new): (&DocumentFields, &DocumentFields),
) -> Course {
    let bounce = request.intent == Intent::Bounce;
    let scale = request.intent.replicas().is_some() && old.replicas != new.replicas;
    let changed =
        old.template != new.template || old.paused.unwrap_or(false) != new.paused.unwrap_or(false);
    let app = observation.argocd.application.as_ref();
    let settle = part.prepared.is_some() || part.debt.is_some();
    let undone = settle || (bounce && a_sync_puts_back(observation, &request.intent));
    Course {
        patch: changed && !bounce,
        scale,
        bounce,
        suspend: app.is_some_and(|app| app.auto_sync.enabled) && undone,
        settle,
        land: app.is_some_and(|app| app.auto_sync.enabled) && settle,
        rollout: request.intent != Intent::Pause,
        ..Course::default()
    }
}

fn bounce_blockers(workload: &Workload, request: &Request) -> Vec<Blocker> {
    if request.intent != Intent::Bounce {
        return Vec::new();
    }
    let mut found = Vec::new();
    if workload.reference.kind == WorkloadKind::DaemonSet {
        found.push(Blocker::new(
            "not-supported",
            "a DaemonSet has no replicas to bounce",
            "use `unship restart`",
        ));
    }
    if workload.replicas == 0 {
        found.push(Blocker::new(
            "nothing-to-bounce",
            "it has 0 replicas: there is nothing to bring back",
            "use `unship scale` if it should run",
        ));
    }
    if !request.allow.outage {
        found.push(Blocker::new(
            "outage",
            format!(
                "bouncing takes all {} replicas down at once",
                workload.replicas
            ),
            "use `unship restart`, or accept the outage with --accept-outage",
        ));
    }
    found
}

fn direct_warnings(
    observation: &Observation,
    workload: &Workload,
    request: &Request,
    course: Course,
) -> Vec<String> {
    let mut found = Vec::new();
    if course.patch && workload.paused && request.intent == Intent::Rollback {
        found.push(format!(
            "{} is paused; the same patch sets spec.paused: false, so that its rollout goes on",
            workload.reference.short()
        ));
    }
    found.extend(git_route::new_variables(
        &workload.template,
        &request.intent,
    ));
    for hpa in observation.cluster.hpas.iter().flatten() {
        if course.scale || course.bounce {
            found.push(format!(
                "HorizontalPodAutoscaler {} keeps between {} and {} replicas, except at 0",
                hpa.name, hpa.min_replicas, hpa.max_replicas
            ));
        }
    }
    if request.allow.override_manager {
        found.extend(
            crate::model::managers(workload)
                .into_iter()
                .filter(|m| m.tool != crate::model::ManagerTool::Argocd)
                .map(|m| format!("{} may undo this change", m.name)),
        );
    }
    if course.suspend {
        let until = match request.intent {
            Intent::Bounce => "it is scaled up again",
            _ => "Git has the target",
        };
        found.push(format!("automated sync is suspended until {until}; nothing of this Application is synced meanwhile"));
    }
    found
}
