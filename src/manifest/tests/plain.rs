//! The quick reader of the common kind of document against the YAML parser: where it gives a tree
//! at all, it is the parser's, to the last byte offset.

use std::cell::Cell;
use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::build::exact;
use super::super::plain;
use super::super::split::split;
use super::generate::{self, Dice};
use super::{Address, Edit, Manifest, Path};

/// Compares both on every document of a text; gives how many were read quickly.
fn compared(text: &str) -> usize {
    let mut quick = 0;
    for chunk in split(text) {
        let part = &text[chunk.start..chunk.end];
        let Some(tree) = plain::read(part) else {
            continue;
        };
        quick += 1;
        let parsed = match exact(part) {
            Ok(parsed) => parsed,
            Err(fault) => panic!("{part:?} is refused by the parser: {}", fault.message),
        };
        assert_eq!(tree, parsed, "{part:?}");
    }
    quick
}

const FIXTURES: &[(&str, usize)] = &[
    (
        include_str!("../../../manifests-fixtures/gitops/k8s/apexalgo-iad/mcp/zai-proxy.yml"),
        2,
    ),
    (
        include_str!(
            "../../../manifests-fixtures/gitops/k8s/apexalgo-iad/mcp/zai-proxy-canary-deployment.yml"
        ),
        1,
    ),
    (
        include_str!(
            "../../../manifests-fixtures/gitops/k8s/apexalgo-iad/mcp/zai-proxy-canary-service.yml"
        ),
        1,
    ),
    (
        include_str!("../../../manifests-fixtures/gitops/k8s/apexalgo-iad/mcp/reloader-noise.yaml"),
        1,
    ),
    (
        include_str!("../../../manifests-fixtures/gitops/k8s/apexalgo-iad/mcp/session-store.yaml"),
        1,
    ),
    (
        include_str!("../../../manifests-fixtures/gitops/k8s/apexalgo-iad/search/web.yml"),
        1,
    ),
    (
        include_str!("../../../manifests-fixtures/gitops/k8s/apexalgo-iad/search/indexer.yaml"),
        1,
    ),
    (
        include_str!(
            "../../../manifests-fixtures/gitops/k8s/apexalgo-iad/monitoring/exporter.yaml"
        ),
        1,
    ),
    (
        include_str!("../../../manifests-fixtures/traps/anchors.yml"),
        0,
    ),
    (include_str!("../../../manifests-fixtures/traps/bom.yml"), 1),
    (
        include_str!("../../../manifests-fixtures/traps/crlf.yml"),
        0,
    ),
    (
        include_str!("../../../manifests-fixtures/traps/duplicate-keys.yml"),
        0,
    ),
    (
        include_str!("../../../manifests-fixtures/traps/list.yaml"),
        1,
    ),
    (
        include_str!("../../../manifests-fixtures/traps/no-final-newline.yml"),
        1,
    ),
    (
        include_str!("../../../manifests-fixtures/traps/octal-and-norway.yaml"),
        1,
    ),
    (
        include_str!("../../../manifests-fixtures/traps/same-name-twice.yml"),
        2,
    ),
    (
        include_str!("../../../manifests-fixtures/traps/tab-indent.yml"),
        0,
    ),
    (
        include_str!("../../../manifests-fixtures/traps/tabs.yml"),
        0,
    ),
    (
        include_str!("../../../manifests-fixtures/traps/unparsable.yml"),
        0,
    ),
    (
        include_str!("../../../manifests-fixtures/traps/helm/templates/deployment.yaml"),
        0,
    ),
    (
        include_str!("../../../manifests-fixtures/traps/helm/values.yaml"),
        1,
    ),
];

#[test]
fn fixtures() {
    for (text, quick) in FIXTURES {
        assert_eq!(compared(text), *quick, "{text}");
    }
}

