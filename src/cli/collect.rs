//! `unship collect`: a bundle of evidence in a folder or an archive.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::{Global, Source, duration, target};
use super::context::Context;
use super::failure::Failure;
use super::stop::Stopper;
use super::ui::{Ui, err};
use crate::config::EndpointConfig;
use crate::execute::bundle::{Options, TAIL_LINES, bundle, pack};
use crate::execute::endpoint::Endpoint;
use crate::exit::ExitStatus;
use crate::model::{Gap, GapReason, Observation, WorkloadKind};
use crate::observe::{self, Scope, observe};
use crate::report::{BundleItem, BundleReport, Missing, Tint};
use crate::timeline::Timeline;

/// Arguments of `unship collect`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  unship collect zai-proxy -n mcp\n  unship collect deploy/control-plane deploy/worker --tail 5000 --since 2h\n  unship collect zai-proxy --out evidence --archive"
)]
pub(super) struct Args {
    /// [KIND/]NAME; several are collected side by side in one folder
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<String>,
    /// The folder, which must not be there yet or be empty (else unship-NAME-TIME)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Make DIR.tar.gz of it and remove the folder
    #[arg(long)]
    archive: bool,
    /// Lines of each log at most
    #[arg(long, value_name = "N", default_value_t = TAIL_LINES, value_parser = clap::value_parser!(u32).range(1..))]
    tail: u32,
    /// Only log lines that are not older
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    since: Option<Duration>,
    /// Leave the logs out
    #[arg(long)]
    no_logs: bool,
    #[command(flatten)]
    source: Source,
}

/// Runs it.
pub(super) async fn run(global: &Global, args: &Args, ui: Ui) -> Result<ExitStatus, Failure> {
    let wanted = targets(&args.targets)?;
    let context = Context::new(global).await?;
    context.somebody_to_ask()?;
    let place = Place::new(&context, args, &wanted);
    place.is_free()?;
    let sights = look(&context, &wanted, &args.source).await?;
    place.make()?;
    let stopper = Stopper::new(ui);
    let options = Options {
        logs: !args.no_logs,
        tail_lines: args.tail,
        since: args.since,
        metrics: endpoint(&context.config.metrics),
        stop: Some(stopper.receiver()),
        ..Options::full()
    };
    let mut report = BundleReport::new(place.folder.display().to_string(), Vec::new());
    let verified = super::runs::verified();
    for observation in &sights {
        let timeline = Timeline::of(observation, &verified);
        let name = place.below(observation);
        ui.note(&format!("collecting {}", observation.target));
        let folder = place.folder.join(&name);
        let saved = bundle(
            &context.clients,
            observation,
            Some(&timeline),
            &folder,
            &options,
        );
        let saved = Box::pin(saved).await;
        report.error = report.error.or(saved.unwritten);
        report.items.push(BundleItem {
            folder: name,
            manifest: saved.manifest,
        });
    }
    if report
        .items
        .iter()
        .all(|item| item.manifest.files.is_empty())
    {
        place.remove();
        return Err(nothing(&report));
    }
    let interrupted = *stopper.receiver().borrow();
    if interrupted {
        report.error.get_or_insert_with(|| "interrupted".to_owned());
    }
    if args.archive {
        place.pack(&mut report).await;
    }
    Ok(tell(report, interrupted, ui))
}

type Target = (Option<WorkloadKind>, String);

/// The targets in the order typed, each once.
fn targets(words: &[String]) -> Result<Vec<Target>, Failure> {
    let mut all = Vec::new();
    for word in words {
        let one = target(word).map_err(Failure::usage)?;
        if !all.contains(&one) {
            all.push(one);
        }
    }
    Ok(all)
}

/// An endpoint as the configuration has it.
pub(super) fn endpoint(configured: &EndpointConfig) -> Endpoint {
    Endpoint {
        url: configured.url.clone(),
        port: configured.port,
        path: configured.path.clone(),
    }
}

/// Looks at all targets before anything is written: a wrong name leaves no folder.
async fn look(
    context: &Context,
    wanted: &[Target],
    source: &Source,
) -> Result<Vec<Observation>, Failure> {
    let looks = wanted.iter().map(|(kind, name)| {
        let scope = context.scope(*kind, name.clone(), source);
        async move { Box::pin(look_at(context, scope)).await }
    });
    let mut seen: Vec<Observation> = Vec::new();
    for look in futures::future::join_all(looks).await {
        let observation = look?;
        // `web` and `deploy/web` are one.
        if !seen.iter().any(|other| other.target == observation.target) {
            seen.push(observation);
        }
    }
    Ok(seen)
}

async fn look_at(context: &Context, mut scope: Scope) -> Result<Observation, Failure> {
    let now = jiff::Timestamp::now();
    let error = match observe(&context.clients, &scope, now).await {
        Ok(sight) => return Ok(with_blockers(sight.observation)),
        // A repository that cannot be used takes the timeline, not the evidence.
        Err(observe::Error::Git(error)) => error,
        Err(error) => return Err(error.into()),
    };
    scope.git = false;
    let mut observation = observe(&context.clients, &scope, now).await?.observation;
    observation.gaps.push(Gap {
        what: "Git's side".to_owned(),
        reason: GapReason::Invalid,
        message: error.to_string(),
    });
    Ok(observation)
}

