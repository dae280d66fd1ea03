//! `unship abort`: a canary out. Evidence first, no replicas, the manifest kept or
//! removed, production proved untouched.

use std::path::PathBuf;

use jiff::Timestamp;

use super::args::{Acting, Global, Manner, Source, target};
use super::carry::{Consent, Planned, carry_out, decide, dry_run, scope_for};
use super::context::Context;
use super::failure::Failure;
use super::gone::{already_gone, nothing_to_do};
use super::records::RecordArg;
use super::rollback::in_manner;
use super::ui::Ui;
use crate::config::{RepositoryConfig, Service};
use crate::execute::reverted_files;
use crate::exit::ExitStatus;
use crate::git::{Repository, RepositoryPath};
use crate::model::{CommitId, WorkloadKind, WorkloadRef, mask_url};
use crate::observe::{Error as ObserveError, Sight, observe, tip_of_clone};
use crate::plan::{Decision, Intent, PlannedRevert, Request, To};
use crate::verify::Guard;

/// Arguments of `unship abort`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  unship abort zai-proxy-test -n mcp --production zai-proxy\n  unship abort zai-proxy -n mcp      # a service with two roles in unship.yaml"
)]
pub(super) struct Args {
    /// The canary workload, or a service of unship.yaml that has one
    target: String,
    /// The production workload beside it, which must stay untouched
    #[arg(long, value_name = "NAME")]
    production: Option<String>,
    /// Where the failure is put on record: auto and br create a bead where the tracker works
    #[arg(long, value_enum, value_name = "WHERE", default_value = "auto")]
    record: RecordArg,
    /// Remove its manifest from Git, too, once evidence and record exist
    #[arg(long, conflicts_with = "emergency")]
    delete: bool,
    /// A clone of the code's repository, whose checked-out branch gets a revert afterwards
    #[arg(long, value_name = "PATH", requires = "code_commit")]
    code_repo: Option<PathBuf>,
    /// The commit of the code that is at fault
    #[arg(long, value_name = "COMMIT", requires = "code_repo")]
    code_commit: Option<String>,
    #[command(flatten)]
    manner: Manner,
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    acting: Acting,
}

/// The two workloads.
#[derive(Debug)]
pub(super) struct Roles {
    pub(super) canary: String,
    pub(super) production: Option<String>,
}

/// Runs it.
pub(super) async fn run(global: &Global, args: &Args, ui: Ui) -> Result<ExitStatus, Failure> {
    let (kind, name) = target(&args.target).map_err(Failure::usage)?;
    let context = Context::new(global).await?;
    context.somebody_to_ask()?;
    let given = (args.production.as_ref(), &args.source);
    let roles = match roles(&context, given, (kind, &name)).await {
        Ok(roles) => roles,
        Err(failure) => return gone_or(failure, &context, args, (kind, &name), ui).await,
    };
    if roles.production.as_deref() == Some(roles.canary.as_str()) {
        return Err(Failure::usage(format!(
            "{} cannot be the canary and the production at once",
            roles.canary
        )));
    }
    let (planned, guard) = tokio::join!(
        plan(&context, args, (kind, &roles)),
        guard(&context, args, (kind, &roles)),
    );
    let mut planned = match planned {
        Ok(planned) => planned,
        Err(failure) => {
            return gone_or(failure, &context, args, (kind, &roles.canary), ui).await;
        }
    };
    let guard = guard?;
    if guard.is_none()
        && let Decision::Plan(prepared) = &mut planned.decision
    {
        prepared.plan.warn(
            "no production workload is named: whether it stays untouched is not checked (--production NAME)"
                .to_owned(),
        );
    }
    let mut code = code(&context, args).await?;
    if let Decision::Plan(prepared) = &mut planned.decision
        && let Some(undone) = code.take_if(|code| code.files.is_empty())
    {
        let text = format!(
            "nothing of {} is left to be undone on {}",
            undone.commit, undone.branch
        );
        prepared.plan.warn(text);
    }
    if let (Decision::Plan(prepared), Some(code)) = (&mut planned.decision, &code) {
        prepared.plan.revert_code(code.clone());
    }
    if args.acting.dry_run.is_some() {
        return Ok(dry_run(&planned, ui));
    }
    let consent = Consent {
        guard,
        code,
        ..Consent::of(&args.acting, &args.manner)
    };
    let first = args.delete && !planned.request.intent.deletes();
    let ended = Box::pin(carry_out(global, &context, planned, &consent, ui)).await?;
    if first && ended == ExitStatus::Success {
        ui.note("the manifest is still in Git: the same command once more removes it");
    }
    Ok(ended)
}

