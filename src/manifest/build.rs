//! From the parser's events to a tree. The only file that names the YAML parser.
//!
//! The events carry exact byte spans for scalars, aliases, anchors and tags, but not for the
//! indicators (`-`, `?`, `:`, `|`), an absent value stands before its `:`, and a block collection
//! ends where the next token begins. So a cursor walks the text along with the events and picks
//! the indicators up itself.

use std::collections::{HashMap, HashSet};

use granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, Span};

use super::block::{content_length, without_invented_break};
use super::checks::{LEAF, Weight};
use super::plain;
use super::scalar::Tag;
use super::text::{ending_length, line_start, next_line};
use super::tree::{Entry, Item, Kind, Node, NodeId, Scalar, Style, Tree};

/// Deepest nesting of collections, aliases followed.
pub(super) const MAX_DEPTH: usize = 200;
/// How many nodes a document may have with every alias written out, beyond ten times its own.
const MAX_EXPANSION: usize = 100_000;

/// What is wrong, at a byte of the document's text.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) message: String,
}

pub(super) type Built<T> = Result<T, Fault>;

/// Reads the text of exactly one document.
pub(super) fn build(text: &str) -> Built<Tree> {
    plain::read(text).map_or_else(|| exact(text), Ok)
}

/// The same by the YAML parser alone.
pub(super) fn exact(text: &str) -> Built<Tree> {
    if !text.is_ascii()
        && let Some(at) = text.find(['\u{85}', '\u{2028}', '\u{2029}'])
    {
        return Err(Fault {
            at,
            message: "a Unicode line separator stands here unescaped, which Kubernetes' YAML \
                      reader takes for a line break; write it as an escape in double quotes"
                .to_owned(),
        });
    }
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.block_nesting_limit = MAX_DEPTH;
    options.flow_nesting_limit = MAX_DEPTH;
    let mut builder = Builder::new(text);
    let mut documents = 0;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| scan_fault(text, &error))?;
        match event {
            Event::DocumentStart(explicit, _) => {
                documents += 1;
                if documents > 1 {
                    return Err(fault(
                        start(&span),
                        "a second document begins without `---`",
                    ));
                }
                if explicit {
                    builder.cursor = end(&span);
                }
                builder.body = builder.cursor;
            }
            event => builder.event(event, &span)?,
        }
    }
    builder.finish()
}

pub(super) fn fault(at: usize, message: impl Into<String>) -> Fault {
    Fault {
        at,
        message: message.into(),
    }
}

fn start(span: &Span) -> usize {
    span.start.byte_offset().unwrap_or(0)
}

fn end(span: &Span) -> usize {
    span.end.byte_offset().unwrap_or(0)
}

fn scan_fault(text: &str, error: &ScanError) -> Fault {
    let at = error.marker().byte_offset().unwrap_or(0).min(text.len());
    let message = match error.kind() {
        ErrorKind::UnknownAnchor => {
            "an alias names an anchor that is not in this document".to_owned()
        }
        _ => error.info(),
    };
    Fault { at, message }
}

enum Frame {
    Map {
        id: NodeId,
        flow: bool,
        entries: Vec<Entry>,
        pending: Option<Pending>,
        keys: Keys,
    },
    Seq {
        id: NodeId,
        flow: bool,
        items: Vec<Item>,
    },
}

struct Pending {
    key: NodeId,
    question: Option<usize>,
}

/// The keys of a map so far, hashed once there are many.
#[derive(Default)]
pub(super) struct Keys(HashSet<Box<str>>);

impl Keys {
    /// False where the key is there already.
    pub(super) fn insert(&mut self, entries: &[Entry], name: &str) -> bool {
        const FEW: usize = 12;
        if entries.len() < FEW {
            return entries.iter().all(|entry| &*entry.name != name);
        }
        if self.0.is_empty() {
            self.0
                .extend(entries.iter().map(|entry| entry.name.clone()));
        }
        self.0.insert(name.into())
    }
}

/// What stands before a node: its indicators, anchor and tag.
struct Lead {
    /// `-`, or `?` of a key, or `:` of a value.
    indicator: Option<usize>,
    props: Option<(usize, usize)>,
    /// Behind the last thing consumed.
    at: usize,
}

pub(super) struct Builder<'a> {
    text: &'a str,
    pub(super) nodes: Vec<Node>,
    pub(super) weights: Vec<Weight>,
    open: Vec<bool>,
    frames: Vec<Frame>,
    anchors: HashMap<usize, NodeId>,
    cursor: usize,
    body: usize,
    root: Option<NodeId>,
}

