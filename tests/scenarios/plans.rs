//! What the identities' plans said that they would write, kept for the judge: a file for each
//! identity, one write a line. Whatever an identity wrote beyond that turns the judge red.

use std::io::Write as _;
use std::path::PathBuf;

use serde_json::Value;

/// The folder of the lists.
pub(crate) struct Plans {
    folder: PathBuf,
}

impl Plans {
    /// Lists in this folder, which is made.
    pub(crate) fn new(folder: PathBuf) -> Self {
        std::fs::create_dir_all(&folder).expect("a folder for the plans");
        Self { folder }
    }

    /// Adds writes to the lists of some identities.
    pub(crate) fn add<'i>(&self, identities: impl IntoIterator<Item = &'i str>, writes: &[String]) {
        if writes.is_empty() {
            return;
        }
        let lines: String = writes.iter().map(|write| format!("{write}\n")).collect();
        for identity in identities {
            // One append, so that scenarios that run at the same time do not mix their lines.
            let mut file = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(self.folder.join(format!("{identity}.txt")))
                .expect("the list of an identity");
            file.write_all(lines.as_bytes())
                .expect("the list is written");
        }
    }
}

/// The writes of a plan, wherever in a document it is.
pub(crate) fn writes(document: &Value) -> Vec<String> {
    let of_field = |(name, value): (&String, &Value)| match (name.as_str(), value.as_array()) {
        ("writes", Some(list)) => list
            .iter()
            .filter_map(|write| write.as_str().map(str::to_owned))
            .collect(),
        _ => writes(value),
    };
    match document {
        Value::Object(fields) => fields.iter().flat_map(of_field).collect(),
        Value::Array(items) => items.iter().flat_map(writes).collect(),
        _ => Vec::new(),
    }
}
