//! A second reader of the texts, which knows nothing of the code that it judges: another YAML
//! library, plain values, and the rule of a three-way merge for every leaf.

use std::collections::BTreeSet;

use serde_json::Value;

/// What was found in one case.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Fields that the bad change made and nothing has touched since.
    pub intended: usize,
    /// Those of them that have their good value now.
    pub landed: usize,
    /// Fields that have neither the value that they had nor the one that they should have.
    pub wrong: Vec<String>,
    /// Intended fields that kept the bad value.
    pub missed: Vec<String>,
    /// Fields that both changed, left as they are today.
    pub left: Vec<String>,
}

/// The good, the bad, today's and the resulting value of a place.
type Four<'v> = [Option<&'v Value>; 4];

/// The documents of a text; `None` where it is no YAML.
pub fn read(text: &str) -> Option<Vec<Value>> {
    let options = serde_yaml::options! { legacy_octal_numbers: true };
    let all: Result<Vec<Value>, _> = serde_yaml::from_multiple_with_options(text, options);
    all.ok()
        .map(|docs| docs.into_iter().filter(|doc| !doc.is_null()).collect())
}

/// Judges a result.
pub fn judge(good: &[Value], bad: &[Value], head: &[Value], result: &[Value]) -> Verdict {
    let mut verdict = Verdict::default();
    let sides = [good, bad, head, result];
    let named = sides.map(|side| {
        let names = side.iter().enumerate();
        names
            .map(|(place, doc)| document_name(doc, if side.len() == 1 { 0 } else { place }))
            .collect::<Vec<String>>()
    });
    let single = sides.iter().all(|side| side.len() == 1);
    let names: BTreeSet<&String> = named.iter().flatten().collect();
    if single {
        let four = sides.map(|side| side.first());
        verdict.place("", four);
        return verdict;
    }
    for name in names {
        let mut four: Four<'_> = [None; 4];
        for (side, slot) in four.iter_mut().enumerate() {
            let at = named[side].iter().position(|other| other == name);
            *slot = at.map(|at| &sides[side][at]);
        }
        verdict.place(name, four);
    }
    verdict
}

fn document_name(doc: &Value, place: usize) -> String {
    let meta = |key: &str| doc["metadata"][key].as_str().unwrap_or("");
    match doc["kind"].as_str() {
        Some(kind) => format!("{kind}/{}/{}", meta("namespace"), meta("name")),
        None => format!("document {place}"),
    }
}

impl Verdict {
    fn place(&mut self, at: &str, four: Four<'_>) {
        // What is not there today is one value: nothing inside of it can be put anywhere.
        if four[2].is_none() && four[0].is_some() && four[1].is_some() {
            return self.leaf(at, four);
        }
        let there: Vec<&Value> = four.iter().flatten().copied().collect();
        if there.iter().all(|value| value.is_object()) {
            self.map(at, four);
        } else if there.iter().all(|value| value.is_array()) {
            self.list(at, four);
        } else {
            self.leaf(at, four);
        }
    }

    fn map(&mut self, at: &str, four: Four<'_>) {
        let maps = four.map(|side| side.and_then(Value::as_object));
        let keys: BTreeSet<&String> = maps.iter().flatten().flat_map(|map| map.keys()).collect();
        for key in keys {
            let inner = maps.map(|map| map.and_then(|map| map.get(key)));
            self.place(&format!("{at}.{key}"), inner);
        }
        self.shell(
            at,
            four,
            maps.map(|map| map.map_or(0, serde_json::Map::len)),
        );
    }

    /// An empty map or list stays only where the good text or today's has one.
    fn shell(&mut self, at: &str, four: Four<'_>, lengths: [usize; 4]) {
        let is_empty = |side: usize| four[side].is_some() && lengths[side] == 0;
        let taken_by_later = four[0].is_some();
        if is_empty(3) && !is_empty(0) && !is_empty(2) && !taken_by_later {
            self.wrong.push(format!("{at}: an empty shell"));
        }
    }

    fn list(&mut self, at: &str, four: Four<'_>) {
        let lists = four.map(|side| side.and_then(Value::as_array).cloned().unwrap_or_default());
        let is_command = at.ends_with(".args") || at.ends_with(".command");
        let Some(name) = item_name(&lists).filter(|_| !is_command) else {
            return self.whole_list(at, four, &lists);
        };
        let names = lists
            .clone()
            .map(|list| list.iter().map(&name).collect::<Vec<_>>());
        let all: BTreeSet<&String> = names.iter().flatten().collect();
        for item in all {
            let mut inner: Four<'_> = [None; 4];
            for side in 0..4 {
                let place = names[side].iter().position(|other| other == item);
                inner[side] = place.map(|place| &lists[side][place]);
            }
            let inner_at = format!("{at}[{item}]");
            // An item that came or went is one value.
            if inner[0].is_none() != inner[1].is_none() {
                if self.was_replaced_again(item, &names, inner) {
                    self.left.push(inner_at);
                } else {
                    self.leaf(&inner_at, inner);
                }
            } else {
                self.place(&inner_at, inner);
            }
        }
        let order = |side: usize| -> Vec<&String> {
            let common = |name: &&String| (0..4).all(|side| names[side].contains(name));
            names[side].iter().filter(common).collect()
        };
        if order(3) != order(2) && (order(2) != order(1) || order(3) != order(0)) {
            self.wrong.push(format!("{at}: the order"));
        }
        self.shell(at, four, lists.map(|list| list.len()));
    }

