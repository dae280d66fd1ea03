//! Tools that would set the image again: said in every plan that sets one, stopped with `--hold`
//! and `hold`, let go on again with `unhold`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::assemble::{Parts, assemble, digest, plan_id};
use super::build::{Decision, EditedFile, Prepared, name_gaps};
use super::document::Document;
use super::git_route::{describe, source};
use super::steps::Course;
use super::{Blocker, Intent, Plan, Refusal, Request, Route, Unknown};
use crate::automation::{Finding, PINS, Pin, Tool, find, gaps, marked_again, pinned, ruled_again};
use crate::manifest::{UndoClass, undo_chosen};
use crate::model::{Desired, GitView, HeldFile, Observation, WorkloadRef, mask_text, plain};

/// A tool that will, or may, set the image again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedAutomation {
    /// `flux`, `argocd-image-updater`, ...
    pub tool: String,
    /// `FILE:LINE`, or the object.
    pub place: String,
    /// What it does.
    pub does: String,
    /// When.
    pub when: String,
    /// `will` or `may`.
    pub certainty: String,
    /// Whether the plan's commit stops it.
    pub held: bool,
    /// Whether Git has its pin already, and what runs does not know of it yet.
    #[serde(default)]
    pub in_git: bool,
    /// What a person must do, where unship cannot stop it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_hand: Option<String>,
}

/// A file in which a tool is stopped, or let go on again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedHold {
    /// The tool.
    pub tool: String,
    /// The file.
    pub path: String,
    /// What is done there.
    pub words: String,
    /// The commit whose pin is taken back, in full; absent where one is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_back: Option<String>,
}

/// What a plan has to do with such tools.
#[derive(Default)]
pub(super) struct Tools {
    found: Vec<PlannedAutomation>,
    words: Vec<String>,
    gaps: Vec<String>,
    holds: Vec<PlannedHold>,
}

impl Tools {
    /// What a person should know before saying yes.
    pub(super) fn warnings(&self, observation: &Observation, request: &Request) -> Vec<String> {
        let target = &observation.target;
        let command = format!("`unship hold {} -n {}`", target.short(), target.namespace);
        let how = match (&request.intent, request.hold) {
            (Intent::Rollback, false) => {
                format!("--hold stops it in the same commit, {command} alone")
            }
            _ => format!("{command} stops it"),
        };
        let found = self.found.iter().zip(&self.words);
        let open = found.filter(|(tool, _)| !tool.held);
        let warnings = open.map(|(tool, words)| match &tool.by_hand {
            Some(by_hand) => format!("{words}; unship cannot stop it: {by_hand}"),
            None if tool.in_git => {
                format!("{words}; Git has its pin already, which counts once it is applied")
            }
            None => format!("{words}; {how}"),
        });
        let mut warnings: Vec<String> = warnings.collect();
        if request.intent.sets_images() {
            warnings.extend(self.gaps.iter().cloned());
        }
        if request.hold && self.found.is_empty() {
            warnings.push("--hold: no tool was found that would set the image again".to_owned());
        }
        warnings
    }
}

/// The files of a commit with the pins in them, where pins are asked for.
pub(super) fn with_pins(
    observation: &Observation,
    request: &Request,
    mut files: Vec<EditedFile>,
) -> (Vec<EditedFile>, Tools) {
    let mut tools = Tools::default();
    if !request.intent.sets_images() && request.intent != Intent::Hold {
        return (files, tools);
    }
    let found = find(observation);
    let unread = gaps(observation, &found).into_iter();
    tools.gaps = unread.map(ToString::to_string).collect();
    for finding in found {
        let mut planned = planned(&finding);
        planned.in_git = is_in_git(observation, &finding);
        tools.words.push(mask_text(&plain(&finding.words())));
        if (request.hold || request.intent == Intent::Hold)
            && let Pin::Edit {
                path,
                change,
                words,
            } = &finding.pin
        {
            let now = text_of(observation, &files, path);
            match now.map(|now| pinned(&now, change).map(|after| (now, after))) {
                Some(Ok((now, Some(after)))) => {
                    put(&mut files, path, &now, after);
                    note(&mut tools.holds, finding.tool, path, words);
                    planned.held = true;
                }
                // The edit of the rollback has taken it away.
                Some(Ok((_, None))) => planned.held = !planned.in_git,
                Some(Err(why)) => {
                    planned.by_hand = Some(format!("{path} cannot be edited: {why}"));
                }
                None => planned.by_hand = Some(format!("{path} was not read")),
            }
        }
        tools.found.push(planned);
    }
    (files, tools)
}

/// Whether the tip has the pin, and the tool is found by what is live.
fn is_in_git(observation: &Observation, finding: &Finding) -> bool {
    let Pin::Edit { path, change, .. } = &finding.pin else {
        return false;
    };
    let text = text_of(observation, &[], path);
    text.is_some_and(|text| pinned(&text, change) == Ok(None))
}

