use super::*;

const CONFIG: &str = r#"
contexts:
- {name: old, server: old.example:8443, user: old}
- {name: prod, server: argo.example, user: prod}
current-context: prod
servers:
- {server: old.example:8443, insecure: true, grpc-web: true}
- server: argo.example
  grpc-web-root-path: argo
  certificate-authority-data: Q0E=
  client-certificate-data: Q0VSVA==
  client-certificate-key-data: S0VZ
users:
- {name: old, auth-token: old.file.token}
- {name: prod, auth-token: prod.file.token, refresh-token: r}
prompts-enabled: false
"#;

fn file(text: &str) -> CliConfigFile {
    CliConfigFile {
        path: "/home/u/.config/argocd/config".to_owned(),
        text: SecretString::from(text),
        mode: Some(0o100_600),
    }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn secret(text: &str) -> Option<SecretString> {
    Some(SecretString::from(text))
}

fn server(inputs: &Inputs) -> Resolved {
    match resolve(inputs).unwrap() {
        Resolution::Server(server) => *server,
        Resolution::None { reason } => panic!("none: {reason}"),
    }
}

fn token(server: &Resolved) -> &str {
    server
        .token
        .as_ref()
        .map_or("", ExposeSecret::expose_secret)
}

#[test]
fn addresses() {
    for (address, opts, expected) in [
        ("argo.example", "", "https://argo.example"),
        ("argo.example:8443", "", "https://argo.example:8443"),
        ("argo.example:443", "--grpc-web", "https://argo.example"),
        ("argo.example", "--plaintext", "http://argo.example"),
        ("localhost:8080", "--plaintext", "http://localhost:8080"),
        ("[::1]:8080", "--plaintext", "http://[::1]:8080"),
        ("http://argo.example", "", "http://argo.example"),
        (
            "https://argo.example",
            "--plaintext",
            "https://argo.example",
        ),
        ("https://argo.example/", "", "https://argo.example"),
        ("argo.example/argo/", "", "https://argo.example/argo"),
        (
            "argo.example",
            "--grpc-web-root-path /argo/cd/",
            "https://argo.example/argo/cd",
        ),
        (
            "https://argo.example/x",
            "--grpc-web-root-path argo",
            "https://argo.example/x",
        ),
    ] {
        let inputs = Inputs {
            env_server: some(address),
            env_opts: secret(opts),
            ..Inputs::default()
        };
        assert_eq!(server(&inputs).base_url, expected, "{address} {opts}");
    }
}

#[test]
fn addresses_that_cannot_be_used() {
    for (address, part) in [
        ("kubernetes", "core mode"),
        ("port-forward", "kubectl -n argocd port-forward"),
        ("https://u:sekret@argo.example", "user name or password"),
        ("ftp://argo.example", "neither http nor https"),
        ("https://", "is not a URL"),
        ("a b", "is not a URL"),
        ("https://argo.example?x=sekret", "query"),
        ("argo.example:port", "is not a URL"),
    ] {
        let inputs = Inputs {
            flag_server: some(address),
            ..Inputs::default()
        };
        let error = resolve(&inputs).unwrap_err().to_string();
        assert!(
            error.contains(part) && error.contains("--argocd-server"),
            "{error}"
        );
        assert!(!error.contains("sekret"), "{error}");
    }
}

#[test]
fn precedence() {
    let mut inputs = Inputs {
        flag_server: some("flag.example"),
        flag_auth_token: secret("flag.token"),
        env_server: some("env.example"),
        env_auth_token: secret("env.token"),
        env_opts: secret("--server opts.example --auth-token opts.token"),
        cli_config: Some(file(CONFIG)),
        read_only_proxy: some("http://proxy.example"),
    };
    let check = |inputs: &Inputs, url: &str, expected: &str, source: &str| {
        let found = server(inputs);
        assert_eq!((found.base_url.as_str(), token(&found)), (url, expected));
        assert_eq!(found.source, source);
        assert!(!found.read_only_proxy);
        let shown = format!("{found:?}{inputs:?}");
        assert!(!shown.contains(".token"), "{shown}");
    };
    let both = "server from --argocd-server, token from --argocd-auth-token";
    check(&inputs, "https://flag.example", "flag.token", both);
    inputs.flag_server = some("  ");
    inputs.flag_auth_token = secret("");
    let both = "server from ARGOCD_SERVER, token from ARGOCD_AUTH_TOKEN";
    check(&inputs, "https://env.example", "env.token", both);
    inputs.env_server = None;
    inputs.env_auth_token = None;
    check(
        &inputs,
        "https://opts.example",
        "opts.token",
        "server and token from ARGOCD_OPTS",
    );
    inputs.env_opts = None;
    check(
        &inputs,
        "https://argo.example/argo",
        "prod.file.token",
        "server and token from /home/u/.config/argocd/config (context prod)",
    );
    inputs.cli_config = None;
    let found = server(&inputs);
    assert_eq!(found.base_url, "http://proxy.example");
    assert!(found.read_only_proxy && found.token.is_none());
}

#[test]
fn what_stands_with_a_server_in_the_file() {
    let inputs = Inputs {
        cli_config: Some(file(CONFIG)),
        ..Inputs::default()
    };
    let found = server(&inputs);
    assert_eq!(found.ca_pem.as_deref(), Some(&b"CA"[..]));
    assert_eq!(found.client_pem.unwrap().expose_secret(), "CERT\nKEY");
    assert!(!found.insecure_tls);
    // A token given by hand goes to the file's server.
    let inputs = Inputs {
        env_auth_token: secret("env.token"),
        ..inputs
    };
    assert_eq!(token(&server(&inputs)), "env.token");
}

#[test]
fn a_stored_token_goes_only_to_its_own_server() {
    let mut inputs = Inputs {
        env_server: some("old.example:8443"),
        cli_config: Some(file(CONFIG)),
        ..Inputs::default()
    };
    let found = server(&inputs);
    assert_eq!(
        token(&found),
        "old.file.token",
        "not the current context, but the same server"
    );
    assert!(found.insecure_tls);
    inputs.env_server = some("https://ARGO.example:443");
    assert_eq!(
        token(&server(&inputs)),
        "prod.file.token",
        "another spelling"
    );
    for other in ["stranger.example", "old.example", "http://argo.example"] {
        inputs.env_server = some(other);
        let found = server(&inputs);
        assert!(found.token.is_none() && found.ca_pem.is_none(), "{other}");
        assert_eq!(found.source, "server from ARGOCD_SERVER, no token");
    }
}

#[test]
fn a_proxy_is_shown_no_token() {
    let inputs = Inputs {
        env_auth_token: secret("env.token"),
        read_only_proxy: some("proxy.example:8001"),
        ..Inputs::default()
    };
    assert!(server(&inputs).token.is_none());
}

#[test]
fn files_that_cannot_be_used() {
    let bare = |text: &str| file(text);
    let open = CliConfigFile {
        mode: Some(0o100_644),
        ..file(CONFIG)
    };
    for (file, part) in [
        (open.clone(), "chmod 600"),
        (bare("contexts: [sekret"), "not valid YAML"),
        (bare("contexts: sekret"), "not valid YAML"),
        (bare("current-context: gone"), "\"gone\" is not among"),
        (
            bare("current-context: a\ncontexts: [{name: a, server: b}]"),
            "which it lacks",
        ),
        (bare(&CONFIG.replace("Q0VSVA==", "_")), "not base64"),
        (
            bare(&CONFIG.replace("  client-certificate-key-data: S0VZ\n", "")),
            "without the other",
        ),
    ] {
        let inputs = Inputs {
            cli_config: Some(file),
            ..Inputs::default()
        };
        let error = resolve(&inputs).unwrap_err().to_string();
        assert!(
            error.contains(part) && error.contains("argocd/config"),
            "{error}"
        );
        assert!(
            !error.contains("sekret") && !error.contains("file.token"),
            "{error}"
        );
    }
    let inputs = Inputs {
        env_server: some("argo.example"),
        env_auth_token: secret("t"),
        cli_config: Some(open),
        ..Inputs::default()
    };
    assert_eq!(token(&server(&inputs)), "t", "the file is not needed");
    let stale = CONFIG.replace(
        "- {server: old.example:8443, insecure: true, grpc-web: true}\n",
        "",
    );
    let inputs = Inputs {
        cli_config: Some(file(&stale)),
        ..Inputs::default()
    };
    assert_eq!(
        token(&server(&inputs)),
        "prod.file.token",
        "another context is broken"
    );
    for mode in [0o100_600, 0o100_400] {
        let file = CliConfigFile {
            mode: Some(mode),
            ..file(CONFIG)
        };
        server(&Inputs {
            cli_config: Some(file),
            ..Inputs::default()
        });
    }
}

#[test]
fn nothing_to_ask() {
    let none = |inputs: Inputs| match resolve(&inputs).unwrap() {
        Resolution::None { reason } => reason,
        Resolution::Server(server) => panic!("{server:?}"),
    };
    assert!(none(Inputs::default()).contains("ARGOCD_SERVER"));
    let token = Inputs {
        env_auth_token: secret("t"),
        ..Inputs::default()
    };
    assert!(none(token).contains("token from ARGOCD_AUTH_TOKEN but no server"));
    for text in [
        "",
        "contexts: []",
        CONFIG.replace("current-context: prod", "").as_str(),
    ] {
        let inputs = Inputs {
            cli_config: Some(file(text)),
            ..Inputs::default()
        };
        assert!(none(inputs).contains("no Argo CD server"), "{text}");
    }
    let core = "current-context: k\ncontexts: [{name: k, server: kubernetes, user: k}]\n\
                servers: [{server: kubernetes, core: true}]\nusers: [{name: k}]";
    let mut inputs = Inputs {
        cli_config: Some(file(core)),
        ..Inputs::default()
    };
    assert!(none(inputs.clone()).contains("\"kubernetes\""));
    inputs.read_only_proxy = some("http://proxy");
    assert!(server(&inputs).read_only_proxy);
}

#[test]
fn tokens_and_opts_that_cannot_be_used() {
    let inputs = Inputs {
        env_auth_token: secret("se\nkret"),
        ..Inputs::default()
    };
    let error = resolve(&inputs).unwrap_err().to_string();
    assert!(
        error.contains("ARGOCD_AUTH_TOKEN") && !error.contains("kret"),
        "{error}"
    );
    let inputs = Inputs {
        env_opts: secret("--server 'sekret"),
        ..Inputs::default()
    };
    let error = resolve(&inputs).unwrap_err().to_string();
    assert!(
        error.contains("ARGOCD_OPTS") && !error.contains("sekret"),
        "{error}"
    );
}
