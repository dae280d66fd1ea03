//! Prometheus' text format, and what counters grew between two readings of it.

use std::collections::BTreeMap;

use super::Metrics;

/// Labels of a series.
pub(super) type Labels = BTreeMap<String, String>;

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: Labels,
    pub(super) value: f64,
}

/// The samples of a text. Lines that are none (comments, a login page) are left out.
pub(super) fn samples(text: &str) -> Vec<Sample> {
    text.lines().filter_map(sample).collect()
}

fn sample(line: &str) -> Option<Sample> {
    let line = line.trim();
    let end = line
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let first = name.chars().next()?;
    if first.is_ascii_digit() {
        return None;
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Labels::new(), rest),
    };
    if !rest.starts_with([' ', '\t']) {
        return None;
    }
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// Labels up to the closing brace, and what follows it.
fn labels(mut rest: &str) -> Option<(Labels, &str)> {
    let mut found = Labels::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((found, after));
        }
        let (name, value) = rest.split_once('=')?;
        let mut text = String::new();
        let value = value.trim_start().strip_prefix('"')?;
        let mut escaped = false;
        let mut end = None;
        for (at, c) in value.char_indices() {
            match (escaped, c) {
                (true, 'n') => text.push('\n'),
                (true, c) => text.push(c),
                (false, '\\') => {}
                (false, '"') => {
                    end = Some(at + 1);
                    break;
                }
                (false, c) => text.push(c),
            }
            escaped = !escaped && c == '\\';
        }
        found.insert(name.trim().to_owned(), text);
        rest = value.get(end?..)?;
    }
}

/// What every series grew by between the two readings, over all pods that answered both
/// times.
#[derive(Debug, Clone)]
pub(super) struct Growth {
    pub(super) series: Vec<Sample>,
    /// Seconds between the readings.
    pub(super) seconds: i64,
    /// Why a pod is not part of it.
    pub(super) unread: Vec<String>,
    /// How many pods are.
    pub(super) read: usize,
}

impl Growth {
    /// As Prometheus' `increase`: a counter that is lower than before began again at 0, and
    /// so did one that was not there before.
    pub(super) fn of(metrics: &Metrics) -> Result<Self, String> {
        let Some((seconds, second)) = &metrics.second else {
            return Err(match metrics.first.iter().find(|(_, text)| text.is_err()) {
                Some((pod, Err(reason))) => format!("{pod}: {reason}"),
                _ => "the growth of a counter takes two readings (--over 2m)".to_owned(),
            });
        };
        let mut growth = Self {
            series: Vec::new(),
            seconds: *seconds,
            unread: Vec::new(),
            read: 0,
        };
        for (pod, first) in &metrics.first {
            match (first, second.get(pod)) {
                (Ok(first), Some(Ok(second))) => growth.take(first, second),
                (Err(reason), _) | (_, Some(Err(reason))) => {
                    growth.unread.push(format!("{pod}: {reason}"));
                }
                (Ok(_), None) => growth.unread.push(format!("{pod} is gone")),
            }
        }
        match growth.unread.first() {
            Some(first) if growth.read == 0 => Err(first.clone()),
            None if growth.read == 0 => Err("no pod of it is known to run".to_owned()),
            _ => Ok(growth),
        }
    }

    fn take(&mut self, first: &str, second: &str) {
        let before: BTreeMap<(String, Labels), f64> = samples(first)
            .into_iter()
            .map(|sample| ((sample.name, sample.labels), sample.value))
            .collect();
        for sample in samples(second) {
            let key = (sample.name.clone(), sample.labels.clone());
            let was = before.get(&key).copied().unwrap_or(0.0);
            let value = if sample.value >= was {
                sample.value - was
            } else {
                sample.value
            };
            self.series.push(Sample { value, ..sample });
        }
        self.read += 1;
    }

