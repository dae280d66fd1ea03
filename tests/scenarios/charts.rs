//! A Helm repository with the service's chart at every release, served by this process to both
//! worlds.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

/// The server's address.
static ADDRESS: LazyLock<String> = LazyLock::new(start);

/// What an Application names as `repoURL`.
pub(crate) fn repository() -> String {
    format!("{}/stable", *ADDRESS)
}

/// The releases that are published.
const RELEASES: [&str; 3] = ["1.1.9", crate::stage::GOOD, crate::stage::BAD];

fn start() -> String {
    let archives: Vec<(&str, Vec<u8>)> = RELEASES
        .iter()
        .map(|release| (*release, archive(release)))
        .collect();
    let mut index = "apiVersion: v1\nentries:\n  zai-proxy:\n".to_owned();
    for (release, bytes) in &archives {
        let digest: String = Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        index.push_str(&format!(
            "  - apiVersion: v2\n    name: zai-proxy\n    version: {release}\n    appVersion: {release}\n    digest: {digest}\n    urls: [zai-proxy-{release}.tgz]\n"
        ));
    }
    index.push_str("generated: \"2026-01-01T00:00:00Z\"\n");
    let mut router = axum::Router::new().route(
        "/stable/index.yaml",
        axum::routing::get(move || std::future::ready(index.clone())),
    );
    for (release, bytes) in archives {
        let path = format!("/stable/zai-proxy-{release}.tgz");
        let answer = axum::routing::get(move || std::future::ready(bytes.clone()));
        router = router.route(&path, answer);
    }
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
            let listener = listener.expect("a port");
            tell.send(listener.local_addr().expect("an address"))
                .expect("somebody waits");
            axum::serve(listener, router).await.expect("a server");
        });
    });
    format!("http://{}", told.recv().expect("an address"))
}

fn archive(release: &str) -> Vec<u8> {
    let level = flate2::Compression::default();
    let mut out = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), level));
    for (path, text) in crate::layout::published(release) {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        let path = format!("zai-proxy/{path}");
        out.append_data(&mut header, path, text.as_bytes())
            .expect("an archive");
    }
    out.into_inner()
        .and_then(flate2::write::GzEncoder::finish)
        .expect("an archive")
}
