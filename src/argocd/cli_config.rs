//! The argocd CLI's own configuration file.

use secrecy::SecretString;
use serde::Deserialize;

/// The file as the caller read it.
#[derive(Debug, Clone)]
pub struct CliConfigFile {
    /// Its path, for messages.
    pub path: String,
    /// Its text. Holds tokens.
    pub text: SecretString,
    /// Its permission bits, where the system has them.
    pub mode: Option<u32>,
}

/// One server of the file with what belongs to it.
#[derive(Debug, Clone, Default)]
pub(super) struct CliContext {
    pub(super) name: String,
    pub(super) server: String,
    pub(super) plain_text: bool,
    pub(super) insecure: bool,
    pub(super) core: bool,
    pub(super) root_path: String,
    pub(super) token: Option<SecretString>,
    pub(super) ca_pem: Option<Vec<u8>>,
    pub(super) client_pem: Option<SecretString>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct File {
    current_context: Option<String>,
    contexts: Option<Vec<ContextEntry>>,
    servers: Option<Vec<ServerEntry>>,
    users: Option<Vec<UserEntry>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ContextEntry {
    name: String,
    server: String,
    user: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct ServerEntry {
    server: String,
    insecure: bool,
    grpc_web_root_path: String,
    certificate_authority_data: String,
    client_certificate_data: String,
    client_certificate_key_data: String,
    plain_text: bool,
    core: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct UserEntry {
    name: String,
    auth_token: String,
}

/// The contexts of the file, the current one first.
///
/// # Errors
/// Why the file cannot be used; the text itself is not repeated.
pub(super) fn read(file: &CliConfigFile) -> Result<Vec<CliContext>, String> {
    use secrecy::ExposeSecret;
    if let Some(mode) = file.mode.map(|mode| mode & 0o777)
        && mode != 0o600
        && mode != 0o400
    {
        return Err(format!(
            "its permissions are {mode:04o}, and argocd takes only 0600 or 0400; \
             run `chmod 600 {}`",
            file.path
        ));
    }
    let text = file.text.expose_secret();
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    // The parser's message quotes the file, which holds tokens: it is not passed on.
    let parsed: File = serde_yaml::from_str(text)
        .map_err(|_| "it is not valid YAML of an argocd configuration".to_owned())?;
    let current = parsed.current_context.unwrap_or_default();
    let servers = parsed.servers.unwrap_or_default();
    let users = parsed.users.unwrap_or_default();
    let mut entries = parsed.contexts.unwrap_or_default();
    if !current.is_empty() && !entries.iter().any(|entry| entry.name == current) {
        return Err(format!(
            "its current context {current:?} is not among its contexts"
        ));
    }
    entries.sort_by_key(|entry| current.is_empty() || entry.name != current);
    entries
        .iter()
        .filter_map(|entry| match context(entry, &servers, &users) {
            // As in the argocd CLI only the current context must be whole.
            Err(_) if current.is_empty() || entry.name != current => None,
            outcome => Some(outcome),
        })
        .collect()
}

/// Whether the file names a current context; only then its first entry is one to use.
pub(super) fn has_current(file: &CliConfigFile) -> bool {
    use secrecy::ExposeSecret;
    serde_yaml::from_str::<File>(file.text.expose_secret())
        .is_ok_and(|file| file.current_context.is_some_and(|name| !name.is_empty()))
}

fn context(
    entry: &ContextEntry,
    servers: &[ServerEntry],
    users: &[UserEntry],
) -> Result<CliContext, String> {
    let Some(server) = servers.iter().find(|server| server.server == entry.server) else {
        let ContextEntry { name, server, .. } = entry;
        return Err(format!(
            "its context {name:?} names the server {server:?}, which it lacks"
        ));
    };
    let token = users
        .iter()
        .find(|user| user.name == entry.user)
        .map(|user| user.auth_token.trim())
        .filter(|token| !token.is_empty());
    let decode = |what: &str, data: &str| -> Result<Option<Vec<u8>>, String> {
        if data.is_empty() {
            return Ok(None);
        }
        base64(data)
            .map(Some)
            .ok_or_else(|| format!("its {what} for server {:?} is not base64", server.server))
    };
    let certificate = decode("client-certificate-data", &server.client_certificate_data)?;
    let key = decode(
        "client-certificate-key-data",
        &server.client_certificate_key_data,
    )?;
    let client_pem = match (certificate, key) {
        (Some(mut pem), Some(key)) => {
            pem.push(b'\n');
            pem.extend(key);
            let pem = String::from_utf8(pem).map_err(|_| {
                format!("its client certificate for {:?} is not PEM", server.server)
            })?;
            Some(SecretString::from(pem))
        }
        (None, None) => None,
        _ => {
            return Err(format!(
                "its server {:?} has one of client-certificate-data and \
                 client-certificate-key-data without the other",
                server.server
            ));
        }
    };
    Ok(CliContext {
        name: entry.name.clone(),
        server: server.server.clone(),
        plain_text: server.plain_text,
        insecure: server.insecure,
        core: server.core,
        root_path: server.grpc_web_root_path.clone(),
        token: token.map(SecretString::from),
        ca_pem: decode(
            "certificate-authority-data",
            &server.certificate_authority_data,
        )?,
        client_pem,
    })
}

/// Standard base64 with padding, line breaks allowed.
fn base64(text: &str) -> Option<Vec<u8>> {
    let (mut out, mut held, mut bits) = (Vec::new(), 0_u32, 0_u32);
    let text = text.trim_end().trim_end_matches('=');
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = held << 6 | u32::from(six);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from(held >> bits & 0xff).ok()?);
        }
    }
    (bits < 6).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_texts() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("Zg==", b"f"),
            ("Zm8=", b"fo"),
            ("Zm9v", b"foo"),
            ("Zm9v\nYmFy", b"foobar"),
            ("+/+/", &[0xfb, 0xff, 0xbf]),
        ] {
            assert_eq!(base64(text).as_deref(), Some(bytes), "{text}");
        }
        assert_eq!(base64("a"), None);
        assert_eq!(base64("Zm9-"), None);
    }
}
