//! Five-field cron schedules and Go durations, as sync windows use them.

use std::time::Duration;

use jiff::civil::{DateTime, Weekday};

/// A parsed schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Both day fields are restricted: either may match (as cron has it).
    either_day: bool,
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Schedule {
    /// Reads `minute hour day month weekday`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let named = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other => other,
        };
        let fields: Vec<&str> = named.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(format!(
                "expected exactly 5 fields, found {}: [{text}]",
                fields.len()
            ));
        };
        let mut weekdays = field(weekday, 0, 7, &WEEKDAYS, 0)?;
        if weekdays & (1 << 7) != 0 {
            weekdays |= 1;
        }
        let open = |f: &str| f.starts_with('*') || f.starts_with('?');
        Ok(Self {
            minutes: field(minute, 0, 59, &[], 0)?,
            hours: field(hour, 0, 23, &[], 0)?,
            days: field(day, 1, 31, &[], 0)?,
            months: field(month, 1, 12, &MONTHS, 1)?,
            weekdays,
            either_day: !open(day) && !open(weekday),
        })
    }

    /// Whether it fires in the minute of `at`.
    fn fires(&self, at: DateTime) -> bool {
        let has = |set: u64, value: i8| set & (1 << u32::from(value.unsigned_abs())) != 0;
        let day = has(self.days, at.day());
        let weekday = has(self.weekdays, Weekday::to_sunday_zero_offset(at.weekday()));
        let day_matches = if self.either_day {
            day || weekday
        } else {
            day && weekday
        };
        has(self.minutes, at.minute())
            && has(self.hours, at.hour())
            && has(self.months, at.month())
            && day_matches
    }

    /// Whether a window of this length that opens at each firing is open at `now`: the first
    /// firing strictly after `now - length` lies strictly before `now`.
    pub(crate) fn open_at(&self, now: DateTime, length: Duration) -> bool {
        let minute = jiff::Span::new().minutes(1);
        let Ok(length) = jiff::SignedDuration::try_from(length) else {
            return false;
        };
        let Ok(start) = now.checked_sub(length) else {
            return false;
        };
        let whole = start.with().second(0).subsec_nanosecond(0).build();
        let Ok(mut at) = whole else { return false };
        loop {
            let Ok(next) = at.checked_add(minute) else {
                return false;
            };
            at = next;
            if at >= now {
                return false;
            }
            if self.fires(at) {
                return true;
            }
        }
    }
}

fn field(text: &str, low: u32, high: u32, names: &[&str], first: u32) -> Result<u64, String> {
    let number = |part: &str| -> Result<u32, String> {
        let lower = part.to_lowercase();
        if let Some(at) = names.iter().position(|n| *n == lower) {
            return Ok(u32::try_from(at).unwrap_or(0) + first);
        }
        let value: u32 = part
            .parse()
            .map_err(|_| format!("failed to parse int from {part}"))?;
        if value < low || value > high {
            return Err(format!("{value} is outside of {low} to {high}"));
        }
        Ok(value)
    };
    let mut out = 0u64;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (
                range,
                step.parse::<u32>()
                    .map_err(|_| format!("bad step {step}"))?,
            ),
            None => (part, 1),
        };
        if step == 0 {
            return Err(format!("step of range should be a positive number: {part}"));
        }
        let (from, to) = match range {
            "*" | "?" => (low, high),
            _ => match range.split_once('-') {
                Some((from, to)) => (number(from)?, number(to)?),
                None if part.contains('/') => (number(range)?, high),
                None => (number(range)?, number(range)?),
            },
        };
        if from > to {
            return Err(format!(
                "beginning of range ({from}) beyond end of range ({to})"
            ));
        }
        (from..=to)
            .step_by(step as usize)
            .for_each(|value| out |= 1 << value);
    }
    Ok(out)
}

/// A Go duration: `1h30m`, `45s`, `1.5h`.
pub(crate) fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let value: f64 = rest[..digits].parse().ok()?;
        let tail = &rest[digits..];
        let unit = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        total += value
            * match &tail[..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 0.001,
                _ => return None,
            };
        rest = &tail[unit..];
    }
    Duration::try_from_secs_f64(total).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime {
        text.parse().unwrap()
    }

    #[test]
    fn windows_open_after_the_firing_and_close_after_their_length() {
        let schedule = Schedule::parse("0 22 * * *").unwrap();
        let hour = Duration::from_secs(3600);
        assert!(
            !schedule.open_at(at("2026-01-05T22:00:00"), hour),
            "not at the very start"
        );
        assert!(schedule.open_at(at("2026-01-05T22:00:01"), hour));
        assert!(schedule.open_at(at("2026-01-05T22:59:59"), hour));
        assert!(!schedule.open_at(at("2026-01-05T23:00:01"), hour));
    }

    #[test]
    fn fields_have_lists_ranges_steps_and_names() {
        let weekdays = Schedule::parse("*/15 9-17 * * mon-fri").unwrap();
        assert!(weekdays.fires(at("2026-01-05T09:45:00")));
        assert!(!weekdays.fires(at("2026-01-04T09:45:00")), "a Sunday");
        assert!(!weekdays.fires(at("2026-01-05T09:50:00")));
        let either = Schedule::parse("0 0 13 * fri").unwrap();
        assert!(either.fires(at("2026-01-09T00:00:00")), "a Friday");
        assert!(either.fires(at("2026-01-13T00:00:00")), "a 13th");
        assert!(Schedule::parse("0 0 * *").is_err());
        assert!(Schedule::parse("61 0 * * *").is_err());
    }

    #[test]
    fn go_durations() {
        assert_eq!(go_duration("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(go_duration("45s"), Some(Duration::from_secs(45)));
        assert_eq!(go_duration("x"), None);
        assert_eq!(go_duration(""), None);
    }
}
