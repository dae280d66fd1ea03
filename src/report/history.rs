//! The timeline as a document.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::human::{Style, ago, duration_words, one_line, table};
use crate::model::{Gap, UsedChange};
use crate::plan::API_VERSION;
use crate::timeline::{Entry, Grade, Timeline};

/// One release of the timeline.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntryReport {
    /// The image.
    pub image: String,
    /// The commit's full id.
    pub commit: Option<String>,
    /// The commit's author.
    pub author: Option<String>,
    /// The commit's subject.
    pub subject: Option<String>,
    /// Argo CD's history id.
    pub history_id: Option<i64>,
    /// The ReplicaSet's revision.
    pub rollout_revision: Option<i64>,
    /// When it went live.
    #[schemars(with = "Option<String>")]
    pub live_from: Option<Timestamp>,
    /// What `liveFrom` rests on.
    pub live_from_source: String,
    /// When it was replaced.
    #[schemars(with = "Option<String>")]
    pub live_to: Option<Timestamp>,
    /// How long it was current, in seconds.
    pub served_seconds: Option<i64>,
    /// Whether it is live now.
    pub live: bool,
    /// Whether the branch's tip has it.
    pub in_git: bool,
    /// The grade.
    pub grade: Grade,
    /// Why.
    pub reason: String,
    /// Restarts that were folded into it.
    pub folded: Vec<String>,
}

/// A commit that changed a ConfigMap or a Service which the pods use, and no pod template.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsedChangeReport {
    /// The object, as KIND/NAME.
    pub object: String,
    /// Its file.
    pub path: String,
    /// The commit's full id.
    pub commit: String,
    /// The commit's author.
    pub author: String,
    /// The commit's subject.
    pub subject: String,
    /// When it was committed.
    #[schemars(with = "String")]
    pub committed_at: Timestamp,
    /// The command that takes it back.
    pub take_back: String,
}

/// The timeline of one target.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryReport {
    /// `unship/v1`.
    pub api_version: String,
    /// `History`.
    pub kind: String,
    /// The workload, in words.
    pub target: String,
    /// The entries, newest first.
    pub entries: Vec<HistoryEntryReport>,
    /// Commits that changed what the pods use and no pod template, newest first.
    #[serde(default)]
    pub used: Vec<UsedChangeReport>,
    /// Sources that could not be read.
    pub gaps: Vec<Gap>,
    /// Exit code.
    pub exit_code: u8,
}

impl HistoryReport {
    /// Takes it from a timeline.
    #[must_use]
    pub fn new(target: &str, timeline: &Timeline, now: Timestamp) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "History".to_owned(),
            target: target.to_owned(),
            entries: timeline
                .entries
                .iter()
                .map(|entry| report(entry, now))
                .collect(),
            used: Vec::new(),
            gaps: timeline.missing.clone(),
            exit_code: 0,
        }
    }

    /// With the changes of what the pods use; those of a commit that is a release are part of it.
    #[must_use]
    pub fn with_used(mut self, changes: &[UsedChange], namespace: &str) -> Self {
        let is_release = |change: &&UsedChange| {
            let mut commits = self.entries.iter().filter_map(|own| own.commit.as_deref());
            commits.any(|id| id == change.commit.id.as_str())
        };
        let others = changes.iter().filter(|change| !is_release(change));
        self.used = others.map(|change| used(change, namespace)).collect();
        self
    }

    /// The table for people. On a narrow terminal subject and reason stand below it.
    #[must_use]
    pub fn text(&self, style: Style) -> String {
        let mut text = format!("{}\n", self.target);
        let rows = self.entries.iter().map(|entry| row(entry, style));
        if self.entries.is_empty() {
            if self.used.is_empty() {
                text.push_str("no release of it is known\n");
            }
        } else if style.width >= WIDE {
            let header = [
                "", "live", "image", "commit", "argo", "rev", "served", "grade", "subject",
                "reason",
            ];
            let rows: Vec<Vec<String>> = rows
                .zip(&self.entries)
                .map(|(mut row, entry)| {
                    row.extend([subject(entry), one_line(&entry.reason, 80)]);
                    row
                })
                .collect();
            text.push_str(&table(&header, &rows, style.width));
        } else {
            let header = [
                "", "live", "image", "commit", "argo", "rev", "served", "grade",
            ];
            text.push_str(&table(&header, &rows.collect::<Vec<_>>(), style.width));
            for entry in &self.entries {
                let release = crate::model::ImageRef::new(entry.image.clone()).release();
                let reason = one_line(&entry.reason, 160);
                text.push_str(&format!(
                    "{release}: {}; {}: {reason}\n",
                    subject(entry),
                    entry.grade.as_str()
                ));
            }
        }
        for entry in self.entries.iter().filter(|entry| !entry.folded.is_empty()) {
            text.push_str(&format!(
                "folded into {}: {}\n",
                entry.image,
                entry.folded.join("; ")
            ));
        }
        for change in &self.used {
            text.push_str(&format!(
                "{} was changed {} by {}: {} ({}); `{}`\n",
                change.object,
                ago(change.committed_at, style.now),
                change.commit.get(..7).unwrap_or(&change.commit),
                one_line(&change.subject, 60),
                one_line(&change.author, 40),
                change.take_back
            ));
        }
        for gap in &self.gaps {
            text.push_str(&format!("not seen: {}\n", one_line(&gap.to_string(), 300)));
        }
        text
    }
}

