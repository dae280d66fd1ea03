//! Kubeconfigs, contexts, plugins, proxies, pods.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::{Cluster, Error, Settings, Source};
use super::fake::{Fake, kubeconfig, target, world};

fn with_file(file: &Path) -> Settings {
    Settings {
        kubeconfig: Some(file.to_owned()),
        request_timeout: Duration::from_secs(5),
        ..Settings::default()
    }
}

#[tokio::test]
async fn a_list_of_kubeconfigs_with_a_missing_one() {
    let fake = Fake::start(world).await;
    let folder = tempfile::tempdir().unwrap();
    let one = kubeconfig(folder.path(), "one", "first", &fake.url(), &json!({}));
    let two = kubeconfig(
        folder.path(),
        "two",
        "second",
        "http://127.0.0.1:1",
        &json!({}),
    );
    let missing = folder.path().join("missing");
    let list = std::env::join_paths([&missing, &one, &two, &one]).unwrap();
    let settings = Settings {
        kubeconfig_env: Some(list),
        ..Settings::default()
    };
    let cluster = Cluster::connect(&settings).await.unwrap();
    assert_eq!(cluster.context(), Some("first"));
    assert_eq!(cluster.user(), Some("first"));
    assert_eq!(cluster.namespace(), "mcp");
    assert_eq!(cluster.server(), fake.url());
    assert_eq!(
        *cluster.source(),
        Source::Kubeconfig(vec![one.clone(), two.clone()])
    );
    assert!(
        cluster.workload(&target()).await.is_ok(),
        "plain http works"
    );
    let authorization = fake.seen()[0].headers.get("authorization").cloned();
    assert_eq!(authorization, None);

    let settings = Settings {
        context: Some("second".to_owned()),
        namespace: Some("other".to_owned()),
        ..settings
    };
    let cluster = Cluster::connect(&settings).await.unwrap();
    assert_eq!(
        (cluster.context(), cluster.namespace()),
        (Some("second"), "other")
    );

    let settings = Settings {
        context: Some("secnd".to_owned()),
        ..settings
    };
    let error = Cluster::connect(&settings).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no context \"secnd\" in the kubeconfig, did you mean \"second\"? there are: first, second"
    );
}

#[tokio::test]
async fn nothing_to_connect_to() {
    let folder = tempfile::tempdir().unwrap();
    let home = Settings {
        home: Some(folder.path().to_owned()),
        ..Settings::default()
    };
    let error = Cluster::connect(&home).await.unwrap_err();
    assert!(matches!(error, Error::NoKubeconfig { .. }), "{error:?}");
    assert!(
        error.to_string().contains(".kube/config not found"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("KUBECONFIG"));

    let gone = folder.path().join("gone");
    let error = Cluster::connect(&with_file(&gone)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("kubeconfig {}: no such file", gone.display())
    );
    let list = Settings {
        kubeconfig_env: Some(OsString::from(&gone)),
        ..Settings::default()
    };
    let error = Cluster::connect(&list).await.unwrap_err();
    assert!(matches!(error, Error::NoKubeconfig { .. }), "{error:?}");
}

#[tokio::test]
async fn broken_kubeconfigs() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("users: [{token: sekret\n", "does not parse at line"),
        (
            "{\"contexts\": [{\"name\": 5, \"context\": \"sekret\"}]}",
            "does not parse",
        ),
        (
            "apiVersion: v1\nkind: Config\ncurrent-context: ''\ncontexts: []\nclusters: []\n",
            "no current context",
        ),
        (
            "current-context: a\ncontexts:\n- name: a\n  context: {cluster: b, user: c}\n",
            "names the cluster \"b\", which is missing",
        ),
        (
            "current-context: a\ncontexts:\n- name: a\n  context: {cluster: b, user: c}\n\
          clusters:\n- name: b\n  cluster: {server: 'ftp://u:sekret@h'}\n",
            "no http or https URL",
        ),
        (
            "current-context: a\ncontexts:\n- name: a\n  context: {cluster: b, user: c}\n\
          clusters:\n- name: b\n  cluster: {server: 'https://h', \
          certificate-authority-data: aGVsbG8=}\n",
            "no PEM certificate",
        ),
    ];
    for (i, (text, expected)) in cases.into_iter().enumerate() {
        let file = folder.path().join(format!("k{i}"));
        fs::write(&file, text).unwrap();
        let error = Cluster::connect(&with_file(&file)).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{text:?}: {error}");
        assert!(
            !format!("{error} {error:?}").contains("sekret"),
            "{error:?}"
        );
        assert!(error.hint().is_some(), "{error}");
    }
}

