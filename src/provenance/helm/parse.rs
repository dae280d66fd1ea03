//! Go templates, as far as charts use them: text, actions, and the blocks around them.

use serde_json::Number;

/// A part of a template.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Text {
        text: String,
        at: usize,
    },
    /// `{{ pipeline }}`, or `{{ $x := pipeline }}` with the variable's name, which is new there or
    /// (`=`) one from further out.
    Action {
        pipe: Pipe,
        set: Option<String>,
        new: bool,
        source: String,
        at: usize,
    },
    /// The conditions with their bodies; the last one may have none.
    If(Vec<(Option<Pipe>, Vec<Self>)>),
    With {
        pipe: Pipe,
        set: Option<String>,
        body: Vec<Self>,
        otherwise: Vec<Self>,
    },
    Range {
        pipe: Pipe,
        key: Option<String>,
        value: Option<String>,
        body: Vec<Self>,
        otherwise: Vec<Self>,
    },
    Define {
        name: String,
        body: Vec<Self>,
    },
    /// `continue`, or `break`.
    Leave {
        again: bool,
    },
    /// Something that is not followed.
    Unknown {
        source: String,
    },
}

/// Commands, each of which gets the one before as its last argument.
pub(super) type Pipe = Vec<Vec<Operand>>;

#[derive(Debug, Clone)]
pub(super) enum Operand {
    /// `.a.b`, or `$x.a.b` with the variable's name (empty for `$`).
    Field {
        variable: Option<String>,
        keys: Vec<String>,
    },
    Text(String),
    Number(Number),
    Bool(bool),
    Nil,
    Function(String),
    Paren(Pipe, Vec<String>),
}

struct Raw {
    source: String,
    at: usize,
}

enum Piece {
    Text { text: String, at: usize },
    Action(Raw),
}

/// Reads a template.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, String> {
    let pieces = pieces(text)?;
    let mut reader = Blocks {
        pieces: pieces.into_iter().peekable(),
    };
    let (nodes, end) = reader.until(&[])?;
    match end {
        None => Ok(nodes),
        Some((word, _)) => Err(format!("an unexpected {{{{ {word} }}}}")),
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let (mut found, mut at) = (Vec::new(), 0);
    let mut trim = false;
    while let Some(open) = text[at..].find("{{").map(|open| at + open) {
        let end = action_end(text, open + 2)?;
        let mut inner = &text[open + 2..end];
        let left = inner.starts_with('-') && inner[1..].starts_with(char::is_whitespace);
        let right = inner.ends_with('-') && inner[..inner.len() - 1].ends_with(char::is_whitespace);
        if left {
            inner = &inner[1..];
        }
        if right {
            inner = &inner[..inner.len() - 1];
        }
        push_text(&mut found, text, (at, open), (trim, left));
        let source = inner.trim();
        if !source.starts_with("/*") {
            found.push(Piece::Action(Raw {
                source: source.to_owned(),
                at: open,
            }));
        }
        (at, trim) = (end + 2, right);
    }
    push_text(&mut found, text, (at, text.len()), (trim, false));
    Ok(found)
}

fn push_text(
    found: &mut Vec<Piece>,
    text: &str,
    (from, to): (usize, usize),
    (left, right): (bool, bool),
) {
    let mut part = &text[from..to];
    let mut at = from;
    if left {
        let rest = part.trim_start();
        at += part.len() - rest.len();
        part = rest;
    }
    if right {
        part = part.trim_end();
    }
    if !part.is_empty() {
        let text = part.to_owned();
        found.push(Piece::Text { text, at });
    }
}

/// The `}}` that ends an action, quotes respected.
fn action_end(text: &str, from: usize) -> Result<usize, String> {
    let bytes = text.as_bytes();
    let is_comment = text[from..]
        .trim_start_matches('-')
        .trim_start()
        .starts_with("/*");
    if is_comment {
        let close = text[from..].find("*/").map(|at| from + at);
        let end = close.and_then(|close| text[close..].find("}}").map(|at| close + at));
        return end.ok_or_else(|| "a comment has no end".to_owned());
    }
    let (mut at, mut quote) = (from, None);
    while let Some(byte) = bytes.get(at) {
        match (quote, byte) {
            (Some(b'"'), b'\\') => at += 1,
            (Some(open), close) if open == *close => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'`') => quote = Some(*byte),
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Ok(at),
            (None, _) => {}
        }
        at += 1;
    }
    Err("a {{ has no }}".to_owned())
}

