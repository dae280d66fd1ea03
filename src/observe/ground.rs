//! The repositories that one object is rendered from: its own source's, those that other sources
//! of the Application lend their files from (`ref`), and those that the Application itself is made
//! from (app-of-apps).

use serde_json::Value;

use super::argo::{read_named, source_of};
use super::chart::subcharts;
use super::clones::Refused;
use super::made::{TRACKING_ID, beside, label, maker_of, overrides, same_files, sourcing, url};
use super::place::{Place, deepen, made_place};
use super::rendered::CommitFiles;
use super::{Clients, Scope};
use crate::git::{GitError, Repository};
use crate::model::{
    Application, ApplicationSet, ApplicationSource, At, Blocker, Capabilities, Deployer, Elsewhere,
    Gap, GapReason, Generator, Maker, Making, Observation, Pinned, Sourcing,
};
use crate::provenance::{self, root};

/// Applications that make Applications are followed so far up.
const MAKERS: usize = 4;

/// One repository at one revision.
pub(super) struct Ground {
    pub(super) place: Place,
    /// As a source names it.
    named: ApplicationSource,
}

/// An Application in the chain from the target's own to what makes that, and so on.
struct Level {
    /// The Application; the target's own may not be known.
    application: Option<Application>,
    source: usize,
    ground: usize,
    /// The source seen from its own repository.
    sourcing: Sourcing,
    /// The sources with a `ref`: name, index among the sources, and which ground.
    references: Vec<(String, usize, usize)>,
    /// What its live source says besides what makes it: known when that was rendered.
    rest: Option<Value>,
    /// The ApplicationSet that makes it, with the grounds of its Git generators.
    set: Option<(ApplicationSet, Vec<(usize, usize)>)>,
}

/// All repositories; the first has the Application's own source.
pub(super) struct Grounds {
    all: Vec<Ground>,
    /// The target's own Application, then what makes it.
    levels: Vec<Level>,
    /// What the cluster serves, where a chart may ask.
    capabilities: Option<Capabilities>,
    /// Published subcharts of the source's own chart.
    subcharts: Vec<Elsewhere>,
}

impl Grounds {
    /// The own source's repository alone.
    pub(super) fn of(own: Place, observation: &Observation) -> Self {
        let argocd = &observation.argocd;
        let application = argocd.application.clone();
        let named = application.as_ref();
        let named = named.and_then(|app| app.sources.get(argocd.source));
        Self {
            all: vec![Ground {
                place: own,
                named: named.cloned().unwrap_or_default(),
            }],
            levels: vec![Level {
                sourcing: Self::sourcing_of(observation).unwrap_or_default(),
                source: argocd.source,
                application,
                ground: 0,
                references: Vec::new(),
                rest: None,
                set: None,
            }],
            capabilities: None,
            subcharts: Vec::new(),
        }
    }

    /// The own source seen from its own repository; `None` without an Application.
    pub(super) fn sourcing_of(observation: &Observation) -> Option<Sourcing> {
        let argocd = &observation.argocd;
        let source = argocd.application.as_ref()?.sources.get(argocd.source)?;
        let workload = observation.cluster.workload.as_ref();
        let tracking = workload.and_then(|w| w.annotations.get(TRACKING_ID));
        let instance = tracking.and_then(|id| id.split_once(':'));
        Some(sourcing(source, instance.map_or("", |(name, _)| name)))
    }

    /// Fetches everything else that it is rendered from. What cannot be had is a gap: it matters
    /// only where it decides.
    pub(super) async fn complete(
        &mut self,
        looking: (&Clients, &Scope),
        observation: &Observation,
        gaps: &mut Vec<Gap>,
    ) {
        if is_chart(observation) {
            let mut own = Vec::new();
            let (served, subcharts) =
                tokio::join!(capabilities(looking.0), self.published(looking, &mut own));
            self.capabilities = served;
            self.subcharts = subcharts;
            gaps.append(&mut own);
        }
        self.lend(0, looking, gaps).await;
        while self.levels.len() <= MAKERS && self.follow(looking, gaps).await {
            let last = self.levels.len() - 1;
            self.lend(last, looking, gaps).await;
        }
    }

