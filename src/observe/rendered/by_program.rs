//! What Argo CD's own programs render of a commit's files, where they are on the `PATH`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::super::Clients;
use super::files::CommitFiles;
use super::opened;
use crate::git::{GitError, Repository, RepositoryPath};
use crate::manifest::{Manifest, Path};
use crate::model::{CommitId, Observation, Recipe, lies_in};
use crate::programs::{Laid, Programs};
use crate::provenance::{self, Files, Subject};

/// Files that a commit would change: their new texts, `None` where they go.
pub type Changed = BTreeMap<String, Option<String>>;

/// What a program renders without and with a change.
#[derive(Debug)]
pub struct Both {
    /// The program with its version.
    pub by: String,
    /// The objects of the tip.
    pub before: Vec<Value>,
    /// The objects of the tip with the change.
    pub after: Vec<Value>,
    /// Objects that are rendered otherwise each time, as KIND/NAME: a generated certificate, a
    /// random password.
    pub unstable: Vec<String>,
}

/// Why there is no [`Both`].
#[derive(Debug, PartialEq, Eq)]
pub enum Unrendered {
    /// Nothing is known by it: there is no program, or today's files are not rendered either.
    Unknown(String),
    /// Today's files are rendered, the changed ones are not.
    Refused(String),
}

/// Has the source's own program render the tip with and without a change. `None` where no program
/// renders the target.
pub async fn render_both(
    clients: &Clients,
    (observation, repository): (&Observation, &RepositoryPath),
    changed: Changed,
) -> Option<Result<Both, Unrendered>> {
    let git = observation.git.as_ref()?;
    git.rendered.as_ref()?;
    let (observation, repository) = (observation.clone(), repository.clone());
    let programs = clients.programs.clone();
    let prepared = tokio::task::spawn_blocking(move || {
        let before = prepare(&programs, (&observation, &repository), &Changed::new());
        let after = prepare(&programs, (&observation, &repository), &changed);
        (before, after)
    });
    let (before, after) = match prepared.await {
        Ok((Ok(Some(before)), Ok(Some(after)))) => (before, after),
        Ok((Ok(None), _) | (_, Ok(None))) => return None,
        Ok((Err(why), _) | (_, Err(why))) => return Some(Err(Unrendered::Unknown(why))),
        Err(_) => return Some(Err(Unrendered::Unknown("it was interrupted".to_owned()))),
    };
    let program = before.0.program;
    let programs = &clients.programs;
    let (version, printed, after) = tokio::join!(
        programs.version(program),
        objects(programs, &before),
        objects(programs, &after)
    );
    let printed = match printed {
        Ok(printed) => printed,
        Err(why) => return Some(Err(Unrendered::Unknown(why))),
    };
    let after = match after {
        Ok(after) => after,
        Err(why) => return Some(Err(Unrendered::Refused(why))),
    };
    // Where more than one object differs, some may do so whatever is in the files.
    let unstable = match differing(&printed, &after).len() {
        0 | 1 => Vec::new(),
        _ => match objects(programs, &before).await {
            Ok(again) => differing(&printed, &again),
            Err(why) => return Some(Err(Unrendered::Unknown(why))),
        },
    };
    let version = version.unwrap_or_default();
    Some(Ok(Both {
        by: format!("{program} {version}").trim_end().to_owned(),
        before: printed,
        after,
        unstable,
    }))
}

