//! Fields put back to what another commit renders, in its own words.

use crate::manifest::{Edit, Manifest, Path, Step};
use crate::model::Blocker;

use super::edit::Work;
use super::files::Files;
use super::traced::{Act, Source, Traced};
use super::want::{Home, Want};
use super::ways::spot_of;
use super::{Rendering, Subject, rendering};

/// The commit that fields are put back to.
pub(super) struct Good<'a> {
    files: &'a dyn Files,
    rendering: Rendering,
}

impl<'a> Good<'a> {
    /// `None` where it cannot be rendered: its words are not known then.
    pub(super) fn new(files: &'a dyn Files, subject: &Subject<'_>) -> Option<Self> {
        let rendering = rendering(files, subject).ok()?;
        Some(Self { files, rendering })
    }

    /// Puts a field back with the good file's own text, where the same place is there and decides;
    /// false where that cannot be done or does not render as wanted.
    pub(super) fn put_back(&self, work: &mut Work<'_>, want: &mut Want) -> Result<bool, Blocker> {
        let there = self.rendering.target.get(&want.path);
        if there.and_then(Traced::value) != want.value {
            return Ok(false);
        }
        want.home = home(self.files, &self.rendering, &want.path);
        back(work, self.files, &self.rendering, want)
    }
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