    /// The subcharts of the source's own chart that are published elsewhere.
    async fn published(&self, looking: (&Clients, &Scope), gaps: &mut Vec<Gap>) -> Vec<Elsewhere> {
        let (Some(place), Some(own)) = (self.own(), self.levels.first()) else {
            return Vec::new();
        };
        // A published chart has its own packed.
        if place.pinned.is_some() {
            return Vec::new();
        }
        let found = subcharts(looking, (place, &own.sourcing.folder), gaps).await;
        found.unwrap_or_else(|error| {
            gaps.push(Gap {
                what: "the chart's dependencies".to_owned(),
                reason: GapReason::Unreachable,
                message: error.to_string(),
            });
            Vec::new()
        })
    }

    /// The repositories that a level takes values from.
    async fn lend(&mut self, level: usize, looking: (&Clients, &Scope), gaps: &mut Vec<Gap>) {
        let Some(Level {
            application: Some(application),
            source: own,
            ..
        }) = self.levels.get(level)
        else {
            return;
        };
        let (own, sources) = (*own, application.sources.clone());
        for (index, source) in sources.iter().enumerate() {
            if source.reference.is_empty() || index == own {
                continue;
            }
            match self.ground(looking, source).await {
                Ok(ground) => {
                    let name = source.reference.clone();
                    self.levels[level].references.push((name, index, ground));
                }
                Err(refused) => gaps.push(unread(
                    format!("the source {} of the Application", source.reference),
                    source,
                    &refused,
                )),
            }
        }
    }

    /// The ground of a source, fetched unless it is there.
    async fn ground(
        &mut self,
        (clients, scope): (&Clients, &Scope),
        source: &ApplicationSource,
    ) -> Result<usize, Refused> {
        let known = self.all.iter();
        let known = known.map(|ground| same_files(&ground.named, source));
        if let Some(known) = known.enumerate().find_map(|(at, same)| same.then_some(at)) {
            return Ok(known);
        }
        let place = Box::pin(made_place((clients, &beside(scope)), source, None)).await?;
        self.all.push(Ground {
            place,
            named: source.clone(),
        });
        Ok(self.all.len() - 1)
    }

    /// Goes one level up: to what makes the last Application, where that one's source says
    /// something that may decide.
    async fn follow(&mut self, looking: (&Clients, &Scope), gaps: &mut Vec<Gap>) -> bool {
        let Some(last) = self.levels.last() else {
            return false;
        };
        let Some(app) = &last.application else {
            return false;
        };
        let decides = app.sources.get(last.source).is_some_and(overrides);
        if !decides && self.pinned(last.ground).is_none() {
            return false;
        }
        if let Some((_, name)) = app.owners.iter().find(|(kind, _)| kind == "ApplicationSet") {
            let key = (name.clone(), app.namespace.clone());
            self.generate(key, looking, gaps).await;
            return false;
        }
        let Some(instance) = maker_of(app) else {
            return false;
        };
        let seen = |level: &Level| {
            level
                .application
                .as_ref()
                .is_some_and(|own| own.name == instance.1)
        };
        if self.levels.len() > 1 && self.levels.iter().any(seen) {
            return false;
        }
        let maker = match read_named(looking.0, (instance.0, instance.1)).await {
            Ok(maker) => maker,
            Err(gap) => {
                gaps.push(gap);
                return false;
            }
        };
        let instance = match instance.0 {
            Some(namespace) => format!("{namespace}_{}", maker.name),
            None => maker.name.clone(),
        };
        let source = source_of(&maker);
        let Some(from) = maker.sources.get(source).cloned() else {
            return false;
        };
        match self.ground(looking, &from).await {
            Ok(ground) => {
                self.levels.push(Level {
                    sourcing: sourcing(&from, &instance),
                    application: Some(maker),
                    source,
                    ground,
                    references: Vec::new(),
                    rest: None,
                    set: None,
                });
                true
            }
            Err(refused) => {
                let what = format!("the source of Application {}", maker.name);
                gaps.push(unread(what, &from, &refused));
                false
            }
        }
    }

