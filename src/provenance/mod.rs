//! Which byte decides a field, and the edit there.
//!
//! For an object that Argo CD renders from a folder: what the rendered object is, which place
//! decides each of its fields, what is outranked by that place, and which edit of which file
//! changes the field. Everything is done by reading texts; what Argo CD's tools do and this room
//! does not model ends in a [`Blocker`] with its place, never in a guess.

mod application_set;
mod bump;
mod directory;
mod edit;
mod explain;
mod files;
mod helm;
mod home;
mod kustomize;
mod making;
mod outcome;
mod place;
mod recipe;
mod repin;
mod restore;
mod source;
#[cfg(test)]
mod tests;
mod traced;
mod want;
mod ways;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::Path;
use crate::model::{
    Application, Blocker, Capabilities, Making, ObjectRef, Observation, Pinned, Sourcing,
};

pub use application_set::generated;
pub use edit::{edit_to, touched};
pub use explain::explain;
pub use files::{Files, PACKED, parted, root};
pub use helm::{Published, chart_address, is_exact, published};
pub use home::deciding_file;
pub use making::{is_as_made, rest};
pub use outcome::{Edited, Explanation, FileEdit, Link, Place, Role, Touched};
pub use recipe::recipe;
pub use want::value_at;

use files::Reader;
use making::Pin;
use place::Places;
use source::Parameters;
use traced::{Body, Traced};

/// What is asked about.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The Application that deploys it, where Argo CD does.
    pub application: Option<&'a Application>,
    /// Which of the Application's sources, from 0.
    pub source: usize,
    /// The folder from the repository's root: the source's path, or without an Application the
    /// candidate's folder.
    pub folder: &'a str,
    /// The object.
    pub target: &'a ObjectRef,
    /// The Application's instance name, the first part of the tracking id on the live object:
    /// `NAME`, or `NAMESPACE_NAME` outside Argo CD's own namespace. Empty where it is not known.
    pub instance: &'a str,
    /// Where `targetRevision` is no branch, and files say what it is.
    pub pinned: Option<&'a Pinned>,
    /// What makes the Application, where that is in files.
    pub making: Option<&'a Making>,
    /// Where the files of sources with a `ref` are: their [`root`], empty for the repository
    /// at hand.
    pub references: Option<&'a BTreeMap<String, String>>,
    /// What the cluster serves, where that is known.
    pub capabilities: Option<&'a Capabilities>,
}

impl std::fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subject")
            .field("target", self.target)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl<'a> Subject<'a> {
    /// An object of an Application, with everything that is known of where its files are.
    #[must_use]
    pub fn of(
        application: Option<&'a Application>,
        source: usize,
        sourcing: &'a Sourcing,
        target: &'a ObjectRef,
    ) -> Self {
        Self {
            application,
            source,
            instance: &sourcing.instance,
            references: Some(&sourcing.references),
            making: sourcing.making.as_deref(),
            pinned: sourcing.pinned.as_ref(),
            capabilities: sourcing.capabilities.as_ref(),
            ..Self::plain(&sourcing.folder, target)
        }
    }

    /// The target of a look.
    #[must_use]
    pub fn seen(
        observation: &'a Observation,
        target: &'a ObjectRef,
        sourcing: &'a Sourcing,
    ) -> Self {
        let argocd = &observation.argocd;
        Self::of(argocd.application.as_ref(), argocd.source, sourcing, target)
    }

    /// The same at the tag or commit that it is pinned to.
    fn at<'b>(&self, pin: Option<&'b Pin>) -> Subject<'b>
    where
        'a: 'b,
    {
        Subject {
            folder: pin.map_or(self.folder, |pin| pin.folder.as_str()),
            ..*self
        }
    }

    /// An object in a folder that no Application is known for.
    #[must_use]
    pub const fn plain(folder: &'a str, target: &'a ObjectRef) -> Self {
        Self {
            application: None,
            source: 0,
            folder,
            target,
            instance: "",
            pinned: None,
            making: None,
            references: None,
            capabilities: None,
        }
    }
}

/// What renders a folder; `Display` is Argo CD's own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Manifests as they stand.
    Directory,
    /// kustomize.
    Kustomize,
    /// Helm.
    Helm,
    /// Plain manifests with jsonnet beside them.
    Jsonnet,
    /// A config management plugin.
    Plugin,
}

