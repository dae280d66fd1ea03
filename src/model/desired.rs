//! What an object should be, in the fields that a plan is about.

use serde::{Deserialize, Serialize};

use super::{ObjectRef, PodTemplate, RenderedSource, Workload};

/// What becomes of a live object whose document is taken out of Git.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Removal {
    /// Argo CD prunes it.
    Pruned,
    /// It stays without replicas: nothing is known to remove it.
    Left,
}

/// A workload on a fresh look.
#[derive(Debug, Clone)]
pub enum Presence {
    /// It is there.
    There(Box<Workload>),
    /// The API server says that it is not.
    Gone,
    /// It could not be read.
    Unreadable,
}

/// The fields of a workload that plans are about, as a manifest has them.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentFields {
    /// `spec.template`.
    pub template: PodTemplate,
    /// `spec.replicas`, where the manifest names it.
    pub replicas: Option<i64>,
    /// `spec.paused`, where the manifest names it.
    pub paused: Option<bool>,
}

impl DocumentFields {
    /// `spec.paused`; absent means false.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused.unwrap_or(false)
    }

    /// A document that names nothing but this template.
    #[must_use]
    pub const fn of_template(template: PodTemplate) -> Self {
        Self {
            template,
            replicas: None,
            paused: None,
        }
    }
}

/// The state that a plan aims at, with the template before it. Fields that are `None`
/// are not part of the aim.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Desired {
    /// The pod template.
    pub template: PodTemplate,
    /// The pod template before.
    pub before: PodTemplate,
    /// Replicas, where the plan changes them.
    pub replicas: Option<i64>,
    /// `spec.paused`, where the plan changes it.
    pub paused: Option<bool>,
    /// kubectl's restart mark, where the plan sets it.
    pub restarted_at: Option<String>,
    /// The document is not in Git any more: then nothing else here counts.
    #[serde(default)]
    pub removal: Option<Removal>,
    /// Other objects that the same commit changes: they land with it.
    #[serde(default)]
    pub along: Vec<ObjectRef>,
    /// Fields of the object that hold a digest of what is rendered elsewhere: no part of the
    /// template here.
    #[serde(default)]
    pub digests: Vec<String>,
}

impl Desired {
    /// A template and the one before it; nothing else.
    #[must_use]
    pub const fn of_template(template: PodTemplate, before: PodTemplate) -> Self {
        Self {
            template,
            before,
            replicas: None,
            paused: None,
            restarted_at: None,
            removal: None,
            along: Vec::new(),
            digests: Vec::new(),
        }
    }

    /// A document that is taken out of Git.
    #[must_use]
    pub const fn removed(template: PodTemplate, removal: Removal) -> Self {
        let mut own = Self::of_template(template, PodTemplate::absent());
        own.removal = Some(removal);
        own
    }

    /// What a change of a document aims at: its template, and the other fields that
    /// differ from the document before.
    #[must_use]
    pub fn between(before: Option<&DocumentFields>, after: &DocumentFields) -> Self {
        let Some(before) = before else {
            return Self::of_template(after.template.clone(), after.template.clone());
        };
        let mark = after.template.restarted_at();
        Self {
            template: after.template.clone(),
            before: before.template.clone(),
            replicas: after.replicas.filter(|_| after.replicas != before.replicas),
            paused: (after.is_paused() != before.is_paused()).then(|| after.is_paused()),
            restarted_at: mark
                .filter(|_| mark != before.template.restarted_at())
                .map(str::to_owned),
            removal: None,
            along: Vec::new(),
            digests: Vec::new(),
        }
    }

    /// The same with other objects that the commit changes.
    #[must_use]
    pub fn with(self, along: Vec<ObjectRef>) -> Self {
        Self { along, ..self }
    }

    /// With the fields that follow what is rendered elsewhere.
    #[must_use]
    pub fn rendered_by(self, source: Option<&RenderedSource>) -> Self {
        let digests = source.map(|source| source.digests.clone());
        Self {
            digests: digests.unwrap_or_default(),
            ..self
        }
    }

    /// Whether the live workload is as desired.
    ///
    /// A template that only lost a field covers the old live one as well; the old
    /// manifest then explains more of it, and that tells the two apart.
    #[must_use]
    pub fn is_live(&self, live: &Workload) -> bool {
        match self.removal {
            Some(Removal::Pruned) => return false,
            Some(Removal::Left) => return live.replicas == 0,
            None => {}
        }
        self.template_is_live(&live.template)
            && self.replicas.is_none_or(|wanted| wanted == live.replicas)
            && self.paused.is_none_or(|wanted| wanted == live.paused)
            && self
                .restarted_at
                .as_deref()
                .is_none_or(|mark| live.template.restarted_at() == Some(mark))
    }

    /// Whether this template is the desired one and not rather the one before.
    #[must_use]
    pub fn template_is_live(&self, live: &PodTemplate) -> bool {
        let Some(own) = self.template.covers(live) else {
            return false;
        };
        if self.template == self.before {
            return true;
        }
        self.before
            .covers(live)
            .is_none_or(|other| own.extra <= other.extra)
    }

    /// Whether a manifest says what is desired. Where it names no replicas or no
    /// `paused`, it does not speak against them.
    #[must_use]
    pub fn is_in(&self, document: &DocumentFields) -> bool {
        if self.removal.is_some() {
            return false;
        }
        let agrees = |wanted: Option<i64>, own: Option<i64>| wanted.is_none() || wanted == own;
        document.template == self.template
            && agrees(self.replicas, document.replicas)
            && self
                .paused
                .is_none_or(|wanted| document.is_paused() == wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template(env: &[&str]) -> PodTemplate {
        let env: Vec<_> = env
            .iter()
            .map(|name| json!({"name": name, "value": "1"}))
            .collect();
        PodTemplate::new(
            json!({"spec": {"containers": [{"name": "a", "image": "a:1", "env": env}]}}),
        )
    }

    #[test]
    fn a_lost_field_is_told_from_the_state_before() {
        let aim = Desired::of_template(template(&["A"]), template(&["A", "B"]));
        assert!(!aim.template_is_live(&template(&["A", "B"])));
        assert!(aim.template_is_live(&template(&["A"])));
        // An injected variable is in both.
        assert!(aim.template_is_live(&template(&["A", "X"])));
    }

    #[test]
    fn a_manifest_without_the_wanted_replicas_does_not_have_them() {
        let mut aim = Desired::of_template(template(&[]), template(&[]));
        aim.replicas = Some(0);
        let mut document = DocumentFields::of_template(template(&[]));
        assert!(!aim.is_in(&document));
        document.replicas = Some(0);
        assert!(aim.is_in(&document));
        aim.paused = Some(false);
        assert!(aim.is_in(&document), "absent means false");
    }
}