#[tokio::test]
async fn a_pod_uses_its_own_account_only_without_kubeconfig() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings {
        home: Some(folder.path().to_owned()),
        ..Settings::default()
    };
    settings.in_cluster.service_host = Some("fd00::1".to_owned());
    settings.in_cluster.service_port = Some("443".to_owned());
    settings.in_cluster.directory = folder.path().join("account");
    assert!(Cluster::connect(&settings).await.is_err(), "no token yet");
    fs::create_dir(folder.path().join("account")).unwrap();
    fs::write(folder.path().join("account/token"), "sekret").unwrap();
    fs::write(folder.path().join("account/namespace"), "devpod\n").unwrap();
    let error = Cluster::connect(&settings).await.unwrap_err();
    assert!(error.to_string().contains("ca.crt"), "{error}");
    fs::write(folder.path().join("account/ca.crt"), CERTIFICATE).unwrap();
    let cluster = Cluster::connect(&settings).await.unwrap();
    assert_eq!(*cluster.source(), Source::InCluster);
    assert_eq!(
        cluster.source().to_string(),
        "the pod's service account (in-cluster)"
    );
    assert_eq!((cluster.namespace(), cluster.context()), ("devpod", None));
    assert_eq!(cluster.server(), "https://[fd00::1]:443");
    assert!(!format!("{cluster:?}").contains("sekret"));

    fs::create_dir(folder.path().join(".kube")).unwrap();
    kubeconfig(
        &folder.path().join(".kube"),
        "config",
        "far",
        "http://h",
        &json!({}),
    );
    let cluster = Cluster::connect(&settings).await.unwrap();
    assert_eq!(cluster.context(), Some("far"));
}

#[tokio::test]
async fn credentials_are_sent_and_never_shown() {
    let fake = Fake::start(|_| super::fake::status(401, "Bearer sekret is not known")).await;
    let folder = tempfile::tempdir().unwrap();
    let server = format!("http://someone:sekret@{}/k8s/clusters/c-1/", fake.address);
    let user = json!({"token": "sekret", "as": "jane", "as-groups": ["admins"]});
    let file = kubeconfig(folder.path(), "config", "far", &server, &user);
    let cluster = Cluster::connect(&with_file(&file)).await.unwrap();
    let shown = format!("http://{}/k8s/clusters/c-1", fake.address);
    assert_eq!(cluster.server(), shown);
    let error = cluster.workload(&target()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the cluster at {shown} does not accept these credentials: Bearer *** is not known"
        )
    );
    for text in [
        format!("{cluster:?}"),
        format!("{error:?}"),
        format!("{:?}", error.gap("x")),
    ] {
        assert!(!text.contains("sekret"), "{text}");
    }
    let request = &fake.seen()[0];
    assert_eq!(
        request.uri,
        "/k8s/clusters/c-1/apis/apps/v1/namespaces/mcp/deployments/zai-proxy"
    );
    let header = |name: &str| request.headers.get(name).unwrap().to_str().unwrap();
    assert_eq!(header("authorization"), "Bearer sekret");
    assert_eq!(
        (header("impersonate-user"), header("impersonate-group")),
        ("jane", "admins")
    );
}

/// A plugin that notes each of its runs.
pub(super) fn plugin(folder: &Path, script: &str) -> serde_json::Value {
    let program = folder.join("plugin");
    let text = format!("#!/bin/sh\necho run >>\"$0.runs\"\n{script}\n");
    // Another process writes it: a child that another thread forks meanwhile would hold it
    // open for writing, and then it cannot be run (ETXTBSY).
    let mut writer = std::process::Command::new("sh")
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(&program)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = writer.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, text.as_bytes()).unwrap();
    drop(input);
    assert!(writer.wait().unwrap().success());
    json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1",
        "command": program.display().to_string(), "interactiveMode": "Never"}})
}

#[tokio::test]
async fn a_plugin_runs_once() {
    let fake = Fake::start(world).await;
    let folder = tempfile::tempdir().unwrap();
    let answer = json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": "t0ken", "expirationTimestamp": "2999-01-01T00:00:00Z"}});
    let user = plugin(folder.path(), &format!("echo '{answer}'"));
    let file = kubeconfig(folder.path(), "config", "far", &fake.url(), &user);
    let cluster = Cluster::connect(&with_file(&file)).await.unwrap();
    assert!(cluster.workload(&target()).await.is_ok());
    let _ = cluster.snapshot(&target()).await;
    let runs = fs::read_to_string(folder.path().join("plugin.runs")).unwrap();
    assert_eq!(runs.lines().count(), 1);
    for request in fake.seen() {
        assert_eq!(
            request.headers.get("authorization").unwrap(),
            "Bearer t0ken"
        );
    }
}

