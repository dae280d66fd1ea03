//! Helm charts.

use crate::model::Blocker;

use super::files::Reader;
use super::place::Places;
use super::source::Parameters;
use super::{Rendering, Subject};

pub(super) fn render(
    _reader: &Reader<'_>,
    _places: &Places<'_>,
    _parameters: &Parameters,
    subject: &Subject<'_>,
) -> Result<Rendering, Blocker> {
    Err(Blocker::new(
        "helm-chart",
        format!("Helm renders {:?}", subject.folder),
        "change the chart's values by hand",
    ))
}
