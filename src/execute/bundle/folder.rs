//! The files of a bundle: what is written, what is missing, nothing half as if whole.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufWriter};

use crate::report::{BundleFile, BundleManifest, Missing};

/// Ending of a file that is still being written.
const PART: &str = ".part";
/// Ending of a file that is not complete.
const CUT: &str = ".cut";
const MANIFEST: &str = "manifest.json";
/// Room for the manifest, taken first where the disk may fill up.
const RESERVE: usize = 64 << 10;

#[derive(Debug, Default)]
struct Kept {
    files: Vec<BundleFile>,
    missing: Vec<Missing>,
    unwritten: Option<String>,
}

/// A folder that is being filled.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    greedy: bool,
    /// It could not even be begun: nothing is written into it.
    dead: bool,
    kept: Mutex<Kept>,
}

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Writer {
    name: String,
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

impl Writer {
    /// Appends a text.
    pub(super) async fn write(&mut self, text: &str) -> io::Result<()> {
        self.hash.update(text.as_bytes());
        self.bytes += text.len() as u64;
        self.file.write_all(text.as_bytes()).await
    }

    /// Bytes so far.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// A name that stays in its folder, whatever the API server calls its objects.
pub(super) fn file_name(text: &str) -> String {
    let safe: String = text
        .chars()
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') => c,
            _ => '_',
        })
        .collect();
    if safe.is_empty() || safe.starts_with('.') {
        format!("_{safe}")
    } else {
        safe
    }
}

impl Folder {
    /// Begins in a folder, which is made where it is not there. `greedy`: all room may
    /// be used. Then the manifest's part is taken at once, so that it fits onto a disk
    /// that fills up, and what arrived of a file there is kept. Else such a file is
    /// removed: a journal on the same disk needs the room more.
    pub(super) async fn begin(path: &Path, greedy: bool) -> Self {
        let mut folder = Self {
            path: path.to_owned(),
            greedy,
            dead: false,
            kept: Mutex::default(),
        };
        let made = async {
            tokio::fs::create_dir_all(path).await?;
            folder.take_over().await;
            // A manifest of an earlier attempt would vouch for what is written now.
            match tokio::fs::remove_file(path.join(MANIFEST)).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            if greedy {
                let room = " ".repeat(RESERVE);
                let part = path.join(format!("{MANIFEST}{PART}"));
                if let Err(error) = tokio::fs::write(&part, room).await {
                    let _ = tokio::fs::remove_file(&part).await;
                    return Err(error);
                }
            }
            Ok(())
        };
        if let Err(error) = made.await {
            folder.refused("the folder", &error);
            folder.dead = true;
        }
        folder
    }