/// What the quick reader must take: else it would not be quick.
const COMMON: &[&str] = &[
    "a: b",
    "a: b\n",
    "---\na: b\n",
    "# c\n\n--- # d\n  # e\na: b\n",
    "a:\nb:   # nothing\nc: ~\n",
    "a:\n  b:\n    c: 1\n  d: 2\ne: 3\n",
    "a:\n- b\n- c: 1\n  d: 2\n-   e: 3\n    f: 4\ng: 5\n",
    "a:\n  - b:\n    - c\n    d:\n      e: 1\n  - f\n",
    "- a\n- b: c\n",
    "a: b c  # d\ne: f#g\nh: http://x:80/y?z\n",
    "a: 'b # c'\nd: \"e: f\" # g\nh: ''\n",
    "a: {}\nb: []\nc: {d: 1, e: [x, 'y', \"z\", {f: g h}]} # i\n- ",
    "a: |\n  b\n   c\n\n  # d\ne: |-\n    f\n\n\n# g\nh: 1\n",
    "a:\n- |\n  b\n- -1\n- --flag=x\n",
    "a: 30 1,13 * * *\nb: (x)\nc: $(Y) [z]\n",
    "on: 1\nno: yes\n",
    "# \u{e9} \u{1f680}\na: b \u{e9} # \u{2014}\nc: '\u{e9}'\nd: |\n  \u{e9}\n",
];

#[test]
fn the_common_kind_is_read_quickly() {
    for text in COMMON {
        let text = text.strip_suffix("- ").unwrap_or(text);
        assert_eq!(compared(text), 1, "{text:?}");
    }
}

/// What the parser has to decide about, or to refuse.
const UNCOMMON: &[&str] = &[
    "",
    "# c\n",
    "---\n",
    "a: b\n...\n",
    "%YAML 1.1\n---\na: b\n",
    "--- a\n",
    "  a: b\n",
    "a: b\r\n",
    "a:\tb\n",
    "a: \u{e9}\n",
    "\u{e9}: a\n",
    "a: [\u{e9}]\n",
    "a: b \u{2028}\n",
    "a: b \u{85}\n",
    "a: b \u{feff}\n",
    "\u{feff}a: b\n",
    "a: 1\na: 2\n",
    "yes: 1\ntrue: 2\n",
    "a: {b: 1, b: 2}\n",
    "a: b\n  c\n",
    "a: b\n  c: d\n",
    "a: b: c\n",
    "a: b:\n",
    "a:b\n",
    "a : b\n",
    "a: 'b\n  c'\n",
    "a: 'b''c'\n",
    "a: \"b\\nc\"\n",
    "a: 'b' c\n",
    "a: 'b'#c\n",
    "'a': b\n",
    "? a\n",
    "<<: {a: b}\n",
    "a: &b c\n",
    "a: *b\n",
    "a: !!str b\n",
    "a: @b\n",
    "a: `b\n",
    "a: %b\n",
    "a: - b\n",
    "a: -\n",
    "a: ---\n",
    "- - a\n",
    "-\n  a: b\n",
    "- # c\n  a: b\n",
    "a:\n  b\n",
    "a:\n    b: 1\n  c: 2\n",
    "a:\n  - b\n - c\n",
    "- a\nb: c\n",
    "a: b\n- c\n",
    "a: {b: 1,}\n",
    "a: {b: , c: 1}\n",
    "a: {b}\n",
    "a: [b: c]\n",
    "a: [b,\n  c]\n",
    "a: [b] c\n",
    "a: {b: 1}: c\n",
    "a: {{ b }}\n",
    "a: [b #c\n",
    "a: >\n  b\n",
    "a: |+\n  b\n",
    "a: |2\n  b\n",
    "a: | # c\n  b\n",
    "a: |\n  b",
    "a: |\nb: c\n",
    "a: |\n\n  b\n",
    "a: |\n  b\n    \n  c\n",
    "a: |\n    b\n  c\n",
    "a:\n  b: |\n  c\n",
    "1: a\n",
];

#[test]
fn everything_else_is_left_to_the_parser() {
    for text in UNCOMMON {
        assert!(plain::read(text).is_none(), "{text:?}");
    }
}

/// A document of the common kind, or nearly.
fn common(dice: &mut Dice<'_>) -> String {
    let mut out = String::new();
    if dice.roll(4) == 1 {
        out.push_str(["---\n", "# c\n---\n", "--- # c\n", "---  \n"][dice.roll(4)]);
    }
    map(dice, &mut out, 0, 0);
    if dice.roll(8) == 1 {
        out.pop();
    }
    out
}