/// The objects of the first list that the second has otherwise or not at all, as KIND/NAME.
fn differing(one: &[Value], other: &[Value]) -> Vec<String> {
    let text = |object: &Value, pointer: &str| {
        let found = object.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    let missing = one.iter().filter(|object| !other.contains(object));
    let name = |object: &Value| {
        format!(
            "{}/{}",
            text(object, "/kind"),
            text(object, "/metadata/name")
        )
    };
    missing.map(name).collect()
}

/// The recipe of the tip with a change, and the files laid out for it.
fn prepare(
    programs: &Programs,
    (observation, path): (&Observation, &RepositoryPath),
    changed: &Changed,
) -> Result<Option<(Recipe, Laid)>, String> {
    let (Some(git), words) = (&observation.git, |error: GitError| error.to_string()) else {
        return Ok(None);
    };
    let Some(rendered) = &git.rendered else {
        return Ok(None);
    };
    let repository = path.open().map_err(words)?;
    let others = opened(&repository, &rendered.elsewhere).map_err(words)?;
    let target = observation.target.object();
    let subject = Subject::seen(observation, &target, &rendered.sourcing);
    lay(
        (programs, changed),
        (&repository, &git.tip),
        &others,
        &subject,
    )
}

/// A recipe and its files, where the program is there.
pub(super) fn lay(
    (programs, changed): (&Programs, &Changed),
    (repository, commit): (&Repository, &CommitId),
    others: &[(Repository, crate::model::Elsewhere)],
    subject: &Subject<'_>,
) -> Result<Option<(Recipe, Laid)>, String> {
    let files = CommitFiles::at((repository, commit), others);
    let recipe = provenance::recipe(
        &WithChange {
            below: &files,
            changed,
        },
        subject,
    )?;
    let Some(recipe) = recipe else {
        return Ok(None);
    };
    if !programs.has(recipe.program) {
        return Err(format!("{} is not on the PATH", recipe.program));
    }
    let laid = laid_out(&files, changed, &recipe)?;
    Ok(Some((recipe, laid)))
}

fn laid_out(files: &CommitFiles<'_>, changed: &Changed, recipe: &Recipe) -> Result<Laid, String> {
    let mut laid = Laid::new(recipe).map_err(|error| error.to_string())?;
    let instead = |path: &str| recipe.texts.iter().any(|(own, _)| own == path);
    for folder in &recipe.folders {
        for file in files.below(folder).map_err(|error| error.to_string())? {
            if changed.contains_key(&file.path) || instead(&file.path) {
                continue;
            }
            let bytes = files.bytes(&file).map_err(|error| error.to_string())?;
            let put = laid.put(&file.path, &bytes);
            put.map_err(|error| error.to_string())?;
        }
    }
    for (from, to) in &recipe.copies {
        for file in files.below(from).map_err(|error| error.to_string())? {
            let bytes = files.bytes(&file).map_err(|error| error.to_string())?;
            let below = file.path.strip_prefix(from.as_str()).unwrap_or(&file.path);
            let put = laid.put(&format!("{to}/{below}"), &bytes);
            put.map_err(|error| error.to_string())?;
        }
    }
    let new = changed.iter().filter(|(path, _)| !instead(path));
    let new = new.filter_map(|(path, text)| Some((path, text.as_ref()?)));
    let texts = recipe.texts.iter().map(|(path, text)| (path, text));
    for (path, text) in new.chain(texts) {
        if recipe.folders.iter().any(|folder| lies_in(path, folder)) {
            let put = laid.put(path, text.as_bytes());
            put.map_err(|error| error.to_string())?;
        }
    }
    Ok(laid)
}

/// The objects that a program prints.
pub(super) async fn objects(
    programs: &Programs,
    (recipe, laid): &(Recipe, Laid),
) -> Result<Vec<Value>, String> {
    let printed = programs.render(recipe, laid).await;
    let printed = printed.map_err(|error| error.to_string())?;
    let manifest = Manifest::parse_lenient(printed);
    if let Some(error) = manifest.documents().iter().find_map(|d| d.error()) {
        return Err(format!("{} prints no YAML: {error}", recipe.program));
    }
    let objects = manifest.objects();
    let values = objects
        .iter()
        .filter_map(|object| manifest.value(&object.address, &Path::default()));
    Ok(values.collect())
}

/// The files of a commit with a change.
struct WithChange<'a> {
    below: &'a dyn Files,
    changed: &'a Changed,
}

impl Files for WithChange<'_> {
    fn text(&self, path: &str) -> Option<Arc<str>> {
        match self.changed.get(path) {
            Some(text) => text.as_deref().map(Arc::from),
            None => self.below.text(path),
        }
    }

    fn list(&self, folder: &str) -> Vec<String> {
        let mut names = self.below.list(folder);
        for (path, text) in self.changed {
            let (above, name) = match path.rsplit_once('/') {
                Some((above, name)) => (above, name),
                None => ("", path.as_str()),
            };
            if above.trim_end_matches('/') != folder.trim_end_matches('/') {
                continue;
            }
            names.retain(|known| known != name);
            names.extend(text.as_ref().map(|_| name.to_owned()));
        }
        names.sort();
        names
    }
}
