//! How a template becomes text: strict about what it names, and whatever it prints
//! is made harmless.

use jiff::Timestamp;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior};

use super::facts::Facts;
use super::human::duration_words;
use super::markdown::{block, clean, code, words};

/// A template that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{template}{}: {message}", line.map_or_else(String::new, |line| format!(", line {line}")))]
pub struct TemplateError {
    /// The file, or which part of which record.
    pub template: String,
    /// The line, where it is known.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

type Formatter = fn(&mut Output<'_>, &mut State<'_, '_>, &Value) -> Result<(), Error>;

/// An environment in which whatever is printed is made harmless, unless a filter has
/// done so. There is nothing to include and nothing to call that reaches outside.
fn environment(formatter: Formatter) -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    // Whatever a macro or a `set` block captures has been made harmless once.
    env.set_auto_escape_callback(|_| AutoEscape::Custom("markdown".into()));
    env.set_syntax(syntax());
    env.set_formatter(formatter);
    env.add_filter("code", |value: &Value| safe(code(&text_of(value))));
    env.add_filter("block", |value: &Value, language: Option<String>| {
        safe(block(&lines_of(value), &language.unwrap_or_default()))
    });
    env.add_filter("short", |value: &Value| {
        text_of(value).chars().take(12).collect::<String>()
    });
    env.add_filter("seconds", |value: &Value| {
        value.as_i64().map(duration_words).unwrap_or_default()
    });
    env.add_filter("utc", |value: &Value| {
        let text = text_of(value);
        text.parse::<Timestamp>()
            .map_or(text, |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
    });
    env
}

/// Tags on lines of their own leave no empty lines behind.
fn syntax() -> SyntaxConfig {
    let mut builder = SyntaxConfig::builder();
    builder.trim_blocks(true).lstrip_blocks(true);
    builder.build().unwrap_or_default()
}

fn safe(text: String) -> Value {
    Value::from_safe_string(text)
}

fn text_of(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A text, or a list of lines.
fn lines_of(value: &Value) -> String {
    if value.as_str().is_none()
        && let Ok(items) = value.try_iter()
    {
        return items
            .map(|item| text_of(&item))
            .collect::<Vec<_>>()
            .join("\n");
    }
    text_of(value)
}

fn markdown(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_safe() {
        return write(out, &text_of(value));
    }
    print(out, value, words)
}

fn one_line(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    print(out, value, clean)
}

fn print(out: &mut Output<'_>, value: &Value, shown: fn(&str) -> String) -> Result<(), Error> {
    if value.is_undefined() {
        return Err(Error::new(
            ErrorKind::UndefinedError,
            "there is no such fact",
        ));
    }
    if value.is_none() {
        return Ok(());
    }
    write(out, &shown(&text_of(value)))
}

fn write(out: &mut Output<'_>, text: &str) -> Result<(), Error> {
    out.write_str(text)
        .map_err(|error| Error::new(ErrorKind::WriteFailure, error.to_string()))
}

/// What a template is rendered to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    /// One line of plain text.
    Line,
    /// Markdown.
    Markdown,
}

impl Target {
    fn environment(self) -> Environment<'static> {
        match self {
            Self::Line => environment(one_line),
            Self::Markdown => environment(markdown),
        }
    }
}

/// Whether a template, given as name and text, can be read at all.
pub(super) fn check(target: Target, (name, text): (&str, &str)) -> Result<(), TemplateError> {
    let env = target.environment();
    let read = env.template_from_named_str(name, text).map(|_| ());
    read.map_err(|error| wrong(name, &error))
}

/// The text that a template, given as name and text, makes of the facts.
pub(super) fn render(
    target: Target,
    (name, text): (&str, &str),
    facts: &Facts,
) -> Result<String, TemplateError> {
    let env = target.environment();
    let rendered = env
        .template_from_named_str(name, text)
        .and_then(|template| template.render(Value::from(Serde(facts))))
        .map_err(|error| wrong(name, &error))?;
    let rendered = clean(&rendered);
    Ok(match target {
        Target::Line => rendered.split_whitespace().collect::<Vec<_>>().join(" "),
        Target::Markdown => squeezed(&rendered),
    })
}

fn wrong(name: &str, error: &Error) -> TemplateError {
    let message = error.detail().map_or_else(
        || error.kind().to_string(),
        |d| format!("{}: {d}", error.kind()),
    );
    TemplateError {
        template: name.to_owned(),
        line: error.line(),
        message,
    }
}

/// Never two empty lines, one line feed at the end; code blocks stay as they are.
fn squeezed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut fence: Option<String> = None;
    let mut empty = true;
    for line in text.lines() {
        let ticks: String = line.chars().take_while(|c| *c == '`').collect();
        fence = match fence {
            None if ticks.len() >= 3 => Some(ticks),
            Some(open) if ticks.len() >= open.len() && ticks.len() == line.len() => None,
            still => still,
        };
        let blank = fence.is_none() && line.trim().is_empty();
        if blank && empty {
            continue;
        }
        empty = blank;
        out.push_str(if blank { "" } else { line });
        out.push('\n');
    }
    format!("{}\n", out.trim_end())
}
