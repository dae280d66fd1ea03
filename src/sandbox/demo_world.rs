//! The demo's world: a shared GitOps repository with some history, an Application that deploys it,
//! and a release that crashes.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::json::{list, text};
use super::{Author, Commit, Error, Sandbox};

const REPOSITORY: &str = "declarative-config";
const NAMESPACE: &str = "mcp";
const APPLICATION: &str = "mcp-ns-apexalgo-iad";
const FOLDER: &str = "k8s/apexalgo-iad/mcp";
const WORKLOAD: &str = "zai-proxy";
const BRANCH: &str = "main";

/// Files of the repository, with their fixtures.
const FILES: &[(&str, &str)] = &[
    (MANIFEST, ZAI_PROXY),
    (
        "k8s/apexalgo-iad/mcp/zai-proxy-canary-deployment.yml",
        include_str!(
            "../../manifests-fixtures/gitops/k8s/apexalgo-iad/mcp/zai-proxy-canary-deployment.yml"
        ),
    ),
    (
        "k8s/apexalgo-iad/mcp/zai-proxy-canary-service.yml",
        include_str!(
            "../../manifests-fixtures/gitops/k8s/apexalgo-iad/mcp/zai-proxy-canary-service.yml"
        ),
    ),
    (SESSION_STORE_FILE, SESSION_STORE),
    (
        "k8s/apexalgo-iad/mcp/reloader-noise.yaml",
        include_str!("../../manifests-fixtures/gitops/k8s/apexalgo-iad/mcp/reloader-noise.yaml"),
    ),
    (
        "k8s/apexalgo-iad/monitoring/exporter.yaml",
        include_str!("../../manifests-fixtures/gitops/k8s/apexalgo-iad/monitoring/exporter.yaml"),
    ),
    (INDEXER_FILE, INDEXER),
    (
        "k8s/apexalgo-iad/search/web.yml",
        include_str!("../../manifests-fixtures/gitops/k8s/apexalgo-iad/search/web.yml"),
    ),
];
const ZAI_PROXY: &str =
    include_str!("../../manifests-fixtures/gitops/k8s/apexalgo-iad/mcp/zai-proxy.yml");
const SESSION_STORE: &str =
    include_str!("../../manifests-fixtures/gitops/k8s/apexalgo-iad/mcp/session-store.yaml");
const INDEXER: &str =
    include_str!("../../manifests-fixtures/gitops/k8s/apexalgo-iad/search/indexer.yaml");

const INDEXER_FILE: &str = "k8s/apexalgo-iad/search/indexer.yaml";
const SESSION_STORE_FILE: &str = "k8s/apexalgo-iad/mcp/session-store.yaml";
const MANIFEST: &str = "k8s/apexalgo-iad/mcp/zai-proxy.yml";
const RELEASER: Author<'_> = Author {
    name: "Mira Okafor",
    email: "mira@apexalgo.example",
};
const SEARCH_TEAM: Author<'_> = Author {
    name: "Jon Vidal",
    email: "jon@apexalgo.example",
};
const PLATFORM: Author<'_> = Author {
    name: "Platform Bot",
    email: "platform@apexalgo.example",
};

/// What the demo world consists of.
#[derive(Debug, Clone)]
pub struct DemoWorld {
    /// URL of the repository, as the Application names it.
    pub repository_url: String,
    /// The same with credentials, to clone it by hand.
    pub clone_url: String,
    /// The branch that is deployed.
    pub branch: String,
    /// Path of the manifest within the repository.
    pub manifest: String,
    /// Namespace of the workload.
    pub namespace: String,
    /// The Deployment that was released badly.
    pub workload: String,
    /// The Application that deploys it.
    pub application: String,
    /// Commit of the release that served well.
    pub good_commit: String,
    /// Commit of the release that crashes.
    pub bad_commit: String,
    /// Commit of another team, on top of the bad release: the tip.
    pub tip: String,
}

/// The manifest at a release: the fixture is release 1.2.0.
fn release(number: &str) -> String {
    ZAI_PROXY.replace("1.2.0", number)
}

/// Commits of the demo's history, each so many minutes after its beginning.
struct History<'a> {
    sandbox: &'a Sandbox,
    start: i64,
}

impl History<'_> {
    fn push(
        &self,
        minutes: i64,
        author: Author<'_>,
        message: &str,
        files: Vec<(&str, Option<String>)>,
    ) -> Result<String, Error> {
        let time = self.start + minutes * 60;
        self.sandbox.commit(
            REPOSITORY,
            BRANCH,
            &Commit {
                author,
                message,
                time,
                files,
            },
        )
    }

    fn release(&self, minutes: i64, number: &str, body: &str) -> Result<String, Error> {
        let message = format!("chore: promote zai-proxy to v{number}\n{body}");
        self.push(
            minutes,
            RELEASER,
            &message,
            vec![(MANIFEST, Some(release(number)))],
        )
    }

    fn indexer(&self, minutes: i64, number: &str) -> Result<String, Error> {
        let text = INDEXER.replace("5.0.0", number);
        let message = format!("indexer: {number}\n");
        self.push(
            minutes,
            SEARCH_TEAM,
            &message,
            vec![(INDEXER_FILE, Some(text))],
        )
    }
}

