//! Git as people use it: clones of a scenario's repository, driven by the git program.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::World;

/// A program with nothing of this process's environment but the search path.
pub(crate) fn clean(program: &str, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C");
    command
}

/// Runs git and gives its output without the last line end.
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = clean("git", folder)
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .output()
        .expect("the git program");
    assert!(
        output.status.success(),
        "git {} in {}: {}",
        arguments.join(" "),
        folder.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .trim_end_matches('\n')
        .to_owned()
}

/// Makes the bare repository that the world's Git server serves.
pub(crate) fn create(world: &World, name: &str) -> PathBuf {
    let root = Path::new(world.variable("UNSHIP_WORLD_GIT_ROOT"));
    let bare = root.join(format!("{name}.git"));
    git(
        root,
        &[
            "init",
            "-q",
            "--bare",
            "-b",
            "main",
            &bare.display().to_string(),
        ],
    );
    git(&bare, &["config", "http.receivepack", "true"]);
    bare
}

/// The credential helper that knows the Git server's account.
fn helper(world: &World) -> String {
    let quoted = |variable| world.variable(variable).replace('\'', r"'\''");
    format!(
        "!f() {{ test \"$1\" = get && echo 'username={}' && echo 'password={}'; }}; f",
        quoted("UNSHIP_WORLD_GIT_USER"),
        quoted("UNSHIP_WORLD_GIT_PASSWORD")
    )
}

/// Gives a home the credentials and the identity for repositories of which there is no clone.
pub(crate) fn credentials(world: &World, home: &Path) {
    std::fs::create_dir_all(home).expect("a home");
    for (key, value) in [
        ("credential.helper", helper(world).as_str()),
        ("user.name", "Dev Pod"),
        ("user.email", "dev.pod@example.org"),
    ] {
        git(home, &["config", "--global", key, value]);
    }
}

/// A clone with an identity and credentials of its own in its configuration.
pub(crate) struct Clone {
    pub(crate) folder: PathBuf,
}

impl Clone {
    /// Makes a clone of the repository `name`, which may still be empty.
    pub(crate) fn new(world: &World, name: &str, folder: PathBuf, person: &str) -> Self {
        std::fs::create_dir_all(&folder).expect("a folder for the clone");
        let url = format!("{}/{name}.git", world.variable("UNSHIP_WORLD_GIT_URL"));
        let mail = format!("{}@example.org", person.to_lowercase().replace(' ', "."));
        git(&folder, &["init", "-q", "-b", "main"]);
        for (key, value) in [
            ("credential.helper", helper(world).as_str()),
            ("user.name", person),
            ("user.email", &mail),
        ] {
            git(&folder, &["config", key, value]);
        }
        git(&folder, &["remote", "add", "origin", &url]);
        Self { folder }
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(&self.folder, arguments)
    }

    /// Brings the checkout to the tip of the remote's branch.
    pub(crate) fn catch_up(&self) {
        self.git(&["fetch", "-q", "origin"]);
        self.git(&["checkout", "-q", "-B", "main", "--track", "origin/main"]);
    }

    /// Writes files (None removes one) and commits them; nothing is pushed.
    pub(crate) fn commit(&self, message: &str, files: &[(&str, Option<&str>)]) -> String {
        for (path, text) in files {
            let place = self.folder.join(path);
            match text {
                Some(text) => {
                    let parent = place.parent().expect("a file has a folder");
                    std::fs::create_dir_all(parent).expect("a folder for the file");
                    std::fs::write(&place, text).expect("the file is written");
                }
                None => std::fs::remove_file(&place).expect("the file is removed"),
            }
            self.git(&["add", "-A", "--", path]);
        }
        self.git(&["commit", "-q", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    pub(crate) fn push(&self) {
        self.git(&["push", "-q", "origin", "main"]);
    }

    /// Installs a hook: a shell script.
    pub(crate) fn hook(&self, name: &str, script: &str) {
        install(&self.folder.join(".git/hooks"), name, script);
    }
}

/// Installs a hook in a folder of hooks.
pub(crate) fn install(hooks: &Path, name: &str, script: &str) {
    std::fs::create_dir_all(hooks).expect("a folder for hooks");
    let path = hooks.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}")).expect("the hook is written");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
            .expect("the hook can be run");
    }
}
