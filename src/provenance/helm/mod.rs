//! Helm charts in the repository, without helm: simple templates are run here, and every value
//! that they print keeps its places. What a template does beyond that makes its field unknown.

mod data;
mod dependencies;
mod eval;
mod functions;
mod objects;
mod parse;
mod rope;
mod scope;
pub(super) mod template;
mod texts;
mod values;
mod versions;

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use crate::manifest::Path;
use crate::model::{Blocker, Capabilities};

use super::files::{Reader, join, normal};
use super::place::Places;
use super::source::Parameters;
use super::traced::{Body, Traced};
use super::{Gap, Rendering, Subject, Tool, pick};

pub use dependencies::{Published, chart_address, is_exact, published};

use dependencies::{Dependency, dependencies};
use eval::{Library, Run, Val};
use parse::Node;
use rope::Rope;
use scope::Scope;
pub(super) use values::Given;
use values::{broken, empty, over};

/// A chart, its values and those of its subcharts settled.
struct Chart {
    folder: String,
    /// What helm puts before the names of its templates: `web`, `web/charts/redis`.
    path: String,
    metadata: Traced,
    values: Traced,
    subcharts: Vec<Self>,
}

impl Chart {
    /// The name that helm has for the template in a file.
    fn template_name(&self, file: &str) -> String {
        let own = file.strip_prefix(self.folder.as_str()).unwrap_or(file);
        format!("{}/{}", self.path, own.trim_start_matches('/'))
    }
}

pub(super) fn render(
    reader: &Reader<'_>,
    places: &Places<'_>,
    parameters: &Parameters,
    subject: &Subject<'_>,
) -> Result<Rendering, Blocker> {
    if let Some(blocker) = registry(places, subject) {
        return Err(blocker);
    }
    let given = Given {
        reader,
        places,
        subject,
        section: parameters.section("helm"),
    };
    let folder = normal(subject.folder);
    let mut gaps = Vec::new();
    let own = values::file(reader, &path_in(&folder, "Chart.yaml"))?
        .ok_or_else(|| broken(format!("{folder:?}"), "there is no Chart.yaml"))?;
    let defaults = values::file(reader, &path_in(&folder, "values.yaml"))?;
    let values = over(defaults.unwrap_or_else(empty), &given.values()?);
    let path = own.text_at(&["name"]).unwrap_or_default().to_owned();
    let chart = chart(reader, (&folder, path), own, values, &mut gaps)?;
    let release = Release::of(&given);
    let mut library = Library::default();
    let mut templates = Vec::new();
    collect(reader, &chart, &mut library, &mut templates, &mut gaps);
    // In helm's order (`engine.sortTemplates`), as templates change values for those after them.
    templates.sort_by_key(|(chart, file, _)| {
        let name = chart.template_name(file);
        std::cmp::Reverse((name.matches('/').count(), name))
    });
    let mut objects = Vec::new();
    for (chart, file, nodes) in &templates {
        let run = Run {
            library: &library,
            file: file.clone(),
            depth: 0,
            inside: None,
        };
        let mut rope = Rope::default();
        let dot = release.dot(chart, file);
        let done = run.nodes(nodes, &mut Scope::new(Val::of(dot)), &mut rope);
        let done = match library.broken.borrow().clone() {
            Some(why) => Err(why),
            None => done,
        };
        let read = done.and_then(|_| objects::read(&rope));
        match read {
            Ok(found) => found.into_iter().for_each(|object| {
                if let Some(gap) = unnamed(&object, file, subject) {
                    gaps.push(gap);
                }
                objects.push(object);
            }),
            Err(why) if mentions(reader, file, &subject.target.kind) => gaps.push(gap(file, &why)),
            Err(_) => {}
        }
    }
    if objects
        .iter()
        .any(|object| super::is_target(object, subject.target))
    {
        gaps.clear();
    }
    pick(objects, subject, Tool::Helm, gaps)
}

fn path_in(folder: &str, name: &str) -> String {
    join(folder, name).unwrap_or_default()
}

fn mentions(reader: &Reader<'_>, file: &str, word: &str) -> bool {
    reader
        .manifest(file)
        .is_some_and(|manifest| manifest.text().contains(word))
}

fn gap(file: &str, why: &str) -> Gap {
    Gap {
        blocker: Blocker::new(
            "values-computed",
            format!("{file} cannot be followed: {why}"),
            "change the value by hand, and check with `helm template`",
        ),
        reach: Path::default(),
    }
}

