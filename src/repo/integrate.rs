//! Merge, cherry-pick and revert onto the head of a branch, needing nobody's working tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::commit::{CommitOutcome, CommitRequest, land};
use super::domain::{Domain, Proposal, Proposed, Snapshot};
use super::error::RepoError;
use super::pick::{Incoming, Pick, Taken};
use super::upload::Upload;
use crate::model::commit::Commit;
use crate::model::edit::DirEdit;
use crate::model::log::RefIdentity;
use crate::model::merge::Conflict;
use crate::model::tree::Root;

/// Heads that may get ahead before whoever asked is told to try again.
const TRIES_MAX: u32 = 16;

/// What a branch is to take.
#[derive(Clone, Debug)]
pub struct Integration {
    pub branch: RefIdentity,
    pub incoming: Incoming,
    /// May a merge move the branch to a commit that has all of it already, instead of making one?
    pub fast_forward: bool,
    pub author: String,
    pub message: String,
    pub metadata: BTreeMap<String, String>,
}

/// What became of it.
#[derive(Clone, Debug)]
pub enum Integrated {
    /// The new head, made for this or moved to.
    Landed(Arc<Commit>),
    /// The branch has it all.
    Nothing,
    /// Nothing landed. In tree order.
    Conflict(Vec<Conflict>),
}

/// What would become of it.
pub enum Rehearsed {
    /// The branch's head, and the tree that it would have.
    Tree {
        head: Arc<Snapshot>,
        root: Box<Root>,
    },
    Conflict(Vec<Conflict>),
}

impl Domain {
    /// Makes the branch take `request.incoming`, on whatever head it has by then.
    pub async fn integrate(&self, request: &Integration) -> Result<Integrated, RepoError> {
        let theirs = request.incoming.pick.theirs();
        for _ in 0..TRIES_MAX {
            let state = self.state();
            let head = self.expect(&state, &request.branch, None)?.target;
            if let Pick::Merge { commit } = request.incoming.pick {
                let common = self.nearest_common(&[head], &commit).await?;
                if common == [commit] {
                    return Ok(Integrated::Nothing);
                }
                if request.fast_forward && common == [head] {
                    let change = state.change(request.incoming.pick.operation(), &request.branch, Some(commit));
                    let relies_on = self.usable(&state, &commit).await?.into_iter().collect();
                    let changes = change.into_iter().collect();
                    let changes_settings = self.move_changes_settings(&request.branch, &head, &commit).await?;
                    let proposal = Proposal { changes, relies_on, changes_settings, ..Proposal::default() };
                    match self.propose(&state, proposal).await? {
                        Proposed::Landed { .. } => return Ok(Integrated::Landed(self.record(&commit).await?)),
                        Proposed::Moved(_) | Proposed::Condemned { .. } => continue,
                    }
                }
            }
            let onto = self.snapshot(&head).await?;
            let request = CommitRequest {
                branch: request.branch.clone(),
                base: head,
                edit: DirEdit::of(&onto.root.entry),
                links: None,
                sources: Vec::new(),
                author: request.author.clone(),
                message: request.message.clone(),
                metadata: request.metadata.clone(),
                incoming: Some(request.incoming.clone()),
                options: Default::default(),
                workspace: None,
            };
            match land(self, &mut Upload::begin(self, None), &request).await? {
                CommitOutcome::Landed(landed) => return Ok(Integrated::Landed(landed.commit)),
                CommitOutcome::Nothing { .. } => return Ok(Integrated::Nothing),
                CommitOutcome::Conflict { conflicts, with } if with == theirs => {
                    return Ok(Integrated::Conflict(conflicts));
                }
                // With a head that moved meanwhile: what that makes of it is seen from there.
                CommitOutcome::Conflict { .. } | CommitOutcome::Condemned { .. } => {}
            }
        }
        let what = format!("branch `{}` of domain `{}`", request.branch.name.name, self.info().name);
        Err(RepoError::Moved { what, now: format!("{TRIES_MAX} other commits were faster; try again") })
    }

    /// What [`Domain::integrate`] would come to now; nothing is sent.
    pub async fn rehearse(&self, branch: &RefIdentity, incoming: &Incoming) -> Result<Rehearsed, RepoError> {
        let head = self.expect(&self.state(), branch, None)?.target;
        let head = self.snapshot(&head).await?;
        Ok(match self.take_in(&head.root, &head.commit.id, incoming).await? {
            Taken::Tree { root, .. } => Rehearsed::Tree { head, root },
            Taken::Conflict(conflicts) => Rehearsed::Conflict(conflicts),
        })
    }
}
