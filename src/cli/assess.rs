//! `unship assess`: whether a release is to be taken back. Reads only.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::abort::{Roles, repository_config, roles};
use super::args::{Global, Source, duration, target};
use super::collect::endpoint;
use super::context::Context;
use super::failure::Failure;
use super::ui::Ui;
use crate::cluster::Cluster;
use crate::execute::endpoint::Endpoint;
use crate::execute::signals;
use crate::exit::ExitStatus;
use crate::model::{Observation, TriggerId, TriggerRules, WorkloadKind};
use crate::observe::{Error as ObserveError, Sight, observe};
use crate::plan::forward_write;
use crate::report::{AssessReport, Assessed};
use crate::verify::{Metrics, Signals, Texts, triggers};

/// Arguments of `unship assess`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  unship assess zai-proxy-canary -n mcp --production zai-proxy --over 2m\n  unship assess zai-proxy -n mcp --reason \"CVE in the image\" --exit-code"
)]
pub(super) struct Args {
    /// [KIND/]NAME, or a service of unship.yaml: its canary
    target: String,
    /// The production workload beside a canary, with which it is compared
    #[arg(long, value_name = "NAME")]
    production: Option<String>,
    /// Read metrics twice, so far apart: error rate, latency and tokens need it
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    over: Option<Duration>,
    /// What you know besides: a vulnerability, corrupted data, failing workers
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Say that you know of nothing besides
    #[arg(long, conflicts_with = "reason")]
    nothing_reported: bool,
    /// End with 10 for rollback, 11 for document, 12 for unknown
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    source: Source,
}

/// Runs it.
pub(super) async fn run(global: &Global, args: &Args, ui: Ui) -> Result<ExitStatus, Failure> {
    let wanted = target(&args.target).map_err(Failure::usage)?;
    if args
        .reason
        .as_deref()
        .is_some_and(|text| text.trim().is_empty())
    {
        return Err(Failure::usage("--reason says nothing")
            .hint("--nothing-reported says that there is nothing"));
    }
    let context = Context::new(global).await?;
    context.somebody_to_ask()?;
    let (sight, roles) = look(&context, args, wanted).await?;
    let observation = &sight.observation;
    let mut assessed = Assessed {
        canary: roles.is_some(),
        exit_code: args.exit_code,
        ..Assessed::default()
    };
    let rules = rules(&context, &sight, &mut assessed).await?;
    assessed.off.clone_from(&rules.off);
    assessed.production = roles.and_then(|roles| roles.production);
    let reading = read(&context, args, (observation, &assessed, &rules), ui);
    let (signals, writes) = Box::pin(reading).await;
    assessed.writes = writes;
    let report = AssessReport::new(
        observation,
        triggers(observation, &signals, &rules),
        assessed,
    );
    ui.result(&report, &report.text(), Some(&report.markdown()));
    Ok(ExitStatus::of_code(report.exit_code))
}

/// The target, and its roles where it is a canary. A production is looked at by itself.
async fn look(
    context: &Context,
    args: &Args,
    (kind, name): (Option<WorkloadKind>, String),
) -> Result<(Sight, Option<Roles>), Failure> {
    let scope = context.scope(kind, name.clone(), &args.source);
    let own = observe(&context.clients, &scope, Timestamp::now()).await;
    if let Some(production) = &args.production {
        if *production == name {
            return Err(Failure::usage(format!(
                "{name} cannot be the canary and the production at once"
            )));
        }
        let roles = Roles {
            canary: name,
            production: Some(production.clone()),
        };
        return Ok((own?, Some(roles)));
    }
    match own {
        Ok(sight) => {
            let of_repository = repository_config(&sight).await.unwrap_or_default();
            let services = [&context.config.services, &of_repository.services];
            let mut services = services.into_iter().flat_map(|all| all.values());
            let service = services.find(|service| {
                let here = service.namespace.as_deref();
                service.canary == name && here.is_none_or(|own| own == context.namespace)
            });
            let roles = service.map(|service| Roles {
                canary: name,
                production: Some(service.production.clone()),
            });
            Ok((sight, roles))
        }
        // The name of a service need not be a workload's.
        Err(ObserveError::NotFound { .. }) => {
            let roles = roles(context, (None, &args.source), (kind, &name)).await?;
            let scope = context.scope(kind, roles.canary.clone(), &args.source);
            let sight = observe(&context.clients, &scope, Timestamp::now()).await?;
            Ok((sight, Some(roles)))
        }
        Err(error) => Err(error.into()),
    }
}

/// The user's own triggers over the repository's. A file of the repository that cannot be
/// used is said, and stops nothing.
async fn rules(
    context: &Context,
    sight: &Sight,
    assessed: &mut Assessed,
) -> Result<TriggerRules, Failure> {
    let own = context.config.triggers.clone();
    let theirs = match repository_config(sight).await {
        Ok(config) => config.triggers.overlaid(own.clone()).rules(),
        Err(failure) => Err(failure.message),
    };
    match theirs {
        Ok(rules) => Ok(rules),
        Err(reason) => {
            // One's own are to be right.
            let rules = own.rules().map_err(|reason| {
                Failure::usage(reason).hint("`unship config schema` prints what is allowed")
            })?;
            assessed.notes.push(format!(
                "the repository's unship.yaml is not used: {reason}"
            ));
            Ok(rules)
        }
    }
}