    /// The ApplicationSet that makes the last Application, and the repositories of its generators.
    async fn generate(
        &mut self,
        (name, namespace): (String, String),
        looking: (&Clients, &Scope),
        gaps: &mut Vec<Gap>,
    ) {
        let what = format!("ApplicationSet {name}");
        let read = match &looking.0.argocd {
            Ok(argocd) => argocd.application_set(&name, &namespace).await,
            Err(gap) => {
                let what = what.clone();
                gaps.push(Gap {
                    what,
                    ..gap.clone()
                });
                return;
            }
        };
        let spec = match read {
            Ok(spec) => spec,
            Err(error) => {
                gaps.push(error.gap(what));
                return;
            }
        };
        let mut grounds = Vec::new();
        let generators = spec["generators"].as_array().cloned().unwrap_or_default();
        for (index, generator) in generators.iter().enumerate() {
            let text = |key: &str| {
                let git = &generator["git"][key];
                git.as_str().unwrap_or_default().to_owned()
            };
            let from = ApplicationSource {
                repo_url: text("repoURL"),
                target_revision: text("revision"),
                ..ApplicationSource::default()
            };
            let fixed = !from.repo_url.contains("{{") && !from.target_revision.contains("{{");
            if from.repo_url.is_empty() || !fixed {
                continue;
            }
            match self.ground(looking, &from).await {
                Ok(ground) => grounds.push((index, ground)),
                Err(refused) => gaps.push(unread(what.clone(), &from, &refused)),
            }
        }
        if let Some(level) = self.levels.last_mut() {
            let set = ApplicationSet {
                name,
                spec,
                generator: None,
            };
            level.set = Some((set, grounds));
        }
    }

    /// Finds the generator of the ApplicationSet whose files have the Application's parameters.
    fn settle_set(&mut self, gaps: &mut Vec<Gap>) -> Result<(), GitError> {
        let Some(level) = self.levels.last() else {
            return Ok(());
        };
        let (Some((set, grounds)), Some(application)) = (&level.set, &level.application) else {
            return Ok(());
        };
        let Some(place) = self.place(0) else {
            return Ok(());
        };
        let repository = place.repository.open()?;
        let others = opened(&repository, &self.elsewhere(0))?;
        let (mut found, mut why) = (None, None);
        let some = grounds
            .iter()
            .map(|(index, ground)| (Some(*index), *ground));
        // At last without any: what the template says is then only the live Application's.
        for (index, ground) in some.chain([(None, 0)]) {
            let set = ApplicationSet {
                generator: index.map(|index| Generator {
                    index,
                    root: self.root(ground, 0),
                }),
                ..set.clone()
            };
            let sourcing = Sourcing {
                making: Some(Box::new(Making {
                    maker: Maker::ApplicationSet(Box::new(set)),
                    rest: Value::Null,
                })),
                ..level.sourcing.clone()
            };
            let asked = (application, level.source);
            let rest = CommitFiles::at((&repository, &place.tip), &others)
                .ask(|files| provenance::rest(files, &sourcing, asked))?;
            match rest {
                Ok(rest) => {
                    found = Some((index, rest));
                    break;
                }
                Err(blocker) => why = why.or(Some(blocker.message)),
            }
        }
        if let (Some(message), Some((None, _))) = (why, &found) {
            gaps.push(Gap {
                what: format!("what makes Application {}", application.name),
                reason: GapReason::Invalid,
                message,
            });
        }
        let level = self.levels.last_mut();
        let parts = level.and_then(|level| Some((&mut level.rest, level.set.as_mut()?)));
        if let (Some((index, left)), Some((rest, (_, grounds)))) = (found, parts) {
            grounds.retain(|(own, _)| Some(*own) == index);
            *rest = Some(left);
        }
        Ok(())
    }

