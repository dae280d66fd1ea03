//! Properties of the undo, on generated and on damaged texts. What it gives is judged by a model
//! that knows nothing of bytes: a three-way merge of plain values.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::generate::{self, Dice};
use super::properties::{BITS, at, cases, edit, paths, root_of};
use super::{Address, Edit, Manifest, Path, UndoClass, UndoField, Undone, undo};
use crate::manifest::json::same;

fn equal(left: Option<&Value>, right: Option<&Value>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => same(left, right),
        (None, None) => true,
        _ => false,
    }
}

/// What must hold for every field, whatever is decided where both changed it.
fn judge(at: &Path, four: [Option<&Value>; 4], left: &[UndoField]) -> Result<(), String> {
    let [good, bad, head, result] = four;
    let fail = |why: &str| Err(format!("{at}: {why}: {four:?}"));
    // What is left is named, and left as it is.
    if left.iter().any(|field| field.path == *at) {
        return if equal(head, result) {
            Ok(())
        } else {
            fail("it is named as left, and changed")
        };
    }
    if equal(good, bad) {
        return if equal(head, result) {
            Ok(())
        } else {
            fail("the change did not touch it, the undo did")
        };
    }
    let has_left = left.iter().any(|field| at.contains(&field.path));
    if equal(head, bad) && !has_left {
        return if equal(result, good) {
            Ok(())
        } else {
            fail("it is not undone")
        };
    }
    let is_map =
        |side: Option<&Value>| side.is_none_or(|value| value.is_object() || value.is_null());
    if four.iter().all(|side| is_map(*side)) && head.is_some_and(Value::is_object) {
        let maps = four.map(|side| side.and_then(Value::as_object));
        let mut keys: Vec<&String> = maps.iter().flatten().flat_map(|map| map.keys()).collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            let inner = maps.map(|map| map.and_then(|map| map.get(key)));
            judge(&at.key(key), inner, left)?;
        }
        return Ok(());
    }
    if equal(head, result) && equal(head, good) {
        return Ok(());
    }
    // Of an added list later work left some items: they go with it.
    if let (None, Some(Value::Array(bad)), Some(Value::Array(head)), None) =
        (good, bad, head, result)
        && head.iter().all(|item| bad.contains(item))
    {
        return Ok(());
    }
    let both_lists = head.is_some_and(Value::is_array) && result.is_some_and(Value::is_array);
    let both_texts = head.is_some_and(Value::is_string) && result.is_some_and(Value::is_string);
    if both_lists || both_texts {
        return Ok(());
    }
    fail("later work is lost")
}

/// Every comment that was written after the bad change is there still.
fn comments_stay(bad: &str, head: &str, result: &str) -> Result<(), String> {
    let lost = head
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with('#') && !bad.contains(line) && !result.contains(line));
    lost.map_or(Ok(()), |line| Err(format!("the comment {line:?} is lost")))
}

/// Undoes, and judges what comes.
fn judged(good: &str, bad: &str, head: &str) -> Result<Undone, String> {
    let done = undo(good, bad, head);
    if head == bad {
        return if done.text == good {
            Ok(done)
        } else {
            Err(format!("not the good text: {:?}", done.text))
        };
    }
    if done.class == UndoClass::Refused || done.class == UndoClass::NothingLeft {
        return if done.text == head {
            Ok(done)
        } else {
            Err("something was written".to_owned())
        };
    }
    let texts =
        [good, bad, head, &done.text].map(|text| Manifest::parse(text).map_err(|e| e.to_string()));
    let [good, bad, head, result] = texts;
    let (good, bad, head, result) = (good?, bad?, head?, result?);
    if [&good, &bad, &head, &result]
        .iter()
        .all(|text| text.documents().len() == 1)
    {
        let roots = [
            root_of(&good),
            root_of(&bad),
            root_of(&head),
            root_of(&result),
        ];
        let [a, b, c, d] = &roots;
        judge(
            &Path::default(),
            [Some(a), Some(b), Some(c), Some(d)],
            &done.superseded,
        )?;
    }
    comments_stay(bad.text(), head.text(), result.text())?;
    Ok(done)
}

/// A text, the same with one edit, and that with another one.
fn history(bytes: &[u8]) -> Option<[String; 3]> {
    let mut dice = Dice::new(bytes);
    let mut choose =
        || -> [u8; 6] { std::array::from_fn(|_| u8::try_from(dice.roll(256)).unwrap_or(0)) };
    let (first, second) = (choose(), choose());
    let good = generate::manifest(&mut dice);
    let next = |text: &str, choice: &[u8]| {
        let manifest = Manifest::parse(text).ok()?;
        let edit = edit(&mut Dice::new(choice), &root_of(&manifest));
        Some(manifest.edit(&Address::document(0), &[edit]).ok()?.text)
    };
    let bad = next(&good, &first)?;
    let head = next(&bad, &second)?;
    Some([good, bad, head])
}

