//! The repo-server: resolves what an Application follows to a commit, and renders the manifests
//! of that commit.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use git2::{ObjectType, Repository, Tree};
use globset::{Glob, GlobMatcher};
use serde_json::{Value, json};

use super::TRACKING_ID;
use crate::model::Application;
use crate::provenance::objects;
use crate::sandbox::json::{flag, set, text};
use crate::sandbox::kinds::by_manifest;
use crate::sandbox::manifests;
use crate::sandbox::world::World;

/// The source of an Application: `spec.source`, or the only one of `spec.sources`.
pub(crate) fn source_of(app: &Value) -> Value {
    match app.pointer("/spec/sources/0") {
        Some(first) => first.clone(),
        None => app.pointer("/spec/source").cloned().unwrap_or(Value::Null),
    }
}

fn repository(world: &World, source: &Value) -> Result<Repository, String> {
    let path = repository_path(world, text(source, "/repoURL"))?;
    Repository::open_bare(&path).map_err(|e| {
        format!(
            "rpc error: code = Unknown desc = failed to list refs: repository not found: {}",
            e.message()
        )
    })
}

/// The bare repository behind a URL of the sandbox's Git server.
fn repository_path(world: &World, url: &str) -> Result<PathBuf, String> {
    let base = world.git_url.get().map_or("", String::as_str);
    let name = url
        .strip_prefix(base)
        .map(|n| n.trim_start_matches('/').trim_end_matches('/'));
    match name {
        Some(name) if !name.is_empty() && !name.contains("..") && !base.is_empty() => {
            let name = name.trim_end_matches(".git");
            Ok(world.git_root.join(format!("{name}.git")))
        }
        _ => Err(format!(
            "rpc error: code = Unknown desc = failed to list refs: Get \"{url}/info/refs\": the \
             sandbox serves repositories under {base} only"
        )),
    }
}

/// The commit that a revision of the source means now.
pub(crate) fn resolve(world: &World, source: &Value, wanted: &str) -> Result<String, String> {
    if wanted.len() == 40 && wanted.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(wanted.to_owned());
    }
    let repository = repository(world, source)?;
    let name = if wanted.is_empty() { "HEAD" } else { wanted };
    for spec in [
        format!("refs/heads/{name}"),
        format!("refs/tags/{name}"),
        name.to_owned(),
    ] {
        if let Ok(object) = repository.revparse_single(&spec)
            && let Ok(commit) = object.peel(ObjectType::Commit)
        {
            return Ok(commit.id().to_string());
        }
    }
    Err(format!(
        "rpc error: code = Unknown desc = unable to resolve '{name}' to a commit SHA"
    ))
}

/// Author, date and message of a commit.
pub(crate) fn commit_metadata(
    world: &World,
    source: &Value,
    commit: &str,
) -> Result<Value, String> {
    let repository = repository(world, source)?;
    let object = repository
        .revparse_single(commit)
        .map_err(|e| e.message().to_owned())?;
    let commit = object
        .peel_to_commit()
        .map_err(|e| e.message().to_owned())?;
    let author = commit.author();
    let name = String::from_utf8_lossy(author.name_bytes()).into_owned();
    let mail = String::from_utf8_lossy(author.email_bytes()).into_owned();
    let date = jiff::Timestamp::from_second(commit.time().seconds()).unwrap_or_default();
    Ok(
        json!({"author": format!("{name} <{mail}>"), "date": crate::sandbox::json::seconds(date),
        "message": String::from_utf8_lossy(commit.message_bytes())}),
    )
}

/// The objects of an Application at a commit, with namespace and tracking id set.
pub(crate) fn render(
    world: &World,
    app: &Value,
    source: &Value,
    commit: &str,
) -> Result<Vec<Value>, String> {
    let fail = |message: String| {
        format!(
            "Failed to load target state: failed to generate manifest for source 1 of 1: rpc \
             error: code = Unknown desc = {message}"
        )
    };
    let repository = repository(world, source).map_err(&fail)?;
    let mut out = match rendered(&repository, (app, source), commit).map_err(&fail)? {
        Some(objects) => objects,
        None => {
            let mut plain = Vec::new();
            for (path, text) in files(&repository, source, commit).map_err(&fail)? {
                plain.extend(objects_of(&path, &text).map_err(&fail)?);
            }
            plain
        }
    };
    let namespace = text(app, "/spec/destination/namespace");
    let name = text(app, "/metadata/name");
    for object in &mut out {
        track(object, name, namespace);
    }
    Ok(out)
}

/// The objects of a kustomization or a chart, by unship's own reading of them: no program for
/// either is part of the sandbox. What a real Argo CD makes of the same folder, the scenarios
/// tell on a real one. `None` for a plain folder.
fn rendered(
    repository: &Repository,
    (app, source): (&Value, &Value),
    commit: &str,
) -> Result<Option<Vec<Value>>, String> {
    let path = text(source, "/path").trim_matches('/');
    let folder = if path == "." { "" } else { path };
    let at = |name: &str| match folder {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    };
    let failed = |e: git2::Error| e.message().to_owned();
    let object = repository.revparse_single(commit).map_err(failed)?;
    let root = object.peel_to_tree().map_err(failed)?;
    let marks = [
        "kustomization.yaml",
        "kustomization.yml",
        "Kustomization",
        "Chart.yaml",
    ];
    if !marks
        .iter()
        .any(|name| root.get_path(at(name).as_ref()).is_ok())
    {
        return Ok(None);
    }
    let mut files = BTreeMap::new();
    root.walk(git2::TreeWalkMode::PreOrder, |prefix, entry| {
        let blob = entry
            .to_object(repository)
            .ok()
            .and_then(|o| o.into_blob().ok());
        if let Some(text) = blob.and_then(|blob| String::from_utf8(blob.content().to_vec()).ok()) {
            let name = String::from_utf8_lossy(entry.name_bytes());
            files.insert(format!("{prefix}{name}"), Arc::from(text));
        }
        git2::TreeWalkResult::Ok
    })
    .map_err(failed)?;
    objects(&files, &Application::from_json(app)?, folder)
        .map(Some)
        .map_err(|blocker| blocker.message)
}