    /// What an earlier attempt saved here stays, and stays listed: logs of pods that are
    /// gone by now are nowhere else.
    async fn take_over(&self) {
        let text = tokio::fs::read_to_string(self.path.join(MANIFEST)).await;
        let before = text
            .ok()
            .and_then(|text| serde_json::from_str::<BundleManifest>(&text).ok());
        let files = before.map(|manifest| manifest.files).unwrap_or_default();
        let there = files
            .into_iter()
            .filter(|file| self.path.join(&file.path).is_file());
        self.kept().files.extend(there);
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that something is missing; said twice it stands once.
    pub(super) fn missing(&self, what: impl Into<String>, reason: impl Into<String>) {
        let missing = Missing {
            what: what.into(),
            reason: reason.into(),
        };
        let mut kept = self.kept();
        if !kept.missing.contains(&missing) {
            kept.missing.push(missing);
        }
    }

    fn refused(&self, name: &str, error: &io::Error) {
        let reason = in_words(error);
        self.missing(name, reason.clone());
        let place = self.path.display();
        self.kept()
            .unwritten
            .get_or_insert_with(|| format!("{name} in {place} could not be written: {reason}"));
    }

    /// Begins a file; `None` when the disk refused, which is noted.
    pub(super) async fn open(&self, name: &str) -> Option<Writer> {
        if self.dead {
            return None;
        }
        let place = self.path.join(format!("{name}{PART}"));
        let opened = async {
            if let Some(parent) = place.parent() {
                tokio::fs::create_dir_all(parent).await?;
            }
            File::create(&place).await
        };
        match opened.await {
            Ok(file) => Some(Writer {
                name: name.to_owned(),
                file: BufWriter::with_capacity(64 << 10, file),
                hash: Sha256::new(),
                bytes: 0,
            }),
            Err(error) => {
                self.refused(name, &error);
                None
            }
        }
    }

    /// Ends a file that is complete.
    pub(super) async fn finish(&self, mut writer: Writer) {
        // Only the flush tells of a write that failed late.
        if let Err(error) = writer.file.flush().await {
            return self.failed(writer, &error).await;
        }
        if let Err(error) = self.settle(&writer, &writer.name, None).await {
            self.failed(writer, &error).await;
        }
    }

    /// Ends a file that is not complete: its name says so. An empty one is removed.
    pub(super) async fn cut(&self, mut writer: Writer, reason: &str) {
        if let Err(error) = writer.file.flush().await {
            return self.failed(writer, &error).await;
        }
        if writer.bytes == 0 {
            self.missing(writer.name.clone(), reason);
            self.drop_part(&writer.name).await;
            return;
        }
        self.missing(format!("the rest of {}", writer.name), reason);
        let name = format!("{}{CUT}", writer.name);
        if let Err(error) = self.settle(&writer, &name, Some(reason.to_owned())).await {
            self.failed(writer, &error).await;
        }
    }

    /// Ends a file that the disk did not take to its end.
    pub(super) async fn failed(&self, mut writer: Writer, error: &io::Error) {
        self.refused(&writer.name, error);
        let part = self.path.join(format!("{}{PART}", writer.name));
        // What arrived is only known by looking: the writer counts what it was given.
        let arrived = if self.greedy {
            hash_of(&part).await
        } else {
            None
        };
        match arrived {
            Some((hash, bytes)) if bytes > 0 => {
                (writer.hash, writer.bytes) = (hash, bytes);
                let name = format!("{}{CUT}", writer.name);
                if self
                    .settle(&writer, &name, Some(in_words(error)))
                    .await
                    .is_err()
                {
                    self.drop_part(&writer.name).await;
                }
            }
            _ => self.drop_part(&writer.name).await,
        }
    }

    async fn drop_part(&self, name: &str) {
        let _ = tokio::fs::remove_file(self.path.join(format!("{name}{PART}"))).await;
    }

    async fn settle(&self, writer: &Writer, name: &str, cut: Option<String>) -> io::Result<()> {
        let from = self.path.join(format!("{}{PART}", writer.name));
        tokio::fs::rename(&from, self.path.join(name)).await?;
        let mut kept = self.kept();
        kept.files.retain(|file| file.path != name);
        kept.files.push(BundleFile {
            path: name.to_owned(),
            bytes: writer.bytes,
            sha256: hex(&writer.hash.clone().finalize()),
            cut,
        });
        Ok(())
    }

    /// Writes a whole file.
    pub(super) async fn save(&self, name: &str, text: &str) {
        let Some(mut writer) = self.open(name).await else {
            return;
        };
        match writer.write(text).await {
            Ok(()) => self.finish(writer).await,
            Err(error) => self.failed(writer, &error).await,
        }
    }

    /// The files by path, what is missing, and the first refusal of the disk.
    pub(super) fn state(&self) -> (Vec<BundleFile>, Vec<Missing>, Option<String>) {
        let kept = self.kept();
        let mut files = kept.files.clone();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        (files, kept.missing.clone(), kept.unwritten.clone())
    }

    /// Writes the manifest, last: without it nobody takes the folder for whole.
    pub(super) async fn write_manifest(&self, text: &str) {
        if self.dead {
            return;
        }
        let part = self.path.join(format!("{MANIFEST}{PART}"));
        let written = async {
            // Not emptied first: the room that was taken for it stays taken.
            let mut file = tokio::fs::OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(false)
                .open(&part)
                .await?;
            file.write_all(text.as_bytes()).await?;
            file.flush().await?;
            file.set_len(text.len() as u64).await?;
            if self.greedy {
                // Before something acts nothing waits for the disk.
                file.sync_all().await?;
            }
            drop(file);
            tokio::fs::rename(&part, self.path.join(MANIFEST)).await
        };
        if let Err(error) = written.await {
            self.refused(MANIFEST, &error);
            let _ = tokio::fs::remove_file(&part).await;
        }
    }
}

/// Hash and size of what is on the disk.
async fn hash_of(path: &Path) -> Option<(Sha256, u64)> {
    let mut file = File::open(path).await.ok()?;
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let mut piece = vec![0; 64 << 10];
    loop {
        let count = file.read(&mut piece).await.ok()?;
        if count == 0 {
            return Some((hash, bytes));
        }
        hash.update(&piece[..count]);
        bytes += count as u64;
    }
}

fn in_words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_an_earlier_attempt_saved_stays_listed() {
        let place = tempfile::tempdir().unwrap();
        let first = Folder::begin(place.path(), false).await;
        for name in ["kept", "replaced", "gone"] {
            first.save(name, "old").await;
        }
        let text = serde_json::json!({"apiVersion": "unship/v1", "kind": "BundleManifest",
            "program": "0", "target": {"kind": "", "namespace": "", "name": ""},
            "cluster": {"server": "", "context": null}, "application": null,
            "at": "2026-01-01T00:00:00Z", "seconds": 1.0, "missing": [], "files": first.state().0,
            "options": {"profile": "quick", "logs": true, "tailLines": 1, "sinceSeconds": null,
                "limitSeconds": null, "metricsUrl": null}});
        first.write_manifest(&text.to_string()).await;
        std::fs::remove_file(place.path().join("gone")).unwrap();
        let second = Folder::begin(place.path(), false).await;
        second.save("replaced", "newer").await;
        let files = second.state().0;
        let sizes: Vec<(&str, u64)> = files.iter().map(|f| (f.path.as_str(), f.bytes)).collect();
        assert_eq!(sizes, [("kept", 3), ("replaced", 5)]);
    }

