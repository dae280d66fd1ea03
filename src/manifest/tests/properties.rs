//! Properties of every edit, on generated and on damaged manifests. An edit is judged by a model
//! that knows nothing of bytes: the JSON before, with the edit made on it.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::generate::{self, Dice};
use super::{Address, Edit, EditError, Manifest, Path, Step};

/// Every path of a value.
pub(super) fn paths(value: &Value) -> Vec<Path> {
    fn walk(at: &Path, value: &Value, out: &mut Vec<Path>) {
        out.push(at.clone());
        match value {
            Value::Object(fields) => {
                fields
                    .iter()
                    .for_each(|(name, value)| walk(&at.key(name), value, out));
            }
            Value::Array(items) => {
                let step = |place| at.child(Step::Index(place));
                items
                    .iter()
                    .enumerate()
                    .for_each(|(at, value)| walk(&step(at), value, out));
            }
            _ => {}
        }
    }
    let mut out = Vec::new();
    walk(&Path::default(), value, &mut out);
    out
}

pub(super) fn at<'v>(value: &'v mut Value, path: &Path) -> &'v mut Value {
    path.steps().iter().fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key).unwrap(),
        Step::Index(place) if value.is_object() => value.get_mut(place.to_string()).unwrap(),
        Step::Index(place) => value.get_mut(*place).unwrap(),
        other => panic!("{other:?}"),
    })
}

