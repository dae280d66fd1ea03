//! From the API's objects to the model.

mod lists;
mod pod;
mod workload;

pub(super) use lists::{endpoints, event, hpa};
pub(super) use pod::pod;
pub(super) use workload::{controller_revision, count_pods, replica_set, workload};

use jiff::Timestamp;

use super::error::clean;

/// An RFC 3339 time. One that does not parse is as good as none.
fn time(text: Option<&str>) -> Option<Timestamp> {
    text?.parse().ok()
}

/// Text of somebody else, fit to be shown.
fn said(text: &str) -> String {
    clean(text)
}
