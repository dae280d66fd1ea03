//! The ways around Git: what Argo CD and kubectl can do, and what would undo it.

use super::ways::{Basis, Way, place, quoted};
use crate::model::{Application, ManagerTool, Observation, managers};
use crate::timeline::Entry;

/// The Application's name as the argocd program takes it.
fn app_word(app: &Application) -> String {
    if app.namespace.is_empty() || app.namespace == "argocd" {
        return quoted(&app.name);
    }
    quoted(&format!("{}/{}", app.namespace, app.name))
}

/// What Argo CD can do: end an operation that blocks, roll back where nothing syncs
/// automatically, sync what Git has.
pub(super) fn with_argocd(basis: &Basis<'_>) -> Option<Way> {
    let app = basis.observation.argocd.application.as_ref()?;
    let word = app_word(app);
    let mut way = Way::new(
        "argocd",
        format!("with Argo CD's sync right on Application {}", app.name),
    );
    if app.operation_in_progress() {
        way.notes.push(
            "an operation is still running; nothing else is synced before its end".to_owned(),
        );
        way.commands.push(format!("argocd app terminate-op {word}"));
    }
    let history = basis.good.and_then(|good| good.history_id);
    match history.filter(|_| !app.auto_sync.enabled) {
        Some(id) => {
            way.notes.push(
                "this rolls back everything that the Application deploys; Git still says the bad thing afterwards"
                    .to_owned(),
            );
            way.commands
                .push(format!("argocd app rollback {word} {id}"));
        }
        None => {
            let object = &basis.observation.target;
            let resource = format!(
                "apps:{}:{}/{}",
                object.kind.as_str(),
                object.namespace,
                object.name
            );
            way.notes
                .push("once Git has the change and nothing syncs it by itself:".to_owned());
            way.commands.push(format!(
                "argocd app sync {word} --resource {}",
                quoted(&resource)
            ));
        }
    }
    Some(way)
}

/// A change in the cluster, with what would undo it.
pub(super) fn with_kubectl(basis: &Basis<'_>) -> Option<Way> {
    let workload = basis.observation.cluster.workload.as_ref()?;
    let good = basis.good?;
    let place = place(basis.observation);
    let mut way = Way::new(
        "kubectl",
        format!(
            "in the cluster {}, with the right to patch it",
            basis.observation.cluster.server
        ),
    );
    let mut after = Vec::new();
    match &basis.observation.argocd.application {
        Some(app) if app.auto_sync.enabled => {
            let (before, later) = suspension(app, &mut way.notes);
            way.commands.push(before);
            after.push(later);
        }
        Some(app) => way.notes.push(format!(
            "Application {} does not sync by itself, but the next sync takes it back: change Git as well",
            app.name
        )),
        None => way.notes.extend(undone_by(basis.observation)),
    }
    if workload.paused {
        way.commands.push(format!("kubectl rollout resume {place}"));
    }
    way.commands.extend(undo(basis, good, &place)?);
    way.commands.push(format!(
        "kubectl rollout status {place} --timeout={}s",
        workload.progress_deadline_seconds.saturating_add(60)
    ));
    way.commands.extend(after);
    Some(way)
}

fn undo(basis: &Basis<'_>, good: &Entry, place: &str) -> Option<Vec<String>> {
    if let (Some(number), Some(_)) = (good.rollout_revision, &good.replica_set) {
        return Some(vec![format!(
            "kubectl rollout undo {place} --to-revision={number}"
        )]);
    }
    let workload = basis.observation.cluster.workload.as_ref()?;
    let live = workload.template.images();
    let changed: Vec<String> = good
        .images
        .iter()
        .filter(|(name, image)| live.iter().any(|(n, i)| n == name && !i.same_as(image)))
        .map(|(name, image)| quoted(&format!("{name}={image}")))
        .collect();
    (!changed.is_empty()).then(|| vec![format!("kubectl set image {place} {}", changed.join(" "))])
}

/// The commands that stop automated sync before, and give it back as it was after.
fn suspension(app: &Application, notes: &mut Vec<String>) -> (String, String) {
    let word = app_word(app);
    let undoes = if app.auto_sync.self_heal {
        "self-heal undoes a change in the cluster within seconds"
    } else {
        "the next automated sync undoes a change in the cluster"
    };
    notes.push(format!(
        "only in an emergency: {undoes}, so automated sync of Application {} is stopped first; give it back only once Git has the change",
        app.name
    ));
    for (kind, name) in &app.owners {
        notes.push(format!(
            "{kind} {name} owns the Application and may set its sync policy back"
        ));
    }
    let mut again = format!("argocd app set {word} --sync-policy automated");
    if app.auto_sync.self_heal {
        again.push_str(" --self-heal");
    }
    if app.auto_sync.prune {
        again.push_str(" --auto-prune");
    }
    (
        format!("argocd app set {word} --sync-policy none"),
        format!("# once Git has the change: {again}"),
    )
}

/// Who would take a change in the cluster back, where no Application was read.
fn undone_by(observation: &Observation) -> Vec<String> {
    if let Some(name) = &observation.argocd.application_name {
        return vec![format!(
            "Application {name} manages it and could not be read: if it syncs by itself, it takes a change in the cluster back"
        )];
    }
    let found = observation
        .cluster
        .workload
        .as_ref()
        .map(managers)
        .unwrap_or_default();
    found
        .iter()
        .map(|manager| {
            let tool = match manager.tool {
                ManagerTool::Argocd => "Argo CD",
                ManagerTool::Flux => "Flux",
                ManagerTool::Helm => "Helm",
                ManagerTool::Controller => "its controller",
                ManagerTool::FieldManager => "another field manager",
            };
            format!(
                "{tool} ({}) manages it and may take a change in the cluster back",
                manager.name
            )
        })
        .collect()
}
