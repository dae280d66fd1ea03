//! `unship patch-file`: the lossless editor as plumbing, offline.

use std::io::{Read as _, Write as _};
use std::path::{Path as FilePath, PathBuf};

use super::args::object;
use super::failure::Failure;
use super::ui::{Ui, out};
use super::undo_file;
use crate::exit::ExitStatus;
use crate::manifest::{
    Address, DiffOptions, Edit, Manifest, Path, parse_patch, parse_set, unified_diff,
};

/// Arguments of `unship patch-file`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  unship patch-file zai-proxy.yml --document Deployment/zai-proxy --set spec.replicas=0\n  unship patch-file zai-proxy.yml --document Deployment/zai-proxy --set 'spec.template.spec.containers[proxy].image=nginx:1.27' --write\n  unship patch-file zai-proxy.yml --undo --from 3f2c1d0 --to 3f2c1d0~1\n\nExit codes:\n  0  edited, or already so\n  2  bad path or patch\n  3  refused, the file is untouched"
)]
pub(super) struct Args {
    /// The file
    file: PathBuf,
    /// The object, when the file has several
    #[arg(long, value_name = "KIND/NAME", conflicts_with = "index")]
    document: Option<String>,
    /// The document by its number in the stream, from 0
    #[arg(long, value_name = "N")]
    index: Option<usize>,
    /// RFC 6902 operations; "-" reads standard input
    #[arg(long, value_name = "JSON")]
    patch: Option<String>,
    /// Set a field (may be repeated)
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Put a subtree back with the old file's own text (may be repeated)
    #[arg(long, value_name = "PATH", requires = "from")]
    restore: Vec<String>,
    /// The old file for --restore; for --undo the file as the bad change left it, or its commit
    #[arg(long, value_name = "OLDFILE|BAD")]
    from: Option<PathBuf>,
    /// Take one change back and keep all later edits, field by field
    #[arg(long, requires_all = ["from", "to"], conflicts_with_all = ["document", "index", "patch", "set", "restore"])]
    undo: bool,
    /// For --undo: the file as it was before the bad change, or that commit
    #[arg(long, value_name = "GOOD", requires = "undo")]
    to: Option<PathBuf>,
    /// Write the file, atomically
    #[arg(long, conflicts_with = "stdout")]
    write: bool,
    /// Print the resulting file instead of the diff
    #[arg(long)]
    stdout: bool,
}

/// Runs it.
pub(super) fn run(args: &Args, ui: Ui) -> Result<ExitStatus, Failure> {
    if args.undo
        && let (Some(bad), Some(good)) = (&args.from, &args.to)
    {
        let wish = undo_file::Wish {
            file: &args.file,
            bad,
            good,
            write: args.write,
            stdout: args.stdout,
        };
        return undo_file::run(&wish, ui);
    }
    if args.patch.is_none() && args.set.is_empty() && args.restore.is_empty() {
        return Err(Failure::usage(
            "nothing to do: give --patch, --set, --restore or --undo",
        ));
    }
    let text = read(&args.file)?;
    let manifest = parse(&args.file, &text)?;
    let address = address(&manifest, args)?;
    let old = args
        .from
        .as_deref()
        .map(|path| old_file(path, args))
        .transpose()?;
    let edits = edits(args, &manifest, &address, old.as_ref())?;
    let edited = manifest.edit(&address, &edits).map_err(|error| {
        let message = format!("{}: {error}", args.file.display());
        if error.is_bad_request() {
            Failure::usage(message)
        } else {
            Failure::refused(message)
        }
    })?;
    if args.stdout {
        out(&edited.text);
    } else if args.write {
        if edited.text == text {
            ui.note(&format!("{} is already so", args.file.display()));
        } else {
            write(&args.file, &edited.text)?;
        }
    } else {
        // What is printed is the user's own file: nothing is masked, or the diff could not be applied.
        let options = DiffOptions {
            mask_env_values: false,
            ..DiffOptions::default()
        };
        out(&unified_diff(
            &args.file.to_string_lossy(),
            &text,
            &edited.text,
            options,
        ));
    }
    Ok(ExitStatus::Success)
}

