//! Acts on the live object: a patch, its scale, and nothing else.

use std::time::{Duration, Instant};

use super::journal::Record;
use super::land::{Aim, stopped};
use super::run::{End, Run};
use super::steps::Acted;
use super::{Error, Event, Pace, argo, jitter};
use crate::cluster::{Cluster, Error as Refusal, ScaleFrom};
use crate::model::{Allowed, Right, Workload};
use crate::observe::observe;
use crate::plan::{Decision, build};
use crate::report::RunState;
use crate::timeline::Timeline;

/// Patches the live object, after the server has tried the patch without effect.
/// Where the object changed since the look, it is looked at and planned again; the
/// same effect goes on by itself.
pub(super) async fn patch(run: &mut Run, aim: &Aim, deadline: Duration) -> Result<Acted, Error> {
    let began = Instant::now();
    loop {
        let Some(live) = run.workload().await else {
            return Ok(unreadable());
        };
        if aim.desired.is_live(&live) {
            return Ok(Acted::Done("the live object is so already".to_owned()));
        }
        if let Some(end) = argo::still_suspended(run).await {
            return Ok(Acted::End(end));
        }
        let (Some(operations), Ok(cluster)) = (
            run.prepared.patch.clone(),
            run.setup.clients.cluster.clone(),
        ) else {
            return Ok(Acted::End(no_patch()));
        };
        let target = run.target().clone();
        let tried = cluster.patch_workload(&target, &operations, true).await;
        let done = match tried {
            Ok(_) | Err(Refusal::NoDryRun { .. }) => {
                let done = cluster.patch_workload(&target, &operations, false).await;
                (run.setup.crash)("patched");
                done
            }
            Err(error) => Err(error),
        };
        match done {
            Ok(workload) => {
                return Ok(Acted::Done(format!("generation {}", workload.generation)));
            }
            Err(Refusal::Conflict { .. }) if began.elapsed() < deadline => {
                run.emit(Event::Note(
                    "the object changed since the look: planning again".to_owned(),
                ));
                tokio::time::sleep(jitter(Duration::from_millis(200))).await;
                if let Some(end) = plan_again(run).await? {
                    return Ok(Acted::End(end));
                }
            }
            Err(error) => return Ok(Acted::End(refused(&error))),
        }
    }
}

/// Looks again and plans again with the target pinned.
async fn plan_again(run: &mut Run) -> Result<Option<End>, Error> {
    let sight = observe(&run.setup.clients, &run.setup.scope, run.now()).await?;
    let timeline = Timeline::of(&sight.observation, &run.setup.verified);
    let request = run.head.request.pinned_to(&run.prepared.plan);
    let decision = build(&sight.observation, &timeline, &request);
    run.sight = sight;
    Ok(match decision {
        Decision::Plan(prepared) if prepared.plan.effect_id == run.prepared.plan.effect_id => {
            run.prepared.patch = prepared.patch;
            let plan_id = run.prepared.plan.plan_id.clone();
            let at = run.now();
            run.record(&Record::Replanned {
                plan_id,
                parent: String::new(),
                at,
            })?;
            None
        }
        Decision::Plan(_) | Decision::NotNeeded(_) => Some(End::new(
            RunState::Superseded,
            3,
            "others changed the object since the plan was made: nothing is patched over it",
        )),
        Decision::Refused(refusal) => Some(End::new(
            RunState::Stopped,
            4,
            format!("there is no safe plan now: {}", refusal.first_words()),
        )),
    })
}

fn unreadable() -> Acted {
    Acted::End(End::new(
        RunState::Stopped,
        4,
        "the live object cannot be read",
    ))
}

fn no_patch() -> End {
    End::new(
        RunState::Stopped,
        4,
        "the patch cannot be made again from what can be read now",
    )
}

/// How a refused write ends the run. What may have been carried out is looked at by
/// `unship continue`; what the server refuses for good is a refusal.
fn refused(error: &Refusal) -> End {
    let text = error
        .hint()
        .map_or_else(|| error.to_string(), |hint| format!("{error}; {hint}"));
    match error {
        Refusal::Forbidden { .. }
        | Refusal::Denied { .. }
        | Refusal::Rejected { .. }
        | Refusal::NamespaceTerminating { .. }
        | Refusal::QuotaExceeded { .. }
        | Refusal::NotFound { .. } => End::new(RunState::Refused, 3, text),
        _ => End::new(RunState::Stopped, 4, text),
    }
}

