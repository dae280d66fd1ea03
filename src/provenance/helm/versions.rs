//! `semverCompare`, as Masterminds/semver 3 has it, which sprig uses.

/// A version; parts that a constraint leaves out are `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    numbers: [Option<u64>; 3],
    pre: String,
}

/// Whether a version fits a constraint; `None` where one of them cannot be read.
pub(super) fn fits(constraint: &str, version: &str) -> Option<bool> {
    let version = Version::parse(version.trim().trim_start_matches('v'))?;
    let mut any = false;
    for all in constraint.split("||") {
        any |= fits_all(all, &version)?;
    }
    Some(any)
}

fn fits_all(constraint: &str, version: &Version) -> Option<bool> {
    // An operator may stand apart from its version.
    let mut words: Vec<String> = Vec::new();
    for word in constraint.split([' ', ',']).filter(|word| !word.is_empty()) {
        match words.last_mut() {
            Some(last) if last.chars().all(is_operator) => last.push_str(word),
            _ => words.push(word.to_owned()),
        }
    }
    if words.is_empty() {
        return None;
    }
    let mut all = true;
    for word in &words {
        all &= fits_one(word, version)?;
    }
    Some(all)
}

const fn is_operator(c: char) -> bool {
    matches!(c, '<' | '>' | '=' | '!' | '~' | '^')
}

fn fits_one(word: &str, version: &Version) -> Option<bool> {
    let end = word.find(|c| !is_operator(c)).unwrap_or(word.len());
    let (operator, text) = word.split_at(end);
    if matches!(text, "*" | "x" | "X") && matches!(operator, "" | ">=" | "^" | "~" | "=") {
        return Some(version.pre.is_empty());
    }
    let bound = Version::parse(text.trim_start_matches('v'))?;
    // A pre-release fits only where the constraint speaks of pre-releases.
    if !version.pre.is_empty() && bound.pre.is_empty() {
        return Some(operator == "!=");
    }
    let order = version.order(&bound);
    let major = bound.numbers[0];
    let same = |places: usize| {
        let parts = version.numbers.iter().zip(&bound.numbers).take(places);
        parts
            .into_iter()
            .all(|(own, other)| other.is_none() || own == other)
    };
    let whole = bound.numbers.iter().all(Option::is_some);
    Some(match operator {
        "" | "=" if whole => order.is_eq(),
        "" | "=" => same(3),
        "!=" if whole => order.is_ne(),
        "!=" => !same(3),
        // `>1.2` means past all of 1.2.
        ">" if !whole => order.is_gt() && !same(3),
        ">" => order.is_gt(),
        ">=" | "=>" => order.is_ge(),
        "<" => order.is_lt(),
        // `<=1.2` means up to the end of 1.2.
        "<=" | "=<" if !whole => order.is_le() || same(3),
        "<=" | "=<" => order.is_le(),
        "~" | "~>" => order.is_ge() && same(if bound.numbers[1].is_some() { 2 } else { 1 }),
        "^" => {
            let places = match (major, bound.numbers[1], bound.numbers[2]) {
                (Some(0), Some(0), Some(_)) => 3,
                (Some(0), Some(_), _) => 2,
                _ => 1,
            };
            order.is_ge() && same(places)
        }
        _ => return None,
    })
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let text = text.split('+').next().unwrap_or_default();
        let (core, pre) = text.split_once('-').unwrap_or((text, ""));
        let mut numbers = [None; 3];
        let mut parts = core.split('.');
        for (place, number) in numbers.iter_mut().enumerate() {
            match parts.next() {
                Some("x" | "X" | "*") => {}
                Some(part) => *number = Some(part.parse().ok()?),
                None if place == 0 => return None,
                None => {}
            }
        }
        parts.next().is_none().then(|| Self {
            numbers,
            pre: pre.to_owned(),
        })
    }

    fn order(&self, other: &Self) -> std::cmp::Ordering {
        let numbers = |version: &Self| version.numbers.map(Option::unwrap_or_default);
        let pre = || match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => std::cmp::Ordering::Equal,
            (true, false) => std::cmp::Ordering::Greater,
            (false, true) => std::cmp::Ordering::Less,
            (false, false) => by_parts(&self.pre, &other.pre),
        };
        numbers(self).cmp(&numbers(other)).then_with(pre)
    }
}

/// Pre-releases by their parts: numbers below words.
fn by_parts(own: &str, other: &str) -> std::cmp::Ordering {
    let part = |part: &str| match part.parse::<u64>() {
        Ok(number) => (0, number, String::new()),
        Err(_) => (1, 0, part.to_owned()),
    };
    let parts = |text: &str| text.split('.').map(part).collect::<Vec<_>>();
    parts(own).cmp(&parts(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_of_real_charts() {
        for (constraint, version, expected) in [
            (">=1.19-0", "v1.33.4", true),
            (">=1.19-0", "v1.29.5-gke.1091000", true),
            (">=1.19", "v1.29.5-gke.1091000", false),
            ("<1.21-0", "1.33.4", false),
            (">= 1.9-0, < 2", "1.33.4", true),
            ("^1.20.0", "1.33.4", true),
            ("^0.2.3", "0.3.0", false),
            ("~1.2", "1.2.9", true),
            ("~1.2", "1.3.0", false),
            ("~1", "1.9.0", true),
            ("1.2.x", "1.2.7", true),
            ("1.2", "1.3.0", false),
            (">1.2", "1.2.7", false),
            (">1.2", "1.3.0", true),
            ("<=1.2", "1.2.7", true),
            ("!=1.2.3", "1.2.3", false),
            ("<1 || >=1.30", "1.33.0", true),
            ("*", "1.33.0", true),
            (">=1.0.0-rc.2", "1.0.0-rc.10", true),
            ("=1.2.3", "1.2.3+build", true),
        ] {
            assert_eq!(
                fits(constraint, version),
                Some(expected),
                "{constraint} {version}"
            );
        }
        for (constraint, version) in [("", "1.0.0"), (">=a", "1.0.0"), (">=1", "latest")] {
            assert_eq!(fits(constraint, version), None, "{constraint} {version}");
        }
    }
}
