//! The files as the members before leave them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::manifest::to_yaml;
use crate::model::{FileText, GitView, Observation};
use crate::plan::build::EditedFile;
use crate::provenance::{Subject, render};

/// Files that differ from the tip, by path.
#[derive(Default)]
pub(super) struct Overlay {
    files: BTreeMap<String, EditedFile>,
}

impl Overlay {
    /// The look as it would be after the edits so far.
    pub(super) fn over(&self, observation: &Observation) -> Observation {
        let mut seen = observation.clone();
        let Some(mut git) = seen.git.take() else {
            return seen;
        };
        if git.rendered.is_some() {
            self.over_rendered(observation, &mut git);
        } else if let Some(file) = self.files.get(&git.file) {
            git.text = Arc::from(file.after.as_str());
        }
        if let Some(Ok(change)) = &mut git.change {
            for file in &mut change.files {
                let edited = file.path.as_ref().and_then(|path| self.files.get(path));
                if let Some(edited) = edited {
                    file.head =
                        (!edited.gone).then(|| FileText::Text(edited.after.as_str().into()));
                }
            }
        }
        for companion in &mut git.companions {
            if let Some(file) = self.files.get(&companion.path) {
                companion.text = Arc::from(file.after.as_str());
            }
        }
        seen.git = Some(git);
        seen
    }

    /// A rendered object follows its files; where it cannot be rendered any more its text stays,
    /// and the edit of it is refused when it is made.
    fn over_rendered(&self, observation: &Observation, git: &mut GitView) {
        let Some(rendered) = &mut git.rendered else {
            return;
        };
        let mut is_another = false;
        for (path, text) in &mut rendered.files {
            if let Some(file) = self.files.get(path) {
                *text = Arc::from(file.after.as_str());
                is_another = true;
            }
        }
        if !is_another {
            return;
        }
        let target = observation.target.object();
        let subject = Subject::seen(observation, &target, &rendered.sourcing);
        if let Ok(object) = render(&rendered.files, &subject) {
            git.text = Arc::from(to_yaml(&object.object));
        }
    }

    /// Takes further edits along.
    pub(super) fn add(&mut self, edits: &[EditedFile]) {
        for edit in edits {
            match self.files.get_mut(&edit.path) {
                Some(file) => {
                    file.after.clone_from(&edit.after);
                    file.gone = edit.gone;
                }
                None => {
                    self.files.insert(edit.path.clone(), edit.clone());
                }
            }
        }
    }

    /// The files that differ from the tip.
    pub(super) fn files(self) -> Vec<EditedFile> {
        let files = self.files.into_values();
        files
            .filter(|file| file.gone || file.added || file.before != file.after)
            .collect()
    }
}
