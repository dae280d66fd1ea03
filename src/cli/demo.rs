//! `unship demo`: the whole story against the built-in sandbox.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::failure::Failure;
use super::ui::{Ui, err, out};
use crate::exit::ExitStatus;
use crate::report::Tint;
use crate::sandbox::{DemoWorld, Options, Sandbox, demo_world};

/// Arguments of `unship demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  unship demo\n  unship demo --keep")]
pub(super) struct Args {
    /// Leave the world up before the rollback and print its environment, to try by hand
    #[arg(long)]
    keep: bool,
    /// Leave an empty world up and print its environment (for scenario runs)
    #[arg(long, hide = true)]
    empty: bool,
    /// State folder (else a temporary one)
    #[arg(long, value_name = "DIR", hide = true)]
    dir: Option<PathBuf>,
}

impl From<crate::sandbox::Error> for Failure {
    fn from(error: crate::sandbox::Error) -> Self {
        Self::error(error.to_string())
    }
}

/// The story's stage: a world, a home folder of its own, and a clone.
struct Stage {
    sandbox: Sandbox,
    world: DemoWorld,
    home: PathBuf,
    clone: PathBuf,
    began: Instant,
}

/// Runs it.
pub(super) async fn run(args: &Args, ui: Ui) -> Result<ExitStatus, Failure> {
    let temporary;
    let dir = match &args.dir {
        Some(dir) => dir.clone(),
        None => {
            temporary = tempfile::Builder::new()
                .prefix("unship-demo-")
                .tempdir()
                .map_err(|error| Failure::error(format!("no temporary folder: {error}")))?;
            temporary.path().to_owned()
        }
    };
    if args.empty {
        let sandbox = Sandbox::start(Options::new(&dir)).await?;
        print_environment(&sandbox, &[]);
        return wait_and_stop(sandbox).await;
    }
    let stage = Stage::set(&dir).await?;
    if args.keep {
        let more = [("HOME", stage.home.display().to_string())];
        print_environment(&stage.sandbox, &more);
        ui.note(&format!(
            "the world is up; source the lines above, cd {}, and try:",
            stage.clone.display()
        ));
        ui.note("  unship status zai-proxy -n mcp    unship plan zai-proxy -n mcp    unship rollback zai-proxy -n mcp");
        ui.note("Ctrl-C takes it down");
        return wait_and_stop(stage.sandbox).await;
    }
    let told = stage.tell().await;
    stage.sandbox.stop().await;
    told
}

fn print_environment(sandbox: &Sandbox, more: &[(&str, String)]) {
    let mut text = String::new();
    for (name, value) in sandbox.environment() {
        text.push_str(&format!("export {name}='{value}'\n"));
    }
    for (name, value) in more {
        text.push_str(&format!("export {name}='{value}'\n"));
    }
    out(&text);
}

async fn wait_and_stop(sandbox: Sandbox) -> Result<ExitStatus, Failure> {
    let _ = tokio::signal::ctrl_c().await;
    sandbox.stop().await;
    Ok(ExitStatus::Success)
}

impl Stage {
    async fn set(dir: &Path) -> Result<Self, Failure> {
        let began = Instant::now();
        err(
            "starting a cluster, Argo CD and a Git remote of the sandbox, and shipping a bad release ...\n",
        );
        let sandbox = Sandbox::start(Options::new(dir)).await?;
        let world = demo_world(&sandbox).await?;
        let home = dir.join("home");
        let clone = dir.join("gitops");
        let failed = |error: std::io::Error| Failure::error(format!("{}: {error}", home.display()));
        std::fs::create_dir_all(&home).map_err(failed)?;
        std::fs::write(
            home.join(".gitconfig"),
            "[user]\n\tname = Dana Devpod\n\temail = dana@apexalgo.example\n",
        )
        .map_err(failed)?;
        let stage = Self {
            sandbox,
            world,
            home,
            clone,
            began,
        };
        let cloned = stage
            .command("git")
            .args(["clone", "--quiet", &stage.world.clone_url])
            .arg(&stage.clone)
            .current_dir(dir)
            .output()
            .await
            .map_err(|error| Failure::error(format!("git: {error}")))?;
        if !cloned.status.success() {
            let text = String::from_utf8_lossy(&cloned.stderr).into_owned();
            return Err(Failure::error(format!("git clone failed: {text}")));
        }
        Ok(stage)
    }