struct Blocks {
    pieces: std::iter::Peekable<std::vec::IntoIter<Piece>>,
}

type End = Option<(String, String)>;

impl Blocks {
    /// The nodes up to one of the words, which is returned with the rest of its action.
    fn until(&mut self, words: &[&str]) -> Result<(Vec<Node>, End), String> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let raw = match piece {
                Piece::Text { text, at } => {
                    nodes.push(Node::Text { text, at });
                    continue;
                }
                Piece::Action(raw) => raw,
            };
            let (word, rest) = split_word(&raw.source);
            if words.contains(&word) || matches!(word, "end" | "else") {
                return Ok((nodes, Some((word.to_owned(), rest.to_owned()))));
            }
            let node = match word {
                "if" => self.conditional(rest)?,
                "with" => self.with(rest)?,
                "range" => self.range(rest)?,
                "define" => self.define(rest)?,
                "block" => return Err("`block` is not followed".to_owned()),
                "break" | "continue" => Node::Leave {
                    again: word == "continue",
                },
                "template" => action(&format!("include {rest}"), &raw),
                _ => action(&raw.source, &raw),
            };
            nodes.push(node);
        }
        Ok((nodes, None))
    }

    fn conditional(&mut self, rest: &str) -> Result<Node, String> {
        let mut branches = Vec::new();
        let mut condition = Some(pipe(rest)?);
        loop {
            let (body, end) = self.until(&[])?;
            branches.push((condition.take(), body));
            match end {
                Some((word, _)) if word == "end" => return Ok(Node::If(branches)),
                Some((_, rest)) => {
                    if let ("if", next) = split_word(&rest) {
                        condition = Some(pipe(next)?);
                    } else if !rest.is_empty() {
                        return Err(format!("`else {rest}` is not followed"));
                    }
                }
                None => return Err("an `if` has no end".to_owned()),
            }
        }
    }

    fn bodies(&mut self) -> Result<(Vec<Node>, Vec<Node>), String> {
        let (body, end) = self.until(&[])?;
        let otherwise = match end {
            Some((word, rest)) if word == "else" && rest.is_empty() => self.until(&[])?.0,
            Some((word, _)) if word == "end" => Vec::new(),
            _ => return Err("a block has no end".to_owned()),
        };
        Ok((body, otherwise))
    }

    fn with(&mut self, rest: &str) -> Result<Node, String> {
        let (mut names, text) = variables(rest);
        let (body, otherwise) = self.bodies()?;
        Ok(Node::With {
            pipe: pipe(text)?,
            set: names.pop(),
            body,
            otherwise,
        })
    }

    fn range(&mut self, rest: &str) -> Result<Node, String> {
        let (mut names, text) = variables(rest);
        let (body, otherwise) = self.bodies()?;
        let value = names.pop();
        Ok(Node::Range {
            pipe: pipe(text)?,
            key: names.pop(),
            value,
            body,
            otherwise,
        })
    }

    fn define(&mut self, rest: &str) -> Result<Node, String> {
        let name = rest.trim().trim_matches('"').to_owned();
        let (body, end) = self.until(&[])?;
        match end {
            Some((word, _)) if word == "end" => Ok(Node::Define { name, body }),
            _ => Err(format!("the template {name} has no end")),
        }
    }
}

/// The keyword that an action begins with, if it may be one, and the rest: `with.Values` is two.
fn split_word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let (word, rest) = text.split_at(end.unwrap_or(text.len()));
    (word, rest.trim())
}

fn number(word: &str) -> Option<Number> {
    match word.parse::<i64>() {
        Ok(whole) => Some(Number::from(whole)),
        Err(_) if word.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
            Number::from_f64(word.parse().ok()?)
        }
        Err(_) => None,
    }
}

/// `$a, $b := rest`.
fn variables(text: &str) -> (Vec<String>, &str) {
    match text.split_once(":=") {
        Some((names, rest)) if names.trim_start().starts_with('$') => {
            let name = |name: &str| name.trim().trim_start_matches('$').to_owned();
            (names.split(',').map(name).collect(), rest.trim())
        }
        _ => (Vec::new(), text),
    }
}