/// The failure to look at a canary, unless an earlier `--delete` is why it is not there.
async fn gone_or(
    failure: Failure,
    context: &Context,
    args: &Args,
    target: (Option<WorkloadKind>, &str),
    ui: Ui,
) -> Result<ExitStatus, Failure> {
    if !args.delete {
        return Err(failure);
    }
    match already_gone(context, &args.source, target).await? {
        Some(reason) => Ok(nothing_to_do(&reason, ui)),
        None => Err(failure),
    }
}

/// The revert of the code that is asked for, on its branch as it is now. What cannot be
/// reverted is refused before anything is done.
async fn code(context: &Context, args: &Args) -> Result<Option<PlannedRevert>, Failure> {
    let (Some(clone), Some(text)) = (&args.code_repo, args.code_commit.clone()) else {
        return Ok(None);
    };
    let clone = context.directory().join(clone);
    let git = context.clients.git.clone();
    let interrupted = |_| crate::git::GitError::Interrupted;
    let opened = tokio::task::spawn_blocking(move || {
        let repository = Repository::open(&clone, &git)?;
        let upstream = repository.upstream()?;
        Ok::<_, crate::git::GitError>((repository.path().clone(), clone, upstream))
    });
    let (path, clone, upstream) = opened.await.map_err(interrupted)??;
    let Some((remote, branch)) = upstream else {
        return Err(Failure::refused(format!(
            "what is checked out in {} follows no remote branch, so it is not known which one gets the revert",
            clone.display()
        ))
        .hint("`git switch BRANCH` there, or `git branch --set-upstream-to=REMOTE/BRANCH`"));
    };
    let tip = path.fetch(&remote, &branch).await?;
    let planned = tokio::task::spawn_blocking(move || {
        let repository = path.open()?;
        let commit = repository.resolve(&text)?;
        let files = reverted_files(&repository, &commit, &tip)?;
        let url = repository
            .remotes()?
            .into_iter()
            .find(|own| own.name == remote);
        let url = url.map(|own| mask_url(&own.configured_url.without_credentials()));
        let subject = repository.commit(&commit)?.subject().to_owned();
        Ok::<_, crate::git::GitError>(files.map(|files| PlannedRevert {
            repository: url.unwrap_or_default(),
            clone: clone.display().to_string(),
            remote,
            branch,
            parent: tip.as_str().to_owned(),
            commit: commit.as_str().to_owned(),
            subject,
            files,
        }))
    });
    match planned.await.map_err(interrupted)?? {
        Ok(planned) => Ok(Some(planned)),
        Err(why) => Err(Failure::refused(format!(
            "the code's commit cannot be reverted by itself: {why}; nothing was done"
        ))
        .hint("`git revert` it by hand, and leave --code-repo and --code-commit out")),
    }
}

/// Which workload is the canary and which the production: as the flags, the user's
/// configuration or the repository's unship.yaml say.
pub(super) async fn roles(
    context: &Context,
    (production, source): (Option<&String>, &Source),
    (kind, name): (Option<WorkloadKind>, &str),
) -> Result<Roles, Failure> {
    if let Some(production) = production {
        return Ok(Roles {
            canary: name.to_owned(),
            production: Some(production.clone()),
        });
    }
    if let Some(found) = of_services(&context.config.services, name, &context.namespace)? {
        return Ok(found);
    }
    let scope = context.scope(kind, name.to_owned(), source);
    match observe(&context.clients, &scope, Timestamp::now()).await {
        Ok(sight) => {
            let config = repository_config(&sight).await?;
            let found = of_services(&config.services, name, &context.namespace)?;
            Ok(found.unwrap_or_else(|| Roles {
                canary: name.to_owned(),
                production: None,
            }))
        }
        Err(error @ ObserveError::NotFound { .. }) => {
            // The name of a service need not be a workload's.
            let config = match tip_of_clone(&context.clients, &scope).await? {
                Some((path, tip)) => config_at(path, tip).await?,
                None => RepositoryConfig::default(),
            };
            let found = of_services(&config.services, name, &context.namespace)?;
            found.ok_or_else(|| {
                Failure::from(error).hint(
                    "a service with a canary is declared under `services` in unship.yaml or the configuration",
                )
            })
        }
        Err(error) => Err(error.into()),
    }
}

