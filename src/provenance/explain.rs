//! The chain of places behind a field.

use serde_json::Value;

use crate::manifest::Path;
use crate::model::Blocker;

use super::files::{Files, Reader};
use super::home::last_part;
use super::outcome::{Explanation, Link, Place, Role};
use super::place::Places;
use super::traced::{Act, Mark, Source, Traced};
use super::{Subject, Tool, rendering};

/// Where a field of the target comes from: the deciding place first, then what that outranks.
///
/// # Errors
/// When the folder cannot be rendered, the target is not in it, or something that is not modelled
/// may set the field.
pub fn explain(
    files: &dyn Files,
    subject: &Subject<'_>,
    field: &Path,
) -> Result<Explanation, Blocker> {
    let rendering = rendering(files, subject)?;
    if let Some(blocker) = rendering.gap(field) {
        return Err(blocker.clone());
    }
    if let Some(why) = rendering.hidden(field) {
        return Err(untold(field, why));
    }
    let reader = Reader::new(files);
    let places = Places::new(&reader, subject);
    let node = rendering.target.get(field);
    let (value, mut chain) = match node {
        Some(node) => (node.value(), links(&places, node, rendering.tool)),
        None => (None, absent(&places, &rendering.target, field)),
    };
    let mut notes = Vec::new();
    if let Some(pin) = pin(subject) {
        let last = node.and_then(last_part);
        let file = last.and_then(|mark| mark.source.file());
        let is_there = |file: &str| rendering.is_pinned(file, subject);
        // What stands in the Application or in another repository is of no revision.
        let decides =
            rendering.revision.is_some() && file.map_or(last.is_none(), |(file, _)| is_there(file));
        let link = pin.link(&places, decides);
        notes.push(link.what.clone());
        for below in &mut chain {
            let at_revision = match &below.place {
                Place::File { path, .. } => rendering.revision.is_none() || is_there(path),
                _ => false,
            };
            if below.role == Role::Decides && at_revision {
                below.what.push_str(" at that revision");
            }
        }
        chain.insert(if decides { 0 } else { chain.len() }, link);
    }
    Ok(Explanation {
        field: field.clone(),
        value,
        chain,
        notes,
    })
}

/// Why an unknown field is refused.
pub(super) fn untold(field: &Path, why: &str) -> Blocker {
    Blocker::new(
        "values-computed",
        format!("{field} cannot be told from the files: {why}"),
        "change what it is computed from by hand, and check what Argo CD renders",
    )
}

/// A targetRevision that does not move with a branch.
pub(super) struct Pin {
    field: String,
    revision: String,
    what: String,
}

/// What the Application is pinned to, if it is.
pub(super) fn pin(subject: &Subject<'_>) -> Option<Pin> {
    let application = subject.application?;
    let source = application.sources.get(subject.source)?;
    let revision = source.target_revision.clone();
    let sha = revision.len() == 40 && revision.bytes().all(|b| b.is_ascii_hexdigit());
    let what = if !source.chart.is_empty() {
        "a chart version"
    } else if let Some(pinned) = subject.pinned {
        pinned.what
    } else if sha {
        "a commit"
    } else {
        return None;
    };
    let field = match application.sources.len() {
        0 | 1 => "spec.source.targetRevision".to_owned(),
        _ => format!("spec.sources[{}].targetRevision", subject.source),
    };
    Some(Pin {
        field,
        revision,
        what: what.to_owned(),
    })
}

impl Pin {
    fn link(&self, places: &Places<'_>, decides: bool) -> Link {
        Link {
            place: self.place(places),
            says: Some(Value::String(self.revision.clone())),
            role: if decides { Role::Decides } else { Role::Could },
            what: format!(
                "targetRevision is {}: what the source's own files say stays until this moves",
                self.what
            ),
        }
    }