    #[test]
    fn names_stay_in_the_folder() {
        assert_eq!(file_name("zai-proxy-7d9.x"), "zai-proxy-7d9.x");
        assert_eq!(file_name("../a/b"), "_.._a_b");
        assert_eq!(file_name(""), "_");
    }

    #[tokio::test]
    async fn whole_cut_and_missing() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::begin(place.path(), true).await;
        folder.save("a/whole.txt", "abc").await;
        let mut writer = folder.open("half.txt").await.unwrap();
        writer.write("x").await.unwrap();
        folder.cut(writer, "it broke").await;
        let empty = folder.open("empty.txt").await.unwrap();
        folder.cut(empty, "nothing came").await;
        folder.missing("a", "b");
        folder.missing("a", "b");
        // A folder where a file should be: the disk refuses.
        std::fs::create_dir(place.path().join("odd.part")).unwrap();
        folder.save("odd", "x").await;
        let (files, missing, unwritten) = folder.state();
        let names: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(names, ["a/whole.txt", "half.txt.cut"]);
        assert_eq!(files[0].bytes, 3);
        assert!(files[0].sha256.starts_with("ba7816bf") && files[0].cut.is_none());
        assert_eq!(files[1].cut.as_deref(), Some("it broke"));
        let what: Vec<&str> = missing.iter().map(|gap| gap.what.as_str()).collect();
        assert_eq!(what, ["the rest of half.txt", "empty.txt", "a", "odd"]);
        assert!(unwritten.unwrap().contains("odd in "));
        folder.write_manifest("{}").await;
        let read = |name: &str| std::fs::read_to_string(place.path().join(name)).ok();
        assert_eq!(read(MANIFEST).as_deref(), Some("{}"));
        for gone in [
            "half.txt",
            "half.txt.part",
            "empty.txt.part",
            "manifest.json.part",
        ] {
            assert_eq!(read(gone), None, "{gone}");
        }
        let nowhere = place.path().join("half.txt.cut/x");
        let dead = Folder::begin(&nowhere, true).await;
        dead.save("a", "b").await;
        dead.write_manifest("{}").await;
        let (files, missing, unwritten) = dead.state();
        assert_eq!(
            (files.len(), missing.len(), unwritten.is_some()),
            (0, 1, true)
        );
        // Beginning again takes the old manifest away; what it listed is listed again.
        let again = Folder::begin(place.path(), false).await;
        assert_eq!(read(MANIFEST), None);
        assert!(again.state().0.is_empty(), "no manifest of ours was there");
    }
}
