//! The remotes of a repository.

use super::config::Config;
use super::error::GitError;
use super::repository::Repository;
use super::url::RemoteUrl;

/// A remote with the addresses that git uses after `insteadOf` and `pushInsteadOf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Its name.
    pub name: String,
    /// Where git fetches from.
    pub fetch_url: RemoteUrl,
    /// Where git pushes to: more than one is possible.
    pub push_urls: Vec<RemoteUrl>,
    /// The address as it is configured, before any rewriting.
    pub configured_url: RemoteUrl,
}

pub(super) fn find(config: &Config, name: &str) -> Option<Remote> {
    let key = format!("remote.{name}.url");
    let push_key = format!("remote.{name}.pushurl");
    // An empty value resets the list (git 2.46 and later).
    let mut urls: Vec<&str> = Vec::new();
    for url in config.all(&key) {
        if url.is_empty() {
            urls.clear();
        } else {
            urls.push(url);
        }
    }
    let first = *urls.first()?;
    let rewrite = |url: &str, variable| {
        let rewritten = config.rewritten(url, variable);
        rewritten.unwrap_or_else(|| url.to_owned())
    };
    let own: Vec<String> = config
        .all(&push_key)
        .map(|url| rewrite(url, "insteadof"))
        .collect();
    // `pushInsteadOf` is for remotes without an explicit pushurl.
    let push: Vec<String> = if own.is_empty() {
        let pushed = |url: &&str| config.rewritten(url, "pushinsteadof");
        let urls = urls.iter();
        urls.map(|url| pushed(url).unwrap_or_else(|| rewrite(url, "insteadof")))
            .collect()
    } else {
        own
    };
    Some(Remote {
        name: name.to_owned(),
        fetch_url: RemoteUrl::parse(&rewrite(first, "insteadof")).ok()?,
        push_urls: push
            .iter()
            .filter_map(|url| RemoteUrl::parse(url).ok())
            .collect(),
        configured_url: RemoteUrl::parse(first).ok()?,
    })
}

impl Repository {
    /// All remotes, in the order of the configuration.
    ///
    /// # Errors
    /// When git cannot read the configuration.
    pub fn remotes(&self) -> Result<Vec<Remote>, GitError> {
        let config = self.path().config_blocking()?;
        let names = config.subsections("remote", "url");
        Ok(names.iter().filter_map(|name| find(config, name)).collect())
    }

    /// The remote that is this repository: `origin` first if several are.
    ///
    /// # Errors
    /// When git cannot read the configuration.
    pub fn remote_for(&self, url: &RemoteUrl) -> Result<Option<Remote>, GitError> {
        let mut found = self.remotes()?;
        found.retain(|remote| {
            remote.fetch_url.same_repository(url) || remote.configured_url.same_repository(url)
        });
        let origin = found.iter().position(|remote| remote.name == "origin");
        let at = origin.unwrap_or(0);
        Ok((at < found.len()).then(|| found.swap_remove(at)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    #[test]
    fn addresses_after_rewriting() {
        let mut world = World::new();
        let (_, clone) = world.remote_and_clone();
        world.git(&clone, &["remote", "add", "gh", "gh:acme/gitops"]);
        world.git(&clone, &["remote", "add", "both", "https://a.example/x"]);
        world.git(&clone, &["config", "remote.both.pushurl", "gh:acme/push"]);
        let set = |key: &str, value: &str| world.git(&clone, &["config", "--global", key, value]);
        set("url.https://github.com/.insteadOf", "gh:");
        set("url.git@github.com:.pushInsteadOf", "gh:");
        let repository = world.open(&clone);
        let remotes = repository.remotes().unwrap();
        let names: Vec<&str> = remotes.iter().map(|remote| remote.name.as_str()).collect();
        assert_eq!(names, ["origin", "gh", "both"]);
        let asked = |args: &[&str]| {
            let args: Vec<&str> = [&["remote", "get-url"], args].concat();
            world.git(&clone, &args)
        };
        for remote in &remotes {
            assert_eq!(remote.fetch_url.expose(), asked(&[&remote.name]));
            assert_eq!(
                remote.push_urls[0].expose(),
                asked(&["--push", &remote.name])
            );
        }
        let find = |text: &str| {
            let url = RemoteUrl::parse(text).unwrap();
            repository
                .remote_for(&url)
                .unwrap()
                .map(|remote| remote.name)
        };
        assert_eq!(
            find("git@github.com:Acme/gitops.git").as_deref(),
            Some("gh")
        );
        assert_eq!(find("https://github.com/acme/other"), None);
        let local = format!("file://{}", world.root().join("remote.git").display());
        assert_eq!(find(&local).as_deref(), Some("origin"));

        let env = [
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "url.https://mirror.example/.insteadOf"),
            ("GIT_CONFIG_VALUE_0", "https://a.example/"),
        ];
        world
            .env
            .extend(env.map(|(key, value)| (key.into(), value.into())));
        let remotes = world.open(&clone).remotes().unwrap();
        assert_eq!(remotes[2].fetch_url.expose(), "https://mirror.example/x");
    }
}
