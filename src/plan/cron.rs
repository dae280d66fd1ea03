//! Cron schedules as Argo CD reads them: robfig/cron v3 with five fields and no
//! descriptors (`@daily`), as used for sync windows in Argo CD 3.0 to 3.5.
//!
//! Ours and not a crate, because the dialect decides whether a sync is blocked:
//! `5/15` means "from 5 to the end in steps", Sunday is 0 only, and a day must match
//! day-of-month or day-of-week unless one of them is a star, then both.

use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp, ToSpan};

/// Why a schedule or duration cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot parse {what} {text:?}: {reason}")]
pub struct Unreadable {
    /// `schedule` or `duration`.
    pub what: &'static str,
    /// The text given.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

/// One field: the values that match, and whether it was a star.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Field {
    bits: u64,
    star: bool,
}

impl Field {
    const fn has(self, value: i8) -> bool {
        self.bits & (1 << value) != 0
    }
}

struct Bounds {
    low: u32,
    high: u32,
    names: &'static [&'static str],
}

const MINUTES: Bounds = Bounds {
    low: 0,
    high: 59,
    names: &[],
};
const HOURS: Bounds = Bounds {
    low: 0,
    high: 23,
    names: &[],
};
const DAYS: Bounds = Bounds {
    low: 1,
    high: 31,
    names: &[],
};
const MONTHS: Bounds = Bounds {
    low: 1,
    high: 12,
    names: &[
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ],
};
const WEEKDAYS: Bounds = Bounds {
    low: 0,
    high: 6,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

/// A schedule.
#[derive(Debug, Clone)]
pub struct Cron {
    minutes: Field,
    hours: Field,
    days: Field,
    months: Field,
    weekdays: Field,
    /// From a `TZ=` or `CRON_TZ=` prefix.
    zone: Option<TimeZone>,
}

impl Cron {
    /// Reads a schedule.
    ///
    /// # Errors
    /// When Argo CD would not take it either; the reason says which part is wrong.
    pub fn parse(schedule: &str) -> Result<Self, Unreadable> {
        Self::read(schedule).map_err(|reason| Unreadable {
            what: "schedule",
            text: schedule.to_owned(),
            reason,
        })
    }

    fn read(schedule: &str) -> Result<Self, String> {
        let (zone, rest) = zone_prefix(schedule)?;
        if rest.starts_with('@') {
            return Err("descriptors are not accepted".to_owned());
        }
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(format!("expected 5 fields, found {}", fields.len()));
        };
        Ok(Self {
            minutes: field(minutes, &MINUTES)?,
            hours: field(hours, &HOURS)?,
            days: field(days, &DAYS)?,
            months: field(months, &MONTHS)?,
            weekdays: field(weekdays, &WEEKDAYS)?,
            zone,
        })
    }

    fn day_matches(&self, date: Date) -> bool {
        let day = self.days.has(date.day());
        let weekday = self.weekdays.has(date.weekday().to_sunday_zero_offset());
        if self.days.star || self.weekdays.star {
            day && weekday
        } else {
            day || weekday
        }
    }

    /// The first fire strictly after an instant; none when there is none up to the end
    /// of the fifth year after it, which is where robfig/cron gives up.
    #[must_use]
    pub fn next_after(&self, instant: Timestamp) -> Option<Timestamp> {
        if self.minutes.bits == 0 || self.hours.bits == 0 || self.months.bits == 0 {
            return None; // a field of commas alone matches nothing
        }
        let zone = self.zone.clone().unwrap_or(TimeZone::UTC);
        let mut date = zone.to_datetime(instant).date();
        let last_year = date.year().saturating_add(5);
        while date.year() <= last_year {
            if !self.months.has(date.month()) {
                date = date.last_of_month().tomorrow().ok()?;
                continue;
            }
            if self.day_matches(date)
                && let Some(found) = self.fire_on(date, instant, &zone)
            {
                return Some(found);
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn fire_on(&self, date: Date, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        if self.zone.is_some() {
            return self.fire_on_zoned(date, after, zone);
        }
        // Hours that are over need no look.
        let local = zone.to_datetime(after);
        let first = if local.date() == date {
            local.hour()
        } else {
            0
        };
        (first..24)
            .filter(|hour| self.hours.has(*hour))
            .flat_map(|hour| (0..60).map(move |minute| (hour, minute)))
            .filter(|(_, minute)| self.minutes.has(*minute))
            .filter_map(|(hour, minute)| zone.to_timestamp(date.at(hour, minute, 0, 0)).ok())
            .find(|instant| *instant > after)
    }

    /// In a zone with daylight saving a local time may be missing or come twice:
    /// real minutes are stepped through, as robfig/cron steps real hours.
    fn fire_on_zoned(&self, date: Date, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut instant = date.to_zoned(zone.clone()).ok()?.timestamp();
        loop {
            let local = zone.to_datetime(instant);
            if local.date() != date {
                return None;
            }
            if instant > after && self.hours.has(local.hour()) && self.minutes.has(local.minute()) {
                return Some(instant);
            }
            instant = instant.checked_add(1.minute()).ok()?;
        }
    }
}

fn zone_prefix(schedule: &str) -> Result<(Option<TimeZone>, &str), String> {
    let Some(named) = schedule
        .strip_prefix("TZ=")
        .or_else(|| schedule.strip_prefix("CRON_TZ="))
    else {
        return Ok((None, schedule));
    };
    let (name, rest) = named
        .split_once(' ')
        .ok_or_else(|| "nothing follows the time zone".to_owned())?;
    let zone = time_zone(name).ok_or_else(|| format!("there is no time zone {name:?}"))?;
    Ok((Some(zone), rest.trim()))
}

/// A time zone by the name that Go's `LoadLocation` takes: case matters, empty is UTC.
pub(super) fn time_zone(name: &str) -> Option<TimeZone> {
    if name.is_empty() || name == "UTC" {
        return Some(TimeZone::UTC);
    }
    let zone = TimeZoneDatabase::bundled().get(name).ok()?;
    (zone.iana_name() == Some(name)).then_some(zone)
}

fn field(text: &str, bounds: &Bounds) -> Result<Field, String> {
    let mut all = Field {
        bits: 0,
        star: false,
    };
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let one = range(part, bounds)?;
        all.bits |= one.bits;
        all.star |= one.star;
    }
    Ok(all)
}

fn range(text: &str, bounds: &Bounds) -> Result<Field, String> {
    let parts: Vec<&str> = text.split('/').collect();
    let (span, step) = match parts.as_slice() {
        [span] => (*span, None),
        [span, step] => (*span, Some(number(step, &[])?)),
        _ => return Err(format!("too many slashes: {text}")),
    };
    let ends: Vec<&str> = span.split('-').collect();
    let first = ends.first().copied().unwrap_or_default();
    let star = matches!(first, "*" | "?");
    let (low, mut high) = if star {
        // The rest of "*-5" is not looked at by robfig/cron either.
        (bounds.low, bounds.high)
    } else {
        let low = number(first, bounds.names)?;
        match ends.as_slice() {
            [_] => (low, low),
            [_, high] => (low, number(high, bounds.names)?),
            _ => return Err(format!("too many hyphens: {text}")),
        }
    };
    if step.is_some() && ends.len() == 1 {
        high = bounds.high; // "5/15" runs to the end of the field
    }
    let step = step.unwrap_or(1);
    if low < bounds.low || high > bounds.high {
        return Err(format!("outside {} to {}: {text}", bounds.low, bounds.high));
    }
    if low > high {
        return Err(format!("begins after its end: {text}"));
    }
    let stride = usize::try_from(step).unwrap_or(0);
    if stride == 0 {
        return Err(format!("the step must be more than 0: {text}"));
    }
    let bits = (low..=high)
        .step_by(stride)
        .fold(0, |bits, value| bits | 1 << value);
    Ok(Field {
        bits,
        star: star && step == 1,
    })
}

fn number(text: &str, names: &[&str]) -> Result<u32, String> {
    let lower = text.to_ascii_lowercase();
    if let Some(position) = names.iter().position(|name| *name == lower) {
        // Months count from 1, weekdays from 0.
        let first = if names.len() == 12 { 1 } else { 0 };
        return u32::try_from(position + first).map_err(|error| error.to_string());
    }
    text.parse()
        .map_err(|_| format!("{text:?} is not a number"))
}

/// Reads a Go duration: `1h30m`, `1.5h`, `90s`, `0`.
///
/// # Errors
/// When Go's `time.ParseDuration` would not take it.
pub fn go_duration(text: &str) -> Result<SignedDuration, Unreadable> {
    read_duration(text).map_err(|reason| Unreadable {
        what: "duration",
        text: text.to_owned(),
        reason: reason.to_owned(),
    })
}

fn read_duration(text: &str) -> Result<SignedDuration, &'static str> {
    const TOO_LONG: &str = "too long";
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return Err("it is empty");
    }
    let mut nanos: i128 = 0;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or("a unit is missing (h, m, s, ms, us, ns)")?;
        let (amount, tail) = rest.split_at(end);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        nanos = nanos.checked_add(part(amount, unit)?).ok_or(TOO_LONG)?;
        rest = tail;
    }
    let nanos = i64::try_from(if negative { -nanos } else { nanos }).map_err(|_| TOO_LONG)?;
    Ok(SignedDuration::from_nanos(nanos))
}

fn part(amount: &str, unit: &str) -> Result<i128, &'static str> {
    let scale: i128 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return Err("unknown unit (h, m, s, ms, us, ns)"),
    };
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return Err("a number is missing");
    }
    let parse = |digits: &str| -> Result<i128, &'static str> {
        if digits.is_empty() {
            return Ok(0);
        }
        digits.parse().map_err(|_| "too long")
    };
    // More than 15 decimals are below a nanosecond for every unit.
    let fraction = &fraction[..fraction.len().min(15)];
    let power = 10_i128.pow(u32::try_from(fraction.len()).unwrap_or(0));
    let whole = parse(whole)?.checked_mul(scale).ok_or("too long")?;
    Ok(whole + parse(fraction)? * scale / power)
}

#[cfg(test)]
#[path = "cron_tests.rs"]
mod tests;