impl std::fmt::Display for Tool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Directory => "Directory",
            Self::Kustomize => "Kustomize",
            Self::Helm => "Helm",
            Self::Jsonnet => "Directory with jsonnet",
            Self::Plugin => "Plugin",
        })
    }
}

/// A rendered object.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// What renders it.
    pub tool: Tool,
    /// The object; fields that cannot be told are left out.
    pub object: Value,
    /// The fields that cannot be told, with the reason.
    pub unknown: Vec<(Path, String)>,
    /// The fields that hold a digest of what is rendered elsewhere: they follow that, and are
    /// left out.
    pub digests: Vec<Path>,
    /// The ConfigMaps and Services beside it: what its pods may use. Where part of one cannot be
    /// told, that is left out.
    pub beside: Vec<(ObjectRef, Value)>,
    /// Every file that was read.
    pub inputs: Vec<String>,
    /// The tag or commit that the source's files are those of, where it is pinned.
    pub revision: Option<String>,
}

/// The target as it is rendered, with the places of every field.
#[derive(Debug)]
struct Rendering {
    tool: Tool,
    target: Traced,
    /// Every other object of the folder, for what an edit changes besides.
    others: Vec<Traced>,
    /// What is not modelled and may touch some fields.
    gaps: Vec<Gap>,
    inputs: Vec<String>,
    revision: Option<String>,
}

/// Something that this room does not model.
#[derive(Debug, Clone)]
struct Gap {
    blocker: Blocker,
    /// The fields that it may touch: this one and those below.
    reach: Path,
}

impl Rendering {
    /// The first thing that is not modelled and may touch a field.
    fn gap(&self, field: &Path) -> Option<&Blocker> {
        let touches = |gap: &&Gap| gap.reach.contains(field) || field.contains(&gap.reach);
        self.gaps.iter().find(touches).map(|gap| &gap.blocker)
    }

    /// Whether a file is one of the tag or commit that the source is pinned to.
    fn is_pinned(&self, file: &str, subject: &Subject<'_>) -> bool {
        let pin = subject.pinned.zip(self.revision.as_ref());
        pin.is_some_and(|(pinned, revision)| {
            parted(file).0 == Some(&making::label(&pinned.repository, revision))
        })
    }

    /// Why a field is not known, where it or something around it is not.
    fn hidden(&self, field: &Path) -> Option<&str> {
        let mut here = &self.target;
        let mut steps = field.steps().iter();
        loop {
            match &here.body {
                Body::Unknown(why) => return Some(why),
                Body::Digest(digest) => return Some(&digest.why),
                Body::Scalar(_) | Body::List(_) | Body::Map(_) => {}
            }
            here = here.step(steps.next()?)?;
        }
    }
}

/// What renders the subject's folder, as Argo CD 3.2 tells it (`util/app/discovery`): a section
/// in the Application's source, else a kustomization or a Chart.yaml in the folder itself.
///
/// # Errors
/// When `.argocd-source` files cannot be read or the Application names several tools.
pub fn tool(files: &dyn Files, subject: &Subject<'_>) -> Result<Tool, Blocker> {
    let reader = Reader::new(files);
    let pin = making::pin(&reader, subject)?;
    let subject = &subject.at(pin.as_ref());
    let parameters = Parameters::read(&reader, subject)?;
    source::tool(&reader, &parameters, subject)
}

/// The subject's target as Argo CD renders it.
///
/// # Errors
/// When the folder cannot be rendered, the target is not in it, or something that is not modelled
/// may touch any of its fields.
pub fn render(files: &dyn Files, subject: &Subject<'_>) -> Result<Rendered, Blocker> {
    let rendering = rendering(files, subject)?;
    let whole = rendering.gaps.iter().find(|gap| gap.reach.is_empty());
    if let Some(gap) = whole {
        return Err(gap.blocker.clone());
    }
    let mut unknown = Vec::new();
    rendering.target.unknown(&Path::default(), &mut unknown);
    for gap in &rendering.gaps {
        unknown.push((gap.reach.clone(), gap.blocker.message.clone()));
    }
    let beside = rendering.others.iter().filter_map(|other| {
        let mut object = edit::object_of(other);
        if object.namespace.is_empty() {
            object.namespace.clone_from(&subject.target.namespace);
        }
        object
            .may_be_used()
            .then(|| Some((object, other.comparable()?)))?
    });
    Ok(Rendered {
        digests: rendering.target.digests(),
        beside: beside.collect(),
        tool: rendering.tool,
        object: rendering.target.value().unwrap_or(Value::Null),
        unknown,
        inputs: rendering.inputs,
        revision: rendering.revision,
    })
}

