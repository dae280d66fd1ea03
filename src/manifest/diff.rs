//! Unified diffs of manifests, with values that may be secrets hidden on request.

use similar::TextDiff;

use super::mask::mask_pair;

/// How a diff is made.
#[derive(Debug, Clone, Copy)]
pub struct DiffOptions {
    /// Lines of context around a change.
    pub context: usize,
    /// Print `***` for the values of environment variables, of Secrets and of the last-applied
    /// annotation. Values that differ still show as changed lines.
    pub mask_env_values: bool,
}

impl Default for DiffOptions {
    fn default() -> Self {
        Self {
            context: 3,
            mask_env_values: true,
        }
    }
}

/// The unified diff between two states of the file at `path` (relative to its repository), with
/// `a/` and `b/` headers; empty where nothing differs.
#[must_use]
pub fn unified_diff(path: &str, old: &str, new: &str, options: DiffOptions) -> String {
    if old == new {
        return String::new();
    }
    let (old, new) = if options.mask_env_values {
        mask_pair(old, new)
    } else {
        (old.to_owned(), new.to_owned())
    };
    let path = path.trim_start_matches('/');
    TextDiff::from_lines(&old, &new)
        .unified_diff()
        .context_radius(options.context)
        .header(&format!("a/{path}"), &format!("b/{path}"))
        .to_string()
}