/// Puts one field back from an older text; what comes is exactly that.
fn restored(now: &str, then: &str, choice: usize) {
    let (Ok(now), Ok(then)) = (Manifest::parse(now), Manifest::parse(then)) else {
        return;
    };
    let document = Address::document(0);
    if now.documents().is_empty() || then.documents().is_empty() {
        return;
    }
    let (new, old) = (root_of(&now), root_of(&then));
    let shared: Vec<Path> = paths(&new)
        .into_iter()
        .filter(|path| !path.is_empty() && then.value(&document, path).is_some())
        .collect();
    if shared.is_empty() {
        return;
    }
    let path = shared[choice % shared.len()].clone();
    let restore = Edit::Restore {
        path: path.clone(),
        from: &then,
        from_address: document,
    };
    let Ok(edited) = now.edit(&document, &[restore]) else {
        return;
    };
    let mut expected = new;
    *at(&mut expected, &path) = at(&mut old.clone(), &path).clone();
    let again = Manifest::parse(&*edited.text).unwrap();
    assert!(
        same(&root_of(&again), &expected),
        "{:?} from {:?} at {path}: {:?}",
        now.text(),
        then.text(),
        edited.text
    );
}

fn may_refuse(reason: &str, texts: &[String; 3]) -> bool {
    let open_end = |text: &String| !text.ends_with('\n') && text.contains(['|', '>']);
    // A scalar that keeps its blank lines takes those of what stood behind it.
    let keeps = |text: &String| text.contains("|+") || text.contains(">+");
    texts.iter().any(|text| text.contains(['&', '*']))
        || texts.iter().any(keeps)
        || texts.iter().any(open_end)
        || reason.contains("comment")
}

proptest! {
    #![proptest_config(cases(1_500))]

    #[test]
    fn one_edit_is_taken_back_and_the_other_stays(bytes in vec(any::<u8>(), 0..120)) {
        let Some(texts) = history(&bytes) else { return Ok(()) };
        let [good, bad, head] = &texts;
        match judged(good, bad, head) {
            Err(why) => prop_assert!(false, "{why}\ngood {good:?}\nbad  {bad:?}\nhead {head:?}\ngave {:?}", undo(good, bad, head)),
            Ok(done) => {
                if let Some(reason) = &done.reason {
                    prop_assert!(may_refuse(reason, &texts), "{reason}\ngood {good:?}\nbad  {bad:?}\nhead {head:?}");
                }
                // The undo itself can be undone, to the byte.
                let again = undo(head, &done.text, &done.text);
                prop_assert_eq!(&again.text, head);
                let none = undo(good, bad, good);
                prop_assert_eq!(&none.text, good);
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn an_undo_is_undone_and_later_work_stays(bytes in vec(any::<u8>(), 0..120), later in any::<[u8; 6]>()) {
        // The undo of `bad` gave `undone`; then came `head`; the undo of the undo keeps that.
        let Some([good, bad, now]) = history(&bytes) else { return Ok(()) };
        let undone = undo(&good, &bad, &now);
        let Ok(manifest) = Manifest::parse(&*undone.text) else { return Ok(()) };
        let edit = edit(&mut Dice::new(&later), &root_of(&manifest));
        let Ok(head) = manifest.edit(&Address::document(0), &[edit]) else { return Ok(()) };
        if let Err(why) = judged(&now, &undone.text, &head.text) {
            prop_assert!(false, "{why}\ngood {now:?}\nbad  {:?}\nhead {:?}\ngave {:?}", undone.text, head.text, undo(&now, &undone.text, &head.text));
        }
    }

    #[test]
    fn damaged_texts_are_never_undone_wrongly(
        bytes in vec(any::<u8>(), 0..120),
        damage in vec((0..3_usize, any::<u16>(), any::<u8>()), 1..6),
        choice in any::<u16>(),
    ) {
        let Some(mut texts) = history(&bytes) else { return Ok(()) };
        for (which, place, what) in damage {
            let text = &mut texts[which];
            let mut at = usize::from(place) % (text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            let mut to = (at + usize::from(what >> 5)).min(text.len());
            while !text.is_char_boundary(to) {
                to += 1;
            }
            text.replace_range(at..to, BITS[usize::from(what & 31) % BITS.len()]);
        }
        restored(&texts[2], &texts[0], usize::from(choice));
        let [good, bad, head] = &texts;
        if let Err(why) = judged(good, bad, head) {
            prop_assert!(false, "{why}\ngood {good:?}\nbad  {bad:?}\nhead {head:?}\ngave {:?}", undo(good, bad, head));
        }
    }
}
