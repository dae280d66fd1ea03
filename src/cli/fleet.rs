//! Many targets: `unship rollback --image`, and `unship revert` of a commit of several workloads.

use jiff::Timestamp;

use super::args::{Acting, Global, Manner};
use super::carry::{scope_for, setup};
use super::context::Context;
use super::failure::Failure;
use super::stop::Stopper;
use super::ui::Ui;
use crate::execute::fleet::carry_out;
use crate::execute::fleet::store::{Keeper, StoredFleet, StoredMember, load, names};
use crate::execute::journal::{Reach, new_run_id};
use crate::exit::ExitStatus;
use crate::model::{ImageRef, RunId, WorkloadRef};
use crate::observe::{Scope, Sight, automation_of_many, elsewhere_in_git, observe_many};
use crate::plan::fleet::{Member, Share, stages, together};
use crate::plan::{Decision, Intent, Request, Route};
use crate::report::{FleetReport, FleetTarget, RunState};

/// How many at a time, and who is left out.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Staging {
    /// How far each stage goes, with those before: 1,10%,100%; each is verified before the next
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = Share::parse)]
    pub stages: Vec<Share>,
    /// Leave out targets for which there is no safe plan
    #[arg(long)]
    pub skip_refused: bool,
}

/// What is wanted of the targets together.
pub(super) struct Wanted<'w> {
    /// The subject of the commits.
    pub subject: String,
    /// The image whose other uses in Git are told.
    pub image: Option<&'w str>,
    /// The targets with what is asked of each.
    pub requests: Vec<Request>,
    /// Stages.
    pub staging: &'w Staging,
    /// Where and how.
    pub scope: Scope,
    /// How to act.
    pub manner: &'w Manner,
    /// Whether anything is done.
    pub acting: &'w Acting,
}

/// The workloads that run an image.
pub(super) async fn running(
    context: &Context,
    image: &str,
    everywhere: bool,
) -> Result<Vec<WorkloadRef>, Failure> {
    let wanted = ImageRef::new(image);
    if wanted.tag().is_none() {
        return Err(Failure::usage(format!("--image {image:?} names no tag"))
            .hint("write it as REPOSITORY:TAG, the bad one"));
    }
    let cluster = match &context.clients.cluster {
        Ok(cluster) => cluster,
        Err(gap) => return Err(Failure::error(gap.to_string())),
    };
    let namespace = (!everywhere).then_some(&*context.namespace);
    let found = cluster.workloads(namespace, None).await;
    if let Some(gap) = found.gaps.first() {
        // A workload that was not seen would be left with the bad image.
        return Err(Failure::error(gap.to_string())
            .hint("name the targets, or a namespace that this identity may list"));
    }
    let runs = |workload: &crate::model::Workload| {
        let images = workload.template.images();
        images.iter().any(|(_, own)| own.same_as(&wanted))
    };
    let own = found.items.into_iter().filter(runs);
    let targets: Vec<WorkloadRef> = own.map(|workload| workload.reference).collect();
    if targets.is_empty() {
        let place =
            namespace.map_or_else(|| "any namespace".to_owned(), |n| format!("namespace {n}"));
        return Err(
            Failure::refused(format!("no workload in {place} runs {image}"))
                .hint("`unship status -A` shows what runs; -A looks into every namespace"),
        );
    }
    Ok(targets)
}

/// Plans, asks, carries out.
pub(super) async fn run(
    global: &Global,
    context: &Context,
    wanted: Wanted<'_>,
    ui: Ui,
) -> Result<ExitStatus, Failure> {
    fits_many(wanted.manner)?;
    let verified = super::runs::verified();
    let looks = look(context, &wanted).await?;
    let elsewhere = match wanted.image {
        Some(image) => elsewhere_in_git(&looks, image).await?,
        None => Vec::new(),
    };
    let mut planned = plan(&wanted, looks, &verified);
    let mut report = FleetReport::new("", &wanted.subject, planned.rows.clone());
    report.diffs = std::mem::take(&mut planned.diffs);
    report.warnings = planned.warnings();
    let warnings = report.warnings.clone();
    report.elsewhere.clone_from(&elsewhere);
    let is_over = nothing_to_do(&planned, wanted.staging, &mut report);
    if is_over || wanted.acting.dry_run.is_some() {
        return Ok(finish(&report, ui));
    }
    if !wanted.acting.yes {
        super::ui::err(&report.text(ui.style().width));
        super::carry::asked().await?;
    }
    let Some(sight) = planned.sight.take() else {
        return Err(Failure::error("no target was looked at"));
    };
    let began = Timestamp::now();
    let stored = StoredFleet::new(
        (RunId(format!("fleet-{}", new_run_id(began))), began),
        wanted.subject.clone(),
        (planned.members, planned.stages),
        reach(global, context, &wanted),
    );
    let author = wanted.manner.author.as_deref();
    let stopper = Stopper::new(ui);
    let how = (&sight, author, true);
    let setup = setup(context, &wanted.scope, how, (verified, ui, &stopper))?;
    let keeper = Keeper::create(&context.state, &stored)?;
    let mut report = Box::pin(carry_out(setup, keeper, stored)).await?;
    report.elsewhere.extend(elsewhere);
    report.left_out = planned.left_out;
    report.warnings = warnings;
    Ok(finish(&report, ui))
}