pub(super) fn read(path: &FilePath) -> Result<String, Failure> {
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    String::from_utf8(bytes)
        .map_err(|_| Failure::refused(format!("{} is not UTF-8", path.display())))
}

fn parse(path: &FilePath, text: &str) -> Result<Manifest, Failure> {
    Manifest::parse(text).map_err(|error| Failure::refused(format!("{}: {error}", path.display())))
}

fn address(manifest: &Manifest, args: &Args) -> Result<Address, Failure> {
    let file = args.file.display();
    if let Some(index) = args.index {
        if index >= manifest.documents().len() {
            return Err(Failure::usage(format!(
                "{file} has {} documents, none with index {index}",
                manifest.documents().len()
            )));
        }
        return Ok(Address::document(index));
    }
    let objects = manifest.objects();
    let found: Vec<_> = match &args.document {
        Some(word) => {
            let (kind, name) = object(word).map_err(Failure::usage)?;
            objects
                .iter()
                .filter(|o| o.kind.eq_ignore_ascii_case(&kind) && o.name == name)
                .collect()
        }
        None => objects.iter().collect(),
    };
    match found.as_slice() {
        [one] => Ok(one.address),
        [] if args.document.is_none() && manifest.documents().len() == 1 => {
            Ok(Address::document(0))
        }
        [] => Err(Failure::usage(format!("{file} has no such object")).hint(names(&objects))),
        many if args.document.is_some() => {
            let lines: Vec<String> = many.iter().map(|o| o.line.to_string()).collect();
            Err(Failure::refused(format!(
                "{file} has it {} times (lines {})",
                many.len(),
                lines.join(", ")
            )))
        }
        _ => Err(Failure::usage(format!(
            "{file} has several objects: say which with --document"
        ))
        .hint(names(&objects))),
    }
}

fn names(objects: &[crate::manifest::Object]) -> String {
    let words: Vec<String> = objects
        .iter()
        .take(12)
        .map(|o| format!("{}/{}", o.kind, o.name))
        .collect();
    format!("it has {}", words.join(", "))
}

/// The old file with the same object in it.
fn old_file(path: &FilePath, args: &Args) -> Result<(Manifest, Address), Failure> {
    let old = parse(path, &read(path)?)?;
    let named = Args {
        file: path.to_owned(),
        document: args.document.clone(),
        index: args.index,
        patch: None,
        set: Vec::new(),
        restore: Vec::new(),
        from: None,
        undo: false,
        to: None,
        write: false,
        stdout: false,
    };
    let address = address(&old, &named)?;
    Ok((old, address))
}

fn edits<'a>(
    args: &Args,
    manifest: &Manifest,
    address: &Address,
    old: Option<&'a (Manifest, Address)>,
) -> Result<Vec<Edit<'a>>, Failure> {
    let mut edits: Vec<Edit<'a>> = Vec::new();
    if let Some(patch) = &args.patch {
        let json = if patch == "-" {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|e| Failure::usage(format!("standard input: {e}")))?;
            text
        } else {
            patch.clone()
        };
        edits.extend(parse_patch(&json).map_err(|error| Failure::usage(error.to_string()))?);
    }
    for assignment in &args.set {
        edits.push(
            parse_set(manifest, address, assignment)
                .map_err(|error| Failure::usage(error.to_string()))?,
        );
    }
    for text in &args.restore {
        let path: Path = text
            .parse()
            .map_err(|error| Failure::usage(format!("{text}: {error}")))?;
        let Some((from, from_address)) = old else {
            continue;
        };
        edits.push(Edit::Restore {
            path,
            from,
            from_address: *from_address,
        });
    }
    Ok(edits)
}

/// Writes beside the file and renames, keeping its permissions; a symbolic link's
/// target is written, not the link.
pub(super) fn write(path: &FilePath, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::error(format!("{}: {error}; it is untouched", path.display()))
    };
    let place = std::fs::canonicalize(path).map_err(failed)?;
    let folder = place.parent().unwrap_or(FilePath::new("."));
    let permissions = std::fs::metadata(&place).map_err(failed)?.permissions();
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.as_file()
        .set_permissions(permissions)
        .map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(&place).map_err(|error| failed(error.error))?;
    Ok(())
}
