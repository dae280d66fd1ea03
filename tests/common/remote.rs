//! The repository on the server: what is pushed there by others, and what is in it.

use std::time::SystemTime;

use unship::sandbox::{Author, Commit};

use super::{GOOD, Plan, World, bed, clean, git, release, run};

const RELEASER: Author<'_> = Author {
    name: "Mira Okafor",
    email: "mira@apexalgo.example",
};
const OTHER: Author<'_> = Author {
    name: "Jon Vidal",
    email: "jon@apexalgo.example",
};

fn now() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(0))
}

impl World {
    pub(super) fn ship(&self, tag: &str, subject: &str, plan: &Plan<'_>) {
        let files: Vec<(String, String)> = self
            .workloads
            .iter()
            .map(|w| (self.file(w), (plan.text)(release(&self.name, w, tag))))
            .collect();
        self.push_as(RELEASER, subject, &files);
    }

    pub(super) fn push_as(
        &self,
        author: Author<'_>,
        subject: &str,
        files: &[(String, String)],
    ) -> String {
        self.try_push(author, subject, files).expect("a commit")
    }

    /// None when somebody else was quicker.
    pub(super) fn try_push(
        &self,
        author: Author<'_>,
        subject: &str,
        files: &[(String, String)],
    ) -> Option<String> {
        let files = files
            .iter()
            .map(|(path, text)| (path.as_str(), Some(text.clone())))
            .collect();
        let commit = Commit {
            author,
            message: &format!("{subject}\n"),
            time: now() - 3600,
            files,
        };
        bed().sandbox.commit(&self.name, "main", &commit).ok()
    }

    /// Somebody pushes files to main.
    pub fn push(&self, subject: &str, files: &[(&str, String)]) -> String {
        let files: Vec<(String, String)> = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), text.clone()))
            .collect();
        self.push_as(OTHER, subject, &files)
    }

    /// Somebody deletes a file on main.
    pub fn delete(&self, subject: &str, path: &str) -> String {
        self.rename_or_delete(subject, vec![(path, None)])
    }

    /// Somebody moves a file on main.
    pub fn rename(&self, subject: &str, from: &str, (to, text): (&str, String)) -> String {
        self.rename_or_delete(subject, vec![(from, None), (to, Some(text))])
    }

    pub(super) fn rename_or_delete(
        &self,
        subject: &str,
        files: Vec<(&str, Option<String>)>,
    ) -> String {
        let commit = Commit {
            author: OTHER,
            message: &format!("{subject}\n"),
            time: now() - 3600,
            files,
        };
        bed()
            .sandbox
            .commit(&self.name, "main", &commit)
            .expect("a commit")
    }

    /// Somebody pushes something that has nothing to do with the workload.
    pub fn others(&self, subject: &str) -> String {
        self.push(
            subject,
            &[("teams/search/notes.txt", format!("{subject}\n"))],
        )
    }

    /// The same, unless somebody is quicker.
    pub fn try_others(&self, subject: &str) -> Option<String> {
        let file = ("teams/search/notes.txt".to_owned(), format!("{subject}\n"));
        self.try_push(OTHER, subject, &[file])
    }

    /// git in the engineer's clone; fails the test when git fails.
    pub fn git(&self, arguments: &[&str]) -> String {
        git(&self.engineer, &self.engineer.clone, arguments)
    }

    /// git in the server's repository.
    pub fn remote(&self, arguments: &[&str]) -> String {
        git(&self.engineer, &self.bare(), arguments)
    }

    /// Commits on main, newest first: id, parents, message.
    pub fn log(&self) -> Vec<(String, Vec<String>, String)> {
        self.remote(&["log", "--format=%H%x1f%P%x1f%B%x1e", "main"])
            .split('\u{1e}')
            .filter_map(|entry| {
                let mut parts = entry.trim().split('\u{1f}');
                let id = parts.next().filter(|id| !id.is_empty())?.to_owned();
                let parents = parts
                    .next()?
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect();
                Some((id, parents, parts.next()?.to_owned()))
            })
            .collect()
    }

    /// Commits on main that unship made.
    pub fn own_commits(&self) -> Vec<(String, Vec<String>, String)> {
        let mut log = self.log();
        log.retain(|(_, _, message)| message.contains("Unship-Run: "));
        log
    }

    /// The bytes of a workload's manifest on main.
    pub fn manifest(&self, workload: &str) -> String {
        let mut command = clean("git", &self.engineer);
        command
            .current_dir(self.bare())
            .args(["show", &format!("main:{}", self.file(workload))]);
        run(command).stdout
    }

    /// Adds a server hook.
    pub fn hook(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.bare().join("hooks").join(name);
        std::fs::create_dir_all(self.bare().join("hooks")).expect("a folder for hooks");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a hook");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, mode).expect("an executable hook");
    }
}