/// A fleet pushes each stage and verifies it; what asks for something else is not quietly left out.
fn fits_many(manner: &Manner) -> Result<(), Failure> {
    let flags = [
        (manner.no_push, "--no-push"),
        (manner.no_commit, "--no-commit"),
        (!manner.wait, "--wait=false"),
        (manner.no_verify, "--no-verify"),
        (manner.prove, "--prove"),
        (manner.emergency, "--emergency"),
        (manner.suspend_auto_sync, "--suspend-auto-sync"),
        (!["auto", "git"].contains(&manner.route.as_str()), "--route"),
    ];
    match flags.into_iter().find(|(is_given, _)| *is_given) {
        None => Ok(()),
        Some((_, flag)) => Err(Failure::usage(format!(
            "{flag} is for one target: several are pushed stage by stage and each is verified"
        ))
        .hint(format!("leave {flag} out, or name one target"))),
    }
}

/// Stages are of several targets.
pub(super) fn only_for_many(staging: &Staging) -> Result<(), Failure> {
    if staging.stages.is_empty() && !staging.skip_refused {
        return Ok(());
    }
    Err(
        Failure::usage("--stages and --skip-refused are for several targets at once").hint(
            "use `unship rollback --image IMAGE`, or `unship revert COMMIT` without a target",
        ),
    )
}

async fn look(context: &Context, wanted: &Wanted<'_>) -> Result<Vec<Sight>, Failure> {
    let scope = |request: &Request| {
        let target = &request.target;
        let scope = Scope {
            kind: Some(target.kind),
            name: target.name.clone(),
            namespace: target.namespace.clone(),
            rights: false,
            ..wanted.scope.clone()
        };
        scope_for(scope, request)
    };
    let scopes: Vec<Scope> = wanted.requests.iter().map(scope).collect();
    let looks = observe_many(&context.clients, &scopes, Timestamp::now()).await;
    let mut looks: Vec<Sight> = looks.into_iter().collect::<Result<_, _>>()?;
    // A revert may set an image as well; what it sets is not known before it is planned.
    automation_of_many(&context.clients, &mut looks).await;
    Ok(looks)
}

/// Whether the fleet ends before it begins; the report says how.
fn nothing_to_do(planned: &Planned, staging: &Staging, report: &mut FleetReport) -> bool {
    let rows = planned.rows.iter();
    let refused = rows.filter(|row| row.state == RunState::Refused).count();
    if refused > 0 && (!staging.skip_refused || planned.members.is_empty()) {
        report.state = RunState::Refused;
        report.reason = format!(
            "no safe plan for {refused} of {} targets",
            planned.rows.len()
        );
        report.exit_code = 3;
        if !planned.members.is_empty() {
            report
                .next
                .push("--skip-refused leaves them out".to_owned());
        }
        report.diffs.clear();
        return true;
    }
    if planned.members.is_empty() {
        report.state = RunState::Succeeded;
        "nothing is left to do".clone_into(&mut report.reason);
        return true;
    }
    false
}

fn finish(report: &FleetReport, ui: Ui) -> ExitStatus {
    ui.result(report, &report.text(ui.style().width), None);
    ExitStatus::of_code(report.exit_code)
}

struct Planned {
    rows: Vec<FleetTarget>,
    members: Vec<StoredMember>,
    stages: Vec<usize>,
    diffs: Vec<String>,
    left_out: Vec<String>,
    /// What the plans warn of, with the targets that it is about.
    warned: Vec<(String, Vec<String>)>,
    /// One of the looks: whose identity commits.
    sight: Option<Sight>,
}