    /// Renders the makers, from the last down, so that it is known what each of them makes. One
    /// that does not make the Application below it is left out. To be called before anything is
    /// rendered.
    pub(super) fn settle(&mut self, gaps: &mut Vec<Gap>) -> Result<(), GitError> {
        self.settle_set(gaps)?;
        for below in (0..self.levels.len().saturating_sub(1)).rev() {
            let rest = {
                let Some(place) = self.place(0) else { continue };
                let repository = place.repository.open()?;
                let others = opened(&repository, &self.elsewhere(0))?;
                let level = &self.levels[below];
                let Some(application) = &level.application else {
                    continue;
                };
                let sourcing = Sourcing {
                    making: self.making(below, 0, Value::Null),
                    ..level.sourcing.clone()
                };
                let subject = (application, level.source);
                CommitFiles::at((&repository, &place.tip), &others)
                    .ask(|files| provenance::rest(files, &sourcing, subject))?
            };
            match rest {
                Ok(rest) => self.levels[below].rest = Some(rest),
                Err(blocker) => {
                    let name = self.levels[below].application.as_ref().map(|app| &app.name);
                    let name = name.cloned().unwrap_or_default();
                    gaps.push(Gap {
                        what: format!("what makes Application {name}"),
                        reason: GapReason::Invalid,
                        message: blocker.message,
                    });
                    self.levels.truncate(below + 1);
                }
            }
        }
        Ok(())
    }

    /// Shallow clones are fetched whole.
    pub(super) async fn deepen(&mut self, observation: &mut Observation) {
        for ground in &mut self.all {
            deepen(&mut ground.place, observation).await;
        }
    }

    pub(super) fn own(&self) -> Option<&Place> {
        self.all.first().map(|ground| &ground.place)
    }

    pub(super) fn into_own(self) -> Option<Place> {
        self.all.into_iter().next().map(|ground| ground.place)
    }

    pub(super) fn place(&self, ground: usize) -> Option<&Place> {
        self.all.get(ground).map(|ground| &ground.place)
    }

    /// Of the target's own Application the source that is the ground.
    pub(super) fn source(&self, ground: usize) -> usize {
        let Some(own) = self.levels.first() else {
            return 0;
        };
        let lent = own.references.iter().find(|(_, _, at)| *at == ground);
        match lent {
            Some((_, index, _)) if own.ground != ground => *index,
            _ => own.source,
        }
    }

    /// What stands before a ground's paths, seen from the one at hand; one that is pinned is at
    /// no time at hand.
    fn root(&self, ground: usize, home: usize) -> String {
        match self.all.get(ground) {
            Some(other) if ground != home || other.place.pinned.is_some() => {
                root(&label(&other.place))
            }
            _ => String::new(),
        }
    }

    /// The ground whose root this is.
    pub(super) fn of_label(&self, name: &str) -> Option<usize> {
        let mut all = self.all.iter();
        all.position(|ground| label(&ground.place) == name)
    }

    /// Where everything is, seen from the ground at hand.
    pub(super) fn sourcing(&self, home: usize) -> Sourcing {
        self.sourcing_at(0, home)
    }

    fn sourcing_at(&self, level: usize, home: usize) -> Sourcing {
        let Some(own) = self.levels.get(level) else {
            return Sourcing::default();
        };
        let references = own.references.iter();
        let references = references.map(|(name, _, at)| (name.clone(), self.root(*at, home)));
        let making = own.rest.clone();
        Sourcing {
            folder: format!("{}{}", self.root(own.ground, home), own.sourcing.folder),
            instance: own.sourcing.instance.clone(),
            references: references.collect(),
            making: making.and_then(|rest| self.making(level, home, rest)),
            pinned: self.pinned(own.ground),
            capabilities: self.capabilities.clone(),
        }
    }

    fn pinned(&self, ground: usize) -> Option<Pinned> {
        let place = self.place(ground)?;
        Some(Pinned {
            what: place.pinned?,
            repository: url(place),
            revisions: vec![place.branch.clone()],
        })
    }

