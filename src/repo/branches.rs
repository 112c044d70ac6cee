//! Making and deleting branches and tags.

use super::domain::{Domain, Proposal, Proposed};
use super::error::RepoError;
use super::refs::{LogState, creation};
use crate::model::address::{check_label, looks_like_commit_id};
use crate::model::id::CommitId;
use crate::model::log::{Operation, RefIdentity, RefKind, RefName};

impl Domain {
    /// Makes a branch at a commit: one request when the commit is the head of a live ref.
    pub async fn create_branch(&self, name: &str, target: &CommitId) -> Result<RefIdentity, RepoError> {
        self.create_ref(RefName::branch(name), target).await
    }

    /// Makes a tag. Its name may not look like a commit's id, which an address would take it for.
    pub async fn create_tag(&self, name: &str, target: &CommitId) -> Result<RefIdentity, RepoError> {
        if looks_like_commit_id(name) {
            return Err(RepoError::Refused(format!(
                "`{name}` looks like a commit id (8 or more hexadecimal digits): give the tag another name"
            )));
        }
        self.create_ref(RefName::tag(name), target).await
    }

    /// Deletes the branch if it is still this one and its head still `expected`.
    pub async fn delete_branch(&self, branch: &RefIdentity, expected: &CommitId) -> Result<(), RepoError> {
        self.check_not_default(&branch.name.name)?;
        self.delete_ref(branch, |state| self.expect(state, branch, Some(expected)).map(drop)).await
    }

    /// Points the branch at another commit. Gives the one it pointed at; equal to it when nothing had to be changed.
    pub async fn reset_branch(&self, branch: &RefIdentity, target: &CommitId) -> Result<CommitId, RepoError> {
        let mut state = self.state();
        loop {
            let now = self.expect(&state, branch, None)?;
            if now.target == *target {
                return Ok(now.target);
            }
            let relies_on = self.usable(&state, target).await?.into_iter().collect();
            let changes = state.change(Operation::Reset, branch, Some(*target)).into_iter().collect();
            let changes_settings = self.move_changes_settings(branch, &now.target, target).await?;
            let proposal = Proposal { changes, relies_on, changes_settings, ..Proposal::default() };
            match self.propose(&state, proposal).await? {
                Proposed::Landed { .. } => return Ok(now.target),
                Proposed::Moved(now) | Proposed::Condemned { state: now, .. } => state = now,
            }
        }
    }

    /// Deletes the branch only if nothing was committed to it since it was made, as rmdir(2) on it does.
    pub async fn remove_unused_branch(&self, branch: &RefIdentity) -> Result<(), RepoError> {
        self.check_not_default(&branch.name.name)?;
        self.delete_ref(branch, |state| {
            let now = self.expect(state, branch, None)?;
            match now.changed_seq == now.created_seq {
                true => Ok(()),
                false => Err(RepoError::Refused(format!(
                    "branch `{name}` has commits of its own: to delete it with them, `meshfs branch delete {}/{name}`",
                    self.info().name,
                    name = branch.name.name
                ))),
            }
        })
        .await
    }

    /// Deletes the tag if it is still this one, at the commit `expected`.
    pub async fn delete_tag(&self, tag: &RefIdentity, expected: &CommitId) -> Result<(), RepoError> {
        self.delete_ref(tag, |state| self.expect(state, tag, Some(expected)).map(drop)).await
    }

    async fn create_ref(&self, name: RefName, target: &CommitId) -> Result<RefIdentity, RepoError> {
        check_label(&name.name)?;
        let mut state = self.state();
        if state.get(&name).is_some() {
            // It may have been deleted since it was last looked at.
            self.poll().await?;
            state = self.state();
        }
        loop {
            if state.get(&name).is_some() {
                let kind = if name.kind == RefKind::Tag { "tag" } else { "branch" };
                return Err(RepoError::RefExists { domain: self.info().name.clone(), kind, name: name.name });
            }
            let relies_on = self.usable(&state, target).await?.into_iter().collect();
            let proposal =
                Proposal { changes: vec![creation(name.clone(), *target)], relies_on, ..Proposal::default() };
            match self.propose(&state, proposal).await? {
                Proposed::Landed { seq, .. } => return Ok(RefIdentity { name, created_seq: seq }),
                Proposed::Moved(now) | Proposed::Condemned { state: now, .. } => state = now,
            }
        }
    }

    async fn delete_ref(
        &self,
        identity: &RefIdentity,
        check: impl Fn(&LogState) -> Result<(), RepoError> + Send + Sync,
    ) -> Result<(), RepoError> {
        let state = self.append(|state| {
            check(state)?;
            Ok(state.change(Operation::Delete, identity, None).into_iter().collect())
        });
        state.await.map(drop)
    }

    fn check_not_default(&self, branch: &str) -> Result<(), RepoError> {
        match branch == self.info().default_branch {
            false => Ok(()),
            true => Err(RepoError::Refused(format!(
                "`{branch}` is the default branch of domain `{}` and cannot be deleted",
                self.info().name
            ))),
        }
    }
}