fn of_services(
    services: &std::collections::BTreeMap<String, Service>,
    name: &str,
    namespace: &str,
) -> Result<Option<Roles>, Failure> {
    let here = |service: &&Service| {
        service
            .namespace
            .as_deref()
            .is_none_or(|own| own == namespace)
    };
    let named = services.get(name).filter(here);
    let by_canary = || services.values().filter(here).find(|s| s.canary == name);
    if let Some(service) = named.or_else(by_canary) {
        return Ok(Some(Roles {
            canary: service.canary.clone(),
            production: Some(service.production.clone()),
        }));
    }
    let production = services.iter().find(|(_, s)| s.production == name);
    match production {
        Some((own, service)) => Err(Failure::refused(format!(
            "{name} is the production of service {own}; its canary is {}",
            service.canary
        ))
        .hint(format!(
            "`unship abort {}` takes the canary out, `unship rollback {name}` rolls production back",
            service.canary
        ))),
        None => Ok(None),
    }
}

/// A rollback of a canary could mean two things; which one is asked.
pub(super) async fn which_is_meant(context: &Context, planned: &Planned) -> Result<(), Failure> {
    if planned.request.to != To::Previous {
        return Ok(());
    }
    let target = &planned.sight.observation.target;
    let of_repository = repository_config(&planned.sight).await?;
    let services = [&context.config.services, &of_repository.services];
    let mut canaries = services.into_iter().flatten().filter(|(_, service)| {
        service.canary == target.name
            && service
                .namespace
                .as_deref()
                .is_none_or(|own| own == target.namespace)
    });
    match canaries.next() {
        None => Ok(()),
        Some((name, service)) => Err(Failure::refused(format!(
            "{} is the canary of service {name} (production: {}): taking it out and rolling it back are two things",
            target.short(),
            service.production
        ))
        .hint(format!(
            "`unship abort {} -n {}` takes it out",
            target.name, target.namespace
        ))
        .hint("`unship rollback` with --to X rolls it back to an earlier canary")),
    }
}

/// The repository's own unship.yaml at the planned tip. It is untrusted: what it may
/// say is a narrower kind than the user's configuration.
pub(super) async fn repository_config(sight: &Sight) -> Result<RepositoryConfig, Failure> {
    let (Some(path), Some(git)) = (sight.repository.clone(), &sight.observation.git) else {
        return Ok(RepositoryConfig::default());
    };
    config_at(path, git.tip.clone()).await
}

async fn config_at(path: RepositoryPath, tip: CommitId) -> Result<RepositoryConfig, Failure> {
    let blob = tokio::task::spawn_blocking(move || path.open()?.blob_at(&tip, "unship.yaml"))
        .await
        .map_err(|_| crate::git::GitError::Interrupted)
        .and_then(|blob| blob)?;
    let Some(blob) = blob else {
        return Ok(RepositoryConfig::default());
    };
    let text = String::from_utf8_lossy(&blob.bytes);
    RepositoryConfig::parse("unship.yaml of the repository", &text)
        .map_err(|error| Failure::usage(error.to_string()))
}

async fn plan(
    context: &Context,
    args: &Args,
    (kind, roles): (Option<WorkloadKind>, &Roles),
) -> Result<Planned, Failure> {
    let reference = WorkloadRef {
        kind: kind.unwrap_or(WorkloadKind::Deployment),
        namespace: context.namespace.clone(),
        name: roles.canary.clone(),
    };
    let mut request = Request {
        intent: Intent::Abort {
            production: roles.production.clone(),
            record: args.record.word().to_owned(),
            delete: args.delete,
        },
        ..Request::new(reference)
    };
    request.allow.outage = true;
    let mut request = in_manner(request, &args.manner)?;
    request.consent = args.acting.yes;
    let scope = context.scope(kind, roles.canary.clone(), &args.source);
    let mut planned = decide(context, scope_for(scope, &request), request).await?;
    if let Decision::Plan(prepared) = &planned.decision {
        // Where the replicas must be 0 first, the plan is that of an abort that keeps the
        // manifest, and so is its run.
        planned.request.intent = prepared.plan.request.intent.clone();
    }
    Ok(planned)
}

async fn guard(
    context: &Context,
    args: &Args,
    (kind, roles): (Option<WorkloadKind>, &Roles),
) -> Result<Option<Guard>, Failure> {
    let Some(production) = &roles.production else {
        return Ok(None);
    };
    let mut scope = context.scope(kind, production.clone(), &args.source);
    scope.git = false;
    scope.rights = false;
    let sight = observe(&context.clients, &scope, Timestamp::now()).await?;
    match Guard::of(&sight.observation) {
        Some(guard) => Ok(Some(guard)),
        None => Err(Failure::refused(format!(
            "the production workload {production} could not be read, so it could not be proved untouched"
        ))
        .hint("`unship access` shows what this identity may read")),
    }
}
