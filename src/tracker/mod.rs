//! Records in beads, kept through the `br` program (beads_rust) or a drop-in
//! replacement of it.
//!
//! What the installed program takes is read from its own `--help`: versions differ
//! (0.1 knows `--description`, 0.7 also `--body`), and so do the places where they
//! print errors (0.1 on standard error, 0.7 on standard output with `--json`).
//! Nothing goes through a shell.

mod answer;
mod error;
mod flags;
mod limits;
mod program;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

pub use error::Error;
pub use limits::{DESCRIPTION_BYTES, LABEL_BYTES, REFERENCE_BYTES, TITLE_BYTES};

use answer::Listed;
use flags::Flags;

/// The first pause before a locked tracker is asked again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Where beads are kept, and the program that keeps them. Both come from the user's
/// own configuration, never from a repository.
#[derive(Debug, Clone)]
pub struct Tracker {
    program: PathBuf,
    directory: PathBuf,
    limit: Duration,
    flags: Arc<OnceCell<Flags>>,
}

/// What is to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bead {
    /// One line; at most [`TITLE_BYTES`].
    pub title: String,
    /// `bug`, `task`, ...
    pub kind: String,
    /// 0 (most urgent) to 4.
    pub priority: u8,
    /// Letters, digits, `-`, `_` and `:`; at most [`LABEL_BYTES`] each.
    pub labels: Vec<String>,
    /// Markdown; at most [`DESCRIPTION_BYTES`].
    pub body: String,
    /// The key by which it is found again; at most [`REFERENCE_BYTES`], no white space.
    pub external_ref: Option<String>,
}

/// What the tracker knows of an external reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The open bead, if there is one.
    pub open: Option<String>,
    /// The reference that a new bead can have. The tracker keeps references unique,
    /// also over closed beads; after one that is closed the next is `REF~2`.
    pub free: String,
}

impl Tracker {
    /// A tracker that runs `program` (a name in the `PATH`, or a path) in `directory`;
    /// every call, retries included, ends within `limit`.
    #[must_use]
    pub fn new(program: PathBuf, directory: PathBuf, limit: Duration) -> Self {
        Self {
            program,
            directory,
            limit,
            flags: Arc::default(),
        }
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The folder in which it runs.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Creates a bead and tells its id. What is longer than the tracker takes is cut,
    /// with a mark where.
    ///
    /// # Errors
    /// When the program is missing, the folder is no workspace, the tracker stays
    /// locked until the limit, or refuses. After [`Error::TimedOut`] and
    /// [`Error::Unreadable`] the bead may be there all the same: [`Tracker::find`] tells.
    pub async fn create(&self, bead: &Bead) -> Result<String, Error> {
        let deadline = self.deadline();
        let flags = self.flags(deadline).await?;
        let bead = limits::fit(bead);
        let mut args: Vec<OsString> = vec!["create".into(), "--json".into()];
        args.push(format!("--type={}", bead.kind).into());
        args.push(format!("--priority={}", bead.priority).into());
        args.push(format!("--{}={}", flags.body, bead.body).into());
        if !bead.labels.is_empty() {
            args.push(format!("--labels={}", bead.labels.join(",")).into());
        }
        if let Some(reference) = &bead.external_ref {
            args.push(format!("--external-ref={reference}").into());
        }
        args.extend(flags.lock_arguments(deadline));
        args.extend(["--".into(), bead.title.into()]);
        let text = self.patiently("create", args, deadline).await?;
        answer::created(&text).ok_or_else(|| self.unreadable("create", &text))
    }

    /// The open bead with this external reference, or one that followed it.
    ///
    /// # Errors
    /// As [`Tracker::create`].
    pub async fn find(&self, external_ref: &str) -> Result<Option<String>, Error> {
        Ok(self.look_up(external_ref).await?.open)
    }

    /// What is known of an external reference: the open bead, and the reference that
    /// a new one can have.
    ///
    /// # Errors
    /// As [`Tracker::create`].
    pub async fn look_up(&self, external_ref: &str) -> Result<Known, Error> {
        let deadline = self.deadline();
        let flags = self.flags(deadline).await?;
        let mut args: Vec<OsString> = ["list", "--json", "--all", "--limit=0"]
            .map(Into::into)
            .into();
        args.extend(flags.lock_arguments(deadline));
        let text = self.patiently("list", args, deadline).await?;
        let listed = answer::listed(&text).ok_or_else(|| self.unreadable("list", &text))?;
        Ok(known(&limits::reference(external_ref), &listed))
    }

    /// Makes `blocked` wait for `blocker`; nothing happens where it does already.
    ///
    /// # Errors
    /// As [`Tracker::create`], and when one of the two is not there.
    pub async fn block(&self, blocked: &str, blocker: &str) -> Result<(), Error> {
        let deadline = self.deadline();
        let flags = self.flags(deadline).await?;
        let mut args: Vec<OsString> = ["dep", "add", "--json"].map(Into::into).into();
        args.extend(flags.lock_arguments(deadline));
        args.extend(["--", blocked, blocker].map(Into::into));
        match self.patiently("dep add", args, deadline).await {
            Err(Error::Refused { code, .. }) if code == "DUPLICATE_DEPENDENCY" => Ok(()),
            other => other.map(|_| ()),
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.limit
    }

    /// What the program takes; asked once.
    async fn flags(&self, deadline: Instant) -> Result<Flags, Error> {
        let ask = || self.read_help(deadline);
        self.flags.get_or_try_init(ask).await.copied()
    }

    async fn read_help(&self, deadline: Instant) -> Result<Flags, Error> {
        let help = self
            .run(
                "create --help",
                &["create".into(), "--help".into()],
                deadline,
            )
            .await?;
        let text = format!("{}\n{}", help.stdout, help.stderr);
        if help.code != Some(0) {
            return Err(self.failed("create --help", &help));
        }
        Flags::read(&text).map_err(|missing| Error::Unsuitable {
            program: self.program.display().to_string(),
            missing,
        })
    }

    /// Runs the program, and again while the tracker is locked and time is left.
    async fn patiently(
        &self,
        what: &str,
        args: Vec<OsString>,
        deadline: Instant,
    ) -> Result<String, Error> {
        let mut pause = FIRST_PAUSE;
        loop {
            let run = self.run(what, &args, deadline).await?;
            if run.code == Some(0) {
                return Ok(run.stdout);
            }
            let error = self.failed(what, &run);
            let locked = matches!(error, Error::Locked { .. });
            if !locked || Instant::now() + pause >= deadline {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn unreadable(&self, what: &str, text: &str) -> Error {
        Error::Unreadable {
            program: self.program.display().to_string(),
            what: what.to_owned(),
            text: error::excerpt(text),
        }
    }
}

/// Finds a reference among all beads. References that followed a closed one are
/// `REF~2`, `REF~3`, ...
fn known(reference: &str, listed: &[Listed]) -> Known {
    let mut open = None;
    let mut last = 0_u32;
    for bead in listed {
        let Some(number) = bead
            .external_ref
            .as_deref()
            .and_then(|own| follows(own, reference))
        else {
            continue;
        };
        last = last.max(number);
        if bead.is_open() {
            open = Some(bead.id.clone());
        }
    }
    let free = match last {
        0 => reference.to_owned(),
        last => format!("{reference}~{}", last.saturating_add(1)),
    };
    Known { open, free }
}

fn follows(own: &str, reference: &str) -> Option<u32> {
    match own.strip_prefix(reference)? {
        "" => Some(1),
        rest => rest
            .strip_prefix('~')?
            .parse()
            .ok()
            .filter(|number| *number > 1),
    }
}
