//! The steps of a plan, by route, each with its deadline.

use super::blockers::Landing;
use super::{Action, Goal, Intent, Request, Step};
use crate::model::{ApplicationSet, Lands, Making, Observation, Workload};

/// The worst time until Argo CD sees a pushed commit by itself: 120 s between
/// reconciliations, up to 60 s of jitter, and 180 s for which the repo-server may
/// keep a branch's tip (Argo CD 3.0 and later).
const WORST_POLL_SECONDS: i64 = 360;

/// How long an emergency waits for Argo CD before it acts on the cluster.
const EMERGENCY_LAND_SECONDS: i64 = 30;

/// Seconds given to a rollout beyond its own progress deadline.
const ROLLOUT_GRACE_SECONDS: i64 = 60;

/// What a plan's steps depend on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Course {
    /// A commit is needed.
    pub changes_git: bool,
    /// An operation of Argo CD is in the way and is to be terminated.
    pub terminate: bool,
    /// Auto-sync is off: a sync of the object is asked for.
    pub sync: bool,
    /// The live object is patched.
    pub patch: bool,
    /// Only its scale is.
    pub scale: bool,
    /// It is scaled to zero and back.
    pub bounce: bool,
    /// Argo CD's history is rolled back to.
    pub argo: bool,
    /// Automated sync is suspended and given back.
    pub suspend: bool,
    /// Git is made to agree after the patch.
    pub settle: bool,
    /// The patch is made only if landing takes too long.
    pub emergency: bool,
    /// Landing is judged.
    pub land: bool,
    /// There is a rollout to wait for.
    pub rollout: bool,
    /// Landed is when the object is gone.
    pub gone: bool,
}

impl Course {
    /// A commit that Argo CD brings into the cluster.
    pub(super) fn through_git(changes_git: bool, landing: &Landing) -> Self {
        Self {
            changes_git,
            terminate: landing.terminate,
            sync: landing.sync,
            land: true,
            rollout: true,
            ..Self::default()
        }
    }
}

pub(super) fn steps(observation: &Observation, request: &Request, course: Course) -> Vec<Step> {
    let mut steps = Steps {
        request,
        workload: observation.cluster.workload.as_ref(),
        poll_before: poll_before(observation),
        list: Vec::new(),
    };
    if request.goal == Goal::Edited && course.changes_git && !course.patch {
        steps.add(
            Action::Edit,
            "the file in the work tree is as it is at the tip",
            "the file has the target content",
            10,
        );
        return steps.list;
    }
    if course.patch && !course.emergency || course.argo || course.bounce || course.scale {
        steps.on_the_cluster(course);
    } else {
        steps.through_git(course);
    }
    if request.goal >= Goal::Verified {
        steps.add(Action::Verify, "", "every check of the goal holds", 30);
    }
    if request.record.is_some() && request.goal >= Goal::Landed {
        let ensures = "the rollback is on record";
        steps.add(Action::Record, "it is over", ensures, 15);
    }
    steps.list
}

/// How often the source hydrator looks at its dry source (3.2: as often as an Application is
/// refreshed by itself, `timeout.reconciliation` with its jitter); no read asks it to look.
const HYDRATOR_POLL_SECONDS: i64 = 180;

/// How long what is to take the commit up before Argo CD compares may leave it alone: a source
/// hydrator, an ApplicationSet.
fn poll_before(observation: &Observation) -> i64 {
    let application = observation.argocd.application.as_ref();
    let hydrator = application.and_then(|app| app.hydrator.as_ref());
    hydrator.map_or(0, |_| HYDRATOR_POLL_SECONDS) + set_poll(observation)
}

fn set_poll(observation: &Observation) -> i64 {
    let git = observation.git.as_ref();
    let Some(rendered) = git.and_then(|git| git.rendered.as_ref()) else {
        return 0;
    };
    let Lands::Maker(count) = rendered.lands else {
        return 0;
    };
    let maker = rendered.sourcing.makers().nth(count - 1);
    maker
        .and_then(Making::set)
        .map_or(0, ApplicationSet::poll_seconds)
}

struct Steps<'p> {
    request: &'p Request,
    workload: Option<&'p Workload>,
    /// Seconds until an ApplicationSet or a hydrator looks at the commit, before Argo CD compares
    /// what it makes.
    poll_before: i64,
    list: Vec<Step>,
}