    /// Where it is written: in a file that the Application is made from, else in the live one.
    fn place(&self, places: &Places<'_>) -> Place {
        let made = places.made("targetRevision");
        let source = made.unwrap_or_else(|| Source::Application(self.field.clone()));
        places.of(&source)
    }

    pub(super) fn blocker(&self, places: &Places<'_>) -> Blocker {
        let place = self.place(places);
        Blocker::new(
            "pinned-revision",
            format!(
                "{place} is {} ({}): a commit on the branch changes nothing",
                self.what, self.revision
            ),
            "change targetRevision where it is written",
        )
    }
}

fn links(places: &Places<'_>, node: &Traced, tool: Tool) -> Vec<Link> {
    let link = |(place, mark): (usize, &Mark)| {
        let role = role(node, place);
        Link {
            place: places.of(&mark.source),
            says: mark.says.clone(),
            role,
            what: sentence(mark, role, tool, node),
        }
    };
    let mut links: Vec<Link> = node.marks.iter().enumerate().rev().map(link).collect();
    // An expression can make several parts of one text.
    links.dedup_by(|a, b| a.place == b.place && a.role == b.role && a.what == b.what);
    links
}

/// A place decides where no later one sets the same part of the value.
fn role(node: &Traced, place: usize) -> Role {
    let part = |mark: &Mark| match mark.act {
        Act::Value { from, to, .. } => Some((from, to)),
        _ => None,
    };
    let (mark, later) = (&node.marks[place], &node.marks[place + 1..]);
    let decides = match (&mark.act, part(mark)) {
        (Act::Skipped { .. }, _) => return Role::Could,
        (_, Some(own)) => later.iter().all(|mark| part(mark) != Some(own)),
        (_, None) => later.is_empty(),
    };
    if decides {
        Role::Decides
    } else {
        Role::Outranked
    }
}

fn sentence(mark: &Mark, role: Role, tool: Tool, node: &Traced) -> String {
    let is_image = node
        .marks
        .iter()
        .any(|mark| matches!(mark.act, Act::Image { .. }));
    let own = match &mark.act {
        Act::Written if tool == Tool::Helm => {
            return "the template's own text is around it".to_owned();
        }
        Act::Written => "the manifest says it".to_owned(),
        Act::Merged => "a strategic merge patch sets it".to_owned(),
        Act::JsonPatch => "a JSON patch sets it".to_owned(),
        Act::Image {
            name, tag, digest, ..
        } => {
            let parts = [(*name, "name"), (*tag, "tag"), (*digest, "digest")];
            let parts: Vec<&str> = parts
                .iter()
                .filter(|(has, _)| *has)
                .map(|(_, p)| *p)
                .collect();
            format!(
                "an entry of `images` sets the image's {}",
                parts.join(" and ")
            )
        }
        Act::Replicas => "an entry of `replicas` sets it".to_owned(),
        Act::Transformed(what) => format!("`{what}` sets it"),
        Act::Value { expression, .. } => match mark.source {
            Source::Text { .. } => format!("{expression} makes it"),
            _ => format!("{expression} prints this value"),
        },
        Act::Skipped { expression, .. } => {
            return format!("{expression} would print this value if it were not empty");
        }
    };
    match (role, is_image && mark.act == Act::Written) {
        (Role::Outranked, true) => format!("{own}; the `images` entries above match its name"),
        (Role::Outranked, false) => format!("{own}, but the place above wins"),
        _ => own,
    }
}

/// Where a field that is not there would go: what is around it.
fn absent(places: &Places<'_>, target: &Traced, field: &Path) -> Vec<Link> {
    let mut around = field.parent();
    while let Some(path) = around {
        if let Some(node) = target.get(&path) {
            let link = |mark: &Mark| Link {
                place: places.of(&mark.source),
                says: None,
                role: Role::Could,
                what: format!("{path} stands here and has no such field"),
            };
            return node.marks.iter().rev().map(link).collect();
        }
        around = path.parent();
    }
    Vec::new()
}