/// Why Git's side is not known is a gap of the timeline.
fn with_blockers(mut observation: Observation) -> Observation {
    let blockers = observation.source_blockers.iter();
    let gaps = blockers.map(|blocker| Gap {
        what: "Git's side".to_owned(),
        reason: GapReason::NotFound,
        message: blocker.message.clone(),
    });
    observation.gaps.extend(gaps.collect::<Vec<_>>());
    observation
}

/// Where it is written.
struct Place {
    folder: PathBuf,
    archive: Option<PathBuf>,
    several: bool,
    /// Whether the folder was there before.
    existed: bool,
}

impl Place {
    fn new(context: &Context, args: &Args, wanted: &[Target]) -> Self {
        let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        let name = match wanted {
            [(_, name)] => name,
            _ => &context.namespace,
        };
        let folder = args.out.clone();
        let folder = folder.unwrap_or_else(|| PathBuf::from(format!("unship-{name}-{time}")));
        let folder = context.directory().join(folder);
        let archive = args.archive.then(|| {
            let mut name = folder.as_os_str().to_owned();
            name.push(".tar.gz");
            PathBuf::from(name)
        });
        Self {
            existed: folder.exists(),
            folder,
            archive,
            several: wanted.len() > 1,
        }
    }

    /// Nothing that is there already is touched.
    fn is_free(&self) -> Result<(), Failure> {
        let taken = |path: &Path, why: &str| {
            Failure::usage(format!("{} {why}", path.display()))
                .hint("name another place with --out DIR")
        };
        if let Some(archive) = self.archive.as_deref().filter(|path| path.exists()) {
            return Err(taken(archive, "is there already"));
        }
        match std::fs::read_dir(&self.folder) {
            Ok(mut entries) => match entries.next() {
                None => Ok(()),
                Some(_) => Err(taken(&self.folder, "is not empty")),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(taken(&self.folder, &format!("cannot be used: {error}"))),
        }
    }

    fn make(&self) -> Result<(), Failure> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        // Logs of others may hold what only their owners should read.
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.folder).map_err(|error| {
            Failure::error(format!(
                "the folder {} could not be made: {error}",
                self.folder.display()
            ))
            .hint("name a writable place with --out DIR")
        })
    }

    /// The target's own folder below it, where there are several.
    fn below(&self, observation: &Observation) -> String {
        let target = &observation.target;
        if self.several {
            format!("{}-{}", target.kind.as_str().to_lowercase(), target.name)
        } else {
            String::new()
        }
    }

    /// Takes an attempt away that saved nothing.
    fn remove(&self) {
        if self.existed {
            let entries = std::fs::read_dir(&self.folder).into_iter().flatten();
            for entry in entries.flatten().map(|entry| entry.path()) {
                let _ = std::fs::remove_dir_all(&entry).or_else(|_| std::fs::remove_file(&entry));
            }
        } else {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }

    async fn pack(&self, report: &mut BundleReport) {
        let Some(archive) = self.archive.clone() else {
            return;
        };
        let folder = self.folder.clone();
        let packed = tokio::task::spawn_blocking(move || pack(&folder, &archive)).await;
        match packed.map_err(std::io::Error::other).flatten() {
            Ok(file) => {
                report.archive = Some(file);
                // What is in the archive is not lost with it.
                if std::fs::remove_dir_all(&self.folder).is_ok() {
                    report.folder = None;
                }
            }
            Err(error) => {
                let text = format!("the archive could not be written: {error}; the folder stays");
                report.error.get_or_insert(text);
            }
        }
    }
}

fn nothing(report: &BundleReport) -> Failure {
    let missing = report.items.iter().flat_map(|item| &item.manifest.missing);
    let mut reasons: Vec<&Missing> = Vec::new();
    for gap in missing {
        if reasons.len() < 4 && !reasons.iter().any(|other| other.reason == gap.reason) {
            reasons.push(gap);
        }
    }
    let words = reasons
        .iter()
        .map(|gap| format!("{}: {}", gap.what, gap.reason));
    let words: Vec<String> = words.collect();
    let hint = if report.error.is_some() {
        "name a writable place with --out DIR"
    } else {
        "`unship access` shows what this identity may read, and why not"
    };
    Failure::error(format!("nothing could be saved: {}", words.join("; "))).hint(hint)
}

fn tell(mut report: BundleReport, interrupted: bool, ui: Ui) -> ExitStatus {
    let status = match (&report.error, interrupted) {
        (_, true) => ExitStatus::Interrupted,
        (Some(_), false) => ExitStatus::Error,
        (None, false) => ExitStatus::Success,
    };
    report.exit_code = status.code();
    ui.result(&report, &report.text(), None);
    if let Some(error) = &report.error {
        let error = crate::report::one_line(error, 400);
        err(&format!(
            "{} the bundle is not whole: {error}\n{} manifest.json lists what it has; `--out DIR` names another place\n",
            Tint::Bad.paint("error:"),
            Tint::Dim.paint("hint:"),
        ));
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_typed_twice_is_one() {
        let words = ["deploy/web", "sts/db", "deployment/web"].map(str::to_owned);
        assert_eq!(targets(&words).unwrap().len(), 2);
        assert!(targets(&["pod/x".to_owned()]).is_err());
    }
}
