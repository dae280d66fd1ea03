//! `unship access`.

use super::args::{Global, Source, target};
use super::context::Context;
use super::failure::Failure;
use super::ui::Ui;
use crate::cluster::all_access_queries;
use crate::exit::ExitStatus;
use crate::git::PushOutcome;
use crate::model::{AccessAnswer, Allowed, Right};
use crate::observe::{Sight, observe};
use crate::plan::{API_VERSION, Decision, Request, Route, build, ladder_of};
use crate::report::{AccessReport, role_text};
use crate::timeline::Timeline;

/// Arguments of `unship access`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  unship access zai-proxy -n mcp\n  unship access zai-proxy -n mcp --role=direct"
)]
pub(super) struct Args {
    /// [KIND/]NAME; with it the Application and the repository that ship it are asked as well
    target: Option<String>,
    #[command(flatten)]
    source: Source,
    /// Print the smallest Role and Argo CD policy with which a rollback by this route works
    #[arg(long, value_name = "ROUTE", num_args = 0..=1, require_equals = true, default_missing_value = "direct", value_parser = ["direct", "argo", "git"], requires = "target")]
    role: Option<String>,
}

/// Runs it.
pub(super) async fn run(global: &Global, args: &Args, ui: Ui) -> Result<ExitStatus, Failure> {
    let wanted = args
        .target
        .as_deref()
        .map(target)
        .transpose()
        .map_err(Failure::usage)?;
    let context = Context::new(global).await?;
    let cluster = context.cluster()?;
    let queries = all_access_queries(&context.namespace, None);
    let look = async {
        let Some((kind, name)) = wanted else {
            return Ok(None);
        };
        let scope = context.scope(kind, name, &args.source);
        observe(&context.clients, &scope, jiff::Timestamp::now())
            .await
            .map(Some)
    };
    let (mut rights, sight) = tokio::join!(cluster.access(&queries), look);
    let sight = sight?;
    if let (Some(route), Some(sight)) = (&args.role, &sight) {
        return role(route, sight, ui);
    }
    rights.extend(argocd(&context, sight.as_ref()).await);
    rights.extend(git(sight.as_ref()).await);
    let rungs = sight.as_ref().map(|sight| {
        let request = Request::new(sight.observation.target.clone());
        ladder_of(&sight.observation, &request)
    });
    let rungs = rungs.unwrap_or_default();
    let report = AccessReport::new(cluster.server(), &context.namespace, rights, rungs);
    ui.result(&report, &report.text(ui.style()), None);
    Ok(ExitStatus::Success)
}

/// The rights that a rollback by this route would need: planned as if all were there.
fn role(route: &str, sight: &Sight, ui: Ui) -> Result<ExitStatus, Failure> {
    let mut observation = sight.observation.clone();
    for right in Right::ALL {
        let granted = answer("granted", Allowed::Allowed, "assumed");
        observation.rights.insert(right, granted);
    }
    let mut request = Request::new(observation.target.clone());
    request.route = match route {
        "argo" => Route::Argo,
        "git" => Route::Git,
        _ => Route::Direct,
    };
    request.allow.suspend_auto_sync = true;
    let timeline = Timeline::of(&observation, &super::runs::verified());
    match build(&observation, &timeline, &request) {
        Decision::Plan(prepared) => {
            let text = role_text(&prepared.plan);
            let document = serde_json::json!({
                "apiVersion": API_VERSION, "kind": "Role", "text": text, "exitCode": 0,
            });
            ui.result(&document, &text, None);
            Ok(ExitStatus::Success)
        }
        Decision::Refused(refusal) => Err(Failure::refused(format!(
            "no right would make this work: {}",
            refusal.first_words()
        ))
        .hint("`unship plan` says more")),
        Decision::NotNeeded(reason) => Err(Failure::refused(reason)),
    }
}

fn answer(right: &str, allowed: Allowed, reason: impl Into<String>) -> AccessAnswer {
    AccessAnswer {
        right: right.to_owned(),
        allowed,
        reason: reason.into(),
    }
}

pub(super) async fn argocd(context: &Context, sight: Option<&Sight>) -> Vec<AccessAnswer> {
    let argocd = match &context.clients.argocd {
        Ok(argocd) => argocd,
        Err(gap) => return vec![answer("Argo CD", Allowed::Unknown, gap.message.clone())],
    };
    let app = sight.and_then(|sight| sight.observation.argocd.application.as_ref());
    let object = app.map_or_else(
        || "*/*".to_owned(),
        |app| format!("{}/{}", app.project, app.name),
    );
    let actions = ["get", "sync", "override", "action"];
    futures::future::join_all(actions.map(|action| argocd.can_i("applications", action, &object)))
        .await
}

/// Fetch and push authentication, commit identity and signing.
pub(super) async fn git(sight: Option<&Sight>) -> Vec<AccessAnswer> {
    let Some(sight) = sight else {
        return vec![answer(
            "git push",
            Allowed::Unknown,
            "name a target to find its repository",
        )];
    };
    let (Some(path), Some(git)) = (&sight.repository, &sight.observation.git) else {
        let why = sight
            .observation
            .source_blockers
            .first()
            .map(|b| b.message.clone());
        let why = why.or_else(|| sight.observation.gaps.last().map(ToString::to_string));
        return vec![answer(
            "git fetch",
            Allowed::Unknown,
            why.unwrap_or_default(),
        )];
    };
    let mut rights = vec![answer(
        "git fetch",
        Allowed::Allowed,
        format!("{} at {}", git.branch, git.tip.short()),
    )];
    rights.push(match path.push_dry_run(&git.remote, &git.tip, &git.branch).await {
        Ok(outcome) if outcome.is_there() => answer(
            "git push",
            Allowed::Allowed,
            "the remote takes the credentials; branch rules are known only when a push is tried",
        ),
        Ok(PushOutcome::AuthFailed { text } | PushOutcome::Refused { text, .. }) => {
            answer("git push", Allowed::Denied, text)
        }
        Ok(other) => answer("git push", Allowed::Unknown, format!("{other:?}")),
        Err(error) => answer("git push", Allowed::Unknown, error.to_string()),
    });
    let path = path.clone();
    let local = tokio::task::spawn_blocking(move || {
        let repository = path.open()?;
        let signing = repository.signing()?;
        Ok::<_, crate::git::GitError>((repository.committer(), signing))
    })
    .await;
    let Ok(Ok((committer, signing))) = local else {
        rights.push(answer(
            "git commit identity",
            Allowed::Unknown,
            "it could not be read",
        ));
        return rights;
    };
    rights.push(match committer {
        Ok(own) => answer(
            "git commit identity",
            Allowed::Allowed,
            format!("{} <{}>", own.name, own.email),
        ),
        Err(error) => answer("git commit identity", Allowed::Denied, error.to_string()),
    });
    let how = match (signing.wanted, signing.key_set) {
        (false, _) => "commits are not signed (commit.gpgsign is off)".to_owned(),
        (true, true) => format!("commits are signed with {}", signing.format),
        (true, false) => format!("commits are signed with {}'s default key", signing.format),
    };
    rights.push(answer("git commit signing", Allowed::Allowed, how));
    rights
}
