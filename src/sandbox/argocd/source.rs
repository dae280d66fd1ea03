//! The repo-server: resolves what an Application follows to a commit, and renders the manifests
//! of that commit.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use git2::{ObjectType, Repository, Tree};
use globset::{Glob, GlobMatcher};
use serde_json::{Value, json};

use super::TRACKING_ID;
use super::charts;
use super::revisions::{Commits, is_several, sources};
use crate::model::{Application, Capabilities, Pinned, Sourcing};
use crate::provenance::{chart_address, objects, published, root};
use crate::sandbox::api::discovery::GIT_VERSION;
use crate::sandbox::json::{flag, set, text};
use crate::sandbox::kinds::{by_manifest, groups};
use crate::sandbox::manifests;
use crate::sandbox::world::World;

/// What every source of an Application means now.
pub(crate) fn resolve_all(world: &World, app: &Value) -> Result<Commits, String> {
    let own = sources(&app["spec"]);
    let one = |source: &Value| resolve(world, source, text(source, "/targetRevision"));
    let all: Result<Vec<String>, String> = own.iter().map(one).collect();
    Ok(Commits::new(all?, is_several(&app["spec"])))
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

/// The name of the repository behind a URL of the sandbox's Git server.
pub(crate) fn repository_name(world: &World, url: &str) -> Result<String, String> {
    let path = repository_path(world, url)?;
    let name = path.file_stem().unwrap_or_default();
    Ok(name.to_string_lossy().into_owned())
}

/// The commit that a revision of the source means now.
pub(crate) fn resolve(world: &World, source: &Value, wanted: &str) -> Result<String, String> {
    if charts::is_chart(source) {
        return charts::resolve(wanted);
    }
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

/// What was rendered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manifests {
    /// The objects, with namespace and tracking id set.
    pub(crate) objects: Vec<Value>,
    /// What rendered each source: `Directory`, `Kustomize`, `Helm`; empty for one that only lends
    /// its files.
    pub(crate) types: Vec<String>,
}

/// The objects of an Application at its sources' commits.
pub(crate) fn render(
    world: &World,
    app: &Value,
    own: &[Value],
    commits: &Commits,
) -> Result<Manifests, String> {
    let mut out = Manifests::default();
    for (at, source) in own.iter().enumerate() {
        let fail = |message: String| {
            format!(
                "Failed to load target state: failed to generate manifest for source {} of {}: \
                 rpc error: code = Unknown desc = {message}",
                at + 1,
                own.len()
            )
        };
        let lends = ["/path", "/chart"]
            .iter()
            .all(|field| text(source, field).is_empty());
        if lends && !text(source, "/ref").is_empty() {
            out.types.push(String::new());
            continue;
        }
        let (objects, kind) = one(world, (app, own, at), commits).map_err(fail)?;
        out.objects.extend(objects);
        out.types.push(kind.to_owned());
    }
    let namespace = text(app, "/spec/destination/namespace");
    let name = text(app, "/metadata/name");
    for object in &mut out.objects {
        track(object, name, namespace);
    }
    Ok(out)
}

/// The objects of one source as they stand in its files, without what Argo CD sets on them.
pub(crate) fn render_plain(
    world: &World,
    app: &Value,
    source: &Value,
    commits: &Commits,
) -> Result<Vec<Value>, String> {
    let own = std::slice::from_ref(source);
    one(world, (app, own, 0), commits).map(|(objects, _)| objects)
}

type Of<'a> = (&'a Value, &'a [Value], usize);

fn one(
    world: &World,
    (app, own, at): Of<'_>,
    commits: &Commits,
) -> Result<(Vec<Value>, &'static str), String> {
    let source = &own[at];
    if charts::is_chart(source) {
        let objects = rendered(world, (app, own, at), commits)?;
        return Ok((objects, "Helm"));
    }
    let repository = repository(world, source)?;
    let root = tree(&repository, commits.get(at))?;
    if let Some(kind) = tool(&root, source) {
        let objects = rendered(world, (app, own, at), commits)?;
        return Ok((objects, kind));
    }
    let mut plain = Vec::new();
    for (path, text) in files(&repository, source, commits.get(at))? {
        plain.extend(objects_of(&path, &text)?);
    }
    Ok((plain, "Directory"))
}

fn tree<'r>(repository: &'r Repository, commit: &str) -> Result<Tree<'r>, String> {
    let missing = |e: git2::Error| format!("failed to checkout {commit}: {}", e.message());
    let object = repository.revparse_single(commit).map_err(missing)?;
    object.peel_to_tree().map_err(missing)
}