fn action(source: &str, raw: &Raw) -> Node {
    let (mut names, mut text) = variables(source);
    let new = !names.is_empty();
    if names.is_empty()
        && source.starts_with('$')
        && let Some((name, rest)) = source.split_once(" = ")
    {
        names.push(name.trim_start_matches('$').trim().to_owned());
        text = rest;
    }
    match pipe(text) {
        Ok(pipe) => Node::Action {
            pipe,
            set: names.pop(),
            new,
            source: raw.source.clone(),
            at: raw.at,
        },
        Err(_) => Node::Unknown {
            source: raw.source.clone(),
        },
    }
}

/// Reads a pipeline.
pub(super) fn pipe(text: &str) -> Result<Pipe, String> {
    let mut reader = Words { rest: text.trim() };
    let pipe = reader.pipe()?;
    match reader.rest.is_empty() {
        true => Ok(pipe),
        false => Err(format!("`{text}` is not followed")),
    }
}

struct Words<'t> {
    rest: &'t str,
}

impl Words<'_> {
    fn pipe(&mut self) -> Result<Pipe, String> {
        let mut commands = vec![Vec::new()];
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.is_empty() || self.rest.starts_with(')') {
                break;
            }
            if let Some(rest) = self.rest.strip_prefix('|') {
                self.rest = rest;
                commands.push(Vec::new());
                continue;
            }
            let operand = self.operand()?;
            if let Some(command) = commands.last_mut() {
                command.push(operand);
            }
        }
        match commands.iter().any(Vec::is_empty) {
            true => Err("an empty command".to_owned()),
            false => Ok(commands),
        }
    }

    fn operand(&mut self) -> Result<Operand, String> {
        let first = self.rest.chars().next().unwrap_or(' ');
        match first {
            '(' => {
                self.rest = &self.rest[1..];
                let pipe = self.pipe()?;
                self.rest = self.rest.strip_prefix(')').ok_or("a ( has no )")?;
                let keys = self.keys();
                Ok(Operand::Paren(pipe, keys))
            }
            '"' => {
                let mut texts = serde_json::Deserializer::from_str(self.rest).into_iter();
                let text: String = match texts.next() {
                    Some(Ok(text)) => text,
                    _ => return Err("a text has no end".to_owned()),
                };
                self.rest = &self.rest[texts.byte_offset()..];
                Ok(Operand::Text(text))
            }
            '`' => {
                let (text, rest) = self.rest[1..].split_once('`').ok_or("a ` has no end")?;
                self.rest = rest;
                Ok(Operand::Text(text.to_owned()))
            }
            '$' => {
                self.rest = &self.rest[1..];
                let name = self.word();
                let keys = self.keys();
                Ok(Operand::Field {
                    variable: Some(name),
                    keys,
                })
            }
            '.' => {
                let keys = self.keys();
                if keys.is_empty() {
                    self.rest = &self.rest[1..];
                }
                Ok(Operand::Field {
                    variable: None,
                    keys,
                })
            }
            _ => self.plain(),
        }
    }

    fn plain(&mut self) -> Result<Operand, String> {
        let end = self
            .rest
            .find(|c: char| c.is_whitespace() || "()|".contains(c));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        let operand = match word {
            "true" => Operand::Bool(true),
            "false" => Operand::Bool(false),
            "nil" => Operand::Nil,
            _ => match number(word) {
                Some(number) => Operand::Number(number),
                None if word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => {
                    Operand::Function(word.to_owned())
                }
                None => return Err(format!("`{word}` is not followed")),
            },
        };
        self.rest = rest;
        Ok(operand)
    }

    fn word(&mut self) -> String {
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }

    /// `.a.b` directly behind.
    fn keys(&mut self) -> Vec<String> {
        let mut keys = Vec::new();
        while let Some(rest) = self.rest.strip_prefix('.') {
            let starts = |c: char| c.is_ascii_alphabetic() || c == '_';
            if !rest.starts_with(starts) {
                break;
            }
            self.rest = rest;
            keys.push(self.word());
        }
        keys
    }
}
