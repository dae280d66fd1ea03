//! What this room answers with.

use serde_json::Value;

use crate::manifest::Path;
use crate::model::ObjectRef;

use super::files::parted;

/// A place that sets a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file; line and column from 1, the column in characters.
    File {
        /// From its repository's root; of another repository behind [`super::root`].
        path: String,
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// A file that the Application itself is made from.
    ApplicationFile {
        /// As of a [`Self::File`].
        path: String,
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// A field of the Application.
    Application {
        /// `spec.source.kustomize.images[0]`.
        field: String,
    },
    /// A field of an Application that an ApplicationSet makes.
    ApplicationSet {
        /// The ApplicationSet.
        name: String,
        /// The field of the Application, so of the set's template.
        field: String,
        /// What stands there in the template.
        expression: Option<String>,
        /// The generator that gives its parameters, in words.
        generator: Option<String>,
    },
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { path, line, column } => standing(f, path, (*line, *column)),
            Self::ApplicationFile { path, line, column } => {
                standing(f, path, (*line, *column))?;
                f.write_str(" (the Application is made from it)")
            }
            Self::Application { field } => write!(f, "{field} of the Application"),
            Self::ApplicationSet {
                name,
                field,
                expression,
                generator,
            } => {
                write!(f, "{field} of the template of ApplicationSet {name}")?;
                match (expression, generator) {
                    (Some(expression), Some(generator)) => {
                        write!(f, " ({expression}, filled by {generator})")
                    }
                    (Some(expression), None) => write!(f, " ({expression})"),
                    (None, _) => Ok(()),
                }
            }
        }
    }
}

fn standing(
    f: &mut std::fmt::Formatter<'_>,
    path: &str,
    (line, column): (usize, usize),
) -> std::fmt::Result {
    match parted(path) {
        (Some(repository), path) => write!(f, "{path}:{line}:{column} of {repository}"),
        (None, path) => write!(f, "{path}:{line}:{column}"),
    }
}

/// What a place does for a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It decides.
    Decides,
    /// It says something, but another place wins.
    Outranked,
    /// It says nothing now and would win if it did.
    Could,
}

/// One place on the way from the deciding one down to the base.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// Where.
    pub place: Place,
    /// What stands there; `None` for a collection or nothing.
    pub says: Option<Value>,
    /// What it does for the field.
    pub role: Role,
    /// That in one sentence.
    pub what: String,
}

/// Where a field's value comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The field.
    pub field: Path,
    /// Its rendered value; `None` where the rendered object has no such field.
    pub value: Option<Value>,
    /// From the deciding place down to the base.
    pub chain: Vec<Link>,
    /// What else is to be known: a revision that does not move, a base that is not here.
    pub notes: Vec<String>,
}

/// A file before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEdit {
    /// From the repository's root.
    pub path: String,
    /// Its text.
    pub before: String,
    /// Its text after the edit.
    pub after: String,
}

/// Another object that an edit changes too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// It; its namespace is empty where its manifest names none.
    pub object: ObjectRef,
    /// The fields that differ.
    pub fields: Vec<Path>,
}

/// As KIND/NAME.
impl std::fmt::Display for Touched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.object.kind, self.object.name)
    }
}

/// A proven edit: rendered again, exactly the wanted fields of the target differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The files, by path; empty where there was nothing to do.
    pub files: Vec<FileEdit>,
    /// Other objects of the same folder that the edit changes too.
    pub also: Vec<Touched>,
}
