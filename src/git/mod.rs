//! Git: what is local is read and built with libgit2, what needs the network, a
//! signature or the user's own set-up is done by the `git` program.
//!
//! [`Repository`] is a handle on one repository for synchronous local work; it is
//! `Send`, not `Sync`, so callers give one to a blocking task. [`RepositoryPath`] says
//! where that repository is and runs the `git` program there; it is cheap to clone
//! and its methods are asynchronous. Nothing here forces a push, rewrites history,
//! touches the index, stashes, or resets.

mod blobs;
mod cache;
mod changes;
mod checkout;
mod config;
mod error;
mod history;
mod kept;
mod lookup;
mod objects;
mod path;
mod program;
mod push;
mod queue;
mod remotes;
mod repository;
mod revert;
mod revisions;
mod run;
#[cfg(test)]
mod testing;
mod touching;
mod url;
mod work_tree;
mod write;

pub use blobs::{Blob, BlobId, FileMode, TreeFile};
pub use changes::FilePair;
pub use checkout::{Checkout, FastForward};
pub use error::{GitError, RemoteError, RemoteErrorKind};
pub use history::{HistoryEnd, PathChange};
pub use objects::{ChangeKind, FileChange};
pub use path::{RemoteHead, RepositoryPath};
pub use program::{Git, GitVersion, Limits};
pub use push::PushOutcome;
pub use remotes::Remote;
pub use repository::Repository;
pub use revert::Reverting;
pub use url::{InvalidRemoteUrl, RemoteUrl};
pub use write::{CommitRequest, SignMode, Signing, Stamp};
