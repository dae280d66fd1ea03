//! A workload that must stay as it was: the production beside a canary.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::{Check, Observation, Verdict, WorkloadRef};

/// What it was before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Guard {
    /// The workload.
    pub reference: WorkloadRef,
    /// Its uid.
    pub uid: String,
    /// `metadata.generation`: it grows with every change of the spec.
    pub generation: i64,
    /// Container names with their images.
    pub images: Vec<String>,
    /// Services that sent traffic to its pods, told by who owns the pods and not by
    /// their labels: a canary's pods may have the same ones.
    pub services: BTreeSet<String>,
}

impl Guard {
    /// Takes it from a look; `None` where the workload could not be read.
    #[must_use]
    pub fn of(observation: &Observation) -> Option<Self> {
        let workload = observation.cluster.workload.as_ref()?;
        let images = workload.template.images();
        Some(Self {
            reference: workload.reference.clone(),
            uid: workload.uid.clone(),
            generation: workload.generation,
            images: images
                .iter()
                .map(|(name, image)| format!("{name}={image}"))
                .collect(),
            services: serving(observation).unwrap_or_default(),
        })
    }
}

/// Services with a ready endpoint at one of the workload's own pods.
fn serving(observation: &Observation) -> Option<BTreeSet<String>> {
    let pods = observation.cluster.pods.as_ref()?;
    let endpoints = observation.cluster.endpoints.as_ref()?;
    let own = |uid: &Option<String>| {
        pods.iter()
            .any(|pod| uid.as_deref() == Some(pod.uid.as_str()))
    };
    Some(
        endpoints
            .iter()
            .filter(|endpoint| endpoint.ready && own(&endpoint.pod_uid))
            .map(|endpoint| endpoint.service.clone())
            .collect(),
    )
}

/// Whether it is as it was: same object, same generation, same images, and every
/// Service that it served has a ready endpoint of it.
#[must_use]
pub fn guard_check(guard: &Guard, now: &Observation) -> Check {
    let title = "production is untouched";
    let Some(found) = Guard::of(now) else {
        return Check::new(
            "production",
            title,
            Verdict::Unknown,
            format!("{} could not be read again", guard.reference.short()),
        );
    };
    let mut changed = Vec::new();
    if found.uid != guard.uid {
        changed.push("it is another object (uid)".to_owned());
    }
    if found.generation != guard.generation {
        changed.push(format!(
            "generation went from {} to {}",
            guard.generation, found.generation
        ));
    }
    if found.images != guard.images {
        changed.push(format!("it runs {}", found.images.join(", ")));
    }
    let Some(serving) = serving(now) else {
        return Check::new(
            "production",
            title,
            Verdict::Unknown,
            "its pods or endpoints could not be read",
        );
    };
    let lost: Vec<&str> = guard
        .services
        .difference(&serving)
        .map(String::as_str)
        .collect();
    if !lost.is_empty() {
        changed.push(format!("it serves {} no more", lost.join(", ")));
    }
    if !changed.is_empty() {
        return Check::new("production", title, Verdict::Fails, changed.join("; "));
    }
    let services: Vec<&str> = serving.iter().map(String::as_str).collect();
    Check::new(
        "production",
        title,
        Verdict::Holds,
        format!(
            "{}: uid and generation {} as before, {}, serves {}",
            guard.reference.short(),
            guard.generation,
            guard.images.join(", "),
            if services.is_empty() {
                "no Service".to_owned()
            } else {
                services.join(", ")
            }
        ),
    )
}
