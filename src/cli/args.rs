//! Arguments that several commands share.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::records::RecordArg;
use crate::model::WorkloadKind;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Text for people.
    Human,
    /// One JSON document on standard output.
    Json,
    /// The same document as YAML.
    Yaml,
    /// Markdown.
    Markdown,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub(super) struct Global {
    /// Namespace of the target
    #[arg(
        short,
        long,
        global = true,
        value_name = "NAME",
        env = "UNSHIP_NAMESPACE"
    )]
    pub namespace: Option<String>,
    /// Context of the kubeconfig
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "UNSHIP_CONTEXT",
        alias = "kube-context"
    )]
    pub context: Option<String>,
    /// Kubeconfig file (else KUBECONFIG, ~/.kube/config, in-cluster)
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Limit of every single read
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration, env = "UNSHIP_REQUEST_TIMEOUT")]
    pub request_timeout: Option<Duration>,
    /// Argo CD's API server (else ARGOCD_SERVER, ARGOCD_OPTS, the argocd CLI's own config)
    #[arg(long, global = true, value_name = "HOST")]
    pub argocd_server: Option<String>,
    /// Argo CD token (else ARGOCD_AUTH_TOKEN)
    #[arg(long, global = true, value_name = "TOKEN", hide_env_values = true)]
    pub argocd_auth_token: Option<String>,
    /// How to print results
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value = "human",
        env = "UNSHIP_OUTPUT"
    )]
    pub output: Output,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value = "auto")]
    pub color: Color,
    /// Configuration file, read after the others
    #[arg(long, global = true, value_name = "FILE", env = "UNSHIP_CONFIG")]
    pub config: Option<PathBuf>,
    /// Say more (twice: what is sent)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Print results and errors only
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// Where the target and its source are.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Source {
    /// Application, where discovery cannot tell (also NAMESPACE/NAME)
    #[arg(long, value_name = "NAME")]
    pub app: Option<String>,
    /// A clone of the GitOps repository (else the current directory's, else a cached one)
    #[arg(long, value_name = "PATH", env = "UNSHIP_REPO")]
    pub repo: Option<PathBuf>,
    /// The manifest, from the repository's root
    #[arg(long, value_name = "PATH")]
    pub file: Option<String>,
    /// The branch that ships (else the Application's targetRevision, else the remote's HEAD)
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
}

/// What to put back and how far to go.
#[derive(Debug, Clone, Args)]
pub(super) struct Wish {
    /// Where to: previous, a tag, image or commit, revision:N, id:N, a time ("2h ago")
    #[arg(long, value_name = "X", default_value = "previous")]
    pub to: String,
    /// As --to revision:N
    #[arg(long, value_name = "N", conflicts_with = "to")]
    pub to_revision: Option<i64>,
    /// Act only if this tag, image or commit is what Git or the cluster has
    #[arg(long, value_name = "X")]
    pub from: Option<String>,
    /// What to put back: template, image, or fields (may be repeated)
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Take back later work inside the pod template as well
    #[arg(long)]
    pub discard_later: bool,
    /// Stop the tools that would set the image again, in the same commit
    #[arg(long)]
    pub hold: bool,
    /// Restore an accompanying object too (may be repeated)
    #[arg(long, value_name = "KIND/NAME")]
    pub with: Vec<String>,
    /// Put the rollback on record when it is over: auto and br create a bead where the tracker works
    #[arg(long, value_enum, value_name = "WHERE")]
    pub record: Option<RecordArg>,
    #[command(flatten)]
    pub manner: Manner,
}