/// Builds the demo world: releases 1.1.0 and 1.2.0 roll out, then 1.2.1-crash is pushed and gets
/// stuck while the pods of 1.2.0 go on serving.
pub async fn demo_world(sandbox: &Sandbox) -> Result<DemoWorld, Error> {
    sandbox.create_repository(REPOSITORY)?;
    let history = History {
        sandbox,
        start: Timestamp::now().as_second() - 3 * 3600,
    };
    let mut first: Vec<(&str, Option<String>)> = FILES
        .iter()
        .map(|(path, text)| (*path, Some((*text).to_owned())))
        .collect();
    first[0].1 = Some(release("1.1.0"));
    history.push(0, PLATFORM, "chore: import cluster configuration\n", first)?;
    create_cluster_side(sandbox)?;
    let limit = Duration::from_secs(10);
    wait_live(sandbox, "1.1.0", limit).await?;
    history.indexer(30, "5.0.1")?;
    let body = "\nToken counting is on by default from this release.\n";
    let good_commit = history.release(60, "1.2.0", body)?;
    sandbox.refresh(APPLICATION).await?;
    wait_live(sandbox, "1.2.0", limit).await?;
    let store = SESSION_STORE.replace("redis:7.2-alpine", "redis:7.4-alpine");
    let files = vec![(SESSION_STORE_FILE, Some(store))];
    history.push(100, PLATFORM, "session-store: redis 7.4\n", files)?;
    sandbox.refresh(APPLICATION).await?;
    let bad_commit = history.release(150, "1.2.1-crash", "")?;
    let tip = history.indexer(170, "5.1.0")?;
    sandbox.refresh(APPLICATION).await?;
    wait_crashing(sandbox).await?;
    Ok(DemoWorld {
        repository_url: format!("{}/{REPOSITORY}.git", sandbox.git_url()),
        clone_url: sandbox.clone_url(REPOSITORY),
        branch: BRANCH.to_owned(),
        manifest: MANIFEST.to_owned(),
        namespace: NAMESPACE.to_owned(),
        workload: WORKLOAD.to_owned(),
        application: APPLICATION.to_owned(),
        good_commit,
        bad_commit,
        tip,
    })
}

fn create_cluster_side(sandbox: &Sandbox) -> Result<(), Error> {
    sandbox.create(
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE,
        "labels": {"unship.test/rewrite-images": "true"}}}),
    )?;
    sandbox.create(json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "zai-api-key", "namespace": NAMESPACE},
        "data": {"api-key": "bm90LWEtcmVhbC1rZXk="}}))?;
    sandbox.create(json!({
    "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
    "metadata": {"name": APPLICATION, "namespace": "argocd"},
    "spec": {
        "project": "default",
        "source": {"repoURL": format!("{}/{REPOSITORY}.git", sandbox.git_url()),
            "path": FOLDER, "targetRevision": BRANCH,
            "directory": {"recurse": true, "include": "{*.yaml,*.yml}",
                "exclude": "{ignore/*,*application.yml}"}},
        "destination": {"server": "https://kubernetes.default.svc", "namespace": NAMESPACE},
        "syncPolicy": {"automated": {"prune": true, "selfHeal": true},
            "syncOptions": ["CreateNamespace=true", "PruneLast=true"]},
    }}))?;
    Ok(())
}

const DEPLOYMENT: (&str, &str, &str, &str) = ("apps", "Deployment", NAMESPACE, WORKLOAD);

fn runs(deployment: &Value, tag: &str) -> bool {
    let image = text(deployment, "/spec/template/spec/containers/0/image");
    image.ends_with(&format!(":{tag}"))
}

fn progressing<'a>(deployment: &'a Value, field: &str) -> &'a str {
    let all = list(deployment, "/status/conditions").iter();
    all.filter(|c| c["type"] == "Progressing")
        .map(|c| text(c, field))
        .next()
        .unwrap_or("")
}

async fn wait_live(sandbox: &Sandbox, tag: &str, limit: Duration) -> Result<(), Error> {
    let complete = |d: &Value| {
        runs(d, tag)
            && d["status"]["observedGeneration"] == d["metadata"]["generation"]
            && progressing(d, "/reason") == "NewReplicaSetAvailable"
    };
    sandbox.wait_for(DEPLOYMENT, limit, complete).await?;
    Ok(())
}

/// Until a pod of the bad release is in CrashLoopBackOff.
async fn wait_crashing(sandbox: &Sandbox) -> Result<(), Error> {
    let stuck = |d: &Value| {
        runs(d, "1.2.1-crash")
            && d["status"]["updatedReplicas"] == 1
            && d["status"]["unavailableReplicas"] == 1
    };
    let limit = Duration::from_secs(10);
    sandbox.wait_for(DEPLOYMENT, limit, stuck).await?;
    sandbox
        .wait_for_any(("", "Pod", NAMESPACE), limit, |pod| {
            text(pod, "/status/containerStatuses/0/state/waiting/reason") == "CrashLoopBackOff"
        })
        .await?;
    Ok(())
}