    /// An address (with a ref, tag or digest) whose place the bad change gave to another one of
    /// the same words, which is gone.
    fn was_replaced_again(&self, item: &str, names: &[Vec<String>; 4], four: Four<'_>) -> bool {
        let [good, bad, head, _] = names;
        let words = |text: &str| -> Vec<String> {
            let words = text.split(|c: char| !c.is_ascii_alphanumeric());
            let words = words.filter(|word| !word.bytes().any(|byte| byte.is_ascii_digit()));
            let mut words: Vec<String> = words.map(str::to_owned).collect();
            words.retain(|word| !word.is_empty() && word != "latest" && word != "git");
            words
        };
        let is_address = item.contains(['?', ':']) && four[0].is_some_and(|v| !v.is_object());
        let is_gone = four[2].is_none() && four[3].is_none();
        let mut successors = bad.iter().filter(|name| {
            !good.contains(name) && !head.contains(name) && words(name) == words(item)
        });
        is_address && is_gone && successors.next().is_some()
    }

    /// A list whose items have no names is one value; where both changed it, it is today's, or
    /// today's without what the bad change added and with what it took away.
    fn whole_list(&mut self, at: &str, four: Four<'_>, lists: &[Vec<Value>; 4]) {
        let [good, bad, head, result] = four;
        let later = good != bad && head != bad && head != good;
        if !later || result == head {
            return self.leaf(at, four);
        }
        let less = |from: &[Value], what: &[Value]| {
            let mut rest = from.to_vec();
            for item in what {
                if let Some(place) = rest.iter().position(|other| other == item) {
                    rest.remove(place);
                }
            }
            rest
        };
        let [good, bad, head, result] = lists;
        let (added, removed) = (less(bad, good), less(good, bad));
        let mut wanted: Vec<String> = less(head, &added).iter().map(Value::to_string).collect();
        wanted.extend(less(&removed, head).iter().map(Value::to_string));
        let mut got: Vec<String> = result.iter().map(Value::to_string).collect();
        wanted.sort();
        got.sort();
        if wanted == got {
            self.intended += 1;
            self.landed += 1;
        } else {
            self.wrong.push(format!("{at}: the items of the list"));
        }
    }

    fn leaf(&mut self, at: &str, [good, bad, head, result]: Four<'_>) {
        if good == bad {
            if result != head {
                self.wrong.push(format!("{at}: {head:?} became {result:?}"));
            }
            return;
        }
        if head == bad {
            self.intended += 1;
            if result == good {
                self.landed += 1;
            } else if result == head {
                self.missed.push(at.to_owned());
            } else {
                self.wrong
                    .push(format!("{at}: {good:?} should be, not {result:?}"));
            }
            return;
        }
        if result == head {
            if head != good {
                self.left.push(at.to_owned());
            }
            return;
        }
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let merged = match (text(good), text(bad), text(head)) {
            (Some(good), Some(bad), Some(head)) => super::git::merge_file(&bad, &head, &good),
            _ => None,
        };
        let fields = |value: Option<&Value>| {
            let value: Value = serde_yaml::from_str(&text(value)?).ok()?;
            (value.is_object() || value.is_array()).then_some(value)
        };
        if merged.is_some() && merged == text(result) {
            self.intended += 1;
            self.landed += 1;
        } else if let (Some(good), Some(bad), Some(head), Some(result)) =
            (fields(good), fields(bad), fields(head), fields(result))
        {
            // YAML or JSON in a text.
            self.place(at, [Some(&good), Some(&bad), Some(&head), Some(&result)]);
        } else {
            self.wrong.push(format!("{at}: {head:?} became {result:?}"));
        }
    }
}

/// What the items of these lists are called, if every one has a name of its own.
fn item_name(lists: &[Vec<Value>; 4]) -> Option<impl Fn(&Value) -> String + use<>> {
    let fields: &[&[&str]] = &[
        &[],
        &["name"],
        &["id"],
        &["key"],
        &["path"],
        &["host"],
        &["mountPath"],
        &["containerPort"],
        &["port"],
    ];
    let name = |item: &Value, fields: &[&str]| -> Option<String> {
        match fields {
            [] => (!item.is_object() && !item.is_array()).then(|| item.to_string()),
            [first, ..] => item
                .get(first)
                .filter(|v| !v.is_object())
                .map(Value::to_string),
        }
    };
    let found = fields.iter().copied().find(|fields| {
        lists.iter().all(|list| {
            let mut seen = BTreeSet::new();
            list.iter()
                .all(|item| name(item, fields).is_some_and(|name| seen.insert(name)))
        })
    })?;
    Some(move |item: &Value| name(item, found).unwrap_or_default())
}
