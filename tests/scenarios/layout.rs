//! What a stage's manifests are written with: which file a release changes, what it is rendered
//! with, and the Application's sources.

use serde_json::{Value, json};

/// The manifest at release 1.2.0, in namespace `mcp`.
pub(crate) const FIXTURE: &str =
    include_str!("../../manifests-fixtures/gitops/k8s/apexalgo-iad/mcp/zai-proxy.yml");
const OVERLAY: &str = "# Promotions change the tag here, and nothing else.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: NAMESPACE
resources:
- ../../base
images:
- name: ronaldraygun/zai-proxy
  newTag: RELEASE   # set by the release job
";
const VALUES: &str = "# production\nimage:\n  tag: \"RELEASE\"  # set by the release job\n";
const CHART: &str = "apiVersion: v2\nname: zai-proxy\nversion: 0.1.0\n";
/// What charts do most: a digest of another template makes new pods when that changes, and a
/// condition asks for the cluster's version.
const DIGEST: &str = "      annotations:
        checksum/settings: {{ include (print $.Template.BasePath \"/settings.yaml\") . | sha256sum }}
";
const CONDITION: &str =
    "      {{- if semverCompare \">=1.19-0\" .Capabilities.KubeVersion.Version }}
      enableServiceLinks: false
      {{- end }}
";
const USES: &str = "          envFrom:
            - configMapRef: {name: '{{ .Release.Name | trunc 40 }}-settings'}
";
const SETTINGS: &str = "apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name | trunc 40 }}-settings
data:
  level: {{ .Values.level | default \"info\" }}
";
/// As Argo CD Image Updater writes it.
const OVERRIDE: &str =
    "kustomize:\n  images:\n  - ronaldraygun/zai-proxy:RELEASE   # set by the updater\n";
const APPLICATION: &str = "# What production runs.
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: NAMESPACE
  namespace: argocd
spec:
  project: default
  destination: {server: https://kubernetes.default.svc, namespace: NAMESPACE}
  source:
    repoURL: REPOSITORY
    path: apps/zai-proxy/overlays/prod
    targetRevision: main
    kustomize:
      images:
      - ronaldraygun/zai-proxy:RELEASE   # set by the release job
  syncPolicy:
    automated: {prune: true, selfHeal: true}
";
/// The release is a tag of the repository that it deploys.
const TAGGED: &str = "# What production runs.
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: NAMESPACE
  namespace: argocd
spec:
  project: default
  destination: {server: https://kubernetes.default.svc, namespace: NAMESPACE}
  source:
    repoURL: REPOSITORY
    path: apps/zai-proxy/overlays/prod
    targetRevision: vRELEASE   # set by the release job
  syncPolicy:
    automated: {prune: true, selfHeal: true}
";
/// The release is a version of a chart in a Helm repository.
const CHARTED: &str = "# What production runs.
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: NAMESPACE
  namespace: argocd
spec:
  project: default
  destination: {server: https://kubernetes.default.svc, namespace: NAMESPACE}
  source:
    repoURL: CHARTS
    chart: zai-proxy
    targetRevision: RELEASE   # set by the release job
    helm:
      valuesObject:
        replicas: 1
  syncPolicy:
    automated: {prune: true, selfHeal: true}
";
/// A chart of one's own around the published one, whose version is the release.
const AROUND: &str = "apiVersion: v2
name: production
version: 0.1.0
dependencies:
- name: zai-proxy
  version: RELEASE   # set by the release job
  repository: CHARTS
";
const BELOW: &str = "# production
zai-proxy:
  image:
    tag: \"RELEASE\"   # set by the release job
";
const PARAMETERS: &str = "app: NAMESPACE\nimage:\n  tag: \"RELEASE\"   # set by the release job\n";
/// The folder of plain manifests.
const MCP: &str = "k8s/apexalgo-iad/mcp";
/// A manifest of the same workload that is not deployed any more.
pub(crate) const OLD: &str = "k8s/apexalgo-iad/mcp/old/zai-proxy.yml";
/// The overlay of production.
const PROD: &str = "apps/zai-proxy/overlays/prod";
const BASE: &str = "resources: [deployment.yaml]\n";

/// What a stage's manifests are written with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Plain manifests.
    #[default]
    Plain,
    /// Plain manifests, of which `directory.exclude` leaves out some.
    Excluded,
    /// Plain manifests of which an `.argocd-source` file includes only some.
    Included,
    /// A base and an overlay that sets the image's tag.
    Kustomize,
    /// A chart in the repository, with a values file of the environment.
    Helm,
    /// A chart in a repository of its own; its values file is in the stage's repository, which a
    /// second source lends (`$values`).
    Values,
    /// An overlay with `.argocd-source` files beside it: the one for this Application decides.
    SourceFile,
    /// App-of-apps: the stage's repository has the Application's own manifest, which sets the
    /// image; the overlay is in a repository of its own.
    Apps,
    /// The same in one repository.
    AppsTogether,
    /// An ApplicationSet makes the Application of a file of parameters in the stage's repository;
    /// the overlay is in a repository of its own.
    Set,
    /// App-of-apps: the Application's own manifest names the tag of the overlay's repository.
    Tagged,
    /// The tag is made of a parameter of an ApplicationSet.
    TaggedSet,
    /// A chart in the repository around one of a Helm repository, whose version is the release.
    Subchart,
    /// The same, and the release is a value.
    SubchartValues,
    /// App-of-apps: the Application's own manifest names the version of a chart in a Helm
    /// repository.
    Charted,
    /// A chart of a Helm repository that stays at its version, with values of the stage's
    /// repository (`$values`).
    ChartValues,
    /// A base and an overlay whose rendered manifests Argo CD's source hydrator writes to a branch.
    Hydrated,
}

/// Names of a stage that stand in its files.
pub(crate) struct Names {
    /// The namespace and the Application.
    pub(crate) name: String,
    /// The stage's repository.
    pub(crate) here: String,
    /// The second one.
    pub(crate) there: String,
    /// The Helm repository.
    pub(crate) charts: String,
}

/// Files by path.
pub(crate) type Files = Vec<(String, String)>;

impl Layout {
    /// The file that a release changes.
    pub(crate) fn release_file(self, names: &Names) -> String {
        match self {
            Self::Plain | Self::Excluded | Self::Included => crate::stage::MANIFEST.to_owned(),
            Self::Kustomize | Self::Hydrated => format!("{PROD}/kustomization.yaml"),
            Self::Helm => "charts/zai-proxy/values-prod.yaml".to_owned(),
            Self::Values | Self::ChartValues => "env/prod/zai-proxy.yaml".to_owned(),
            Self::Subchart => "charts/production/Chart.yaml".to_owned(),
            Self::SubchartValues => "charts/production/values.yaml".to_owned(),
            Self::SourceFile => format!("{PROD}/.argocd-source-{}.yaml", names.name),
            Self::Apps | Self::AppsTogether | Self::Tagged | Self::Charted => {
                "root/zai-proxy.yaml".to_owned()
            }
            Self::Set | Self::TaggedSet => "env/prod/config.yaml".to_owned(),
        }
    }

    /// That file at a release; `None` for a plain manifest.
    pub(crate) fn release(self, names: &Names, release: &str) -> Option<String> {
        let text = match self {
            Self::Plain | Self::Excluded | Self::Included => return None,
            Self::Kustomize | Self::Hydrated => OVERLAY.to_owned(),
            Self::Helm | Self::Values | Self::ChartValues => VALUES.to_owned(),
            Self::SourceFile => OVERRIDE.to_owned(),
            Self::Apps => APPLICATION.replace("REPOSITORY", &names.there),
            Self::AppsTogether => APPLICATION.replace("REPOSITORY", &names.here),
            Self::Tagged => TAGGED.replace("REPOSITORY", &names.there),
            Self::Charted => CHARTED.replace("CHARTS", &names.charts),
            Self::Subchart => AROUND.replace("CHARTS", &names.charts),
            Self::SubchartValues => BELOW.to_owned(),
            Self::Set | Self::TaggedSet => PARAMETERS.to_owned(),
        };
        let text = text.replace("NAMESPACE", &names.name);
        Some(text.replace("RELEASE", release))
    }

    /// The files in the stage's repository that it is rendered with.
    pub(crate) fn around(self, names: &Names) -> Files {
        match self {
            Self::Plain | Self::Values | Self::Apps | Self::Set => Vec::new(),
            Self::Tagged | Self::TaggedSet | Self::Charted | Self::ChartValues => Vec::new(),
            Self::Subchart => Vec::new(),
            Self::SubchartValues => {
                let chart = AROUND.replace("CHARTS", &names.charts);
                let chart = chart.replace("RELEASE", crate::stage::GOOD);
                vec![("charts/production/Chart.yaml".to_owned(), chart)]
            }
            Self::Kustomize | Self::Hydrated => base(),
            Self::Excluded => vec![(OLD.to_owned(), old(names))],
            Self::Included => {
                let source = "directory:\n  recurse: true\n  include: zai-proxy.yml\n";
                let path = format!("{MCP}/.argocd-source-{}.yaml", names.name);
                vec![(OLD.to_owned(), old(names)), (path, source.to_owned())]
            }
            Self::SourceFile => {
                let mut files = overlaid(names);
                let all = OVERRIDE.replace("RELEASE", "0.9.0");
                files.push((format!("{PROD}/.argocd-source.yaml"), all));
                files
            }
            Self::AppsTogether => overlaid(names),
            Self::Helm => chart(),
        }
    }

    /// The files of a second repository, where there is one.
    pub(crate) fn lent(self, names: &Names) -> Files {
        match self {
            Self::Values => chart(),
            Self::Apps | Self::Set | Self::Tagged | Self::TaggedSet => overlaid(names),
            _ => Vec::new(),
        }
    }

    /// A file of the second repository that each release changes there, with the tag that it gets.
    pub(crate) fn tagged(self, names: &Names, release: &str) -> Option<(String, String, String)> {
        let has = matches!(self, Self::Tagged | Self::TaggedSet);
        let overlay = OVERLAY.replace("NAMESPACE", &names.name);
        let text = overlay.replace("RELEASE", release);
        has.then(|| {
            (
                format!("v{release}"),
                format!("{PROD}/kustomization.yaml"),
                text,
            )
        })
    }

    /// Whether the Application is made by another one.
    pub(crate) const fn has_root(self) -> bool {
        matches!(
            self,
            Self::Apps | Self::AppsTogether | Self::Tagged | Self::Charted
        )
    }

    /// The ApplicationSet that makes the Application, where one does.
    pub(crate) fn set(self, names: &Names) -> Option<Value> {
        let source = match self {
            Self::TaggedSet => json!({"repoURL": names.there, "path": PROD,
                "targetRevision": "v{{.image.tag}}"}),
            _ => json!({"repoURL": names.there, "path": PROD, "targetRevision": "main",
                "kustomize": {"images": ["ronaldraygun/zai-proxy:{{.image.tag}}"]}}),
        };
        let spec = json!({"project": "default", "source": source,
            "destination": {"server": "https://kubernetes.default.svc", "namespace": names.name},
            "syncPolicy": {"automated": {"prune": true, "selfHeal": true}}});
        let generator = json!({"git": {"repoURL": names.here, "revision": "main",
            "requeueAfterSeconds": 3, "files": [{"path": "env/*/config.yaml"}]}});
        let set = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet",
            "metadata": {"name": names.name, "namespace": "argocd"},
            "spec": {"goTemplate": true, "generators": [generator],
                "template": {"metadata": {"name": "{{.app}}"}, "spec": spec}}});
        matches!(self, Self::Set | Self::TaggedSet).then_some(set)
    }

    /// What the spec of the Application says of its sources; of its root where it has one.
    pub(crate) fn sources(self, names: &Names) -> Value {
        let mut own = match self {
            Self::Plain => json!({"path": MCP,
                "directory": {"recurse": true, "include": "{*.yaml,*.yml}"}}),
            Self::Excluded => json!({"path": MCP,
                "directory": {"recurse": true, "exclude": "{old/*,*.bak.yml}"}}),
            Self::Included => json!({"path": MCP}),
            Self::Kustomize | Self::SourceFile => json!({"path": PROD}),
            Self::Set | Self::TaggedSet | Self::Hydrated => json!({"path": PROD}),
            Self::Helm => json!({"path": "charts/zai-proxy",
                "helm": {"valueFiles": ["values-prod.yaml"]}}),
            Self::Subchart | Self::SubchartValues => json!({"path": "charts/production"}),
            Self::Values => json!({"path": "charts/zai-proxy",
                "helm": {"valueFiles": ["$values/env/prod/zai-proxy.yaml"]}}),
            Self::Apps | Self::AppsTogether | Self::Tagged | Self::Charted => {
                json!({"path": "root"})
            }
            Self::ChartValues => {
                let chart = json!({"repoURL": names.charts, "chart": "zai-proxy",
                    "targetRevision": crate::stage::GOOD,
                    "helm": {"valueFiles": ["$values/env/prod/zai-proxy.yaml"]}});
                let values =
                    json!({"repoURL": names.here, "targetRevision": "main", "ref": "values"});
                return json!({"sources": [chart, values]});
            }
        };
        own["targetRevision"] = json!("main");
        if self == Self::Values {
            own["repoURL"] = json!(names.there);
            let values = json!({"repoURL": names.here, "targetRevision": "main", "ref": "values"});
            return json!({"sources": [own, values]});
        }
        own["repoURL"] = json!(names.here);
        if self == Self::Hydrated {
            return json!({"sourceHydrator": {"drySource": own,
                "syncSource": {"targetBranch": "env/prod", "path": "prod"}}});
        }
        json!({"source": own})
    }
}

/// A base, and an overlay whose tag is outranked.
fn overlaid(names: &Names) -> Files {
    let overlay = OVERLAY.replace("NAMESPACE", &names.name);
    let mut files = base();
    files.push((
        format!("{PROD}/kustomization.yaml"),
        overlay.replace("RELEASE", "0.8.0"),
    ));
    files
}

fn base() -> Files {
    vec![
        ("apps/zai-proxy/base/deployment.yaml".to_owned(), bare()),
        (
            "apps/zai-proxy/base/kustomization.yaml".to_owned(),
            BASE.to_owned(),
        ),
    ]
}

fn old(names: &Names) -> String {
    let text = FIXTURE.replace("namespace: mcp", &format!("namespace: {}", names.name));
    text.replace("1.2.0", "0.9.0")
}

/// The manifest without a namespace.
fn bare() -> String {
    FIXTURE.replace("  namespace: mcp\n", "")
}

/// The files of a chart in a Helm repository at a release: its version is the image's tag unless
/// the values have one.
pub(crate) fn published(release: &str) -> Files {
    let below = |(path, text): (String, String)| {
        let path = path.trim_start_matches("charts/zai-proxy/").to_owned();
        let text = match path.as_str() {
            "Chart.yaml" => format!(
                "apiVersion: v2\nname: zai-proxy\nversion: {release}\nappVersion: \"{release}\"\n"
            ),
            "values.yaml" => text.replace("tag: latest", "tag: \"\""),
            _ => text.replace(
                ".Values.image.tag",
                ".Values.image.tag | default .Chart.AppVersion",
            ),
        };
        (path, text)
    };
    let versioned = |(path, text): (String, String)| {
        let labels = "    variant: production\n  annotations:\n";
        let label = "    helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}\n";
        let all = labels.replacen("  annotations", &format!("{label}  annotations"), 1);
        (path, text.replace(labels, &all))
    };
    chart().into_iter().map(below).map(versioned).collect()
}

fn chart() -> Files {
    let image = "{{ .Values.image.repository }}:{{ .Values.image.tag }}";
    let template = bare().replace("ronaldraygun/zai-proxy:1.2.0", image);
    let template = template.replace("  replicas: 1\n", "  replicas: {{ .Values.replicas }}\n");
    let labels = "      labels:\n        app: zai-proxy\n";
    assert!(template.contains(labels), "the pod's labels in {template}");
    let template = template.replace(labels, &format!("{DIGEST}{labels}"));
    let template = template.replace("    spec:\n", &format!("    spec:\n{CONDITION}"));
    let template = template.replacen("          env:\n", &format!("{USES}          env:\n"), 1);
    let image = "image: {repository: ronaldraygun/zai-proxy, tag: latest}";
    let values = format!("replicas: 1 # of all environments\n{image}\n");
    vec![
        ("charts/zai-proxy/Chart.yaml".to_owned(), CHART.to_owned()),
        ("charts/zai-proxy/values.yaml".to_owned(), values),
        (
            "charts/zai-proxy/templates/zai-proxy.yaml".to_owned(),
            template,
        ),
        (
            "charts/zai-proxy/templates/settings.yaml".to_owned(),
            SETTINGS.to_owned(),
        ),
    ]
}
