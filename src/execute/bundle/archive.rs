//! A folder as one `.tar.gz`.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use super::folder::hex;
use crate::report::BundleFile;

/// Packs a folder into an archive whose entries lie below the folder's own name, in
/// order, readable by whoever unpacks it. It gets its name when it is complete.
///
/// # Errors
/// When something cannot be read or written; no archive is left then.
pub fn pack(folder: &Path, archive: &Path) -> io::Result<BundleFile> {
    let mut name = archive.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let packed = write(folder, &part).and_then(|file| {
        std::fs::rename(&part, archive)?;
        Ok(file)
    });
    if packed.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    let (bytes, sha256) = packed?;
    Ok(BundleFile {
        path: archive.display().to_string(),
        bytes,
        sha256,
        cut: None,
    })
}

/// Writes through, counting and hashing.
struct Counted<W> {
    inner: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(piece)?;
        self.hash.update(&piece[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn write(folder: &Path, part: &Path) -> io::Result<(u64, String)> {
    let counted = Counted {
        inner: BufWriter::new(File::create(part)?),
        hash: Sha256::new(),
        bytes: 0,
    };
    let mut tar = tar::Builder::new(GzEncoder::new(counted, Compression::default()));
    let top = PathBuf::from(folder.file_name().unwrap_or_default());
    let mut files = Vec::new();
    list(folder, &mut files)?;
    files.sort();
    for path in files {
        let below = path.strip_prefix(folder).map_err(io::Error::other)?;
        let file = File::open(&path)?;
        let meta = file.metadata()?;
        let mut header = tar::Header::new_gnu();
        header.set_size(meta.len());
        header.set_mode(0o644);
        let age = meta.modified()?.duration_since(UNIX_EPOCH);
        header.set_mtime(age.map_or(0, |age| age.as_secs()));
        tar.append_data(&mut header, top.join(below), file.take(meta.len()))?;
    }
    let mut counted = tar.into_inner()?.finish()?;
    counted.flush()?;
    counted.inner.get_ref().sync_all()?;
    Ok((counted.bytes, hex(&counted.hash.finalize())))
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            list(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("bundle");
        std::fs::create_dir_all(folder.join("logs/p")).unwrap();
        std::fs::write(folder.join("manifest.json"), "{}").unwrap();
        std::fs::write(folder.join("logs/p/main.log"), "x".repeat(100_000)).unwrap();
        let archive = place.path().join("bundle.tar.gz");
        let made = pack(&folder, &archive).unwrap();
        let bytes = std::fs::read(&archive).unwrap();
        assert_eq!(made.bytes, bytes.len() as u64);
        assert_eq!(made.sha256, hex(&Sha256::digest(&bytes)));
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
        let mut seen = Vec::new();
        for entry in tar.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let path = entry.path().unwrap().display().to_string();
            seen.push((path, text.len(), entry.header().mode().unwrap()));
        }
        let wanted = [
            ("bundle/logs/p/main.log".to_owned(), 100_000, 0o644),
            ("bundle/manifest.json".to_owned(), 2, 0o644),
        ];
        assert_eq!(seen, wanted);
        // The same again where the archive cannot be: nothing is left.
        let nowhere = place.path().join("none/bundle.tar.gz");
        assert!(pack(&folder, &nowhere).is_err());
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 2);
    }
}