const VALUES: &[&str] = &[
    "x",
    "1",
    "nginx:1.27",
    "'q'",
    "\"d: e\"",
    "''",
    "{}",
    "[]",
    "a  b",
    "x#y é",
    "-1",
    "'ü — 🚀'",
    "no",
    "{a: 1, b: 'x y'}",
    "[a, \"b\", {c: [d]}]",
    "http://x/y?z=1&w",
    "* x",
    "a: b",
    "x:",
    "{a: b",
    "[a]]",
    "'a' b",
    "\"a\\n\"",
    "|",
    ">",
    "&a x",
    "~",
    "",
    "[a b, c:d, -e]",
    "{a: -}",
    ".5",
];

/// So many of them are of the common kind.
const COMMON_VALUES: usize = 16;

fn map(dice: &mut Dice<'_>, out: &mut String, column: usize, depth: usize) {
    for place in 0..=dice.roll(3) {
        if place > 0 || depth == 0 {
            notes(dice, out, column);
            let _ = write!(out, "{:column$}", "");
        }
        let key = ["name", "image", "a.b/c", "on", "x-y", "_z", "spec", "env"][dice.roll(8)];
        let _ = write!(out, "{key}:");
        below(dice, out, column, depth);
    }
}

fn notes(dice: &mut Dice<'_>, out: &mut String, column: usize) {
    match dice.roll(12) {
        1 => out.push('\n'),
        2 => out.push_str("# c: d\n"),
        3 => {
            let _ = writeln!(out, "{:column$}  # - e", "");
        }
        4 => out.push_str("  \n"),
        _ => {}
    }
}

fn below(dice: &mut Dice<'_>, out: &mut String, column: usize, depth: usize) {
    match dice.roll(if depth > 4 { 4 } else { 8 }) {
        0..=2 => {
            let known = if dice.roll(5) == 1 {
                VALUES.len()
            } else {
                COMMON_VALUES
            };
            let value = VALUES[dice.roll(known)];
            let end = ["", "", "", "  # c", " ", " #"][dice.roll(6)];
            let _ = writeln!(out, " {value}{end}");
        }
        3 => {
            let header = ["|", "|-", "|", "|-", "|", "|", "|+", "|1"][dice.roll(8)];
            let _ = writeln!(out, " {header}");
            let deep = column + 1 + dice.roll(3);
            for _ in 0..=dice.roll(3) {
                let line = ["x", "# y", "  z: 1", "- w", "", "v  é"][dice.roll(6)];
                let _ = writeln!(out, "{:deep$}{line}", "");
            }
            out.push_str(["", "", "\n", "   \n"][dice.roll(4)]);
        }
        4 | 5 => {
            let _ = writeln!(out, "{}", ["", " ", "  # c"][dice.roll(3)]);
            let deep = column + [2, 2, 1, 4, 0][dice.roll(5)];
            notes(dice, out, deep);
            let _ = write!(out, "{:deep$}", "");
            map(dice, out, deep, depth + 1);
        }
        _ => {
            out.push('\n');
            let deep = column + [0, 2, 2, 1][dice.roll(4)];
            for _ in 0..=dice.roll(2) {
                notes(dice, out, deep);
                let _ = write!(out, "{:deep$}-", "");
                if dice.roll(2) == 0 {
                    let gap = 1 + [0, 0, 2][dice.roll(3)];
                    let _ = write!(out, "{:gap$}", "");
                    map(dice, out, deep + 1 + gap, depth + 1);
                } else {
                    below(dice, out, deep, 5);
                }
            }
        }
    }
}

/// Bits that damage a text.
const BITS: &[&str] = &[
    "",
    "\n",
    ":",
    " ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "|",
    ">",
    "&a ",
    "*a",
    "!!str ",
    "#",
    " #",
    "\t",
    "\r",
    "---\n",
    "...\n",
    "? ",
    ",",
    "<<: ",
    "\u{feff}",
    "\0",
    "é",
    "\u{a0}",
    "\u{85}",
    "\u{2028}",
    "\u{fffe}",
    "\u{1f680}",
    "  ",
    "%",
    "\\",
    "\n  ",
];

