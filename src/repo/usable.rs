//! Whether what somebody landed may be built on: judged by the log alone, in the state that an entry is put on.

use std::collections::BTreeSet;

use futures::StreamExt;
use futures::stream;

use super::domain::Domain;
use super::error::RepoError;
use super::refs::LogState;
use crate::model::id::CommitId;
use crate::model::log::{RefName, RefState};

/// Entries read at once while a commit's own is looked for: it is nearly always the first or second.
const FIRST_LOOK: u64 = 2;
const NEXT_LOOKS: u64 = 16;

impl Domain {
    /// May an entry on `state` use this commit as a target or a source? Yes, if an entry that is not before the horizon
    /// names it (its own, or one that took a ref from it), or if it is, or is an ancestor of, the target of a live ref;
    /// that ref is then what the entry relies on. Not as an ancestor that the domain's settings let expire: the newest
    /// collection lists those. Else [`RepoError::Expired`]. That its objects exist proves nothing.
    pub async fn usable(&self, state: &LogState, commit: &CommitId) -> Result<Option<(RefName, RefState)>, RepoError> {
        let horizon = state.fence.horizon;
        let mut holder = None;
        for (name, now) in state.refs.refs.iter().filter(|(_, now)| now.target == *commit) {
            // The entry that set the ref names the commit.
            if now.changed_seq >= horizon {
                return Ok(None);
            }
            holder = Some((name.clone(), *now));
        }
        if holder.is_some() {
            return Ok(holder);
        }
        let record = self.record(commit).await?;
        if self.own_entry(commit, record.first_seq, state.seq).await?.is_some_and(|seq| seq >= horizon) {
            return Ok(None);
        }
        if !self.has_expired(commit, state.fence.epoch).await? {
            for (name, now) in &state.refs.refs {
                if self.is_ancestor(commit, &now.target).await? {
                    return Ok(Some((name.clone(), *now)));
                }
            }
        }
        if self.is_left_behind(commit, state).await? {
            return Ok(None);
        }
        Err(RepoError::Expired { what: format!("commit {commit} of domain `{}`", self.info().name) })
    }

    /// Did the settings let the commit expire, as the collection of `epoch` tells? A list that cannot be read lets
    /// everything expire.
    async fn has_expired(&self, commit: &CommitId, epoch: u64) -> Result<bool, RepoError> {
        Ok(epoch > 0 && self.condemned_in(epoch).await?.is_none_or(|list| list.records.contains(commit)))
    }

    /// Did an entry that is not before the horizon take a ref from the commit: by deleting, resetting or moving it?
    async fn is_left_behind(&self, commit: &CommitId, state: &LogState) -> Result<bool, RepoError> {
        let seqs = state.fence.horizon.max(1)..=state.seq;
        let mut entries = stream::iter(seqs.map(|seq| self.0.follower.entry(seq))).buffered(NEXT_LOOKS as usize);
        while let Some(entry) = entries.next().await {
            if entry?.changes.iter().any(|change| change.previous_target.as_ref() == Some(commit)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Is the commit in the log, as far as it was read?
    pub(super) async fn has_landed(&self, commit: &CommitId) -> Result<bool, RepoError> {
        let state = self.state();
        if state.refs.refs.values().any(|now| now.target == *commit) {
            return Ok(true);
        }
        let first_seq = self.record(commit).await?.first_seq;
        Ok(self.own_entry(commit, first_seq, state.seq).await?.is_some())
    }

    /// The first entry from `first_seq` on, and not after `newest`, that names the commit; none when it never landed.
    async fn own_entry(&self, commit: &CommitId, first_seq: u64, newest: u64) -> Result<Option<u64>, RepoError> {
        let (mut from, mut count) = (first_seq.max(1), FIRST_LOOK);
        while from <= newest {
            let seqs = from..=newest.min(from + count - 1);
            from = seqs.end() + 1;
            count = NEXT_LOOKS;
            let mut entries = stream::iter(seqs.map(|seq| self.0.follower.entry(seq))).buffered(NEXT_LOOKS as usize);
            while let Some(entry) = entries.next().await {
                let entry = entry?;
                if entry.changes.iter().any(|change| change.target.as_ref() == Some(commit)) {
                    return Ok(Some(entry.seq));
                }
            }
        }
        Ok(None)
    }

    /// Is `ancestor` the same as `commit` or before it, by any parents?
    pub async fn is_ancestor(&self, ancestor: &CommitId, commit: &CommitId) -> Result<bool, RepoError> {
        if ancestor == commit {
            return Ok(true);
        }
        let generation = self.record(ancestor).await?.generation;
        let mut seen = BTreeSet::from([*commit]);
        let mut open = vec![*commit];
        while let Some(id) = open.pop() {
            let record = self.record(&id).await?;
            if record.parents.contains(ancestor) {
                return Ok(true);
            }
            // Whatever is not above the ancestor's generation has no way down to it.
            if record.generation > generation + 1 {
                open.extend(record.parents.iter().filter(|parent| seen.insert(**parent)));
            }
        }
        Ok(false)
    }
}