/// How to act and how far to go.
#[derive(Debug, Clone, Args)]
pub(super) struct Manner {
    /// Subject of the commit
    #[arg(long, value_name = "TEXT")]
    pub message: Option<String>,
    /// Author of the commit: "Name <mail>"
    #[arg(long, value_name = "AUTHOR", env = "UNSHIP_AUTHOR")]
    pub author: Option<String>,
    /// Why, for the commit's body
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Who agreed, recorded in the commit
    #[arg(long, value_name = "REF")]
    pub approval: Option<String>,
    /// How to act
    #[arg(long, value_name = "ROUTE", default_value = "auto", value_parser = ["auto", "git", "argo", "direct", "request"])]
    pub route: String,
    /// One deadline for landing and rollout (else computed for each)
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// End after the push with --wait=false
    #[arg(long, value_name = "BOOL", default_value_t = true, default_missing_value = "true", num_args = 0..=1, require_equals = true, action = clap::ArgAction::Set)]
    pub wait: bool,
    /// End after landing
    #[arg(long)]
    pub no_verify: bool,
    /// Commit on unship/<plan id>, push nothing
    #[arg(long)]
    pub no_push: bool,
    /// Edit the file in the work tree only
    #[arg(long, conflicts_with = "no_push")]
    pub no_commit: bool,
    /// Have Argo CD render the commit from a side branch before the branch moves
    #[arg(long)]
    pub prove: bool,
    /// Suspend Argo CD's automated sync until Git has the target (for --route direct)
    #[arg(long)]
    pub suspend_auto_sync: bool,
    /// Act on the cluster where Git is not quick enough, and make Git agree afterwards
    #[arg(long, conflicts_with_all = ["no_push", "no_commit"])]
    pub emergency: bool,
    /// Terminate an Argo CD operation that keeps the commit from landing
    #[arg(long)]
    pub terminate_operation: bool,
    /// Act although Flux, Helm or another manager may undo it; needs --reason
    #[arg(long = "override")]
    pub override_manager: bool,
}

/// Whether anything is done, and who is asked.
#[derive(Debug, Clone, Args)]
pub(super) struct Acting {
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Plan only
    #[arg(long, value_name = "MODE", num_args = 0..=1, require_equals = true, default_missing_value = "client", value_parser = ["client", "server"])]
    pub dry_run: Option<String>,
    /// Append a Markdown summary to a file
    #[arg(long, value_name = "FILE", env = "GITHUB_STEP_SUMMARY")]
    pub summary_file: Option<PathBuf>,
}

/// A duration as people write it: `30s`, `5m`, `1h30m`, or plain seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    let parsed: jiff::SignedDuration = text
        .parse()
        .map_err(|_| format!("{text:?} is no duration; write it like 30s, 5m or 1h30m"))?;
    Duration::try_from(parsed).map_err(|_| format!("{text:?} is negative"))
}

/// A target word: `[KIND/]NAME`.
pub(super) fn target(text: &str) -> Result<(Option<WorkloadKind>, String), String> {
    let (kind, name) = match text.split_once('/') {
        None => (None, text),
        Some((kind, name)) => {
            let known = WorkloadKind::parse(kind).ok_or_else(|| {
                format!("{kind:?} is no kind that can be a target here; use deployment, statefulset or daemonset")
            })?;
            (Some(known), name)
        }
    };
    if !is_name(name) {
        return Err(format!("{name:?} is no name of a Kubernetes object"));
    }
    Ok((kind, name.to_owned()))
}

/// Whether a text can be the name of a Kubernetes object.
pub(super) fn is_name(name: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    !name.is_empty() && name.len() <= 253 && name.bytes().all(is_part)
}

/// `KIND/NAME` of any object.
pub(super) fn object(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((kind, name)) if !kind.is_empty() && !name.is_empty() => {
            Ok((kind.to_owned(), name.to_owned()))
        }
        _ => Err(format!("{text:?} is not KIND/NAME")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_words_as_kubectl_has_them() {
        assert_eq!(target("zai-proxy"), Ok((None, "zai-proxy".to_owned())));
        assert_eq!(
            target("sts/db"),
            Ok((Some(WorkloadKind::StatefulSet), "db".to_owned()))
        );
        for bad in ["pod/x", "", "deploy/", "A_b", "../x"] {
            assert!(target(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert!(duration("soon").is_err());
    }
}
