//! A domain's settings: the file `.mesh/domain.toml` of its default branch, versioned and merged like data.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::domain::{Domain, Snapshot};
use super::error::RepoError;
use super::objects::Objects;
use super::refs::LogState;
use super::tree::lookup;
use crate::model::entry::{Content, Entry};
use crate::model::log::{RefKind, RefName};
use crate::model::path::TreePath;

/// Where the settings stand in a tree.
pub const SETTINGS_PATH: &str = ".mesh/domain.toml";

/// Longer is no settings file that a person wrote, in bytes.
const SETTINGS_BYTES_MAX: u64 = 1 << 20;

/// Days for which what no branch, tag or pin leads to can be taken up again.
const UNREFERENCED_DAYS_DEFAULT: u32 = 30;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What `.mesh/domain.toml` says; without the file, what an empty one would. Sections of later versions are passed over.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct DomainSettings {
    pub retention: Retention,
    pub protection: Protection,
}

/// Branches that change only by merge (see [`super::protection`]).
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Protection {
    /// Names; `NAME*` stands for all that begin so.
    pub branches: Vec<String>,
}

impl Protection {
    pub fn covers(&self, branch: &str) -> bool {
        self.branches.iter().any(|pattern| fits(pattern, branch))
    }
}

/// Is it a name of this pattern: `NAME`, or `NAME*` for all that begin so?
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

/// How long trees that nobody works on any more are kept. The newest commit of each branch, and what a tag or a pin
/// names, is always kept.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Days of history of every branch and tag.
    pub days: Days,
    /// Days for which deleted branches, and what resets left behind, can be taken up again.
    pub unreferenced_days: u32,
    /// Days of history by name of the branch; `NAME*` stands for all that begin so. The longest that fits decides.
    pub branches: BTreeMap<String, Days>,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention { days: Days::Forever, unreferenced_days: UNREFERENCED_DAYS_DEFAULT, branches: BTreeMap::new() }
    }
}

/// A span of history: a number of days, or `"forever"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "toml::Value")]
pub enum Days {
    #[default]
    Forever,
    Number(u32),
}

impl TryFrom<toml::Value> for Days {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Days, String> {
        match value {
            toml::Value::String(text) if text == "forever" => Ok(Days::Forever),
            toml::Value::Integer(days) => {
                u32::try_from(days).map(Days::Number).map_err(|_| format!("{days} is no number of days"))
            }
            other => Err(format!("{other} is neither a number of days nor \"forever\"")),
        }
    }
}

impl Days {
    /// None for ever.
    pub fn span(self) -> Option<Duration> {
        match self {
            Days::Forever => None,
            Days::Number(days) => Some(DAY * days),
        }
    }
}

impl Retention {
    /// How much history of a ref is kept; none: all of it.
    pub fn history_of(&self, name: &RefName) -> Option<Duration> {
        let of_it = |pattern: &str| name.kind == RefKind::Branch && fits(pattern, &name.name);
        let rules = self.branches.iter().filter(|(pattern, _)| of_it(pattern));
        // Of two that fit, one begins with the other's text; a whole name says more than a beginning as long.
        let rule = rules.max_by_key(|(pattern, _)| (pattern.trim_end_matches('*').len(), !pattern.ends_with('*')));
        rule.map_or(self.days, |(_, days)| *days).span()
    }

    /// How long what no ref leads to is kept.
    pub fn unreferenced(&self) -> Duration {
        DAY * self.unreferenced_days
    }
}

impl DomainSettings {
    /// The settings as a snapshot has them.
    pub async fn of(snapshot: &Snapshot) -> Result<DomainSettings, RepoError> {
        let objects = snapshot.domain.objects();
        let entry = settings_entry(objects, &snapshot.root.entry).await?;
        let (domain, id) = (&snapshot.domain.info().name, snapshot.commit.id);
        DomainSettings::of_entry(
            objects,
            entry.as_ref(),
            &format!("`{SETTINGS_PATH}` of domain `{domain}` at commit {id}"),
        )
        .await
    }

    /// The settings that a file says, `what` for a person; without one, those of an empty file.
    pub async fn of_entry(objects: &Objects, entry: Option<&Entry>, what: &str) -> Result<DomainSettings, RepoError> {
        let refused = |reason: String| RepoError::Refused(format!("{what} {reason}"));
        let file = match entry.map(|entry| &entry.content) {
            None => return Ok(DomainSettings::default()),
            Some(Content::File(file)) if file.size <= SETTINGS_BYTES_MAX => file,
            Some(_) => return Err(refused("is not an ordinary file of at most 1 MiB".to_owned())),
        };
        let bytes = objects.read(file, 0, file.size).await?;
        let text = std::str::from_utf8(&bytes).map_err(|error| refused(format!("is no text: {error}")))?;
        toml::from_str(text).map_err(|error| refused(format!("cannot be read: {error}")))
    }
}

/// The file of the settings below a root directory.
pub async fn settings_entry(objects: &Objects, root: &Entry) -> Result<Option<Entry>, RepoError> {
    let path = SETTINGS_PATH.split('/').fold(TreePath::root(), |path, name| path.join(name.as_bytes()));
    lookup(objects, root, &path).await
}

impl Domain {
    /// The settings in `state`: those of the default branch's head.
    pub async fn settings(&self, state: &LogState) -> Result<DomainSettings, RepoError> {
        match state.branch(&self.info().default_branch) {
            Some((_, head)) => DomainSettings::of(&*self.snapshot(&head.target).await?).await,
            None => Ok(DomainSettings::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retention(text: &str) -> Retention {
        toml::from_str::<DomainSettings>(text).unwrap().retention
    }

    #[test]
    fn without_a_word_all_history_is_kept_and_the_rest_for_a_month() {
        let retention = retention("");
        assert_eq!(retention.history_of(&RefName::branch("main")), None);
        assert_eq!(retention.unreferenced(), 30 * DAY);
    }

    #[test]
    fn the_rule_that_says_most_of_a_branch_decides() {
        let retention = retention(
            "[retention]\ndays = 90\nunreferenced_days = 7\n[retention.branches]\nmain = \"forever\"\n\"ci-*\" = 3\n\
             \"ci-release*\" = 30\nci-release = 60",
        );
        let days = |name: &RefName| retention.history_of(name).map(|span| span.as_secs() / DAY.as_secs());
        let branch = |name| days(&RefName::branch(name));
        assert_eq!(branch("main"), None);
        assert_eq!(branch("exp"), Some(90));
        assert_eq!(branch("ci-7"), Some(3));
        assert_eq!(branch("ci-release-2"), Some(30));
        assert_eq!(branch("ci-release"), Some(60));
        assert_eq!(days(&RefName::tag("ci-7")), Some(90), "a tag is no branch");
        assert_eq!(retention.unreferenced(), 7 * DAY);
    }

    #[test]
    fn mistakes_are_told_and_other_sections_are_not_ours() {
        let read = |text| toml::from_str::<DomainSettings>(text);
        assert!(read("[retention]\ndays = -1").unwrap_err().to_string().contains("-1"));
        assert!(read("[retention]\ndays = \"always\"").is_err());
        assert!(read("[retention]\ndayz = 3").unwrap_err().to_string().contains("dayz"));
        assert_eq!(read("[later]\nwhat = 1").unwrap(), DomainSettings::default());
    }
}