/// Sets the number of replicas that the plan is about.
pub(super) async fn scale(run: &mut Run, aim: &Aim) -> Result<Acted, Error> {
    let wanted = aim.desired.replicas.unwrap_or_default();
    set_replicas(run, wanted).await
}

/// How often a number of replicas is set again when the object changed meanwhile.
const SCALE_TRIES: u32 = 5;

async fn set_replicas(run: &mut Run, wanted: i64) -> Result<Acted, Error> {
    let mut tries = 1;
    loop {
        match try_replicas(run, wanted).await {
            Err(Refusal::Conflict { .. }) if tries < SCALE_TRIES => {
                tries += 1;
                tokio::time::sleep(jitter(Duration::from_millis(200))).await;
            }
            Err(error) => return Ok(Acted::End(refused(&error))),
            Ok(acted) => return Ok(acted),
        }
    }
}

async fn try_replicas(run: &mut Run, wanted: i64) -> Result<Acted, Refusal> {
    let Some(live) = run.workload().await else {
        return Ok(unreadable());
    };
    if live.replicas == wanted {
        return Ok(Acted::Done(format!("{wanted} replicas are set already")));
    }
    let Ok(cluster) = run.setup.clients.cluster.clone() else {
        return Ok(unreadable());
    };
    let narrow = run.sight.observation.rights.allowed(Right::PatchScale) == Allowed::Allowed;
    let done = match narrow {
        true => narrow_scale(&cluster, &live, wanted).await,
        false => whole_scale(&cluster, &live, wanted).await,
    };
    (run.setup.crash)("scaled");
    done?;
    Ok(Acted::Done(format!(
        "replicas went from {} to {wanted}",
        live.replicas
    )))
}

async fn narrow_scale(cluster: &Cluster, live: &Workload, wanted: i64) -> Result<(), Refusal> {
    let from = ScaleFrom {
        uid: &live.uid,
        replicas: live.replicas,
    };
    cluster.scale(&live.reference, from, wanted, true).await?;
    cluster.scale(&live.reference, from, wanted, false).await?;
    Ok(())
}

/// With the right to patch the whole object only.
async fn whole_scale(cluster: &Cluster, live: &Workload, wanted: i64) -> Result<(), Refusal> {
    let operations = serde_json::json!([
        {"op": "test", "path": "/metadata/uid", "value": live.uid},
        {"op": "test", "path": "/metadata/generation", "value": live.generation},
        {"op": "replace", "path": "/spec/replicas", "value": wanted},
    ]);
    cluster
        .patch_workload(&live.reference, &operations, true)
        .await?;
    cluster
        .patch_workload(&live.reference, &operations, false)
        .await?;
    Ok(())
}

/// The way down of a bounce. It is never gone twice: an object whose generation is not
/// the one of the look has been scaled before.
pub(super) async fn scale_down(run: &mut Run, deadline: Duration) -> Result<Acted, Error> {
    let Some(live) = run.workload().await else {
        return Ok(unreadable());
    };
    let first = run.head.baseline.generation;
    if run.done.contains("scaleUp") || (live.replicas != 0 && first != Some(live.generation)) {
        return Ok(Acted::Done(
            "it was scaled before; it is not done again".to_owned(),
        ));
    }
    if live.replicas != 0 {
        match set_replicas(run, 0).await? {
            Acted::Done(_) => {}
            end @ Acted::End(_) => return Ok(end),
        }
    }
    let began = Instant::now();
    let mut pace = Pace::new(Duration::from_millis(100), Duration::from_secs(1));
    loop {
        if let Some(live) = run.workload().await {
            if live.observed_generation >= live.generation && live.rollout.replicas == 0 {
                return Ok(Acted::Done("no pod is left".to_owned()));
            }
            if live.replicas != 0 {
                let evidence = format!(
                    "somebody else set {} replicas before the last pod was gone",
                    live.replicas
                );
                return Ok(Acted::Done(evidence));
            }
        }
        if began.elapsed() >= deadline {
            // The service is down: what brings it back comes before any question.
            return Ok(Acted::Done(format!(
                "pods were still there after {} s",
                deadline.as_secs()
            )));
        }
        tokio::select! {
            () = stopped(run.stop()) => {
                return Ok(Acted::Done("a person stopped it; it is brought back".to_owned()));
            }
            () = pace.wait() => {}
        }
    }
}

/// The way up: to the number before.
pub(super) async fn scale_up(run: &mut Run) -> Result<Acted, Error> {
    let wanted = run.head.baseline.replicas.unwrap_or(1);
    set_replicas(run, wanted).await
}
