//! A text without one of its objects.

use serde_json::Value;

use super::document::Manifest;
use super::edit::Edit;
use super::error::EditError;
use super::objects::Address;
use super::path::{Path, Step};
use super::split::is_marker;
use super::text::lines;

impl Manifest {
    /// The text without an object; every other byte stays. `None` where nothing but comments
    /// would be left.
    ///
    /// Comment lines before the first `---` speak of the whole file and stay; comments behind a
    /// document's own `---`, or in a file without one, go with it.
    ///
    /// # Errors
    /// When the address names nothing, or what is left would not read as before.
    pub fn without(&self, address: &Address) -> Result<Option<String>, EditError> {
        if let Some(item) = address.item
            && self.objects_of(address.document) > 1
        {
            let list = Address::document(address.document);
            let path = Path::new(vec![Step::Key("items".to_owned()), Step::Index(item)]);
            return self
                .edit(&list, &[Edit::Remove { path }])
                .map(|edited| Some(edited.text));
        }
        let (document, _) = self.tree(address)?;
        let span = document.span();
        let start = match address.document {
            0 => span.start + before_marker(&self.text()[span.clone()]),
            _ => span.start,
        };
        let others = || {
            self.documents()
                .iter()
                .enumerate()
                .filter(|(place, other)| *place != address.document && !other.is_empty())
        };
        if others().next().is_none() {
            return Ok(None);
        }
        let text = format!("{}{}", &self.text()[..start], &self.text()[span.end..]);
        let left = Self::parse(text.as_str()).map_err(EditError::Unreadable)?;
        let whole = Path::new(Vec::new());
        let before: Vec<Option<Value>> = others()
            .map(|(place, _)| self.value(&Address::document(place), &whole))
            .collect();
        let after: Vec<Option<Value>> = left
            .documents()
            .iter()
            .enumerate()
            .filter(|(_, other)| !other.is_empty())
            .map(|(place, _)| left.value(&Address::document(place), &whole))
            .collect();
        if before != after {
            return Err(EditError::NoSuchObject(format!(
                "{address} cannot be cut out: the others would not read as before"
            )));
        }
        Ok(Some(text))
    }

    fn objects_of(&self, document: usize) -> usize {
        self.objects()
            .iter()
            .filter(|object| object.address.document == document)
            .count()
    }
}

/// The bytes of a first document before its `---`; 0 where it has none.
fn before_marker(text: &str) -> usize {
    let mut at = 0;
    for line in lines(text) {
        if is_marker(line, "---") {
            return at;
        }
        if !line.trim_start().starts_with('#') && !line.trim().is_empty() {
            return 0;
        }
        at += line.len();
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "kind: A\nmetadata: {name: a}\n";
    const B: &str = "# b's own\nkind: B\nmetadata: {name: b}\n";

    fn without(text: &str, document: usize, item: Option<usize>) -> Option<String> {
        let manifest = Manifest::parse(text).unwrap();
        manifest.without(&Address { document, item }).unwrap()
    }

    #[test]
    fn the_other_documents_keep_their_bytes() {
        let text = format!("# of the file\n---\n{A}---\n{B}---\r\nkind: C\r\n");
        let cut = |place| without(&text, place, None).unwrap();
        assert_eq!(cut(0), format!("# of the file\n---\n{B}---\r\nkind: C\r\n"));
        assert_eq!(cut(1), format!("# of the file\n---\n{A}---\r\nkind: C\r\n"));
        assert_eq!(cut(2), format!("# of the file\n---\n{A}---\n{B}"));
        let text = format!("\u{feff}# a's own\n{A}---\n{B}");
        assert_eq!(
            without(&text, 0, None).unwrap(),
            format!("\u{feff}---\n{B}")
        );
        let text = format!("{A}...\n# x\n---\n{B}");
        assert_eq!(without(&text, 0, None).unwrap(), format!("# x\n---\n{B}"));
    }

    #[test]
    fn a_file_with_nothing_else_is_gone() {
        for text in [A.to_owned(), format!("# c\n---\n{A}---\n# nothing\n")] {
            assert_eq!(without(&text, 0, None), None, "{text}");
        }
        let list = "kind: List\nitems:\n- kind: A\n  metadata: {name: a}\n";
        assert_eq!(without(list, 0, Some(0)), None);
    }

    #[test]
    fn an_item_of_a_list_leaves_the_others() {
        let item = |name: &str| format!("- kind: A\n  metadata: {{name: {name}}}\n");
        let head = "kind: List\nitems:\n";
        let text = format!("{head}{}{}", item("a"), item("b"));
        assert_eq!(
            without(&text, 0, Some(0)),
            Some(format!("{head}{}", item("b")))
        );
    }

    #[test]
    fn an_address_that_names_nothing_is_an_error() {
        let manifest = Manifest::parse(A).unwrap();
        assert!(manifest.without(&Address::document(3)).is_err());
    }
}