impl Steps<'_> {
    fn add(&mut self, action: Action, requires: &str, ensures: &str, deadline_seconds: i64) {
        self.list.push(Step {
            id: action.id().to_owned(),
            action,
            requires: requires.to_owned(),
            ensures: ensures.to_owned(),
            deadline_seconds,
        });
    }

    fn limit(&self, own: i64) -> i64 {
        self.request.timeout_seconds.unwrap_or(own)
    }

    /// A canary's failure is put on record, unless that is not wanted.
    fn record(&mut self) {
        if let Intent::Abort { record, .. } = &self.request.intent
            && record != "none"
        {
            let ensures = "the failure is on record";
            self.add(
                Action::Record,
                "logs, events and objects are saved",
                ensures,
                15,
            );
        }
    }

    fn rollout(&mut self) {
        let progress = self.workload.map_or(600, |w| w.progress_deadline_seconds);
        let limit = self.limit(progress + ROLLOUT_GRACE_SECONDS);
        self.add(
            Action::Rollout,
            "the live object is as planned",
            "the rollout is complete",
            limit,
        );
    }

    /// Evidence, commit and push.
    fn committed(&mut self) {
        let goal = self.request.goal;
        if goal >= Goal::Pushed {
            let ensures = "logs, events and objects are saved";
            self.add(Action::Capture, "", ensures, 5);
            self.record();
        }
        self.add(
            Action::Commit,
            "the document at the tip is as planned",
            "a commit with the target content exists",
            10,
        );
        if goal >= Goal::Pushed && self.request.prove {
            self.add(
                Action::Prove,
                "Argo CD's API can be asked",
                "Argo CD renders the commit as planned",
                60,
            );
        }
        if goal >= Goal::Pushed {
            self.add(
                Action::Push,
                "the tip is the commit's parent",
                "the branch contains this run's commit",
                self.limit(120),
            );
        }
    }

    fn through_git(&mut self, course: Course) {
        let goal = self.request.goal;
        if course.changes_git {
            self.committed();
        }
        if goal < Goal::Landed {
            return;
        }
        if course.terminate {
            let ensures = "the operation that was in the way has ended";
            self.add(
                Action::Terminate,
                "the branch has the target content",
                ensures,
                30,
            );
        }
        if course.sync {
            let ensures = "Argo CD was asked to sync this object";
            self.add(
                Action::Sync,
                "the branch has the target content",
                ensures,
                30,
            );
        }
        let limit = if course.emergency {
            EMERGENCY_LAND_SECONDS
        } else {
            WORST_POLL_SECONDS + self.poll_before
        };
        if course.land {
            self.add(
                Action::Land,
                "the branch has the target content",
                if course.gone {
                    "the object is gone"
                } else {
                    "the live template has the target content"
                },
                self.limit(limit),
            );
        }
        if course.emergency {
            self.where_git_is_late(course);
        }
        if goal >= Goal::Verified && course.rollout {
            self.rollout();
        }
        if course.emergency && course.suspend {
            self.settle();
        }
    }

    /// What an emergency does where the commit does not land in time.
    fn where_git_is_late(&mut self, course: Course) {
        if course.suspend {
            let ensures = "automated sync is suspended";
            self.add(Action::Suspend, "the push did not go through", ensures, 15);
        }
        self.add(
            Action::Patch,
            "it did not land in time",
            "the live object is as planned",
            15,
        );
    }

    fn settle(&mut self) {
        let limit = self.limit(120);
        self.add(
            Action::Settle,
            "the live object is as planned",
            "Git has the target content",
            limit,
        );
        self.give_back("Git has the target content");
    }

    fn give_back(&mut self, requires: &str) {
        let ensures = "automated sync is as it was before";
        self.add(Action::GiveBack, requires, ensures, 15);
    }

    fn on_the_cluster(&mut self, course: Course) {
        let ensures = "logs, events and objects are saved";
        self.add(Action::Capture, "", ensures, 5);
        self.record();
        if course.suspend {
            let ensures = "automated sync is suspended";
            self.add(Action::Suspend, "", ensures, 15);
        }
        if course.bounce {
            self.add(Action::ScaleDown, "", "no pod is left", self.limit(120));
            self.add(
                Action::ScaleUp,
                "no pod is left",
                "the replicas are as before",
                15,
            );
            if course.suspend {
                // Nothing is left that a sync would undo.
                self.give_back("the replicas are as before");
            }
        } else if course.scale {
            let ensures = "the wanted number of replicas is set";
            self.add(Action::Scale, "the object is as planned", ensures, 15);
        } else if course.argo {
            self.add(
                Action::Rollback,
                "auto-sync is off",
                "Argo CD has synced the earlier entry",
                self.limit(120),
            );
        } else {
            self.add(
                Action::Patch,
                "the object is as planned",
                "the live object is as planned",
                15,
            );
        }
        if self.request.goal >= Goal::Verified && course.rollout {
            self.rollout();
        }
        if course.settle {
            self.settle();
        }
        if course.land && course.settle {
            let limit = self.limit(WORST_POLL_SECONDS);
            self.add(
                Action::Land,
                "automated sync is as it was before",
                "Argo CD has it live",
                limit,
            );
        }
    }
}