    /// A program in the demo's own environment: nothing of the user's is read.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(program);
        command.env_clear();
        for name in [
            "PATH",
            "TERM",
            "NO_COLOR",
            "CLICOLOR_FORCE",
            "COLUMNS",
            "LANG",
        ] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("HOME", &self.home)
            .env("GIT_CONFIG_NOSYSTEM", "1");
        for (name, value) in self.sandbox.environment() {
            command.env(name, value);
        }
        if self.clone.is_dir() {
            command.current_dir(&self.clone);
        }
        command
    }

    async fn tell(&self) -> Result<ExitStatus, Failure> {
        let target = ["zai-proxy", "-n", &self.world.namespace];
        heading(&format!(
            "1. A bad release is live. `unship status {}`",
            target.join(" ")
        ));
        self.unship(&["status"], &target).await?;
        heading("2. What an engineer tries first");
        self.undo_as_observer().await?;
        self.undo_as_admin().await?;
        self.argocd_rollback().await?;
        heading(&format!("3. `unship plan {}`", target.join(" ")));
        self.unship(&["plan"], &target).await?;
        heading(&format!("4. `unship rollback {} --yes`", target.join(" ")));
        let rollback = Instant::now();
        let status = self.unship(&["rollback", "--yes"], &target).await?;
        let seconds = rollback.elapsed().as_secs_f64();
        heading("5. The proof");
        self.proof().await?;
        out(&format!(
            "\nthe rollback took {seconds:.1} s, the whole story {:.1} s\nto try by hand: unship demo --keep\n",
            self.began.elapsed().as_secs_f64()
        ));
        Ok(status)
    }

    async fn unship(&self, words: &[&str], target: &[&str]) -> Result<ExitStatus, Failure> {
        let own = std::env::current_exe().map_err(|error| Failure::error(error.to_string()))?;
        let mut command = self.command(own);
        let status = command
            .args(words)
            .args(target)
            .stdin(std::process::Stdio::null())
            .status()
            .await
            .map_err(|error| Failure::error(error.to_string()))?;
        let code = status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(1);
        Ok(ExitStatus::of_code(code))
    }

    /// The patch that `kubectl rollout undo` sends.
    async fn undo(&self, server: &str, token: &str) -> Result<(u16, Value), Failure> {
        let url = format!(
            "{server}/apis/apps/v1/namespaces/{}/deployments/zai-proxy",
            self.world.namespace
        );
        let patch = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image",
            "value": "ronaldraygun/zai-proxy:1.2.0"}]);
        let client = client()?;
        let answer = client
            .patch(url)
            .bearer_auth(token)
            .header("content-type", "application/json-patch+json")
            .body(patch.to_string())
            .send()
            .await
            .map_err(|error| Failure::error(error.to_string()))?;
        let code = answer.status().as_u16();
        let body = answer.json().await.unwrap_or(Value::Null);
        Ok((code, body))
    }

    async fn undo_as_observer(&self) -> Result<(), Failure> {
        let (server, token) = kubeconfig(self.sandbox.variable("KUBECONFIG"))?;
        let (_, body) = self.undo(&server, &token).await?;
        said(
            "kubectl rollout undo deployment/zai-proxy",
            body["message"].as_str().unwrap_or_default(),
        );
        Ok(())
    }

    async fn undo_as_admin(&self) -> Result<(), Failure> {
        let (server, token) = kubeconfig(self.sandbox.variable("UNSHIP_WORLD_ADMIN_KUBECONFIG"))?;
        let began = Instant::now();
        let (code, _) = self.undo(&server, &token).await?;
        let image = || {
            let live = self
                .sandbox
                .get("apps", "Deployment", &self.world.namespace, "zai-proxy");
            live.and_then(|live| {
                let image = live.pointer("/spec/template/spec/containers/0/image")?;
                image.as_str().map(str::to_owned)
            })
        };
        while code == 200
            && image().is_some_and(|i| i.ends_with(":1.2.0"))
            && began.elapsed() < Duration::from_secs(5)
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        said(
            "the same with admin rights",
            &format!(
                "done, and undone by Argo CD's self-heal after {:.1} s",
                began.elapsed().as_secs_f64()
            ),
        );
        Ok(())
    }

    async fn argocd_rollback(&self) -> Result<(), Failure> {
        let url = format!(
            "{}/api/v1/applications/{}/rollback",
            self.sandbox.variable("ARGOCD_SERVER"),
            self.world.application
        );
        let body: Value = client()?
            .post(url)
            .bearer_auth(self.sandbox.variable("UNSHIP_WORLD_ADMIN_ARGOCD_TOKEN"))
            .json(&json!({"id": 1}))
            .send()
            .await
            .map_err(|error| Failure::error(error.to_string()))?
            .json()
            .await
            .unwrap_or(Value::Null);
        said(
            "argocd app rollback",
            body["error"].as_str().unwrap_or_default(),
        );
        Ok(())
    }

    /// Git's history and the audit log.
    async fn proof(&self) -> Result<(), Failure> {
        let log = self
            .command("git")
            .args(["-C"])
            .arg(&self.clone)
            .args(["log", "-3", "--format=%h %an: %s", "origin/main"])
            .output()
            .await
            .map_err(|error| Failure::error(error.to_string()))?;
        for line in String::from_utf8_lossy(&log.stdout).lines() {
            out(&format!("  git log     {line}\n"));
        }
        let audit = std::fs::read_to_string(self.sandbox.variable("UNSHIP_WORLD_AUDIT_LOG"))
            .unwrap_or_default();
        let mut verbs: std::collections::BTreeMap<String, usize> =
            std::collections::BTreeMap::new();
        for event in audit
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        {
            let observer = event
                .pointer("/user/username")
                .and_then(Value::as_str)
                .is_some_and(|u| u.ends_with(":devpod-observer"));
            if observer {
                *verbs
                    .entry(event["verb"].as_str().unwrap_or("?").to_owned())
                    .or_default() += 1;
            }
        }
        let words: Vec<String> = verbs
            .iter()
            .map(|(verb, count)| format!("{verb} {count}"))
            .collect();
        out(&format!(
            "  audit log   what devpod-observer sent: {} (the one patch is the undo of step 2)\n",
            words.join(", ")
        ));
        Ok(())
    }
}

fn client() -> Result<reqwest::Client, Failure> {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build()
        .map_err(|error| Failure::error(error.to_string()))
}

/// Server and token of one of the sandbox's kubeconfigs.
fn kubeconfig(path: &str) -> Result<(String, String), Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::error(format!("{path}: {error}")))?;
    let value: Value =
        serde_yaml::from_str(&text).map_err(|error| Failure::error(error.to_string()))?;
    let at = |pointer: &str| {
        value
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Ok((at("/clusters/0/cluster/server"), at("/users/0/user/token")))
}

fn heading(text: &str) {
    out(&format!("\n{}\n", Tint::Bold.paint(text)));
}

fn said(command: &str, answer: &str) {
    out(&format!(
        "  $ {command}\n    {}\n",
        crate::report::one_line(answer, 300)
    ));
}
