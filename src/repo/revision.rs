//! Revisions: what a tag, a branch, an abbreviated id, `~N` and `@{TIME}` mean.

use super::domain::Domain;
use super::error::RepoError;
use super::refs::LogState;
use crate::model::address::{ABBREVIATION_DIGITS_MIN, Revision, RevisionBase, looks_like_commit_id};
use crate::model::id::CommitId;
use crate::model::time::Time;

/// Digits of a whole commit id.
const ID_DIGITS: usize = 64;

/// Records looked at when an abbreviated id is looked up: of more, a person cannot mean any one.
const CANDIDATES_MAX: usize = 16;

impl Domain {
    /// The commit that a revision means now: a tag first, then a branch, then a commit id or its beginning.
    pub async fn resolve(&self, revision: &Revision) -> Result<CommitId, RepoError> {
        let base = match revision.at {
            Some(time) => self.resolve_at(revision, time).await?,
            None => self.resolve_base(revision).await?,
        };
        self.resolve_back(revision, base).await
    }

    async fn resolve_base(&self, revision: &Revision) -> Result<CommitId, RepoError> {
        let label = label_of(&revision.base);
        if let Some(target) = target_of(&self.state(), label) {
            return Ok(target);
        }
        if let RevisionBase::Commit { digits } = &revision.base {
            return self.resolve_digits(revision, digits).await;
        }
        // It may have been made elsewhere since this log was last looked at.
        self.poll().await?;
        target_of(&self.state(), label).ok_or_else(|| {
            self.nothing(revision, "no tag or branch is called so, and it is not a commit id".to_owned())
        })
    }

    async fn resolve_digits(&self, revision: &Revision, digits: &str) -> Result<CommitId, RepoError> {
        if let Ok(id) = digits.parse::<CommitId>() {
            return Ok(self.record(&id).await?.id);
        }
        if !looks_like_commit_id(digits) || digits.len() >= ID_DIGITS {
            let reason = format!("a commit id has {ABBREVIATION_DIGITS_MIN} to {ID_DIGITS} digits");
            return Err(self.nothing(revision, reason));
        }
        let folder = self.place().records_prefix();
        let listed = self.store().list(&format!("{folder}{digits}"), None, CANDIDATES_MAX).await?;
        let ids = listed.iter().filter_map(|line| line.key.strip_prefix(&folder)?.parse::<CommitId>().ok());
        let mut candidates = Vec::new();
        for id in ids {
            // A record may have been written for an entry that never landed.
            if self.has_landed(&id).await? {
                candidates.push(id);
            }
        }
        match candidates[..] {
            [] => Err(self.nothing(revision, "no tag, branch or commit id starts so".to_owned())),
            [id] => Ok(id),
            _ => Err(RepoError::Ambiguous { domain: self.info().name.clone(), digits: digits.to_owned(), candidates }),
        }
    }

    /// The tag or branch as it was at `time`, by the store's clock.
    async fn resolve_at(&self, revision: &Revision, time: Time) -> Result<CommitId, RepoError> {
        let now = self.state();
        let label = label_of(&revision.base);
        let newest = match time >= now.time {
            true => now.seq,
            false => self.newest_entry_at(time, now.seq).await?,
        };
        if newest == 0 {
            return Err(self.nothing(revision, "the domain is younger than that".to_owned()));
        }
        let target = match newest == now.seq {
            true => target_of(&now, label),
            false => target_of(&self.0.follower.state_at(newest).await?.state, label),
        };
        target.ok_or_else(|| self.nothing(revision, format!("no tag or branch was called `{label}` then")))
    }

    /// The newest entry not after `time`, below `above`; 0 when all are later. Times never go back along a log.
    pub(super) async fn newest_entry_at(&self, time: Time, above: u64) -> Result<u64, RepoError> {
        let (mut low, mut high) = (0, above);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.0.follower.entry(middle).await?.time <= time {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    async fn resolve_back(&self, revision: &Revision, base: CommitId) -> Result<CommitId, RepoError> {
        let mut id = base;
        for step in 0..revision.back {
            let parent = self.record(&id).await?.parents.first().copied();
            id = parent.ok_or_else(|| self.nothing(revision, format!("it has only {step} ancestors")))?;
        }
        Ok(id)
    }

    fn nothing(&self, revision: &Revision, reason: String) -> RepoError {
        RepoError::NoRevision { domain: self.info().name.clone(), revision: revision.to_string(), reason }
    }
}

fn label_of(base: &RevisionBase) -> &str {
    match base {
        RevisionBase::Label(label) => label,
        RevisionBase::Commit { digits } => digits,
    }
}

/// A tag goes before a branch.
fn target_of(state: &LogState, label: &str) -> Option<CommitId> {
    state.tag(label).or_else(|| state.branch(label)).map(|(_, now)| now.target)
}
