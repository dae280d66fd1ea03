//! Clones of our own, kept in the cache folder, for repositories that the user has no
//! clone of.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::error::{GitError, RemoteErrorKind};
use super::path::RepositoryPath;
use super::program::{Call, Git};
use super::url::RemoteUrl;

impl Git {
    /// A bare clone of a repository in the cache folder, with the branches of its
    /// remote `origin` under `refs/remotes/origin/`. Made when there is none, by one
    /// process at a time; an existing one is given as it is, to be fetched. The
    /// address's credentials are kept in memory and written nowhere.
    ///
    /// # Errors
    /// [`GitError::Remote`] with its kind, [`GitError::Io`], and those of opening it.
    pub async fn clone_to_cache(
        &self,
        url: &RemoteUrl,
        cache_dir: &Path,
    ) -> Result<RepositoryPath, GitError> {
        let limits = self.limits();
        let (folder, name) = (cache_dir.join("git"), clone_name(url));
        let place = folder.join(format!("{name}.git"));
        let path = self.cached(url, &place);
        if is_complete(&place) {
            return Ok(path);
        }
        let io = |doing: &str| {
            let doing = format!("{doing} {}", folder.display());
            move |error| GitError::io(doing, error)
        };
        private_folder(&folder).map_err(io("cannot make the folder"))?;
        let lock = File::create(folder.join(format!("{name}.lock")))
            .map_err(io("cannot make a lock file in"))?;
        wait_for(&lock, limits.clone).await?;
        if is_complete(&place) {
            return Ok(path);
        }
        // Whoever looks without the lock sees a whole clone or none. What a killed maker
        // left is removed by the next one.
        let new = folder.join(format!(".{name}.new"));
        let clear = || match std::fs::remove_dir_all(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        clear().map_err(io("cannot clear a folder in"))?;
        if let Err(error) = self.fill(url, &new).await {
            clear().map_err(io("cannot clear a folder in"))?;
            return Err(error);
        }
        std::fs::rename(&new, &place).map_err(io("cannot move the clone into"))?;
        Ok(path)
    }

    fn cached(&self, url: &RemoteUrl, place: &Path) -> RepositoryPath {
        let mut path = RepositoryPath::new(self, place.to_path_buf(), None);
        path.cached = true;
        path.extra = Arc::new(credentials(url));
        if !path.extra.is_empty() {
            // Another address of the same repository may have other credentials.
            path.config = Arc::default();
        }
        path
    }

    async fn fill(&self, url: &RemoteUrl, place: &Path) -> Result<(), GitError> {
        let limits = self.limits();
        let init: [&std::ffi::OsStr; 5] = [
            "init".as_ref(),
            "--bare".as_ref(),
            "--quiet".as_ref(),
            // No template: hooks of the user's are not for a clone of ours.
            "--template=".as_ref(),
            place.as_os_str(),
        ];
        let mut call = Call::new(limits.local, &init);
        // Whatever the default becomes, this clone is read with libgit2.
        call.env = vec![
            ("GIT_DEFAULT_REF_FORMAT".into(), "files".into()),
            ("GIT_DEFAULT_HASH".into(), "sha1".into()),
        ];
        self.run(call).await?.success("init")?;
        let path = self.cached(url, place);
        let address = absolute(url);
        for (key, value) in [
            ("remote.origin.url", address.as_str()),
            ("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"),
        ] {
            let call = path.call(limits.local, &["config", key, value]);
            self.run(call).await?.success("config")?;
        }
        let args = ["fetch", "--quiet", "--no-write-fetch-head", "--", "origin"];
        let mut call = path.remote_call("origin", &args).await?;
        call.limit = limits.clone;
        let doing = "clone from".to_owned();
        match self.run(call).await {
            Ok(ended) if ended.ok => Ok(()),
            Ok(ended) => {
                let kind = RemoteErrorKind::of(&ended.raw_stderr, None);
                Err(path.remote_error("origin", doing, kind, ended.stderr()))
            }
            Err(GitError::TimedOut { seconds, .. }) => {
                let kind = RemoteErrorKind::TimedOut { seconds };
                Err(path.remote_error("origin", doing, kind, String::new()))
            }
            Err(other) => Err(other),
        }
    }
}

/// Clones of private repositories are nobody else's business.
pub(super) fn private_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

pub(super) fn is_complete(place: &Path) -> bool {
    place.join("HEAD").is_file()
}

/// A relative path means another folder for git, which runs inside the clone.
fn absolute(url: &RemoteUrl) -> String {
    if url.is_local()
        && !url.expose().contains("://")
        && let Ok(path) = std::path::absolute(url.path())
    {
        return path.display().to_string();
    }
    url.without_credentials()
}

/// git itself puts the credentials back in: `insteadOf` given through the environment.
fn credentials(url: &RemoteUrl) -> Vec<(String, String)> {
    let without = url.without_credentials();
    if without == url.expose() || url.secrets().is_empty() && !url.expose().contains('@') {
        return Vec::new();
    }
    let key = format!("url.{}.insteadOf", url.expose());
    vec![(key, without)]
}

/// A name that people recognise and that no two repositories share.
pub(super) fn clone_name(url: &RemoteUrl) -> String {
    let normalised = url.normalised();
    let digest = Sha256::digest(normalised.as_bytes());
    let hash: String = digest
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let path = url.path();
    let path = Path::new(path.trim_end_matches('/'));
    let last = path
        .file_stem()
        .map(|name| name.to_string_lossy().into_owned());
    let readable = format!(
        "{}-{}",
        url.host().unwrap_or("local"),
        last.unwrap_or_default()
    );
    let safe: String = readable
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_".contains(c) {
                c
            } else {
                '_'
            }
        })
        .take(60)
        .collect();
    format!("{safe}-{hash}")
}

