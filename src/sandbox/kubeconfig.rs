//! Kubeconfig files of the sandbox's identities.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use serde_json::json;

use super::error::Error;

/// Writes a kubeconfig and gives its path. JSON is YAML, so no emitter is needed.
pub(crate) fn write(
    path: &Path,
    user: &str,
    server: &str,
    token: Option<&str>,
) -> Result<String, Error> {
    let credentials = match token {
        Some(token) => json!({"token": token}),
        None => json!({}),
    };
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "sandbox",
        "clusters": [{"name": "sandbox", "cluster": {"server": server}}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": "sandbox",
            "context": {"cluster": "sandbox", "user": user, "namespace": "default"}}],
    });
    let text = serde_json::to_string_pretty(&config).unwrap_or_default();
    write_private(path, &format!("{text}\n"))?;
    Ok(path.display().to_string())
}

/// Writes a file that only its owner may read: it holds a token.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(Error::file("create", path))?;
    file.write_all(text.as_bytes())
        .map_err(Error::file("write", path))
}