fn folder_of(source: &Value) -> String {
    let path = text(source, "/path").trim_matches('/');
    let path = path.trim_start_matches("./");
    if path == "." { "" } else { path }.to_owned()
}

/// What renders a folder that is not plain.
fn tool(root: &Tree<'_>, source: &Value) -> Option<&'static str> {
    const MARKS: [(&str, &str); 4] = [
        ("kustomization.yaml", "Kustomize"),
        ("kustomization.yml", "Kustomize"),
        ("Kustomization", "Kustomize"),
        ("Chart.yaml", "Helm"),
    ];
    let folder = folder_of(source);
    let at = |name: &str| match folder.as_str() {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    };
    let there = |name: &str| root.get_path(at(name).as_ref()).is_ok();
    MARKS
        .iter()
        .find(|(name, _)| there(name))
        .map(|(_, kind)| *kind)
}

/// The objects of a kustomization or a chart, by unship's own reading of them: no program for
/// either is part of the sandbox. What a real Argo CD makes of the same folder, the scenarios
/// tell on a real one.
fn rendered(
    world: &World,
    (app, own, at): Of<'_>,
    commits: &Commits,
) -> Result<Vec<Value>, String> {
    let mut files = BTreeMap::new();
    let pinned = charts::is_chart(&own[at]).then(|| Pinned {
        repository: text(&own[at], "/chart").to_owned(),
        what: "a chart version",
        revisions: Vec::new(),
    });
    let here = pinned.as_ref().map_or_else(String::new, |pinned| {
        root(&format!("{}@{}", pinned.repository, commits.get(at)))
    });
    read(world, (&own[at], commits.get(at)), &here, &mut files)?;
    let mut references = BTreeMap::new();
    for (place, lent) in own.iter().enumerate() {
        let name = text(lent, "/ref");
        if !name.is_empty() {
            let there = root(name);
            read(world, (lent, commits.get(place)), &there, &mut files)?;
            references.insert(name.to_owned(), there);
        }
    }
    let folder = folder_of(&own[at]);
    for chart in published(&files, &folder) {
        let address = chart_address(&chart.repository, &chart.name);
        let there = root(&format!("{address}@{}", chart.version));
        let named = json!({"repoURL": chart.repository, "chart": chart.name});
        charts::read((&named, &chart.version), &there, &mut files)?;
    }
    let sourcing = Sourcing {
        folder,
        instance: text(app, "/metadata/name").to_owned(),
        references,
        pinned,
        capabilities: Some(capabilities()),
        ..Sourcing::default()
    };
    let mut asked = app.clone();
    if let Some(spec) = asked["spec"].as_object_mut() {
        // An operation may have sources of its own.
        spec.remove("source");
        spec.remove("sourceHydrator");
        spec.insert("sources".to_owned(), json!(own));
    }
    let application = Application::from_json(&asked)?;
    objects(&files, (&application, at), &sourcing).map_err(|blocker| blocker.message)
}

/// What the cluster serves, as the repo-server is told it.
fn capabilities() -> Capabilities {
    let groups = groups().into_iter();
    let versions = groups.map(|(group, version)| format!("{group}/{version}"));
    Capabilities {
        kube_version: GIT_VERSION.to_owned(),
        api_versions: versions.chain(["v1".to_owned()]).collect(),
    }
}

/// Reads all files of a source's repository, behind a root.
pub(super) fn read(
    world: &World,
    (source, commit): (&Value, &str),
    root: &str,
    files: &mut BTreeMap<String, Arc<str>>,
) -> Result<(), String> {
    if charts::is_chart(source) {
        return charts::read((source, commit), root, files);
    }
    let repository = repository(world, source)?;
    let tree = tree(&repository, commit)?;
    tree.walk(git2::TreeWalkMode::PreOrder, |prefix, entry| {
        let blob = entry
            .to_object(&repository)
            .ok()
            .and_then(|o| o.into_blob().ok());
        if let Some(text) = blob.and_then(|blob| String::from_utf8(blob.content().to_vec()).ok()) {
            let name = String::from_utf8_lossy(entry.name_bytes());
            files.insert(format!("{root}{prefix}{name}"), Arc::from(text));
        }
        git2::TreeWalkResult::Ok
    })
    .map_err(|e| e.message().to_owned())
}

fn files(
    repository: &Repository,
    source: &Value,
    commit: &str,
) -> Result<Vec<(String, String)>, String> {
    let root = tree(repository, commit)?;
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
