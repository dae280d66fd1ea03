//! Engineers: a home folder, a clone, unship and git as they start them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::{Outcome, World, bed, run};

/// An engineer: a home folder and a clone.
#[derive(Debug, Clone)]
pub struct Engineer {
    /// HOME; the XDG folders are below it.
    pub home: PathBuf,
    /// The working directory.
    pub clone: PathBuf,
}

impl World {
    /// Another engineer with a home and a clone.
    pub fn engineer(&self, name: &str) -> Engineer {
        let engineer = Engineer {
            home: bed().dir.join(&self.name).join(name).join("home"),
            clone: bed().dir.join(&self.name).join(name).join("clone"),
        };
        self.clone_for(&engineer);
        engineer
    }

    /// The same world with another engineer.
    pub fn seen_by(&self, name: &str) -> Self {
        Self {
            engineer: self.engineer(name),
            ..self.clone()
        }
    }

    /// A kubeconfig of the engineer's own: `server` and `token` replace the world's.
    pub fn kubeconfig(&self, server: Option<&str>, token: Option<&str>) -> PathBuf {
        let path = bed().sandbox.variable("KUBECONFIG");
        let text = std::fs::read_to_string(path).expect("a kubeconfig");
        let mut config: Value = serde_json::from_str(&text).expect("the sandbox writes JSON");
        if let Some(server) = server {
            config["clusters"][0]["cluster"]["server"] = json!(server);
        }
        if let Some(token) = token {
            config["users"][0]["user"]["token"] = json!(token);
        }
        let own = self.engineer.home.join("kubeconfig");
        std::fs::write(&own, config.to_string()).expect("a kubeconfig is written");
        own
    }

    /// The API server's address.
    pub fn server() -> String {
        let path = bed().sandbox.variable("KUBECONFIG");
        let text = std::fs::read_to_string(path).expect("a kubeconfig");
        let config: Value = serde_json::from_str(&text).expect("the sandbox writes JSON");
        config["clusters"][0]["cluster"]["server"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The same engineer with another clone.
    pub fn second_clone(&self, of: &Engineer, name: &str) -> Engineer {
        let engineer = Engineer {
            home: of.home.clone(),
            clone: bed().dir.join(&self.name).join(name),
        };
        self.clone_for(&engineer);
        engineer
    }

    pub(super) fn clone_for(&self, engineer: &Engineer) {
        write_home(&engineer.home);
        let at = engineer.home.clone();
        let clone = engineer.clone.display().to_string();
        git(engineer, &at, &["clone", "--quiet", &self.url(), &clone]);
    }

    /// unship in this world, with nothing of the caller's environment.
    pub fn command_of(&self, engineer: &Engineer, arguments: &[&str]) -> Command {
        let mut command = clean(env!("CARGO_BIN_EXE_unship"), engineer);
        let sandbox = &bed().sandbox;
        for name in ["KUBECONFIG", "ARGOCD_SERVER", "ARGOCD_AUTH_TOKEN"] {
            command.env(name, sandbox.variable(name));
        }
        command.current_dir(&engineer.clone).args(arguments);
        command
    }

    /// unship as the world's engineer.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(&self.engineer, arguments)
    }

    /// Runs unship as the world's engineer.
    pub fn unship(&self, arguments: &[&str]) -> Outcome {
        run(self.command(arguments))
    }

    /// The arguments of a rollback of `zai-proxy`.
    pub fn rollback_arguments(&self) -> [&str; 7] {
        [
            "rollback",
            "zai-proxy",
            "-n",
            &self.name,
            "--yes",
            "-o",
            "json",
        ]
    }

    /// Rolls `zai-proxy` back.
    pub fn rollback(&self) -> Outcome {
        self.unship(&self.rollback_arguments())
    }
}

/// A home folder with an identity and a credential helper.
pub fn write_home(home: &Path) {
    let sandbox = &bed().sandbox;
    std::fs::create_dir_all(home).expect("a home folder");
    let config = format!(
        "[user]\n\tname = Dana Devpod\n\temail = dana@apexalgo.example\n[credential]\n\thelper = \"!f() {{ test \\\"$1\\\" = get && printf 'username=%s\\\\npassword=%s\\\\n' {} {}; }}; f\"\n",
        sandbox.variable("UNSHIP_WORLD_GIT_USER"),
        sandbox.variable("UNSHIP_WORLD_GIT_PASSWORD"),
    );
    std::fs::write(home.join(".gitconfig"), config).expect("a git configuration");
}

/// A program with nothing of the caller's environment but PATH.
pub fn clean(program: &str, engineer: &Engineer) -> Command {
    let home = &engineer.home;
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_STATE_HOME", home.join("state"))
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0");
    command
}

/// git; fails the test when it fails.
pub fn git(engineer: &Engineer, at: &Path, arguments: &[&str]) -> String {
    let mut command = clean("git", engineer);
    command.current_dir(at).args(arguments);
    let outcome = run(command);
    assert_eq!(
        outcome.code,
        Some(0),
        "git {arguments:?}: {}",
        outcome.stderr
    );
    outcome.stdout.trim_end().to_owned()
}