/// Reads what the cluster's objects do not tell; twice where that is asked for.
async fn read(
    context: &Context,
    args: &Args,
    (observation, assessed, rules): (&Observation, &Assessed, &TriggerRules),
    ui: Ui,
) -> (Signals, Vec<String>) {
    let reason = match &args.reason {
        None if args.nothing_reported => Some(String::new()),
        other => other.clone(),
    };
    let cluster = match &context.clients.cluster {
        Ok(cluster) => cluster,
        Err(gap) => {
            let signals = Signals {
                own: Err(gap.to_string()),
                baseline: Err(gap.to_string()),
                workers: Err(gap.to_string()),
                reason,
            };
            return (signals, Vec::new());
        }
    };
    let kind = Some(observation.target.kind);
    let production = async {
        match &assessed.production {
            Some(name) => beside(context, args, (kind, name.clone())).await,
            None => Err("there is no production to compare it with (--production NAME)".to_owned()),
        }
    };
    let (production, workers) = tokio::join!(production, workers(context, args, cluster, rules));
    let metered = [TriggerId::ErrorRate, TriggerId::Latency, TriggerId::Tokens];
    let both = if metered.iter().all(|id| rules.off.contains(id)) {
        let off = || Reading::new(Err("it is switched off".to_owned()));
        (off(), off())
    } else {
        let at = endpoint(&context.config.metrics);
        let production = production.as_ref().map_err(Clone::clone);
        twice(cluster, (observation, production), (&at, args.over), ui).await
    };
    let (own, baseline) = both;
    let mut writes = Vec::new();
    if own.forwarded {
        let target = &observation.target;
        writes.push(forward_write(&target.namespace, &target.name));
    }
    if let (true, Some(name)) = (baseline.forwarded, &assessed.production) {
        writes.push(forward_write(&observation.target.namespace, name));
    }
    let signals = Signals {
        own: own.metrics,
        baseline: baseline.metrics,
        workers,
        reason,
    };
    (signals, writes)
}

/// Another workload in the namespace.
async fn beside(
    context: &Context,
    args: &Args,
    (kind, name): (Option<WorkloadKind>, String),
) -> Result<Observation, String> {
    let mut scope = context.scope(kind, name, &args.source);
    scope.git = false;
    scope.rights = false;
    let sight = observe(&context.clients, &scope, Timestamp::now()).await;
    let sight = sight.map_err(|error| error.to_string())?;
    Ok(sight.observation)
}

async fn workers(
    context: &Context,
    args: &Args,
    cluster: &Cluster,
    rules: &TriggerRules,
) -> Result<Texts, String> {
    let Some(worker) = &rules.worker else {
        return Err(
            "which workload the workers are is not told (set triggers.workers.workload)".to_owned(),
        );
    };
    let place = target(worker).map_err(|error| format!("triggers.workers.workload: {error}"))?;
    let seen = beside(context, args, place).await?;
    let since = Duration::from_secs(u64::try_from(rules.workers_within).unwrap_or_default());
    signals::logs(cluster, &seen, since).await
}

/// One workload's metrics, and whether a port-forward was asked for.
struct Reading {
    metrics: Result<Metrics, String>,
    forwarded: bool,
}

impl Reading {
    fn new(read: Result<(Texts, bool), String>) -> Self {
        let forwarded = read.as_ref().is_ok_and(|(_, forwarded)| *forwarded);
        let metrics = read.map(|(first, _)| Metrics {
            first,
            second: None,
        });
        Self { metrics, forwarded }
    }

    fn readable(&self) -> bool {
        let texts = self.metrics.as_ref().map(|metrics| &metrics.first);
        texts.is_ok_and(|texts| texts.values().any(Result::is_ok))
    }

    /// The same with what was read some seconds later.
    fn and(self, seconds: i64, later: Self) -> Self {
        let metrics = match (self.metrics, later.metrics) {
            (Ok(first), Ok(later)) => Ok(Metrics {
                first: first.first,
                second: Some((seconds, later.first)),
            }),
            (Err(reason), _) | (_, Err(reason)) => Err(reason),
        };
        Self {
            metrics,
            forwarded: self.forwarded || later.forwarded,
        }
    }
}

/// The metrics of the target and of production, side by side, and once more after a while.
async fn twice(
    cluster: &Cluster,
    (own, production): (&Observation, Result<&Observation, String>),
    (at, over): (&Endpoint, Option<Duration>),
    ui: Ui,
) -> (Reading, Reading) {
    // One address for both says nothing of the difference.
    let shared = production.as_ref().is_ok_and(|other| {
        let url = |seen: &Observation| at.url_for(seen, "{pod}");
        url(own).is_some_and(|url| !url.contains("{pod}")) && url(own) == url(other)
    });
    let production = if shared {
        Err("metrics.url is the same for production: put {name} or {pod} into it".to_owned())
    } else {
        production
    };
    let both = || async {
        let (own, other) = tokio::join!(signals::metrics(cluster, own, at), async {
            match &production {
                Ok(seen) => signals::metrics(cluster, seen, at).await,
                Err(reason) => Err(reason.clone()),
            }
        });
        (Reading::new(own), Reading::new(other))
    };
    let began = Instant::now();
    let first = both().await;
    // Without a first reading a second one says nothing.
    let Some(over) = over.filter(|_| first.0.readable()) else {
        return first;
    };
    ui.note(&format!("metrics are read again in {} s", over.as_secs()));
    tokio::time::sleep(over.saturating_sub(began.elapsed())).await;
    let seconds = i64::try_from(began.elapsed().as_secs()).unwrap_or(i64::MAX);
    let second = both().await;
    (
        first.0.and(seconds, second.0),
        first.1.and(seconds, second.1),
    )
}