impl<'a> Builder<'a> {
    fn new(text: &'a str) -> Self {
        let guess = text.len() / 12;
        Self {
            text,
            nodes: Vec::with_capacity(guess),
            weights: Vec::with_capacity(guess),
            open: Vec::with_capacity(guess),
            frames: Vec::new(),
            anchors: HashMap::new(),
            cursor: 0,
            body: 0,
            root: None,
        }
    }

    fn event(&mut self, event: Event<'a>, span: &Span) -> Built<()> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.map(|tag| tag_of(tag.parts()));
                let lead = self.lead(span, anchor > 0, tag.is_some())?;
                let mut node = self.scalar(&text, style, span, &lead)?;
                node.tag = tag.unwrap_or(Tag::None);
                let id = self.push(node, &lead, LEAF, anchor);
                self.attach(id, &lead)
            }
            Event::Alias(anchor) => {
                let lead = self.lead(span, false, false)?;
                let target = self.anchors.get(&anchor).copied();
                let Some(target) = target.filter(|id| !self.open[id.0 as usize]) else {
                    return Err(fault(start(span), "the alias stands inside its own anchor"));
                };
                self.nodes[target.0 as usize].aliased = true;
                self.cursor = end(span);
                let weight = self.weights[target.0 as usize];
                let node = blank(Kind::Alias(target), start(span), end(span));
                let id = self.push(node, &lead, weight, 0);
                self.attach(id, &lead)
            }
            Event::SequenceStart(_, anchor, tag) => {
                let tag = tag.map(|tag| tag_of(tag.parts()));
                let (id, flow) = self.open_collection(span, anchor, tag, false)?;
                self.frames.push(Frame::Seq {
                    id,
                    flow,
                    items: Vec::new(),
                });
                self.check_depth(span)
            }
            Event::MappingStart(_, anchor, tag) => {
                let tag = tag.map(|tag| tag_of(tag.parts()));
                let (id, flow) = self.open_collection(span, anchor, tag, true)?;
                self.frames.push(Frame::Map {
                    id,
                    flow,
                    entries: Vec::new(),
                    pending: None,
                    keys: Keys::default(),
                });
                self.check_depth(span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close_collection(span),
            _ => Ok(()),
        }
    }

    fn check_depth(&self, span: &Span) -> Built<()> {
        if self.frames.len() > MAX_DEPTH {
            return Err(fault(
                start(span),
                format!("nested deeper than {MAX_DEPTH} levels"),
            ));
        }
        Ok(())
    }