async fn wait_for(lock: &File, limit: Duration) -> Result<(), GitError> {
    let deadline = Instant::now() + limit;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(TryLockError::WouldBlock) => {
                return Err(GitError::TimedOut {
                    command: "clone".to_owned(),
                    seconds: limit.as_secs(),
                });
            }
            Err(TryLockError::Error(error)) => {
                return Err(GitError::io("cannot lock the clone", error));
            }
        }
    }
}

/// Where a clone of this repository is, or would be, in the cache folder.
impl RemoteUrl {
    /// The folder of this repository's clone in a cache folder.
    #[must_use]
    pub fn cache_place(&self, cache_dir: &Path) -> PathBuf {
        cache_dir
            .join("git")
            .join(format!("{}.git", clone_name(self)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, request, wait};
    use super::*;

    #[test]
    fn made_once_and_used_like_any_clone() {
        let world = World::new();
        let (remote, clone) = world.remote_and_clone();
        world.git(&clone, &["tag", "v1"]);
        world.git(&clone, &["push", "-q", "--tags"]);
        let (git, cache) = (world.program(), world.root().join("cache"));
        let url = RemoteUrl::parse(&format!("file://{}", remote.display())).unwrap();
        let both = wait(async {
            tokio::join!(
                git.clone_to_cache(&url, &cache),
                git.clone_to_cache(&url, &cache)
            )
        });
        let path = both.0.unwrap();
        assert_eq!(path.git_dir(), both.1.unwrap().git_dir());
        assert_eq!(path.git_dir(), url.cache_place(&cache));
        let mode = std::fs::metadata(cache.join("git")).unwrap().permissions();
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777,
            0o700
        );
        let entries = std::fs::read_dir(cache.join("git")).unwrap().count();
        assert_eq!(entries, 2, "the clone and its lock");
        let repository = path.open().unwrap();
        let one = world.id(&clone, "HEAD");
        assert!(repository.is_bare() && path.is_cached_clone());
        assert_eq!(repository.tip("origin", "main").unwrap(), Some(one.clone()));
        assert_eq!(repository.resolve("v1").unwrap(), one);
        assert_eq!(repository.resolve("main").unwrap(), one);

        let two = world.commit(&clone, "apps/web.yaml", "image: web:2\n", "web 2");
        world.git(&clone, &["push", "-q"]);
        let again = wait(git.clone_to_cache(&url, &cache)).unwrap();
        assert_eq!(wait(again.fetch("origin", "main")).unwrap(), two);
        let wanted = request(&two, "apps/web.yaml", b"image: web:1\n");
        let id = repository.write_commit(&wanted).unwrap();
        assert!(wait(again.push("origin", &id, "main")).unwrap().is_there());
        assert_eq!(world.id(&remote, "main"), id);
        assert_eq!(repository.tip("origin", "main").unwrap(), Some(id));
    }

    #[test]
    fn a_clone_that_fails_leaves_nothing_behind() {
        let world = World::new();
        let (git, cache) = (world.program(), world.root().join("cache"));
        let none = world.root().join("none.git");
        let url = RemoteUrl::parse(none.to_str().unwrap()).unwrap();
        // As if a maker had been killed in the middle.
        let half = cache.join("git").join(format!(".{}.new", clone_name(&url)));
        std::fs::create_dir_all(half.join("objects")).unwrap();
        let error = wait(git.clone_to_cache(&url, &cache)).unwrap_err();
        let kind = error.remote_kind().cloned();
        assert_eq!(kind, Some(RemoteErrorKind::RepositoryNotFound), "{error}");
        let left = std::fs::read_dir(cache.join("git")).unwrap().count();
        assert_eq!(left, 1, "only the lock");
    }

    #[test]
    fn credentials_reach_git_and_no_file() {
        let world = World::new();
        let text = "http://bob:sekret99@127.0.0.1:1/a/b.git";
        let url = RemoteUrl::parse(text).unwrap();
        let (git, cache) = (world.program(), world.root().join("cache"));
        let error = wait(git.clone_to_cache(&url, &cache)).unwrap_err();
        let kind = error.remote_kind().cloned();
        assert_eq!(kind, Some(RemoteErrorKind::Unreachable), "{error}");
        assert!(
            !format!("{error} {error:?}").contains("sekret99"),
            "{error:?}"
        );

        let place = url.cache_place(&cache);
        world.git(
            world.root(),
            &["init", "-q", "--bare", place.to_str().unwrap()],
        );
        let plain_url = url.without_credentials();
        world.git(&place, &["config", "remote.origin.url", &plain_url]);
        let path = wait(git.clone_to_cache(&url, &cache)).unwrap();
        let remote = path.open().unwrap().remotes().unwrap().remove(0);
        assert_eq!(remote.fetch_url.expose(), text);
        assert!(!format!("{remote:?} {path:?} {git:?}").contains("sekret99"));
        assert!(
            !std::fs::read_to_string(place.join("config"))
                .unwrap()
                .contains("sekret99")
        );
        let error = wait(path.fetch("origin", "main")).unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("sekret99"),
            "{error:?}"
        );
        assert!(
            error.to_string().contains("http://127.0.0.1:1/a/b.git"),
            "{error}"
        );
    }
}
