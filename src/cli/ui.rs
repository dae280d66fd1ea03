//! The only writer to standard output and standard error.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde::Serialize;

use super::args::{Color, Global, Output};
use super::failure::Failure;
use crate::execute::Event;
use crate::model::{mask_text, plain};
use crate::report::{ErrorReport, Style, Tint, duration_words, one_line};

/// How this process prints.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ui {
    /// Format of results.
    pub output: Output,
    /// Say nothing but results and errors.
    pub quiet: bool,
    width: usize,
}

impl Ui {
    /// Takes it from the flags; decides colour for the whole process.
    pub(super) fn new(global: &Global) -> Self {
        let choice = match global.color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::AlwaysAnsi,
            Color::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
        let columns = std::env::var("COLUMNS")
            .ok()
            .and_then(|c| c.parse::<usize>().ok());
        let width = columns.or_else(terminal_width).unwrap_or(120).max(40);
        Self {
            output: global.output,
            quiet: global.quiet,
            width,
        }
    }

    /// The style for text.
    pub(super) fn style(self) -> Style {
        Style {
            width: self.width,
            now: Timestamp::now(),
        }
    }

    /// Whether results are one document for programs.
    pub(super) fn is_document(self) -> bool {
        matches!(self.output, Output::Json | Output::Yaml)
    }

    /// Prints a result: one document, or text for people.
    pub(super) fn result<T: Serialize>(self, document: &T, text: &str, markdown: Option<&str>) {
        match self.output {
            Output::Human => out(text),
            Output::Markdown => out(markdown.unwrap_or(text)),
            Output::Json => match serde_json::to_string_pretty(document) {
                Ok(json) => out(&format!("{}\n", harmless_json(&json))),
                Err(error) => err(&format!("error: {error}\n")),
            },
            Output::Yaml => match serde_yaml::to_string(&harmless(document)) {
                Ok(yaml) => out(&yaml),
                Err(error) => err(&format!("error: {error}\n")),
            },
        }
    }

    /// Prints a failure: words on standard error, and the document where one is expected.
    pub(super) fn failure(self, failure: &Failure) {
        let message = plain(&mask_text(&failure.message));
        let hints: Vec<String> = failure
            .hints
            .iter()
            .map(|hint| plain(&mask_text(hint)))
            .collect();
        let mut text = format!("{} {message}\n", Tint::Bad.paint("error:"));
        for hint in &hints {
            text.push_str(&format!("{} {hint}\n", Tint::Dim.paint("hint:")));
        }
        if matches!(self.output, Output::Json | Output::Yaml) {
            let report = ErrorReport::new(message, hints, failure.status.code());
            self.result(&report, "", None);
        }
        err(&text);
    }

    /// A line for people about what goes on.
    pub(super) fn note(self, text: &str) {
        if !self.quiet {
            err(&format!("{}\n", one_line(text, 400)));
        }
    }

    /// What shows the events of a run: a spinner on a terminal, plain lines elsewhere.
    pub(super) fn progress(self) -> Arc<dyn Fn(Event) + Send + Sync> {
        if self.quiet {
            return Arc::new(|_| {});
        }
        if io::stderr().is_terminal() {
            return spinner();
        }
        let began = Instant::now();
        Arc::new(move |event| {
            let elapsed = began.elapsed().as_secs_f64();
            if let Some(line) = event_line(&event) {
                err(&format!("{elapsed:7.1}s {line}\n"));
            }
        })
    }

    /// Asks a person. `None` when nobody can be asked.
    pub(super) async fn ask(question: &str) -> Option<bool> {
        let ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
        if ci || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return None;
        }
        err(&format!("{question} [y/N] "));
        // Elsewhere, so that Ctrl-C is heard while nobody answers.
        let read = tokio::task::spawn_blocking(|| {
            let mut answer = String::new();
            io::stdin().read_line(&mut answer).map(|_| answer)
        });
        let answer = read.await.ok()?.ok()?;
        Some(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }
}

/// JSON leaves C1 and bidirectional controls as they are in strings, the only place
/// where they can stand; escaped they mean the same and drive no terminal.
fn harmless_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && plain(c.encode_utf8(&mut [0; 4])) != c.to_string() {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// The document for YAML, where a plain scalar has no escapes.
fn harmless<T: Serialize>(document: &T) -> serde_json::Value {
    fn clean(value: serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::String(text) => Value::String(plain(&text)),
            Value::Array(items) => items.into_iter().map(clean).collect(),
            Value::Object(map) => map
                .into_iter()
                .map(|(k, v)| (plain(&k), clean(v)))
                .collect(),
            other => other,
        }
    }
    clean(serde_json::to_value(document).unwrap_or_default())
}

fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0))
}

fn event_line(event: &Event) -> Option<String> {
    match event {
        Event::Started {
            step,
            ensures,
            deadline_seconds,
        } => Some(format!(
            "{step}: until {ensures} (at most {})",
            duration_words(*deadline_seconds)
        )),
        Event::Waiting { step, what } => {
            Some(format!("{step}: waiting for {}", one_line(what, 200)))
        }
        Event::Finished {
            step,
            evidence,
            seconds,
        } => Some(format!(
            "{step}: {seconds:.1} s {}",
            one_line(evidence, 200)
        )),
        Event::Note(text) => Some(one_line(text, 300)),
    }
}

fn spinner() -> Arc<dyn Fn(Event) + Send + Sync> {
    let bar: Arc<Mutex<Option<ProgressBar>>> = Arc::new(Mutex::new(None));
    Arc::new(move |event| {
        let Ok(mut slot) = bar.lock() else { return };
        match &event {
            Event::Started {
                step,
                ensures,
                deadline_seconds,
            } => {
                let new = ProgressBar::new_spinner();
                let template = "{spinner} {prefix:8} {msg} {elapsed}";
                if let Ok(style) = ProgressStyle::with_template(template) {
                    new.set_style(style);
                }
                new.set_prefix(step.clone());
                new.set_message(format!(
                    "{ensures} (at most {})",
                    duration_words(*deadline_seconds)
                ));
                new.enable_steady_tick(Duration::from_millis(120));
                *slot = Some(new);
            }
            Event::Waiting { what, .. } => {
                if let Some(bar) = slot.as_ref() {
                    bar.set_message(format!("waiting for {}", one_line(what, 100)));
                }
            }
            Event::Finished {
                step,
                evidence,
                seconds,
            } => {
                if let Some(bar) = slot.take() {
                    bar.finish_and_clear();
                }
                err(&format!(
                    "{} {step:8} {seconds:.1} s  {}\n",
                    Tint::Good.paint("✓"),
                    one_line(evidence, 140)
                ));
            }
            Event::Note(text) => match slot.as_ref() {
                Some(bar) => bar.suspend(|| err(&format!("{}\n", one_line(text, 300)))),
                None => err(&format!("{}\n", one_line(text, 300))),
            },
        }
    })
}

/// Writes to standard output; a closed pipe ends the output quietly.
pub(super) fn out(text: &str) {
    let mut stream = anstream::stdout().lock();
    let _ = stream
        .write_all(text.as_bytes())
        .and_then(|()| stream.flush());
}

/// Writes to standard error.
pub(super) fn err(text: &str) {
    let mut stream = anstream::stderr().lock();
    let _ = stream.write_all(text.as_bytes());
}
