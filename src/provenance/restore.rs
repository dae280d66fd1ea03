//! The rollback: fields put back to what another commit renders, at their deciding places.

use serde_json::Value;

use crate::manifest::{Edit, Manifest, Path, Step, diff_values_at};
use crate::model::Blocker;

use super::edit::Work;
use super::explain::untold;
use super::files::Files;
use super::outcome::Edited;
use super::traced::{Act, Source, Traced};
use super::want::{Home, Want, in_order};
use super::ways::spot_of;
use super::{Rendering, Subject, rendering};

/// Which fields are put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything below `spec.template`.
    Template,
    /// The images of its containers only.
    Images,
}

/// Puts every field of the scope in which the commit `good` renders otherwise than `now` back, at
/// the place that decides it, with the good file's own text where the same place is there.
///
/// # Errors
/// As [`super::edit`], and when `good` cannot be rendered.
pub fn restore(
    now: &dyn Files,
    good: &dyn Files,
    subject: &Subject<'_>,
    scope: Scope,
) -> Result<Edited, Blocker> {
    let mut work = Work::new(now, subject)?;
    let good_rendering = rendering(good, subject)?;
    let wants = wants(&work.now()?, &good_rendering, scope)?;
    work.aim(&wants);
    for mut want in wants {
        want.home = home(good, &good_rendering, &want.path);
        if back(&mut work, good, &good_rendering, &want)? {
            continue;
        }
        work.make(&want)?;
    }
    work.finish()
}

/// Where a field stands at the bottom of the good commit's files.
fn home(good: &dyn Files, rendering: &Rendering, path: &Path) -> Option<Home> {
    let first = rendering.target.get(path)?.marks.first()?;
    let (file, address, at) = spot_of(&first.source)?;
    let manifest = Manifest::parse_lenient(&*good.text(file)?);
    let place = match manifest.indexed(&address, at)?.last() {
        Some(Step::Index(place)) => Some(*place),
        _ => None,
    };
    Some(Home {
        file: file.to_owned(),
        around: at.parent()?,
        place,
    })
}

fn wants(now: &Rendering, good: &Rendering, scope: Scope) -> Result<Vec<Want>, Blocker> {
    let template = Path::of_keys(["spec", "template"]);
    for rendering in [now, good] {
        if let Some(blocker) = rendering.gap(&template) {
            return Err(blocker.clone());
        }
        let mut unknown = Vec::new();
        if let Some(node) = rendering.target.get(&template) {
            node.unknown(&template, &mut unknown);
        }
        if let Some((path, why)) = unknown.into_iter().find(|(path, _)| in_scope(path, scope)) {
            return Err(untold(&path, &why));
        }
    }
    let value = |rendering: &Rendering| {
        let node = rendering.target.get(&template);
        node.and_then(Traced::value).unwrap_or(Value::Null)
    };
    let (old, new) = (value(now), value(good));
    let changes = diff_values_at(&template, &old, &new)
        .into_iter()
        .filter(|change| in_scope(&change.path, scope))
        .collect();
    Ok(in_order(changes, &template, &new))
}

fn in_scope(path: &Path, scope: Scope) -> bool {
    let image = || match path.steps() {
        [
            ..,
            Step::Key(list),
            Step::Named { .. } | Step::Index(_),
            Step::Key(key),
        ] => key == "image" && matches!(list.as_str(), "containers" | "initContainers"),
        _ => false,
    };
    scope == Scope::Template || image()
}

/// Puts a field back in the good file's own words, where the same place decides it there; false
/// where that cannot be done or does not render as wanted.
fn back(
    work: &mut Work<'_>,
    good: &dyn Files,
    good_rendering: &Rendering,
    want: &Want,
) -> Result<bool, Blocker> {
    if want.value.is_none() {
        return Ok(false);
    }
    let now = work.now()?;
    let (Some(node), Some(theirs)) = (
        now.target.get(&want.path),
        good_rendering.target.get(&want.path),
    ) else {
        return Ok(false);
    };
    let (Some(own), Some(other)) = (node.deciding(), theirs.deciding()) else {
        return Ok(false);
    };
    let sources: Vec<(Source, Source)> = match (&own.act, &other.act) {
        (Act::Image { entry: own, .. }, Act::Image { entry: other, .. }) => {
            let keys = ["newName", "newTag", "digest"].map(|key| Step::Key(key.to_owned()));
            let pair = |key: Step| (own.child(key.clone()), other.child(key));
            keys.into_iter().map(pair).collect()
        }
        (Act::Image { .. }, _) | (_, Act::Image { .. }) => return Ok(false),
        _ => vec![(own.source.clone(), other.source.clone())],
    };
    let texts = work.texts.clone();
    let mut trial = true;
    for (own, other) in &sources {
        trial &= copy(work, good, own, other);
    }
    if trial && work.nearer(&now, want).is_ok() {
        return Ok(true);
    }
    work.texts = texts;
    Ok(false)
}

/// Copies one place's text; a key that the good file lacks is taken away.
fn copy(work: &mut Work<'_>, good: &dyn Files, own: &Source, other: &Source) -> bool {
    let (Some((file, _, at)), Some((good_file, address, good_at))) = (spot_of(own), spot_of(other))
    else {
        return false;
    };
    let Source::File(spot) = own else {
        return false;
    };
    if file != good_file || at != good_at {
        return false;
    }
    let (Some(text), Some(good_text)) = (work.text(file), good.text(good_file)) else {
        return false;
    };
    let (own, from) = (
        Manifest::parse_lenient(text),
        Manifest::parse_lenient(&*good_text),
    );
    let here = own.value(&spot.address, at);
    let there = from.value(&address, good_at);
    let edit = match (&here, &there) {
        (_, Some(_)) if here != there => Edit::Restore {
            path: at.clone(),
            from: &from,
            from_address: address,
        },
        (Some(_), None) => Edit::Remove { path: at.clone() },
        _ => return true,
    };
    work.splice(spot, &edit).is_ok()
}
