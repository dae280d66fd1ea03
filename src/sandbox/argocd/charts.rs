//! The repo-server's charts of Helm repositories: the files of one version.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;

use serde_json::Value;

use crate::sandbox::json::{list, text};
use crate::sandbox::manifests;

/// Whether a source is a chart of a Helm repository.
pub(super) fn is_chart(source: &Value) -> bool {
    !text(source, "/chart").is_empty()
}

/// What a chart's `targetRevision` means: versions are taken as they are, without a look (3.2,
/// `resolveHelmRevision`); ranges are not served here.
pub(super) fn resolve(wanted: &str) -> Result<String, String> {
    let exact = wanted.split(['.', '-', '+']).take(3);
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if exact.clone().count() == 3 && exact.clone().all(is_number) {
        return Ok(wanted.to_owned());
    }
    Err(format!(
        "rpc error: code = Unknown desc = invalid revision '{wanted}': the sandbox takes exact \
         versions only"
    ))
}

/// Reads the files of a version, behind a root.
pub(super) fn read(
    (source, version): (&Value, &str),
    root: &str,
    files: &mut BTreeMap<String, Arc<str>>,
) -> Result<(), String> {
    let (repository, chart) = (text(source, "/repoURL"), text(source, "/chart"));
    let base = repository.trim_end_matches('/');
    let index = get(&format!("{base}/index.yaml"))?;
    let index = manifests::parse_one(&String::from_utf8_lossy(&index))?;
    let entries = list(&index, &format!("/entries/{chart}")).iter();
    let mut own = entries.filter(|entry| text(entry, "/version") == version);
    let url = own.next().map_or("", |entry| text(entry, "/urls/0"));
    if url.is_empty() {
        return Err(format!(
            "`helm pull` failed: chart \"{chart}\" version \"{version}\" not found in {base} repository"
        ));
    }
    let url = match url.contains("://") {
        true => url.to_owned(),
        false => format!("{base}/{url}"),
    };
    let bytes = get(&url)?;
    let broken = |error: std::io::Error| format!("`helm pull` failed: {error}");
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&*bytes));
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let path = entry.path().map_err(broken)?.display().to_string();
        let mut text = String::new();
        let is_text = entry.read_to_string(&mut text).is_ok();
        if let (Some((_, path)), true) = (path.split_once('/'), is_text) {
            files.insert(format!("{root}{path}"), Arc::from(text));
        }
    }
    Ok(())
}

/// In a thread of its own: this is asked for from inside of runtimes and from outside of any.
fn get(url: &str) -> Result<Vec<u8>, String> {
    let failed = |error: String| format!("`helm pull` failed: Get \"{url}\": {error}");
    let ask = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        runtime.block_on(async {
            let answer = reqwest::get(url).await.map_err(|error| error.to_string())?;
            let answer = answer
                .error_for_status()
                .map_err(|error| error.to_string())?;
            let bytes = answer.bytes().await.map_err(|error| error.to_string())?;
            Ok(bytes.to_vec())
        })
    };
    let asked = std::thread::scope(|scope| scope.spawn(ask).join());
    let asked = asked.unwrap_or_else(|_| Err("it broke off".to_owned()));
    asked.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_versions_are_taken_as_they_are() {
        for exact in ["1.2.0", "1.2.1-crash", "1.0.0+build.7"] {
            assert_eq!(resolve(exact).as_deref(), Ok(exact));
        }
        for range in ["", "1.*", "^1.2.0", "1.2", ">=1.0.0 <2.0.0"] {
            assert!(resolve(range).is_err(), "{range}");
        }
    }
}
