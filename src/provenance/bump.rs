//! A published subchart's version that is put back: what it renders comes back with it.

use serde_json::Value;

use crate::manifest::{Address, Edit, Manifest, Path, Step, diff_values};
use crate::model::Blocker;

use super::Subject;
use super::edit::Work;
use super::files::{Files, join};
use super::outcome::Edited;
use super::repin::moved;

/// Makes the target this object with the subcharts at the versions of an earlier commit. `None`
/// where no version differs.
pub(super) fn versions_back(
    (files, subject): (&dyn Files, &Subject<'_>),
    good: &dyn Files,
    object: &Value,
) -> Option<Result<Edited, Blocker>> {
    let at = |name: &str| join(subject.folder, name).unwrap_or_default();
    let (chart, lock) = (at("Chart.yaml"), at("Chart.lock"));
    let (now, then) = (files.text(&chart)?, good.text(&chart)?);
    let edits = version_edits(&now, &then);
    let (own_lock, good_lock) = (files.text(&lock), good.text(&lock));
    if edits.is_empty() && own_lock == good_lock {
        return None;
    }
    let edited = Manifest::parse_lenient(&*now).edit(&Address::document(0), &edits);
    let edited = edited.ok()?;
    let attempt = || {
        let mut work = Work::new(files, subject)?;
        let asked = diff_values(work.goal(), object);
        work.texts.insert(chart, edited.text);
        // Helm writes it, as a whole.
        if let (Some(_), Some(good)) = (own_lock, good_lock) {
            work.texts.insert(lock, good.to_string());
        }
        work.start_from_here()?;
        moved(work, &asked, object)
    };
    Some(attempt())
}

/// The versions that differ, of dependencies that both have.
fn version_edits(now: &str, then: &str) -> Vec<Edit<'static>> {
    let read = |text: &str| {
        let list = Path::of_keys(["dependencies"]);
        let value = Manifest::parse_lenient(text).value(&Address::document(0), &list);
        let items = value.and_then(|value| value.as_array().cloned());
        items.unwrap_or_default()
    };
    let then = read(then);
    let mut edits = Vec::new();
    for (place, own) in read(now).iter().enumerate() {
        let other = then
            .iter()
            .find(|other| ["name", "alias"].iter().all(|key| other[*key] == own[*key]));
        let version = other.map(|other| &other["version"]);
        if let Some(version) = version.filter(|version| **version != own["version"]) {
            let path = Path::of_keys(["dependencies"]);
            edits.push(Edit::Set {
                path: path.child(Step::Index(place)).key("version"),
                value: version.clone(),
            });
        }
    }
    edits
}