/// An object whose name is not known could be the target.
fn unnamed(object: &Traced, file: &str, subject: &Subject<'_>) -> Option<Gap> {
    let kind = object.text_at(&["kind"]);
    let name = object
        .key("metadata")
        .and_then(|metadata| metadata.key("name"));
    let why = match name.map(|name| &name.body)? {
        Body::Unknown(why) => why,
        Body::Digest(digest) => &*digest.why,
        Body::Scalar(_) | Body::List(_) | Body::Map(_) => return None,
    };
    let may_be = kind.is_none_or(|kind| kind == subject.target.kind);
    may_be.then(|| gap(file, &format!("its name depends on {why}")))
}

/// A chart from a Helm or OCI registry whose files are not here.
fn registry(places: &Places<'_>, subject: &Subject<'_>) -> Option<Blocker> {
    let application = subject.application?;
    let source = application.sources.get(subject.source)?;
    if source.chart.is_empty() || subject.pinned.is_some() {
        return None;
    }
    let field = match application.sources.len() {
        0 | 1 => "spec.source".to_owned(),
        _ => format!("spec.sources[{}]", subject.source),
    };
    let place = places.of(&super::traced::Source::Application(field));
    Some(Blocker::new(
        "helm-chart",
        format!(
            "{place} deploys chart {} {} from {}",
            source.chart,
            source.target_revision,
            crate::model::mask_url(&source.repo_url)
        ),
        "change targetRevision or the values there",
    ))
}

fn chart(
    reader: &Reader<'_>,
    (folder, path): (&str, String),
    metadata: Traced,
    mut values: Traced,
    gaps: &mut Vec<Gap>,
) -> Result<Chart, Blocker> {
    let mut subcharts = Vec::new();
    for own in dependencies(reader, folder, (&metadata, &values), gaps)? {
        let Dependency {
            key,
            folder: sub,
            metadata,
        } = own;
        let defaults = values::file(reader, &path_in(&sub, "values.yaml"))?;
        let mut own = defaults.unwrap_or_else(empty);
        if let Some(given) = values.key(&key) {
            own = over(own, given);
        }
        if let (Some(global), Some(fields)) = (values.key("global").cloned(), own.fields_mut()) {
            let below = fields.remove("global").unwrap_or_else(empty);
            fields.insert("global".to_owned(), over(below, &global));
        }
        let name = metadata.text_at(&["name"]).unwrap_or_default();
        let place = (&*sub, format!("{path}/charts/{name}"));
        let inner = chart(reader, place, metadata, own, gaps)?;
        if let Some(fields) = values.fields_mut() {
            fields.insert(key, inner.values.clone());
        }
        subcharts.push(inner);
    }
    Ok(Chart {
        folder: folder.to_owned(),
        path,
        metadata,
        values,
        subcharts,
    })
}

type Template<'c> = (&'c Chart, Rc<str>, Rc<[Node]>);

/// Reads the templates of a chart and its subcharts.
fn collect<'c>(
    reader: &Reader<'_>,
    chart: &'c Chart,
    library: &mut Library,
    templates: &mut Vec<Template<'c>>,
    gaps: &mut Vec<Gap>,
) {
    // A parent's named template wins over a subchart's of the same name.
    for sub in &chart.subcharts {
        collect(reader, sub, library, templates, gaps);
    }
    let mut folders = vec![path_in(&chart.folder, "templates")];
    while let Some(folder) = folders.pop() {
        for name in reader.list(&folder) {
            let path = path_in(&folder, &name);
            if name.ends_with('/') {
                folders.push(path);
                continue;
            }
            let fits = [".yaml", ".yml", ".tpl"]
                .iter()
                .any(|end| name.ends_with(end));
            let Some(manifest) = reader.manifest(&path).filter(|_| fits) else {
                continue;
            };
            let nodes = match parse::parse(manifest.text()) {
                Ok(nodes) => nodes,
                Err(why) => {
                    gaps.push(gap(&path, &why));
                    continue;
                }
            };
            let file: Rc<str> = Rc::from(path.as_str());
            let nodes: Rc<[Node]> = Rc::from(nodes);
            let whole = (file.clone(), nodes.clone());
            library.named.insert(chart.template_name(&path), whole);
            for node in nodes.iter() {
                if let Node::Define { name, body } = node {
                    let entry = (file.clone(), Rc::from(body.as_slice()));
                    library.named.insert(name.clone(), entry);
                }
            }
            // A library chart only lends its named templates.
            let library_chart = chart.metadata.text_at(&["type"]) == Some("library");
            if !name.starts_with('_') && !library_chart {
                templates.push((chart, file, nodes));
            }
        }
    }
}