fn files(
    repository: &Repository,
    source: &Value,
    commit: &str,
) -> Result<Vec<(String, String)>, String> {
    let missing = |e: git2::Error| format!("failed to checkout {commit}: {}", e.message());
    let object = repository.revparse_single(commit).map_err(missing)?;
    let root = object.peel_to_tree().map_err(missing)?;
    let path = text(source, "/path").trim_matches('/');
    let tree = if path.is_empty() || path == "." {
        root
    } else {
        let entry = root.get_path(path.as_ref());
        let found = entry
            .and_then(|e| e.to_object(repository))
            .and_then(|o| o.peel_to_tree());
        found.map_err(|_| format!("{path}: app path does not exist"))?
    };
    let directory = source.get("directory").cloned().unwrap_or(Value::Null);
    let matcher = |field: &str| -> Result<Option<GlobMatcher>, String> {
        let pattern = directory.get(field).and_then(Value::as_str).unwrap_or("");
        if pattern.is_empty() {
            return Ok(None);
        }
        let glob = Glob::new(pattern).map_err(|e| e.to_string())?;
        Ok(Some(glob.compile_matcher()))
    };
    let walk = Walk {
        repository,
        recurse: flag(&directory, "/recurse"),
        include: matcher("include")?,
        exclude: matcher("exclude")?,
    };
    let mut out = Vec::new();
    walk.tree(&tree, "", &mut out)?;
    out.sort();
    Ok(out)
}

struct Walk<'a> {
    repository: &'a Repository,
    recurse: bool,
    include: Option<GlobMatcher>,
    exclude: Option<GlobMatcher>,
}

impl Walk<'_> {
    fn tree(
        &self,
        tree: &Tree<'_>,
        prefix: &str,
        out: &mut Vec<(String, String)>,
    ) -> Result<(), String> {
        for entry in tree {
            let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
            let path = format!("{prefix}{name}");
            let object = entry
                .to_object(self.repository)
                .map_err(|e| e.message().to_owned())?;
            if let Some(inner) = object.as_tree() {
                if self.recurse {
                    self.tree(inner, &format!("{path}/"), out)?;
                }
                continue;
            }
            let manifest = [".yaml", ".yml", ".json"]
                .iter()
                .any(|end| name.ends_with(end));
            let excluded = self.exclude.as_ref().is_some_and(|g| g.is_match(&path));
            let included = self.include.as_ref().is_none_or(|g| g.is_match(&path));
            if let (true, false, true, Some(blob)) =
                (manifest, excluded, included, object.as_blob())
            {
                out.push((path, String::from_utf8_lossy(blob.content()).into_owned()));
            }
        }
        Ok(())
    }
}

/// A file that cannot be parsed is an error only if it looks like a manifest, as upstream.
fn objects_of(path: &str, text: &str) -> Result<Vec<Value>, String> {
    let looks = |words: &str| text.lines().any(|l| l.trim_start().starts_with(words));
    let looks_like_manifest = looks("apiVersion:") && looks("kind:") && looks("metadata:");
    let found = match manifests::parse_all(text) {
        Ok(found) => found,
        Err(_) if !looks_like_manifest => return Ok(Vec::new()),
        Err(error) => {
            let first = error.lines().next().unwrap_or("");
            return Err(format!("Failed to unmarshal \"{path}\": {first}"));
        }
    };
    Ok(found
        .into_iter()
        .filter(|o| o.get("apiVersion").is_some() && o.get("kind").is_some())
        .filter(|o| !crate::sandbox::json::text(o, "/metadata/name").is_empty())
        .collect())
}

fn track(object: &mut Value, app: &str, namespace: &str) {
    let namespaced = by_manifest(object).is_none_or(|k| k.namespaced);
    if namespaced && text(object, "/metadata/namespace").is_empty() {
        set(object, &["metadata", "namespace"], json!(namespace));
    }
    let id = tracking_id(object, app);
    set(object, &["metadata", "annotations", TRACKING_ID], json!(id));
}

/// `<app>:<group>/<Kind>:<namespace>/<name>` of an object itself.
pub(crate) fn tracking_id(object: &Value, app: &str) -> String {
    let (group, _) = crate::sandbox::kinds::split_api_version(text(object, "/apiVersion"));
    format!(
        "{app}:{group}/{}:{}/{}",
        text(object, "/kind"),
        text(object, "/metadata/namespace"),
        text(object, "/metadata/name")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracking_ids_have_the_upstream_form() {
        let mut service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}});
        track(&mut service, "app", "ns");
        assert_eq!(
            service["metadata"]["annotations"][TRACKING_ID],
            "app:/Service:ns/s"
        );
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "d", "namespace": "n"}});
        assert_eq!(tracking_id(&deployment, "app"), "app:apps/Deployment:n/d");
    }

    #[test]
    fn only_what_looks_like_a_manifest_can_break_rendering() {
        assert!(objects_of("notes.yaml", "a: [").unwrap().is_empty());
        let broken = "apiVersion: v1\nkind: Service\nmetadata:\n  name: [\n";
        assert!(objects_of("x.yml", broken).unwrap_err().contains("x.yml"));
    }
}
