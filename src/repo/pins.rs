//! Pins: refs that keep a commit for somebody who works on it and has no branch or tag to hold on to.

use super::domain::{Domain, Proposal, Proposed};
use super::error::RepoError;
use super::gc::{READERS_GRACE, fence};
use super::refs::creation;
use crate::model::id::CommitId;
use crate::model::log::{Operation, RefIdentity, RefKind, RefName};

impl Domain {
    /// Keeps a commit that the newest collection is about to take away: none when nothing does. To be asked by whoever
    /// reads it, after each look at the log that brought a fence; more than half the readers' grace after that fence it
    /// is too late, and the commit has expired. `note` is told the pin's name before it is made.
    pub async fn pin_if_expiring(
        &self,
        commit: &CommitId,
        note: &(dyn Fn(&RefName) -> Result<(), RepoError> + Sync),
    ) -> Result<Option<RefIdentity>, RepoError> {
        loop {
            let state = self.state();
            let expired = match self.usable(&state, commit).await {
                Ok(_) => return Ok(None),
                Err(expired @ RepoError::Expired { .. }) => expired,
                Err(error) => return Err(error),
            };
            let Some(newest) = fence::newest(self, &state).await? else { return Err(expired) };
            let age = self.store_time()?.0.saturating_sub(newest.time().0);
            if i128::from(age) > READERS_GRACE.as_nanos() as i128 / 2 {
                return Err(expired);
            }
            // What an earlier fence let go may be gone already.
            let before = self.0.follower.state_at(newest.state.seq - 1).await?;
            self.usable(&before.state, commit).await?;
            let name = RefName { kind: RefKind::Pin, name: self.pin_name() };
            note(&name)?;
            let proposal = Proposal { changes: vec![creation(name.clone(), *commit)], ..Proposal::default() };
            if let Proposed::Landed { seq, .. } = self.propose(&state, proposal).await? {
                return Ok(Some(RefIdentity { name, created_seq: seq }));
            }
        }
    }

    /// Takes a pin back.
    pub async fn unpin(&self, pin: &RefIdentity) -> Result<(), RepoError> {
        let taken = self.append(|state| Ok(state.change(Operation::Delete, pin, None).into_iter().collect()));
        taken.await.map(drop)
    }

    /// The holder and a random number: two machines never make one pin.
    fn pin_name(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
        let host: String = self.host().chars().map(plain).take(64).collect();
        format!("at-{host}-{:016x}", self.sys().random.number())
    }
}