    /// The series of a name.
    pub(super) fn named<'g>(&'g self, name: &'g str) -> impl Iterator<Item = &'g Sample> {
        self.series.iter().filter(move |sample| sample.name == name)
    }

    /// The metric that is meant: the given one, else the only one whose name ends so.
    pub(super) fn metric(
        &self,
        given: Option<&str>,
        (ending, key): (&str, &str),
    ) -> Result<String, String> {
        let names: std::collections::BTreeSet<&str> = self
            .series
            .iter()
            .map(|sample| sample.name.as_str())
            // How often the metrics themselves were asked for.
            .filter(|name| !name.starts_with("promhttp_"))
            .filter(|name| given.map_or_else(|| name.ends_with(ending), |given| *name == given))
            .collect();
        let all: Vec<&str> = names.into_iter().collect();
        match (all.as_slice(), given) {
            ([one], _) => Ok((*one).to_owned()),
            ([], Some(given)) => Err(format!("no series: the metrics have no {given}")),
            ([], None) => Err(format!(
                "no series: no metric's name ends with {ending} (set triggers.{key})"
            )),
            (several, _) => Err(format!(
                "which of {} is meant is not told (set triggers.{key})",
                several.join(", ")
            )),
        }
    }

    /// `in 120 s, 2 of 3 pods`.
    pub(super) fn words(&self) -> String {
        let all = self.read + self.unread.len();
        let unread = self
            .unread
            .first()
            .map_or_else(String::new, |first| format!("; not read: {first}"));
        format!("in {} s, {} of {all} pods{unread}", self.seconds, self.read)
    }
}

/// A quantile of a histogram, as Prometheus' `histogram_quantile`: linear within a bucket;
/// in the last one its lower bound. Buckets are `(upper bound, cumulative count)`.
pub(super) fn quantile(wanted: f64, buckets: &[(f64, f64)]) -> Option<f64> {
    let (_, total) = *buckets.last()?;
    if total <= 0.0 || !buckets.last()?.0.is_infinite() {
        return None;
    }
    let rank = wanted * total;
    let at = buckets.iter().position(|(_, count)| *count >= rank)?;
    let (lower, below) = match at {
        0 => (0.0, 0.0),
        at => *buckets.get(at - 1)?,
    };
    let (upper, count) = *buckets.get(at)?;
    if upper.is_infinite() {
        return (at > 0).then_some(lower);
    }
    let width = count - below;
    if width <= 0.0 {
        return Some(upper);
    }
    Some(lower + (upper - lower) * (rank - below) / width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_a_text() {
        let text = "# HELP a b\na_total{code=\"200\", path=\"/a\\\"}\\n\",} 3 1700000000\n\
                    b 1.5e3\nc{le=\"+Inf\"} +Inf\n<html> 3\n9a 1\nd{x=\"y} 1\ne 1 # {t=\"1\"} 2\n";
        let found = samples(text);
        let names: Vec<&str> = found.iter().map(|sample| sample.name.as_str()).collect();
        assert_eq!(names, ["a_total", "b", "c", "e"]);
        assert_eq!(found[0].labels["path"], "/a\"}\n");
        assert_eq!((found[0].value, found[1].value), (3.0, 1500.0));
        assert!(found[2].value.is_infinite());
    }

    #[test]
    fn quantiles_as_prometheus_has_them() {
        let inf = f64::INFINITY;
        let buckets = [(0.1, 50.0), (0.5, 90.0), (1.0, 100.0), (inf, 100.0)];
        assert_eq!(quantile(0.5, &buckets), Some(0.1));
        assert_eq!(quantile(0.95, &buckets), Some(0.75));
        assert_eq!(quantile(0.95, &[(0.1, 5.0), (inf, 100.0)]), Some(0.1));
        assert_eq!(quantile(0.95, &[(0.1, 0.0), (inf, 0.0)]), None);
        assert_eq!(quantile(0.95, &[(inf, 10.0)]), None);
        assert_eq!(quantile(0.95, &[]), None);
    }
}