    /// Skips white space, line breaks and comments.
    fn trivia(&self, mut at: usize) -> usize {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(at) {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => at += 1,
                b'#' => at = next_line(self.text, at),
                0xEF if self.text[at..].starts_with('\u{feff}') => at += 3,
                _ => break,
            }
        }
        at
    }

    /// Consumes what stands between the last token and the node at `span`.
    fn lead(&mut self, span: &Span, anchor: bool, tag: bool) -> Built<Lead> {
        let bytes = self.text.as_bytes();
        let next = self.trivia(self.cursor);
        let here = bytes.get(next).copied();
        let mut indicator = None;
        match self.frames.last() {
            None => {}
            Some(Frame::Seq { flow: false, .. }) => {
                if here != Some(b'-') {
                    return Err(fault(
                        next,
                        "this list cannot be followed; write it with `- `",
                    ));
                }
                indicator = Some(next);
            }
            Some(Frame::Map {
                pending: Some(_), ..
            }) if here == Some(b':') => {
                indicator = Some(next);
            }
            Some(Frame::Map {
                pending: None,
                flow,
                ..
            }) => {
                let at = if *flow && here == Some(b',') {
                    self.trivia(next + 1)
                } else {
                    next
                };
                let spaced = bytes.get(at + 1).is_none_or(|b| b" \t\r\n".contains(b));
                self.cursor = at.min(start(span).max(self.cursor));
                if bytes.get(at) == Some(&b'?') && spaced {
                    indicator = Some(at);
                }
            }
            Some(Frame::Seq { .. }) if here == Some(b',') => self.cursor = next + 1,
            Some(Frame::Map { .. } | Frame::Seq { .. }) => {}
        }
        if let Some(at) = indicator {
            self.cursor = at + 1;
        }
        let props = self.props(usize::from(anchor) + usize::from(tag))?;
        if let Some((_, end)) = props {
            self.cursor = end;
        }
        Ok(Lead {
            indicator,
            props,
            at: self.cursor,
        })
    }

    /// Consumes `count` anchors and tags.
    fn props(&self, count: usize) -> Built<Option<(usize, usize)>> {
        let bytes = self.text.as_bytes();
        let mut at = self.cursor;
        let mut found: Option<(usize, usize)> = None;
        for _ in 0..count {
            let begin = self.trivia(at);
            if !matches!(bytes.get(begin), Some(b'&' | b'!')) {
                return Err(fault(begin, "an anchor or tag cannot be followed here"));
            }
            let verbatim = self.text[begin..].starts_with("!<");
            let stops: &[u8] = if verbatim { b">" } else { b" \t\r\n,[]{}" };
            let length = bytes[begin..].iter().position(|b| stops.contains(b));
            at = length.map_or(bytes.len(), |length| begin + length + usize::from(verbatim));
            found = Some((found.map_or(begin, |(first, _)| first), at));
        }
        Ok(found)
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, span: &Span, lead: &Lead) -> Built<Node> {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::Single,
            ScalarStyle::DoubleQuoted => Style::Double,
            ScalarStyle::Literal => Style::Literal,
            ScalarStyle::Folded => Style::Folded,
        };
        if style.is_block() {
            return self.block_scalar(text, style, span);
        }
        let absent = style == Style::Plain && start(span) == end(span);
        let (from, to) = if absent {
            (lead.at, lead.at)
        } else {
            (start(span), end(span))
        };
        self.cursor = to;
        let text = if absent { "" } else { text };
        let scalar = Scalar {
            text: text.into(),
            style,
            absent,
            header: 0,
        };
        Ok(blank(Kind::Scalar(scalar), from, to))
    }

    fn block_scalar(&mut self, text: &str, style: Style, span: &Span) -> Built<Node> {
        let from = self.trivia(self.cursor);
        let header = &self.text[from..];
        if !header.starts_with(['|', '>']) {
            return Err(fault(from, "this block scalar cannot be followed"));
        }
        let header_end = from + header.find([' ', '\t', '\r', '\n']).unwrap_or(header.len());
        let keep = self.text[from..header_end].contains('+');
        let first = next_line(self.text, header_end);
        let limit = end(span).max(header_end);
        let content = self
            .text
            .get(first..limit)
            .and_then(|region| content_length(region, keep));
        let to = content.map_or(header_end, |length| first + length);
        self.cursor = limit;
        let mut text = text;
        if limit == self.text.len() && ending_length(self.text) == 0 && limit > first {
            text = without_invented_break(text, &self.text[line_start(self.text, limit)..]);
        }
        let scalar = Scalar {
            text: text.into(),
            style,
            absent: false,
            header: u32::try_from(header_end - from).unwrap_or(u32::MAX),
        };
        Ok(blank(Kind::Scalar(scalar), from, to.max(header_end)))
    }

    fn push(&mut self, mut node: Node, lead: &Lead, weight: Weight, anchor: usize) -> NodeId {
        node.props = lead.props.map(Box::new);
        node.anchored = anchor > 0;
        // A text of 4 GiB has been refused long before there are so many nodes.
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        if anchor > 0 {
            self.anchors.insert(anchor, id);
        }
        self.nodes.push(node);
        self.weights.push(weight);
        self.open.push(false);
        id
    }

    fn open_collection(
        &mut self,
        span: &Span,
        anchor: usize,
        tag: Option<Tag>,
        map: bool,
    ) -> Built<(NodeId, bool)> {
        let lead = self.lead(span, anchor > 0, tag.is_some())?;
        let from = self.trivia(self.cursor);
        let mark = if map { b'{' } else { b'[' };
        let flow_around = self.frames.last().is_some_and(|frame| match frame {
            Frame::Map { flow, .. } | Frame::Seq { flow, .. } => *flow,
        });
        // In block context the parser's empty span tells `{a: 1}: 2` (a map whose first key is a
        // flow map) from `{a: 1}`.
        let bracket = self.text.as_bytes().get(from) == Some(&mark) && end(span) > start(span);
        let flow = bracket || flow_around;
        if bracket {
            self.cursor = from + 1;
        }
        let kind = if map {
            Kind::Map {
                flow,
                entries: Vec::new(),
            }
        } else {
            Kind::Seq {
                flow,
                items: Vec::new(),
            }
        };
        let mut node = blank(kind, from, from);
        node.tag = tag.unwrap_or(Tag::None);
        let id = self.push(node, &lead, LEAF, anchor);
        self.open[id.0 as usize] = true;
        self.attach(id, &lead)?;
        Ok((id, flow))
    }

    fn close_collection(&mut self, span: &Span) -> Built<()> {
        let Some(frame) = self.frames.pop() else {
            return Err(fault(start(span), "a collection ends that did not begin"));
        };
        let (id, kind, last) = match frame {
            Frame::Map {
                id, flow, entries, ..
            } => {
                let last = entries.last().map(|entry| entry.value);
                (id, Kind::Map { flow, entries }, last)
            }
            Frame::Seq {
                id, flow, items, ..
            } => {
                let last = items.last().map(|item| item.node);
                (id, Kind::Seq { flow, items }, last)
            }
        };
        let bracketed = matches!(
            kind,
            Kind::Map { flow: true, .. } | Kind::Seq { flow: true, .. }
        ) && end(span) > start(span);
        let to = if bracketed {
            self.cursor = end(span);
            end(span)
        } else {
            last.map_or(self.cursor, |last| self.nodes[last.0 as usize].end)
        };
        let weight = self.weigh(&kind);
        let at = id.0 as usize;
        self.nodes[at].end = to.max(self.nodes[at].start);
        self.nodes[at].kind = kind;
        self.weights[at] = weight;
        self.open[at] = false;
        if weight.height > MAX_DEPTH {
            let message =
                format!("nested deeper than {MAX_DEPTH} levels once aliases are followed");
            return Err(fault(self.nodes[at].start, message));
        }
        self.check_merges(id)
    }

    /// Hangs a node into the collection that is open.
    fn attach(&mut self, id: NodeId, lead: &Lead) -> Built<()> {
        let from = self.nodes[id.0 as usize].outer_start();
        match self.frames.last_mut() {
            None => self.root = Some(id),
            Some(Frame::Seq { items, .. }) => {
                items.push(Item {
                    node: id,
                    dash: lead.indicator.unwrap_or(from),
                });
            }
            Some(Frame::Map {
                pending,
                entries,
                keys,
                ..
            }) => match pending.take() {
                None => {
                    self.check_key(id)?;
                    if let Some(Frame::Map { pending, .. }) = self.frames.last_mut() {
                        *pending = Some(Pending {
                            key: id,
                            question: lead.indicator,
                        });
                    }
                }
                Some(Pending { key, question }) => {
                    let node = &self.nodes[key.0 as usize];
                    let named = match node.kind {
                        Kind::Alias(target) => &self.nodes[target.0 as usize],
                        _ => node,
                    };
                    let merge = matches!(
                        &node.kind,
                        Kind::Scalar(scalar) if &*scalar.text == "<<" && scalar.style == Style::Plain
                    ) && matches!(node.tag, Tag::None | Tag::Other);
                    let name: Box<str> = named.key_text().unwrap_or_default().into();
                    if !keys.insert(entries, &name) {
                        let message = format!("the key `{}` stands here a second time", &*name);
                        return Err(fault(node.start, message));
                    }
                    let colon = lead.indicator;
                    entries.push(Entry {
                        name,
                        key,
                        value: id,
                        question,
                        colon,
                        merge,
                    });
                }
            },
        }
        Ok(())
    }

    fn finish(self) -> Built<Tree> {
        let Some(root) = self.root else {
            return Err(fault(0, "there is no document here"));
        };
        let expanded = self.weights[root.0 as usize].nodes;
        if expanded
            > self
                .nodes
                .len()
                .saturating_mul(10)
                .saturating_add(MAX_EXPANSION)
        {
            return Err(fault(
                self.nodes[root.0 as usize].start,
                "the aliases of this document expand to far more than it holds",
            ));
        }
        Ok(Tree {
            nodes: self.nodes,
            root,
            body: self.body,
        })
    }
}

pub(super) fn blank(kind: Kind, start: usize, end: usize) -> Node {
    Node {
        kind,
        start,
        end,
        props: None,
        anchored: false,
        aliased: false,
        tag: Tag::None,
    }
}

fn tag_of((handle, suffix): (&str, &str)) -> Tag {
    let name = format!("{handle}{suffix}");
    match name.strip_prefix("tag:yaml.org,2002:") {
        Some("int") => Tag::Int,
        Some("float") => Tag::Float,
        Some("bool") => Tag::Bool,
        Some("null") => Tag::Null,
        Some("binary") => Tag::Binary,
        Some("str" | "timestamp") | None => Tag::Text,
        Some(_) => Tag::Other,
    }
}
