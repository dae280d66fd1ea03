//! Commits still to be looked at, the newest first and none before its descendants.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use git2::Oid;

use super::repository::Repository;

/// Clocks of committers differ by less than this; beyond it, dates give the order.
const CLOCK_SKEW_SECONDS: i64 = 24 * 60 * 60;

/// A commit still to be looked at, with what is known of it.
pub(super) struct Pending<T> {
    pub(super) id: Oid,
    seconds: i64,
    pub(super) what: T,
}

impl<T> PartialEq for Pending<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl<T> Eq for Pending<T> {}
impl<T> PartialOrd for Pending<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Pending<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.seconds, self.id).cmp(&(other.seconds, other.id))
    }
}

/// A queue of them.
pub(super) struct Queue<T>(BinaryHeap<Pending<T>>);

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(BinaryHeap::new())
    }
}

impl<T> Queue<T> {
    pub(super) fn push(&mut self, commit: &git2::Commit<'_>, what: T) {
        self.0.push(Pending {
            id: commit.id(),
            seconds: commit.time().seconds(),
            what,
        });
    }

    /// The newest pending commit that no other pending commit descends from.
    pub(super) fn pop(&mut self, among: &Repository) -> Result<Option<Pending<T>>, git2::Error> {
        let mut held = Vec::new();
        let mut chosen = None;
        while let Some(next) = self.0.pop() {
            let mut is_last = true;
            for other in self.0.iter().chain(&held) {
                let near = (next.seconds - other.seconds).abs() < CLOCK_SKEW_SECONDS;
                let graph = &among.inner;
                if near && other.id != next.id && graph.graph_descendant_of(other.id, next.id)? {
                    is_last = false;
                    break;
                }
            }
            if is_last {
                chosen = Some(next);
                break;
            }
            held.push(next);
        }
        self.0.extend(held);
        Ok(chosen)
    }
}
