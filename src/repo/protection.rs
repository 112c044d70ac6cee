//! Protected branches: what an entry of the log may do to them.
//!
//! The rule that counts is that of the default branch's head in the state that an entry is put on. No entry can change
//! the rule it is judged by, and whoever lost a race to a new rule is judged by that.

use super::domain::Domain;
use super::error::RepoError;
use super::refs::LogState;
use super::settings::{DomainSettings, Protection, SETTINGS_PATH, settings_entry};
use crate::model::entry::Entry;
use crate::model::id::CommitId;
use crate::model::log::{Change, Operation, RefIdentity, RefKind};

/// What the log does not say of a change, and the rule asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Circumstances {
    /// It carries what was staged in a working tree.
    pub staged: bool,
    /// It gives the domain other settings.
    pub changes_settings: bool,
}

impl Domain {
    /// What is protected in `state`. Of settings that cannot be read nothing is: they were never admitted by this version.
    pub async fn protection(&self, state: &LogState) -> Result<Protection, RepoError> {
        match self.settings(state).await {
            Ok(settings) => Ok(settings.protection),
            Err(error @ RepoError::Store(_)) => Err(error),
            Err(error) => {
                tracing::warn!(domain = self.info().name, %error, "no branch is protected");
                Ok(Protection::default())
            }
        }
    }

    /// [`RepoError::Refused`] when one of the changes, put on `state`, is against the rule.
    pub(super) async fn check_allowed(
        &self,
        state: &LogState,
        changes: &[Change],
        of: Circumstances,
    ) -> Result<(), RepoError> {
        let asks = |change: &&Change| {
            // A clean merge brings only what other branches have; a new branch changes none.
            let merges = change.operation == Operation::Merge && !of.staged;
            change.name.kind == RefKind::Branch && change.operation != Operation::Create && !merges
        };
        let asking: Vec<&Change> = changes.iter().filter(asks).collect();
        if asking.is_empty() {
            return Ok(());
        }
        let protection = self.protection(state).await?;
        for change in asking {
            let (domain, branch) = (&self.info().name, &change.name.name);
            let reason = if protection.covers(branch) {
                format!("`{domain}/{branch}` is protected")
            } else if of.changes_settings && !protection.branches.is_empty() {
                format!("`{SETTINGS_PATH}` of `{domain}/{branch}` says which branches are protected")
            } else {
                continue;
            };
            return Err(RepoError::Refused(format!(
                "{reason} and changes only by merge: commit to another branch, then `meshfs merge {domain}/BRANCH \
                 {domain}/{branch}`; conflicts are settled by merging {domain}/{branch} into that branch first"
            )));
        }
        Ok(())
    }

    /// Would `branch` have other settings of the domain with the root directory `new` than with `old`? They must be
    /// ones that can be read.
    pub(super) async fn changes_settings(
        &self,
        branch: &RefIdentity,
        old: &Entry,
        new: &Entry,
    ) -> Result<bool, RepoError> {
        if branch.name.name != self.info().default_branch {
            return Ok(false);
        }
        let objects = self.objects();
        let (old, new) = (settings_entry(objects, old).await?, settings_entry(objects, new).await?);
        let key = |entry: &Option<Entry>| entry.as_ref().map(Entry::content_key);
        if key(&old) == key(&new) {
            return Ok(false);
        }
        let what = format!("`{SETTINGS_PATH}` for `{}/{}`", self.info().name, branch.name.name);
        DomainSettings::of_entry(objects, new.as_ref(), &what).await?;
        Ok(true)
    }

    /// [`Domain::changes_settings`] of a move of the branch from one commit to another.
    pub(super) async fn move_changes_settings(
        &self,
        branch: &RefIdentity,
        old: &CommitId,
        new: &CommitId,
    ) -> Result<bool, RepoError> {
        if branch.name.name != self.info().default_branch {
            return Ok(false);
        }
        let (old, new) = (self.snapshot(old).await?, self.snapshot(new).await?);
        self.changes_settings(branch, &old.root.entry, &new.root.entry).await
    }
}
