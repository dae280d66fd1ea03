//! Records by the user's configuration: what they say, and the tracker that keeps them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::duration;
use super::context::at_home;
use super::failure::Failure;
use crate::config::{Config, RecordConfig};
use crate::execute::record::RecordChoice;
use crate::report::{Form, Forms, RecordKind, TemplateError};
use crate::tracker::Tracker;

/// The program where none is configured.
const PROGRAM: &str = "br";
/// The limit of a call of it where none is configured.
const LIMIT: Duration = Duration::from_secs(10);

/// `--record`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum RecordArg {
    /// A file, and a bead where the tracker works.
    Auto,
    /// The same, said on purpose.
    Br,
    /// A file only.
    File,
    /// No bead.
    None,
}

impl RecordArg {
    /// The word on the command line.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Br => "br",
            Self::File => "file",
            Self::None => "none",
        }
    }

    /// The choice for a command that writes a record of its own accord.
    pub(super) const fn choice(self) -> RecordChoice {
        match self {
            Self::Auto => RecordChoice::Auto,
            Self::Br => RecordChoice::Br,
            Self::File => RecordChoice::File,
            Self::None => RecordChoice::None,
        }
    }
}

/// The tracker, by the user's configuration only: it names a program to run.
pub(super) fn tracker(config: &Config, directory: &Path) -> Result<Tracker, Failure> {
    let wanted = &config.tracker;
    let program = at_home(wanted.program.as_deref().unwrap_or(PROGRAM));
    let bare = program.components().count() == 1;
    if program.as_os_str().is_empty() || !(bare || program.is_absolute()) {
        return Err(Failure::usage(format!(
            "tracker.program: {} is neither a name nor an absolute path",
            program.display()
        ))
        .hint("write `br`, or the whole path of the program"));
    }
    let limit = wanted
        .timeout
        .as_deref()
        .map(duration)
        .transpose()
        .map_err(|error| Failure::usage(format!("tracker.timeout: {error}")))?;
    let directory = wanted
        .directory
        .as_deref()
        .map_or_else(|| directory.to_owned(), at_home);
    Ok(Tracker::new(program, directory, limit.unwrap_or(LIMIT)))
}

/// The forms of all records, with what the configuration puts in their place.
pub(super) fn forms(config: &Config) -> Result<Forms, Failure> {
    let mut forms = Forms::default();
    let records = &config.records;
    for kind in RecordKind::ALL {
        let own = match kind {
            RecordKind::Request => &records.request,
            RecordKind::CanaryFailure => &records.canary_failure,
            RecordKind::ProductionRollback => &records.production_rollback,
            RecordKind::CanaryErrors => &records.canary_errors,
        };
        replace(forms.of_mut(kind), own, kind.as_str())?;
    }
    Ok(forms)
}

fn replace(form: &mut Form, own: &RecordConfig, kind: &str) -> Result<(), Failure> {
    if let Some(title) = &own.title {
        form.title.clone_from(title);
    }
    if let Some(issue_type) = &own.issue_type {
        form.issue_type.clone_from(issue_type);
    }
    if let Some(labels) = &own.labels {
        form.labels.clone_from(labels);
    }
    if let Some(text) = &own.priority {
        form.priority = priority(text).ok_or_else(|| {
            Failure::usage(format!("records.{kind}.priority: {text:?} is none"))
                .hint("priorities are P0 (most urgent) to P4")
        })?;
    }
    if let Some(path) = &own.template {
        let path: PathBuf = at_home(path);
        form.template = std::fs::read_to_string(&path).map_err(|error| {
            Failure::usage(format!(
                "records.{kind}.template: {}: {error}",
                path.display()
            ))
            .hint("name a file that can be read, or leave it out for the built-in template")
        })?;
        form.template_name = path.display().to_string();
    }
    form.check().map_err(template_failure)
}

fn priority(text: &str) -> Option<u8> {
    let digit = text.strip_prefix(['P', 'p'])?;
    digit.parse().ok().filter(|number| *number <= 4)
}

/// A template that cannot be used is a wrong configuration.
pub(super) fn template_failure(error: TemplateError) -> Failure {
    Failure::usage(error.to_string())
        .hint("docs/cli.md lists what a template can use; `unship config check` reads it again")
}
