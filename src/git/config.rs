//! Git's configuration as the `git` program resolves it: files, includes and the
//! environment. libgit2 reads neither `GIT_CONFIG_COUNT` nor the given environment.

use super::url::RemoteUrl;

/// All entries in git's order: a later one overrides an earlier one.
#[derive(Clone, Default)]
pub(super) struct Config {
    entries: Vec<(String, Option<String>)>,
}

impl Config {
    /// Reads the output of `git config --list -z`.
    pub(super) fn parse(output: &[u8]) -> Self {
        let text = String::from_utf8_lossy(output);
        let entries = text
            .split('\0')
            .filter(|entry| !entry.is_empty())
            .map(|entry| match entry.split_once('\n') {
                Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                None => (entry.to_owned(), None),
            })
            .collect();
        Self { entries }
    }

    /// The last value of a key (section and variable in lower case).
    pub(super) fn last(&self, key: &str) -> Option<&str> {
        let mut found = self.entries.iter().rev();
        let (_, value) = found.find(|(own, _)| own == key)?;
        Some(value.as_deref().unwrap_or_default())
    }

    /// All values of a key, in order.
    pub(super) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let own = self.entries.iter().filter(move |(own, _)| own == key);
        own.filter_map(|(_, value)| value.as_deref())
    }

    /// A boolean by git's rule: a key without a value is true, an empty value false.
    pub(super) fn bool(&self, key: &str) -> bool {
        let Some((_, value)) = self.entries.iter().rev().find(|(own, _)| own == key) else {
            return false;
        };
        match value.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None | Some("true" | "yes" | "on") => true,
            Some(text) => text.parse::<i64>().is_ok_and(|number| number != 0),
        }
    }

    /// The names of a section's subsections: of `remote.<name>.url` the names.
    pub(super) fn subsections(&self, section: &str, variable: &str) -> Vec<String> {
        let (head, tail) = (format!("{section}."), format!(".{variable}"));
        let mut names: Vec<String> = Vec::new();
        for (key, _) in &self.entries {
            let name = key
                .strip_prefix(&head)
                .and_then(|rest| rest.strip_suffix(&tail));
            if let Some(name) = name
                && !names.iter().any(|own| own == name)
            {
                names.push(name.to_owned());
            }
        }
        names
    }

    /// The address that git uses for this one: the longest `url.<base>.insteadOf`
    /// that it begins with is replaced; none if there is none.
    pub(super) fn rewritten(&self, url: &str, variable: &str) -> Option<String> {
        let tail = format!(".{variable}");
        let matching = self.entries.iter().filter_map(|(key, value)| {
            let base = key.strip_prefix("url.")?.strip_suffix(&tail)?;
            let prefix = value.as_deref().filter(|prefix| !prefix.is_empty())?;
            Some((prefix.len(), base, url.strip_prefix(prefix)?))
        });
        let (_, base, rest) = matching.max_by_key(|(length, ..)| *length)?;
        Some(format!("{base}{rest}"))
    }

    /// Credentials in the addresses of the configuration.
    pub(super) fn secrets(&self) -> Vec<String> {
        let addresses = self.entries.iter().flat_map(|(key, value)| {
            let base = key
                .strip_prefix("url.")
                .and_then(|rest| rest.rsplit_once('.'))
                .map(|(base, _)| base.to_owned());
            let remote = key.starts_with("remote.") && key.ends_with("url");
            [base, value.clone().filter(|_| remote)]
        });
        let urls = addresses.flatten().filter(|text| text.contains('@'));
        urls.filter_map(|text| {
            // A base may end within the address, where there is no path yet.
            RemoteUrl::parse(&text)
                .or_else(|_| RemoteUrl::parse(&format!("{text}/x")))
                .ok()
        })
        .flat_map(|url| url.secrets())
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_rewrites() {
        let config = Config::parse(
            b"commit.gpgsign\0user.name\nA\nB\0remote.Up.url\nhttps://u:sekret@h/x\0\
              url.https://bob:hunter22@h/.insteadof\ngh:\0url.https://long/.insteadof\ngh:org/\0\
              a.x\nno\0a.y\n2\0a.z\n\0",
        );
        assert!(config.bool("commit.gpgsign"));
        assert!(!config.bool("a.x") && config.bool("a.y") && !config.bool("a.z"));
        assert!(!config.bool("not.there"));
        assert_eq!(config.last("user.name"), Some("A\nB"));
        assert_eq!(config.subsections("remote", "url"), ["Up"]);
        let rewritten = |url| config.rewritten(url, "insteadof");
        assert_eq!(rewritten("gh:org/x").as_deref(), Some("https://long/x"));
        assert_eq!(
            rewritten("gh:x").as_deref(),
            Some("https://bob:hunter22@h/x")
        );
        assert_eq!(rewritten("x"), None);
        let secrets = config.secrets();
        assert!(secrets.contains(&"sekret".to_owned()), "{secrets:?}");
        assert!(secrets.contains(&"hunter22".to_owned()), "{secrets:?}");
    }
}