/// The edit on the model.
fn model(mut value: Value, edit: &Edit<'_>) -> Value {
    let path = edit.path();
    let around = path.parent();
    match edit {
        Edit::Set { value: new, .. } => match (around, path.last()) {
            (Some(around), Some(Step::Key(name))) => {
                let around = at(&mut value, &around);
                if around.is_null() {
                    *around = Value::Object(Map::new());
                }
                around
                    .as_object_mut()
                    .unwrap()
                    .insert(name.clone(), new.clone());
            }
            _ => *at(&mut value, path) = new.clone(),
        },
        Edit::Insert { value: new, .. } => {
            let list = at(&mut value, &around.unwrap());
            if list.is_null() {
                *list = json!([]);
            }
            let list = list.as_array_mut().unwrap();
            let place = match path.last() {
                Some(Step::Index(place)) => *place,
                _ => list.len(),
            };
            list.insert(place, new.clone());
        }
        Edit::Remove { .. } => match (at(&mut value, &around.unwrap()), path.last()) {
            (Value::Object(fields), Some(Step::Key(name))) => {
                fields.remove(name);
            }
            (Value::Array(items), Some(Step::Index(place))) => {
                items.remove(*place);
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
    value
}

/// An edit somewhere in the value.
pub(super) fn edit(dice: &mut Dice<'_>, root: &Value) -> Edit<'static> {
    let all = paths(root);
    let path = all[dice.roll(all.len())].clone();
    let target = at(&mut root.clone(), &path).clone();
    match (dice.roll(5), &target) {
        (1, _) if !path.is_empty() => Edit::Remove { path },
        (2, Value::Object(_) | Value::Null) => Edit::Set {
            path: path.key("new key"),
            value: generate::value(dice),
        },
        (2 | 3, Value::Array(items)) => {
            let place = dice.roll(items.len() + 1);
            Edit::Insert {
                path: path.child(Step::Index(place)),
                value: generate::value(dice),
            }
        }
        (3, Value::Null) if !path.is_empty() => Edit::Insert {
            path: path.child(Step::End),
            value: generate::value(dice),
        },
        _ => Edit::Set {
            path,
            value: generate::value(dice),
        },
    }
}

pub(super) fn root_of(manifest: &Manifest) -> Value {
    manifest
        .value(&Address::document(0), &Path::default())
        .unwrap()
}

fn same(left: &Value, right: &Value) -> bool {
    super::json::same(left, right)
}

/// What must hold for the bytes: only the field's own change for a scalar; lines only come for
/// what is new, and only go for what is removed.
fn check_bytes(manifest: &Manifest, edit: &Edit<'_>, after: &str) {
    let before = manifest.text();
    let document = Address::document(0);
    let old = manifest.value(&document, edit.path());
    if let (Edit::Set { value, path }, Some(old)) = (edit, old)
        && let Some(span) = manifest.span(&document, path)
        && !span.is_empty()
        && [&old, value]
            .iter()
            .all(|value| !value.is_object() && !value.is_array())
        && !before[span.clone()].contains(['|', '>', '\n'])
        && !value.as_str().is_some_and(|text| text.contains('\n'))
    {
        let inside = after.strip_prefix(&before[..span.start]);
        let inside = inside.and_then(|rest| rest.strip_suffix(&before[span.end..]));
        assert!(
            inside.is_some_and(|text| !text.contains('\n')),
            "{before:?} became {after:?}"
        );
    }
    // Whatever is edited in the first document, the text behind it stays.
    let end = manifest.documents()[0].span().end;
    assert!(
        after.ends_with(&before[end..]),
        "{before:?} became {after:?}"
    );
}

/// Makes the edit and judges it; gives the text after, where it was made.
fn judged(manifest: &Manifest, edit: &Edit<'_>) -> Result<String, EditError> {
    let root = root_of(manifest);
    let address = Address::document(0);
    let edited = manifest.edit(&address, std::slice::from_ref(edit))?;
    let in_part = manifest.edit_from(0, &address, std::slice::from_ref(edit));
    assert_eq!(
        in_part.as_ref(),
        Ok(&edited),
        "the size of a document decides nothing"
    );
    let again = Manifest::parse(edited.text.clone()).unwrap();
    let expected = model(root, edit);
    let now = root_of(&again);
    let before = manifest.text();
    assert!(
        same(&now, &expected),
        "{before:?} became {:?}: {now}",
        edited.text
    );
    check_bytes(manifest, edit, &edited.text);
    Ok(edited.text)
}

/// What a text is damaged with.
pub(super) const BITS: &[&str] = &[
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
    "*a0",
    "!!str ",
    "#",
    " #",
    "\t",
    "\r",
    "---\n",
    "...\n",
    "? ",
    ",",
    "<<: *a0\n",
    "\u{feff}",
    "\0",
    "é",
    "  ",
    "%",
    "{{ x }}",
    "~",
];

/// The configuration of a test of so many cases; `UNSHIP_FUZZ=N` makes it N times as many.
pub(super) fn cases(cases: u32) -> ProptestConfig {
    let times = std::env::var("UNSHIP_FUZZ").ok();
    let times: u32 = times.and_then(|times| times.parse().ok()).unwrap_or(1);
    let cases = cases.saturating_mul(times);
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Refusals that a well-formed manifest may meet.
fn may_refuse(error: &EditError) -> bool {
    matches!(
        error,
        EditError::Shared { .. } | EditError::UnterminatedBlock { .. }
    )
}

fn entropy(length: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..length)
}

proptest! {
    #![proptest_config(cases(24_000))]

    #[test]
    fn an_edit_is_exactly_the_edit(bytes in entropy(120)) {
        let mut dice = Dice::new(&bytes);
        let choice = edit_choices(&mut dice);
        let text = generate::manifest(&mut dice);
        let manifest = Manifest::parse(&*text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        let edit = edit(&mut Dice::new(&choice), &root_of(&manifest));
        match judged(&manifest, &edit) {
            Ok(_) => {}
            Err(error) => prop_assert!(may_refuse(&error), "{text:?} {edit:?}: {error}"),
        }
    }
}

/// The choices of the edit come first, so that they survive when the manifest shrinks.
fn edit_choices(dice: &mut Dice<'_>) -> [u8; 6] {
    std::array::from_fn(|_| u8::try_from(dice.roll(256)).unwrap())
}

proptest! {
    #![proptest_config(cases(24_000))]

    #[test]
    fn damaged_manifests_never_panic_and_are_never_edited_wrongly(
        bytes in entropy(100),
        damage in vec((any::<u16>(), any::<u8>()), 1..4),
    ) {
        let mut dice = Dice::new(&bytes);
        let choice = edit_choices(&mut dice);
        let mut text = generate::manifest(&mut dice);
        for (place, what) in damage {
            let mut at = usize::from(place) % (text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            let to = text[at..].char_indices().nth(usize::from(what >> 6)).map_or(at, |(n, _)| at + n);
            text.replace_range(at..to, BITS[usize::from(what & 31)]);
        }
        let manifest = Manifest::parse_lenient(&*text);
        let _ = (manifest.objects(), super::mask_values(&text));
        let readable = manifest.documents().first().is_some_and(|first| first.error().is_none());
        if readable && let root = root_of(&manifest) && Manifest::parse(&*text).is_ok() {
            let edit = edit(&mut Dice::new(&choice), &root);
            let _ = judged(&manifest, &edit);
        }
    }
}

proptest! {
    #![proptest_config(cases(8_000))]

    #[test]
    fn what_is_inserted_can_be_taken_away_again(bytes in entropy(100)) {
        let mut dice = Dice::new(&bytes);
        let choice = edit_choices(&mut dice);
        let text = generate::manifest(&mut dice);
        let manifest = Manifest::parse(&*text).unwrap();
        let mut choice = Dice::new(&choice);
        let root = root_of(&manifest);
        let full: Vec<Path> = paths(&root)
            .into_iter()
            .filter(|path| super::json::is_full_collection(at(&mut root.clone(), path)))
            .collect();
        prop_assume!(!full.is_empty());
        let path = full[choice.roll(full.len())].clone();
        let value = generate::value(&mut choice);
        let target = at(&mut root.clone(), &path).clone();
        let edit = match target.as_array() {
            Some(items) => {
                let place = choice.roll(items.len() + 1);
                Edit::Insert { path: path.child(Step::Index(place)), value }
            }
            None => Edit::Set { path: path.key("new key"), value },
        };
        if let Ok(after) = judged(&manifest, &edit) {
            let again = Manifest::parse(after).unwrap();
            let back = Edit::Remove { path: edit.path().clone() };
            let undone = judged(&again, &back).unwrap_or_else(|e| panic!("{:?}: {e}", again.text()));
            // A file that ended in no line break may have got one for a block scalar's sake.
            let ended = text.ends_with('\n') || !again.text().ends_with('\n');
            let (left, right) = if ended {
                (&*undone, &*text)
            } else {
                (undone.trim_end(), text.trim_end())
            };
            prop_assert_eq!(left, right, "by way of {:?}", again.text());
        }
    }
}

proptest! {
    #![proptest_config(cases(8_000))]

    #[test]
    fn a_restored_subtree_is_the_old_one_and_goes_back(
        bytes in entropy(100),
        other in entropy(100),
        choice in any::<u16>(),
    ) {
        let text = generate::manifest(&mut Dice::new(&bytes));
        // The first choices decide the keys of the root, which the two shall share.
        let keys = bytes.iter().copied().chain([0; 3]).take(3);
        let other: Vec<u8> = keys.chain(other).collect();
        let older = generate::manifest(&mut Dice::new(&other));
        let (now, then) = (Manifest::parse(&*text).unwrap(), Manifest::parse(&*older).unwrap());
        let document = Address::document(0);
        let (new, old) = (root_of(&now), root_of(&then));
        let shared: Vec<Path> = paths(&new)
            .into_iter()
            .filter(|path| !path.is_empty() && then.value(&document, path).is_some())
            .collect();
        let path = shared[usize::from(choice) % shared.len()].clone();
        let restore = |from| Edit::Restore { path: path.clone(), from, from_address: document };
        match now.edit(&document, &[restore(&then)]) {
            Err(error) => prop_assert!(
                may_refuse(&error) || older.contains('&') || older.contains('*'),
                "{:?} from {:?}: {}", text, older, error
            ),
            Ok(edited) => {
                let again = Manifest::parse(&*edited.text).unwrap();
                let mut expected = new;
                *at(&mut expected, &path) = at(&mut old.clone(), &path).clone();
                let restored = root_of(&again);
                prop_assert!(same(&restored, &expected), "{:?} from {:?}: {:?}", text, older, edited.text);
                let block = |manifest: &Manifest| {
                    let full = super::json::is_full_collection(&manifest.value(&document, &path).unwrap());
                    full && !manifest.source_text(&document, &path).unwrap().contains(['{', '[', '*', '&', '+'])
                };
                // A scalar or flow value leaves deeper comments behind it alone, a block takes
                // them along, and so does an item with the comment on its dash's line; only
                // blocks below their key go back to the byte.
                let below_key = matches!(path.last(), Some(Step::Key(_)));
                if !below_key || !block(&now) || !block(&then) {
                    return Ok(());
                }
                let back = again.edit(&document, &[restore(&now)]);
                let back = match back {
                    Ok(back) => back.text,
                    Err(error) if may_refuse(&error) => return Ok(()),
                    Err(error) => panic!("{text:?} from {older:?}: {error}"),
                };
                let bare = |text: &str| text.trim_end().to_owned();
                prop_assert_eq!(bare(&back), bare(&text), "from {:?} by {:?}", older, edited.text);
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn any_string_reads_back(value in any::<String>(), place in 0..4_usize) {
        let text = ["a: x\nb: 1\n", "a: {b: x}\n", "- 'x'\n", "a:\n  - b: |\n      x\n"][place];
        let at: Path = ["a", "a.b", "[0]", "a[0].b"][place].parse().unwrap();
        let manifest = Manifest::parse(text).unwrap();
        let edit = Edit::Set { path: at.clone(), value: value.clone().into() };
        let edited = judged(&manifest, &edit).unwrap();
        let again = Manifest::parse(edited).unwrap();
        prop_assert_eq!(again.value(&Address::document(0), &at), Some(Value::from(value)));
    }

    #[test]
    fn any_path_reads_back(steps in vec((0..4_u8, any::<String>(), any::<u16>()), 0..5)) {
        let path: Path = steps
            .into_iter()
            .map(|(kind, text, number)| match kind {
                0 => Step::Key(text),
                1 => Step::Index(number.into()),
                2 => Step::Named { key: "name".to_owned(), value: text },
                _ => Step::Named { key: format!("k{number}"), value: text },
            })
            .collect();
        prop_assert_eq!(path.to_string().parse::<Path>().unwrap(), path);
    }
}