fn damage(text: &mut String, damage: &[(u16, u8)]) {
    for (place, what) in damage {
        let mut at = usize::from(*place) % (text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let taken = usize::from(what >> 5) / 2;
        let to = text[at..].char_indices().nth(taken);
        let to = to.map_or(text.len(), |(length, _)| at + length);
        text.replace_range(at..to, BITS[usize::from(*what) % BITS.len()]);
    }
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

thread_local! {
    static QUICK: Cell<usize> = const { Cell::new(0) };
}

#[test]
fn common_documents_whole_and_damaged() {
    let texts = (
        vec(any::<u8>(), 0..120),
        vec((any::<u16>(), any::<u8>()), 0..3),
    );
    proptest!(cases(24_000), |((bytes, bits) in texts)| {
        let mut text = common(&mut Dice::new(&bytes));
        damage(&mut text, &bits);
        QUICK.set(QUICK.get() + compared(&text));
    });
    // A comparison with nothing would prove nothing.
    assert!(QUICK.get() > 4_000, "{} were read quickly", QUICK.get());
}

proptest! {
    #![proptest_config(cases(8_000))]

    #[test]
    fn documents_of_every_spelling(bytes in vec(any::<u8>(), 0..120), bits in vec((any::<u16>(), any::<u8>()), 0..3)) {
        let mut text = generate::manifest(&mut Dice::new(&bytes));
        damage(&mut text, &bits);
        compared(&text);
    }
}

/// A stream that is too large for keeping the trees of its documents.
fn stream(other: &str) -> String {
    let one = |n: usize| {
        format!("---\nkind: Deployment\nmetadata:\n  name: web-{n}\nspec:\n  image: web:{n}\n")
    };
    let mut text: String = (0..1500).map(one).collect();
    text.push_str(other);
    text.extend((1500..1600).map(one));
    assert!(text.len() > 64 * 1024);
    text
}

#[test]
fn documents_of_a_large_stream_are_as_good_as_those_of_a_small_one() {
    let text = stream("---\n# nothing\n");
    let manifest = Manifest::parse(&*text).unwrap();
    assert_eq!(manifest.documents().len(), 1601);
    assert_eq!(manifest.objects().len(), 1600);
    assert!(manifest.documents()[1500].is_empty());
    let found = manifest.find("Deployment", "web-1550", None);
    let [object] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(object.address, Address::document(1551));
    let at = text
        .find("kind: Deployment\nmetadata:\n  name: web-1550\n")
        .unwrap();
    let line = text[..at].matches('\n').count() + 1;
    assert_eq!(object.line, line);
    assert_eq!(manifest.documents()[1551].line(), line);
    let image: Path = "spec.image".parse().unwrap();
    let value = manifest.value(&object.address, &image);
    assert_eq!(value, Some("web:1550".into()));
    let position = manifest.position(&object.address, &image).unwrap();
    assert_eq!((position.line, position.column), (line + 4, 10));
    let edit = Edit::Set {
        path: image,
        value: "web:2".into(),
    };
    let edited = manifest.edit(&object.address, &[edit]).unwrap();
    assert_eq!(edited.text, text.replace("web:1550", "web:2"));
}

#[test]
fn an_error_in_one_document_of_a_large_stream_is_told_as_ever() {
    for (other, message) in [
        ("---\na: 1\na: 2\n", "the key `a` stands here a second time"),
        (
            "---\na: *b\n",
            "an alias names an anchor that is not in this document",
        ),
        (
            "---\nb: 1\na: {{ x }}\n",
            "this looks like a Helm or Go template",
        ),
    ] {
        let text = stream(other);
        let error = Manifest::parse(&*text).unwrap_err();
        assert!(error.message.contains(message), "{error}");
        assert_eq!(
            error.line,
            1500 * 6
                + 1
                + other[..other.find("a:").unwrap()].matches('\n').count()
                + usize::from(other.contains("2")),
            "{error}"
        );
        let manifest = Manifest::parse_lenient(&*text);
        assert_eq!(manifest.documents()[1500].error(), Some(&error));
        assert!(manifest.documents()[1501].error().is_none());
        assert_eq!(manifest.find("Deployment", "web-1550", None).len(), 1);
    }
}