/// All members planned together; their stages follow from those that have a plan.
fn plan(wanted: &Wanted<'_>, looks: Vec<Sight>, verified: &[String]) -> Planned {
    let mut members = Vec::new();
    let mut sight = None;
    for (look, request) in looks.into_iter().zip(&wanted.requests) {
        let mut request = Request {
            route: Route::Git,
            target: look.observation.target.clone(),
            ..request.clone()
        };
        super::carry::pin_commit(&look, &mut request);
        members.push(Member {
            observation: look.observation.clone(),
            request,
        });
        sight.get_or_insert(look);
    }
    let planned = together(&members, verified);
    let mut found = Planned {
        rows: Vec::new(),
        members: Vec::new(),
        stages: Vec::new(),
        diffs: Vec::new(),
        left_out: Vec::new(),
        warned: Vec::new(),
        sight,
    };
    for (member, decision) in members.iter().zip(&planned.decisions) {
        found.add(member, decision);
    }
    found.stages = stages(found.members.len(), &wanted.staging.stages);
    found.number();
    found.diffs = planned
        .files
        .iter()
        .map(crate::plan::EditedFile::diff)
        .collect();
    found
}

impl Planned {
    fn add(&mut self, member: &Member, decision: &Decision) {
        let target = &member.request.target;
        let mut row = FleetTarget {
            target: target.short(),
            namespace: target.namespace.clone(),
            stage: 0,
            from: String::new(),
            to: String::new(),
            file: String::new(),
            state: RunState::Open,
            reason: String::new(),
            run_id: None,
            seconds: 0.0,
        };
        match decision {
            Decision::Plan(prepared) => {
                let plan = &prepared.plan;
                if let Some(own) = plan.targets.first() {
                    row.from.clone_from(&own.from.image);
                    row.to.clone_from(&own.to.image);
                    row.file.clone_from(&own.file);
                    row.reason.clone_from(&own.to.reason);
                }
                for warning in &plan.warnings {
                    self.warn(warning, &row.target);
                }
                self.members.push(StoredMember {
                    request: member.request.pinned_to(plan),
                    effect_id: (!plan.commits.is_empty()).then(|| plan.effect_id.clone()),
                    shown: row.clone(),
                });
            }
            Decision::Refused(refusal) => {
                row.state = RunState::Refused;
                row.reason = refusal.first_words();
                self.left_out.push(format!(
                    "{} in namespace {} was left out: {}",
                    row.target, row.namespace, row.reason
                ));
            }
            Decision::NotNeeded(why) => {
                row.state = RunState::Succeeded;
                row.reason.clone_from(why);
            }
        }
        self.rows.push(row);
    }

    fn warn(&mut self, warning: &str, target: &str) {
        match self.warned.iter_mut().find(|(own, _)| own == warning) {
            Some((_, targets)) => targets.push(target.to_owned()),
            None => self
                .warned
                .push((warning.to_owned(), vec![target.to_owned()])),
        }
    }

    /// Each warning once, with the first of its targets.
    fn warnings(&self) -> Vec<String> {
        const NAMED: usize = 3;
        let line = |(warning, targets): &(String, Vec<String>)| {
            let mut names = targets
                .iter()
                .take(NAMED)
                .cloned()
                .collect::<Vec<_>>()
                .join(", ");
            if targets.len() > NAMED {
                names.push_str(&format!(" and {} more", targets.len() - NAMED));
            }
            format!("{names}: {warning}")
        };
        self.warned.iter().map(line).collect()
    }

    /// Gives every member its stage.
    fn number(&mut self) {
        let mut numbers = Vec::new();
        for (stage, count) in self.stages.iter().enumerate() {
            numbers.extend(std::iter::repeat_n(stage + 1, *count));
        }
        let mut members = self.members.iter_mut().zip(&numbers);
        for row in self
            .rows
            .iter_mut()
            .filter(|row| row.state == RunState::Open)
        {
            if let Some((member, stage)) = members.next() {
                member.shown.stage = *stage;
                row.stage = *stage;
            }
        }
    }
}