/// Every object of one of an Application's sources as Argo CD renders it; fields that cannot be
/// told are left out.
///
/// # Errors
/// When the folder cannot be rendered, or something in it is not modelled.
pub fn objects(
    files: &dyn Files,
    (application, source): (&Application, usize),
    sourcing: &Sourcing,
) -> Result<Vec<Value>, Blocker> {
    let any = making::nobody();
    let subject = Subject::of(Some(application), source, sourcing, &any);
    let rendering = rendering(files, &subject)?;
    if let Some(gap) = rendering.gaps.first() {
        return Err(gap.blocker.clone());
    }
    let all = rendering.others.iter().chain([&rendering.target]);
    Ok(all.filter_map(Traced::value).collect())
}

fn rendering(files: &dyn Files, subject: &Subject<'_>) -> Result<Rendering, Blocker> {
    rendered(&Reader::new(files), subject)
}

fn rendered(reader: &Reader<'_>, subject: &Subject<'_>) -> Result<Rendering, Blocker> {
    let pin = making::pin(reader, subject)?;
    let subject = &subject.at(pin.as_ref());
    let places = Places::new(reader, subject);
    let parameters = Parameters::read(reader, subject)?;
    let tool = source::tool(reader, &parameters, subject)?;
    let mut rendering = match tool {
        Tool::Directory => directory::render(reader, &parameters, subject)?,
        Tool::Kustomize => kustomize::render(reader, &places, &parameters, subject)?,
        Tool::Helm => helm::render(reader, &places, &parameters, subject)?,
        Tool::Jsonnet | Tool::Plugin => return Err(source::refused(tool, &parameters, subject)),
    };
    rendering.inputs = reader.inputs();
    rendering.revision = pin.map(|pin| pin.revision);
    Ok(rendering)
}

/// Whether an object is the target.
fn is_target(object: &Traced, target: &ObjectRef) -> bool {
    let group = |api_version: &str| {
        let (group, _) = api_version.split_once('/').unwrap_or(("", ""));
        group == target.group
    };
    object.text_at(&["kind"]) == Some(&target.kind)
        && object.text_at(&["metadata", "name"]) == Some(&target.name)
        && object.text_at(&["apiVersion"]).is_some_and(group)
        && object
            .text_at(&["metadata", "namespace"])
            .is_none_or(|own| own.is_empty() || own == target.namespace)
}

/// Splits the objects of a folder into the target and the others.
fn pick(
    objects: Vec<Traced>,
    subject: &Subject<'_>,
    tool: Tool,
    gaps: Vec<Gap>,
) -> Result<Rendering, Blocker> {
    let target = subject.target;
    let mut objects = objects;
    if target.kind.is_empty()
        && let Some(last) = objects.pop()
    {
        // Nobody is asked about: every object is one of the others.
        return Ok(Rendering {
            tool,
            target: last,
            others: objects,
            gaps,
            inputs: Vec::new(),
            revision: None,
        });
    }
    let (mut found, others): (Vec<_>, Vec<_>) = objects
        .into_iter()
        .partition(|object| is_target(object, target));
    if found.len() > 1 {
        return Err(Blocker::new(
            "document-ambiguous",
            format!(
                "{} is in {:?} {} times",
                target,
                subject.folder,
                found.len()
            ),
            "leave one of them in Git",
        ));
    }
    match found.pop() {
        Some(target) => Ok(Rendering {
            tool,
            target,
            others,
            gaps,
            inputs: Vec::new(),
            revision: None,
        }),
        None => match gaps.first() {
            Some(gap) => Err(gap.blocker.clone()),
            None => Err(Blocker::new(
                "target-not-found",
                format!("{target} is not among the objects of {:?}", subject.folder),
                "check the Application's path, its include and exclude, and the target's name",
            )),
        },
    }
}