fn planned(finding: &Finding) -> PlannedAutomation {
    PlannedAutomation {
        tool: finding.tool.word().to_owned(),
        place: plain(&finding.place),
        does: mask_text(&plain(&finding.does)),
        when: mask_text(&plain(&finding.when)),
        certainty: if finding.certain { "will" } else { "may" }.to_owned(),
        held: false,
        in_git: false,
        by_hand: match &finding.pin {
            Pin::Edit { .. } => None,
            Pin::ByHand(what) => Some(what.clone()),
        },
    }
}

/// A file as the commit has it so far, else as it is at the tip.
fn text_of(observation: &Observation, files: &[EditedFile], path: &str) -> Option<String> {
    if let Some(file) = files.iter().find(|file| file.path == path) {
        return (!file.gone).then(|| file.after.clone());
    }
    let git = observation.git.as_ref()?;
    let rendered = git.rendered.as_ref();
    let text = match rendered.and_then(|rendered| rendered.files.get(path)) {
        Some(text) => Some(text),
        None if rendered.is_none() && git.file == path => Some(&git.text),
        None => observation.automation.files.get(path),
    };
    text.map(ToString::to_string)
}

fn put(files: &mut Vec<EditedFile>, path: &str, now: &str, after: String) {
    match files.iter_mut().find(|file| file.path == path) {
        Some(file) => file.after = after,
        None => files.push(EditedFile {
            path: path.to_owned(),
            before: now.to_owned(),
            after,
            gone: false,
            added: false,
        }),
    }
}

fn note(holds: &mut Vec<PlannedHold>, tool: Tool, path: &str, words: &str) {
    holds.push(PlannedHold {
        tool: tool.word().to_owned(),
        path: path.to_owned(),
        words: words.to_owned(),
        taken_back: None,
    });
}

impl Plan {
    /// Notes the tools; the message and the plan's ids follow what is stopped.
    pub(super) fn note_tools(&mut self, tools: Tools) {
        if !tools.holds.is_empty() {
            let words = tools.holds.iter();
            let words: Vec<String> = words.map(|hold| plain(&hold.words)).collect();
            for commit in &mut self.commits {
                let text = commit.message.trim_end().to_owned();
                commit.message = format!("{text}\n\n- {}\n", words.join("\n- "));
            }
            let effect = format!("{} {}", self.effect_id, words.join("\n"));
            self.effect_id = digest(&effect).chars().take(12).collect();
        }
        self.automation = tools.found;
        self.holds = tools.holds;
        self.plan_id = plan_id(self);
    }
}

/// The trailers by which `unhold` finds the pins, and by which they are known to be taken back.
pub(super) fn trailers(plan: &Plan) -> Vec<String> {
    let Some(target) = plan.targets.first() else {
        return Vec::new();
    };
    let target = WorkloadRef {
        kind: target.kind,
        namespace: target.namespace.clone(),
        name: target.name.clone(),
    };
    let mut found: Vec<String> = Vec::new();
    for hold in &plan.holds {
        let line = match &hold.taken_back {
            Some(commit) => format!("Unship-Unhold: {commit} for {}", target.path()),
            None => format!(
                "Unship-Hold: {} {} for {}",
                hold.tool,
                plain(&hold.path),
                target.path()
            ),
        };
        if !found.contains(&line) {
            found.push(line);
        }
    }
    found
}

/// Decides about `hold` and `unhold`.
pub(super) fn decide(observation: &Observation, request: &Request) -> Decision {
    let outcome = match request.intent {
        Intent::Hold => hold(observation, request),
        _ => unhold(observation, request),
    };
    match outcome {
        Ok(decision) => decision,
        Err(mut refusal) => {
            name_gaps(observation, &mut refusal);
            Decision::Refused(refusal)
        }
    }
}

fn hold(observation: &Observation, request: &Request) -> Result<Decision, Refusal> {
    let git = source(observation)?;
    let (files, tools) = with_pins(observation, request, Vec::new());
    if !files.is_empty() {
        return plan((observation, request), git, files, tools);
    }
    let target = &observation.target;
    if tools.found.is_empty() {
        let mut text = format!(
            "nothing to hold: no tool was found that would set the image of {} in namespace {} again",
            target.short(),
            target.namespace
        );
        for gap in &tools.gaps {
            text.push_str(&format!("\n  {gap}"));
        }
        return Ok(Decision::NotNeeded(text));
    }
    let all = tools.found.iter().zip(&tools.words);
    let open: Vec<_> = all.filter(|(tool, _)| !tool.in_git).collect();
    if open.is_empty() {
        let places: Vec<&str> = tools.found.iter().map(|tool| &*tool.place).collect();
        return Ok(Decision::NotNeeded(format!(
            "nothing to do: Git has the pins already, and they count once they are applied ({})",
            places.join(", ")
        )));
    }
    let blockers = open.into_iter().map(|(tool, words)| {
        Blocker::new(
            "hold-by-hand",
            words.clone(),
            tool.by_hand.clone().unwrap_or_default(),
        )
    });
    Err(Refusal {
        blockers: blockers.collect(),
        unknown: Vec::new(),
    })
}