fn reach(global: &Global, context: &Context, wanted: &Wanted<'_>) -> Reach {
    let cluster = context.clients.cluster.as_ref().ok();
    Reach {
        kubeconfig: global
            .kubeconfig
            .as_ref()
            .map(|path| path.display().to_string()),
        context: cluster.and_then(|c| c.context().map(str::to_owned)),
        app: wanted.scope.app.clone(),
        repo: wanted
            .scope
            .repo
            .as_ref()
            .map(|path| path.display().to_string()),
        file: None,
        branch: wanted.scope.branch.clone(),
        directory: Some(context.directory().display().to_string()),
        author: wanted.manner.author.clone(),
    }
}

/// All fleets, oldest first; what cannot be read is left out.
pub(super) fn stored(state: &std::path::Path) -> Vec<StoredFleet> {
    let names = names(state).into_iter();
    names.filter_map(|id| load(state, &id).ok()).collect()
}

/// Shows where a fleet stands.
pub(super) fn show(id: &str, ui: Ui) -> Result<ExitStatus, Failure> {
    let report = load(&super::context::state_folder(), id)?.report();
    ui.result(&report, &report.text(ui.style().width), None);
    Ok(ExitStatus::Success)
}

/// Gives a fleet up: no further stage is pushed, nothing is undone.
pub(super) fn abandon(id: &str, ui: Ui) -> Result<ExitStatus, Failure> {
    let state = super::context::state_folder();
    let mut stored = load(&state, id)?;
    if !stored.is_open() {
        return Err(Failure::refused(format!("{id} is over: {}", stored.word())));
    }
    let keeper = Keeper::over(&state, &stored.fleet_id)?;
    stored.ended = Some((RunState::Stopped, 4));
    keeper.save(&stored)?;
    let pushed = stored.commits.iter().filter(|commit| commit.pushed).count();
    let text = format!("{id} is given up; {pushed} commits of it stay on their branches\n");
    ui.result(&stored.report(), &text, None);
    Ok(ExitStatus::Success)
}

/// The ids of fleets that can go on.
pub(super) fn open(state: &std::path::Path) -> Vec<String> {
    let is_open = |id: &String| load(state, id).is_ok_and(|fleet| fleet.is_open());
    names(state).into_iter().filter(is_open).collect()
}

/// Goes on with a fleet.
pub(super) async fn go_on(global: &Global, id: &str, ui: Ui) -> Result<ExitStatus, Failure> {
    let state = super::context::state_folder();
    let stored = load(&state, id)?;
    if let Some((state, code)) = stored.ended {
        ui.note(&format!("{id} ended already: {}", state.as_str()));
        return Ok(ExitStatus::of_code(code));
    }
    let mut global = global.clone();
    let reach = stored.reach.clone();
    global.context = global.context.or(reach.context);
    global.kubeconfig = global
        .kubeconfig
        .or_else(|| reach.kubeconfig.map(Into::into));
    let first = stored
        .members
        .first()
        .map(|member| member.request.target.clone());
    let Some(first) = first else {
        return Err(Failure::error(format!("{id} has no target")));
    };
    global.namespace = Some(first.namespace.clone());
    let context = Context::new(&global).await?;
    let source = super::args::Source {
        app: reach.app,
        repo: reach.repo.or(reach.directory).map(Into::into),
        file: None,
        branch: reach.branch,
    };
    let scope = context.scope(Some(first.kind), first.name, &source);
    let sight = crate::observe::observe(&context.clients, &scope, Timestamp::now()).await?;
    let stopper = Stopper::new(ui);
    let setup = setup(
        &context,
        &scope,
        (&sight, reach.author.as_deref(), true),
        (super::runs::verified(), ui, &stopper),
    )?;
    let keeper = Keeper::over(&state, &stored.fleet_id)?;
    let report = Box::pin(carry_out(setup, keeper, stored)).await?;
    Ok(finish(&report, ui))
}

/// What a fleet of one commit's workloads asks of each: the rest of the commit goes with the last
/// one, or with the first where there is one stage only.
pub(super) fn of_commit(
    (commit, parent): (&str, Option<usize>),
    targets: &[WorkloadRef],
    is_staged: bool,
) -> Vec<Request> {
    let whole = if is_staged { targets.len() - 1 } else { 0 };
    let requests = targets.iter().enumerate().map(|(place, target)| Request {
        intent: Intent::Revert {
            commit: commit.to_owned(),
            parent,
            all: place == whole,
            only: None,
        },
        ..Request::new(target.clone())
    });
    requests.collect()
}