    fn making(&self, level: usize, home: usize, rest: Value) -> Option<Box<Making>> {
        if let Some((set, grounds)) = self.levels.get(level).and_then(|own| own.set.as_ref()) {
            let generator = grounds.first().map(|(index, ground)| Generator {
                index: *index,
                root: self.root(*ground, home),
            });
            let set = ApplicationSet {
                generator,
                ..set.clone()
            };
            return Some(Box::new(Making {
                maker: Maker::ApplicationSet(Box::new(set)),
                rest,
            }));
        }
        let above = self.levels.get(level + 1)?;
        Some(Box::new(Making {
            maker: Maker::Application(Box::new(Deployer {
                application: above.application.clone()?,
                source: above.source,
                sourcing: self.sourcing_at(level + 1, home),
            })),
            rest,
        }))
    }

    /// The other repositories, seen from the ground at hand.
    pub(super) fn elsewhere(&self, home: usize) -> Vec<Elsewhere> {
        let of = |(at, ground): (usize, &Ground)| {
            let place = &ground.place;
            let (root, commit) = match place.pinned {
                Some(_) => (
                    format!("//{}@", url(place)),
                    At::Revision(place.remote.name.clone()),
                ),
                None if at == home => return None,
                None => (self.root(at, home), At::Commit(place.tip.clone())),
            };
            Some(Elsewhere {
                root,
                clone: place.repository.git_dir().display().to_string(),
                at: commit,
            })
        };
        let mut others: Vec<Elsewhere> = self.all.iter().enumerate().filter_map(of).collect();
        // A branch of the same repository has a root that says more.
        others.sort_by_key(|other| matches!(other.at, At::Revision(_)));
        others.extend(self.subcharts.iter().cloned());
        others
    }

    /// `--repo` names a clone of one of them.
    pub(super) fn takes(&self, scope: &Scope, clients: &Clients) -> Result<(), Refused> {
        let Some(named) = &scope.repo else {
            return Ok(());
        };
        let opened = Repository::open(named, &clients.git)?;
        let folder = opened.path().git_dir();
        let mut all = self.all.iter();
        if all.any(|own| own.place.repository.git_dir() == folder) {
            return Ok(());
        }
        let urls: Vec<String> = self.all.iter().map(|own| label(&own.place)).collect();
        Err(Refused::Blocked(Blocker::new(
            "other-repository",
            format!("{} is no clone of {}", named.display(), urls.join(" or ")),
            "name a clone of one of them with --repo, or leave --repo out",
        )))
    }
}

fn unread(what: String, source: &ApplicationSource, refused: &Refused) -> Gap {
    let message = match refused {
        Refused::Blocked(blocker) => blocker.message.clone(),
        Refused::Failed(error) => error.to_string(),
    };
    Gap {
        what: format!("{what} ({})", crate::model::mask_url(&source.repo_url)),
        reason: GapReason::Unreachable,
        message,
    }
}

/// The other repositories, opened.
/// Whether the target's source is a chart.
fn is_chart(seen: &Observation) -> bool {
    let Some(app) = &seen.argocd.application else {
        return false;
    };
    let source = app.sources.get(seen.argocd.source);
    let told = app.source_types.get(seen.argocd.source);
    source.is_some_and(|own| own.helm.is_some() || !own.chart.is_empty())
        || told.is_some_and(|kind| kind == "Helm")
}

/// What the cluster serves. That it could not be read shows in the field whose template asks.
async fn capabilities(clients: &Clients) -> Option<Capabilities> {
    clients.cluster.as_ref().ok()?.capabilities().await.ok()
}

pub(super) fn opened(
    beside: &Repository,
    elsewhere: &[Elsewhere],
) -> Result<Vec<(Repository, Elsewhere)>, GitError> {
    let open = |other: &Elsewhere| {
        let repository = beside.another(std::path::Path::new(&other.clone))?;
        Ok((repository, other.clone()))
    };
    elsewhere.iter().map(open).collect()
}