/// `.Release`, as Argo CD 3.2 names it.
struct Release<'a> {
    name: Option<Traced>,
    namespace: Option<String>,
    capabilities: Option<&'a Capabilities>,
}

/// `.Capabilities`, as far as it is known: a version that the Application sets is that of the files.
fn capabilities(served: Option<&Capabilities>) -> Traced {
    let node = Traced::bare;
    let word = |text: &str| node(Body::Scalar(Value::String(text.to_owned())));
    let Some(served) = served else {
        let why = ".Capabilities, which the cluster gives";
        return node(Body::Unknown(why.to_owned()));
    };
    let version = served.kube_version.as_str();
    let mut parts = version.trim_start_matches('v').split('.');
    let major = parts.next().unwrap_or_default();
    let minor = parts.next().unwrap_or_default();
    let fields = [
        ("Version", version),
        ("GitVersion", version),
        ("Major", major),
        ("Minor", minor),
    ];
    let fields = fields.map(|(key, text)| (key.to_owned(), word(text)));
    let versions = served.api_versions.iter().map(|own| word(own));
    let all = [
        ("KubeVersion".to_owned(), node(Body::Map(fields.into()))),
        (
            "APIVersions".to_owned(),
            node(Body::List(versions.collect())),
        ),
    ];
    node(Body::Map(all.into()))
}

impl<'a> Release<'a> {
    fn of(given: &Given<'a>) -> Self {
        let own = |key: &str| given.section.and_then(|section| section.key(key)).cloned();
        let full = |node: &Traced| node.text().is_some_and(|text| !text.is_empty());
        let plain = |text: &str| Traced {
            body: Body::Scalar(Value::String(text.to_owned())),
            marks: Vec::new(),
        };
        let application = given.subject.application;
        // What the Application sets here replaces what the cluster serves.
        let replaced = ["kubeVersion", "apiVersions"]
            .iter()
            .any(|key| own(key).is_some());
        Self {
            capabilities: given.subject.capabilities.filter(|_| !replaced),
            name: own("releaseName")
                .filter(full)
                .or_else(|| application.map(|app| plain(&app.name))),
            namespace: own("namespace")
                .filter(full)
                .and_then(|node| node.text().map(str::to_owned))
                .or_else(|| application.map(|app| app.destination.namespace.clone())),
        }
    }

    /// The dot of a template.
    fn dot(&self, chart: &Chart, file: &str) -> Traced {
        let node = |body: Body| Traced {
            body,
            marks: Vec::new(),
        };
        let word = |text: &str| node(Body::Scalar(Value::String(text.to_owned())));
        let map = |fields: Vec<(&str, Traced)>| {
            let fields = fields
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value));
            node(Body::Map(fields.collect()))
        };
        let unknown = |why: &str| node(Body::Unknown(why.to_owned()));
        let release = vec![
            (
                "Name",
                self.name
                    .clone()
                    .unwrap_or_else(|| unknown("the release's name, which the Application gives")),
            ),
            (
                "Namespace",
                match &self.namespace {
                    Some(namespace) => word(namespace),
                    None => unknown("the release's namespace, which the Application gives"),
                },
            ),
            ("Service", word("Helm")),
            ("IsInstall", node(Body::Scalar(Value::Bool(true)))),
            ("IsUpgrade", node(Body::Scalar(Value::Bool(false)))),
            ("Revision", node(Body::Scalar(Value::from(1)))),
        ];
        let template = format!("{}/templates", chart.path);
        let mut metadata = BTreeMap::new();
        for (key, value) in chart.metadata.fields().into_iter().flatten() {
            let mut letters = key.chars();
            let first = letters.next().map(|c| c.to_ascii_uppercase());
            metadata.insert(first.into_iter().chain(letters).collect(), value.clone());
        }
        map(vec![
            ("Values", chart.values.clone()),
            ("Chart", node(Body::Map(metadata))),
            ("Release", map(release)),
            (
                "Template",
                map(vec![
                    ("Name", word(&chart.template_name(file))),
                    ("BasePath", word(&template)),
                ]),
            ),
            ("Capabilities", capabilities(self.capabilities)),
            ("Files", unknown(".Files")),
        ])
    }
}