/// From this many columns on everything stands in one table.
const WIDE: usize = 120;

fn used(change: &UsedChange, namespace: &str) -> UsedChangeReport {
    let commit = &change.commit;
    UsedChangeReport {
        object: format!("{}/{}", change.object.kind, change.object.name),
        path: change.path.to_string(),
        commit: commit.id.as_str().to_owned(),
        author: one_line(&commit.author.name, 80),
        subject: one_line(commit.subject(), 200),
        committed_at: commit.time,
        take_back: format!("unship revert {} -n {namespace}", commit.id.short()),
    }
}

fn subject(entry: &HistoryEntryReport) -> String {
    let Some(subject) = &entry.subject else {
        return "not in Git".to_owned();
    };
    let author = entry.author.as_deref().unwrap_or_default();
    one_line(&format!("{subject} ({author})"), 60)
}

fn report(entry: &Entry, now: Timestamp) -> HistoryEntryReport {
    HistoryEntryReport {
        image: entry
            .image()
            .map(|image| image.as_str().to_owned())
            .unwrap_or_default(),
        commit: entry
            .commit
            .as_ref()
            .map(|commit| commit.id.as_str().to_owned()),
        author: entry
            .commit
            .as_ref()
            .map(|commit| one_line(&commit.author.name, 80)),
        subject: entry
            .commit
            .as_ref()
            .map(|commit| one_line(commit.subject(), 200)),
        history_id: entry.history_id.map(|id| id.0),
        rollout_revision: entry.rollout_revision.map(|number| number.0),
        live_from: entry.live_from,
        live_from_source: entry.live_from_source.to_owned(),
        live_to: entry.live_to,
        served_seconds: entry.served_seconds(now),
        live: entry.is_live,
        in_git: entry.is_tip,
        grade: entry.grade,
        reason: entry.reason.clone(),
        folded: entry
            .folded
            .iter()
            .map(|note| one_line(note, 160))
            .collect(),
    }
}

fn row(entry: &HistoryEntryReport, style: Style) -> Vec<String> {
    let dash = || "-".to_owned();
    // A commit's time says when Git had it, not when it went live.
    let about = if entry.live_from_source == "commit time" {
        "~"
    } else {
        ""
    };
    let mark = match (entry.live, entry.in_git) {
        (true, true) => "live, Git",
        (true, false) => "live",
        (false, true) => "Git",
        (false, false) => "",
    };
    vec![
        mark.to_owned(),
        entry
            .live_from
            .map_or_else(dash, |at| format!("{about}{}", ago(at, style.now))),
        crate::model::ImageRef::new(entry.image.clone()).release(),
        entry
            .commit
            .as_ref()
            .map_or_else(dash, |id| id.chars().take(7).collect()),
        entry.history_id.map_or_else(dash, |id| id.to_string()),
        entry
            .rollout_revision
            .map_or_else(dash, |number| number.to_string()),
        entry.served_seconds.map_or_else(dash, |seconds| {
            format!("{about}{}", duration_words(seconds))
        }),
        entry.grade.as_str().to_owned(),
    ]
}