fn unhold(observation: &Observation, request: &Request) -> Result<Decision, Refusal> {
    let git = source(observation)?;
    let target = &observation.target;
    let mut tools = Tools::default();
    let mut files: Vec<EditedFile> = Vec::new();
    let mut left = Vec::new();
    for held in &observation.automation.held {
        let commit = held.commit.id.short();
        let so_far = files.iter().find(|file| file.path == held.path);
        let head = so_far.map(|file| file.after.clone());
        let Some(head) = head.or_else(|| held.head.as_ref().map(ToString::to_string)) else {
            left.push(format!("{} of {commit} is not there any more", held.path));
            continue;
        };
        match let_go(observation, held, &head) {
            Ok(Some(after)) => {
                put(&mut files, &held.path, &head, after);
                tools.holds.push(PlannedHold {
                    tool: held.tool.clone(),
                    path: held.path.clone(),
                    words: format!("the pin of {commit} in {} is taken back", held.path),
                    taken_back: Some(held.commit.id.as_str().to_owned()),
                });
            }
            Ok(None) => left.push(format!(
                "the pin of {commit} in {} is not there any more",
                held.path
            )),
            Err(why) => {
                return Err(Refusal::one(Blocker::new(
                    "unhold-refused",
                    format!(
                        "the pin of {commit} in {} cannot be taken back: {why}",
                        held.path
                    ),
                    format!(
                        "`git show {commit} -- {}` shows it; take it out by hand",
                        held.path
                    ),
                )));
            }
        }
    }
    let unread = observation.automation.gaps.iter();
    let unread: Vec<Unknown> = unread
        .filter(|gap| gap.what == PINS)
        .map(|gap| Unknown {
            id: "pins".to_owned(),
            message: gap.what.clone(),
            reason: gap.message.clone(),
        })
        .collect();
    if files.is_empty() && !unread.is_empty() {
        return Err(Refusal {
            blockers: Vec::new(),
            unknown: unread,
        });
    }
    if files.is_empty() {
        let mut text = format!(
            "nothing to do: unship holds nothing of {} in namespace {} on {}",
            target.short(),
            target.namespace,
            git.branch
        );
        for line in left {
            text.push_str(&format!("\n  {line}"));
        }
        return Ok(Decision::NotNeeded(text));
    }
    plan((observation, request), git, files, tools)
}

/// A file with the pin of a commit taken back; `None` where it is gone already.
fn let_go(
    observation: &Observation,
    held: &HeldFile,
    head: &str,
) -> Result<Option<String>, String> {
    let sides = (&*held.before, &*held.after, head);
    if held.tool == Tool::Flux.word() {
        let target = &observation.target;
        let rendered = observation
            .git
            .as_ref()
            .is_some_and(|git| git.rendered.is_some());
        let object = (!rendered).then(|| (target.kind.as_str().to_owned(), target.name.clone()));
        return marked_again(sides, object);
    }
    if held.tool == Tool::Renovate.word() {
        return ruled_again(sides);
    }
    let undone = undo_chosen(sides, &|value| {
        // The commit may have rolled the workload back in the same file.
        let kind = value.get("kind").and_then(serde_json::Value::as_str);
        kind != Some(observation.target.kind.as_str())
    });
    match undone.class {
        UndoClass::Undone | UndoClass::Partly => Ok((undone.text != head).then_some(undone.text)),
        UndoClass::NothingLeft => Ok(None),
        UndoClass::Refused => Err(undone.reason.unwrap_or_default()),
    }
}

fn plan(
    (observation, request): (&Observation, &Request),
    git: &GitView,
    files: Vec<EditedFile>,
    tools: Tools,
) -> Result<Decision, Refusal> {
    let document = Document::of(&git.text, &git.file, &observation.target).map_err(Refusal::one)?;
    let mut target = describe(observation, (&document, &document), None, request);
    target.fields = tools.holds.iter().map(|hold| hold.words.clone()).collect();
    if let Some(file) = files.first() {
        target.line = 0;
        target.file.clone_from(&file.path);
    }
    let course = Course {
        changes_git: true,
        ..Course::default()
    };
    let before: String = files.iter().map(|file| file.before.as_str()).collect();
    let mut warnings = tools.warnings(observation, request);
    warnings.extend(observation.gaps.iter().map(ToString::to_string));
    let parts = Parts {
        route: Route::Git,
        files: &files,
        git: Some(git),
        warnings,
        before,
        course,
        patch: None,
        debts: Vec::new(),
    };
    let mut plan = assemble(observation, request, target, parts);
    plan.goal = vec![match request.intent {
        Intent::Hold => "the branch has the pins".to_owned(),
        _ => "the branch has the pins no more".to_owned(),
    }];
    plan.automation = tools.found;
    // The fields of the target say already what is done, in the message and in the effect.
    plan.holds = tools.holds;
    plan.plan_id = plan_id(&plan);
    let fields = document.fields();
    let desired = fields.map_or_else(
        || Prepared::of_plan(plan.clone()).desired,
        |fields| Desired::between(Some(&fields), &fields),
    );
    Ok(Decision::Plan(Box::new(Prepared {
        plan,
        files,
        also: Vec::new(),
        desired,
        patch: None,
        git: None,
    })))
}