#[tokio::test]
async fn failing_plugins_say_why_and_keep_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        (
            "echo 'token: sekret'; echo 'login expired' >&2; exit 3",
            "login expired",
        ),
        ("echo 'sekret: ['", "no ExecCredential"),
        ("echo '{\"kind\": \"ExecCredential\"}'", "no `status`"),
        ("sleep 5", "no answer within 1 s"),
    ];
    for (script, expected) in cases {
        let user = plugin(folder.path(), script);
        let file = kubeconfig(folder.path(), "config", "far", "http://127.0.0.1:1", &user);
        let settings = Settings {
            plugin_timeout: Duration::from_secs(1),
            ..with_file(&file)
        };
        let error = Cluster::connect(&settings).await.unwrap_err();
        assert!(matches!(error, Error::Credentials { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{script}: {error}");
        assert!(!error.to_string().contains("sekret"), "{error}");
    }
    let user = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1",
        "command": "/no/such/plugin", "interactiveMode": "Never"}});
    let file = kubeconfig(folder.path(), "config", "far", "http://127.0.0.1:1", &user);
    let error = Cluster::connect(&with_file(&file)).await.unwrap_err();
    assert!(
        error.to_string().contains("could not be started"),
        "{error}"
    );
    let user = json!({"tokenFile": "gone.token"});
    let file = kubeconfig(folder.path(), "config", "far", "http://127.0.0.1:1", &user);
    let error = Cluster::connect(&with_file(&file)).await.unwrap_err();
    assert!(
        error.to_string().contains("gone.token: No such file"),
        "{error}"
    );
}

/// A proxy that notes whom it is asked for and leads everything to one address.
pub(super) async fn proxy(to: std::net::SocketAddr) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://someone:sekret@{}", listener.local_addr().unwrap());
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            log.lock().unwrap().push(String::from_utf8(head).unwrap());
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let mut far = tokio::net::TcpStream::connect(to).await.unwrap();
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut far).await;
            });
        }
    });
    (url, seen)
}

#[tokio::test]
async fn proxies() {
    let fake = Fake::start(world).await;
    let (url, asked) = proxy(fake.address).await;
    let folder = tempfile::tempdir().unwrap();
    let server = "http://kube.invalid:8001";
    let file = kubeconfig(folder.path(), "config", "far", server, &json!({}));
    let mut settings = with_file(&file);
    settings.proxy.http = Some(url.clone());
    assert!(!format!("{settings:?}").contains("sekret"));
    let cluster = Cluster::connect(&settings).await.unwrap();
    cluster.workload(&target()).await.unwrap();
    let first = asked.lock().unwrap()[0].clone();
    assert!(first.starts_with("CONNECT kube.invalid:8001 "), "{first}");
    assert!(
        first
            .to_lowercase()
            .contains("proxy-authorization: basic c29tzw9uztpzzwtyzxq=")
    );
    assert_eq!(fake.seen()[0].headers.get("proxy-authorization"), None);

    // The server is excepted: nobody asks the proxy any more.
    settings.proxy.no = Some("kube.invalid".to_owned());
    let cluster = Cluster::connect(&settings).await.unwrap();
    let error = cluster.workload(&target()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(asked.lock().unwrap().len(), 1);

    // The proxy itself is excepted, and the list is untidy: that changes nothing.
    settings.proxy.no = Some("127.0.0.1,, ".to_owned());
    let cluster = Cluster::connect(&settings).await.unwrap();
    cluster.workload(&target()).await.unwrap();
    assert_eq!(asked.lock().unwrap().len(), 2);

    // A proxy that is not there, named by nobody's secret.
    settings.proxy.http = Some("http://someone:sekret@127.0.0.1:1".to_owned());
    let cluster = Cluster::connect(&settings).await.unwrap();
    let error = cluster.workload(&target()).await.unwrap_err();
    assert!(!error.to_string().contains("sekret"), "{error}");
}

/// An authority that signed nothing of importance, to fill a trust store.
const CERTIFICATE: &str = include_str!("pki/ca.crt");
