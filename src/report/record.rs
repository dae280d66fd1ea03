//! Records: what is asked of a human, or kept for later, from templates that a user's
//! configuration may replace. Pure: facts in, text out.

use super::facts::Facts;
use super::markdown::{code, words};
use super::template::{Target, TemplateError, check, render};

/// The kinds of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// A human is asked to roll back.
    Request,
    /// A canary failed.
    CanaryFailure,
    /// Production was rolled back after a promotion.
    ProductionRollback,
    /// A canary answers with errors.
    CanaryErrors,
}

/// What a record is made from. Each part may be replaced by the user's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Which kind of record it makes.
    pub kind: RecordKind,
    /// Template of the title.
    pub title: String,
    /// `bug`, `task`, ...
    pub issue_type: String,
    /// 0 (most urgent) to 4.
    pub priority: u8,
    /// Labels.
    pub labels: Vec<String>,
    /// Name of the body's template, for messages: the file.
    pub template_name: String,
    /// Template of the body.
    pub template: String,
}

/// The forms of all kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forms {
    /// For [`RecordKind::Request`].
    pub request: Form,
    /// For [`RecordKind::CanaryFailure`].
    pub canary_failure: Form,
    /// For [`RecordKind::ProductionRollback`].
    pub production_rollback: Form,
    /// For [`RecordKind::CanaryErrors`].
    pub canary_errors: Form,
}

/// A finished record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// One line.
    pub title: String,
    /// `bug`, ...
    pub issue_type: String,
    /// 0 to 4.
    pub priority: u8,
    /// Labels.
    pub labels: Vec<String>,
    /// Markdown.
    pub body: String,
    /// The key of this kind of record about this incident.
    pub incident: String,
}

impl RecordKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [
        Self::Request,
        Self::CanaryFailure,
        Self::ProductionRollback,
        Self::CanaryErrors,
    ];

    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::CanaryFailure => "canary-failure",
            Self::ProductionRollback => "production-rollback",
            Self::CanaryErrors => "canary-errors",
        }
    }

    /// The form that unship brings along.
    #[must_use]
    pub fn form(self) -> Form {
        let (title, priority, labels, template) = match self {
            Self::Request => (
                "URGENT: Request production rollback for {{ name }}",
                0,
                &["critical", "rollback", "production", "human-required"][..],
                include_str!("records/request.md"),
            ),
            Self::CanaryFailure => (
                "Investigate canary deployment failure - v{{ bad.version|replace(\"-canary\", \"\") }}",
                0,
                &["bug", "canary", "rollback", "urgent"][..],
                include_str!("records/canary-failure.md"),
            ),
            Self::ProductionRollback => (
                "Production rollback after v{{ bad.version }} promotion",
                0,
                &["bug", "production", "rollback", "critical"][..],
                include_str!("records/production-rollback.md"),
            ),
            Self::CanaryErrors => (
                "Fix canary high error rate - v{{ bad.version|replace(\"-canary\", \"\") }}",
                1,
                &["bug", "canary", "errors"][..],
                include_str!("records/canary-errors.md"),
            ),
        };
        Form {
            kind: self,
            title: title.to_owned(),
            issue_type: "bug".to_owned(),
            priority,
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            template_name: format!("the built-in template of {}", self.as_str()),
            template: template.to_owned(),
        }
    }
}

impl Default for Forms {
    fn default() -> Self {
        Self {
            request: RecordKind::Request.form(),
            canary_failure: RecordKind::CanaryFailure.form(),
            production_rollback: RecordKind::ProductionRollback.form(),
            canary_errors: RecordKind::CanaryErrors.form(),
        }
    }
}

impl Forms {
    /// The form of a kind.
    #[must_use]
    pub const fn of(&self, kind: RecordKind) -> &Form {
        match kind {
            RecordKind::Request => &self.request,
            RecordKind::CanaryFailure => &self.canary_failure,
            RecordKind::ProductionRollback => &self.production_rollback,
            RecordKind::CanaryErrors => &self.canary_errors,
        }
    }

    /// The same, to be changed.
    pub const fn of_mut(&mut self, kind: RecordKind) -> &mut Form {
        match kind {
            RecordKind::Request => &mut self.request,
            RecordKind::CanaryFailure => &mut self.canary_failure,
            RecordKind::ProductionRollback => &mut self.production_rollback,
            RecordKind::CanaryErrors => &mut self.canary_errors,
        }
    }
}

impl Form {
    /// Whether both templates can be read at all.
    ///
    /// # Errors
    /// With the line that cannot.
    pub fn check(&self) -> Result<(), TemplateError> {
        check(Target::Line, (&self.title_name(), &self.title))?;
        check(Target::Markdown, (&self.template_name, &self.template))
    }

    fn title_name(&self) -> String {
        format!("the title that goes with {}", self.template_name)
    }

    /// The record about these facts.
    ///
    /// # Errors
    /// When a template cannot be read, or names a fact that there is not.
    pub fn fill(&self, facts: &Facts) -> Result<Record, TemplateError> {
        let title = (self.title_name(), &self.title);
        let title = render(Target::Line, (&title.0, title.1), facts)?;
        let body = render(
            Target::Markdown,
            (&self.template_name, &self.template),
            facts,
        )?;
        Ok(Record {
            title,
            issue_type: self.issue_type.clone(),
            priority: self.priority,
            labels: self.labels.clone(),
            body,
            incident: format!("unship-{}:{}", self.kind.as_str(), facts.incident),
        })
    }
}

impl Record {
    /// The line by which a file is known to be the record of an incident.
    #[must_use]
    pub fn marker(&self) -> String {
        format!("<!-- unship record {} -->", self.incident)
    }

    /// The record as a file; `bead` is where it is tracked.
    #[must_use]
    pub fn markdown(&self, bead: Option<&str>) -> String {
        let labels: Vec<String> = self.labels.iter().map(|label| code(label)).collect();
        let tracked = bead.map_or_else(String::new, |id| format!("Tracked as {}\n", code(id)));
        format!(
            "{}\n# {}\n\n{} · P{} · {}\n{tracked}\n{}",
            self.marker(),
            words(&self.title),
            words(&self.issue_type),
            self.priority,
            labels.join(" "),
            self.body
        )
    }
}
