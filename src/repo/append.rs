//! Landing proposals: those that wait at the same time go into one entry, each only on a state it was worked out for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::attempt::jittered;
use super::domain::{Domain, Proposal, Proposed};
use super::error::RepoError;
use super::packed_table::TableRoom;
use super::refs::{Head, LogState};
use super::write::Put;
use crate::model::log::{Change, Fence, RefName};
use crate::sys::task;

/// Proposals in one entry at most, so that an entry stays a small object.
const GROUP_MAX: usize = 64;

/// Bounds of the pause after a lost race, so that many writers do not meet again and again.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Races lost in a row after which the log is read up to its end before the next put.
const RACES_BEFORE_POLL: u32 = 3;

type Answer = Result<Proposed, RepoError>;

/// A proposal in the queue.
#[derive(Debug)]
struct Waiting {
    proposal: Proposal,
    /// The fence of the state it was worked out on.
    fence: Fence,
    answer: oneshot::Sender<Answer>,
}

impl Waiting {
    fn answer(self, answer: Answer) {
        // Who stopped waiting is told by the log.
        let _ = self.answer.send(answer);
    }
}

/// Proposals of one domain in this process.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: Mutex<Vec<Waiting>>,
    /// Held by whoever writes to the log: one entry at a time.
    pub writing: tokio::sync::Mutex<()>,
}

impl Domain {
    /// Puts one entry with the proposal's changes, worked out on `on`. Goes further along the log by itself while
    /// every ref it changes or relies on, the epoch and the horizon are as they were; else the caller works them out
    /// anew.
    pub async fn propose(&self, on: &LogState, proposal: Proposal) -> Result<Proposed, RepoError> {
        if let Some(workspace) = &proposal.workspace {
            self.check_taken_up(workspace).await?;
        }
        let (answer, answered) = oneshot::channel();
        self.0.queue.waiting.lock().push(Waiting { proposal, fence: on.fence, answer });
        let domain = self.clone();
        // A task of its own: what was sent is settled and told to all it carried, also when this caller gives up.
        task::spawn(async move { domain.carry().await });
        answered.await.unwrap_or_else(|_| {
            Err(RepoError::OutcomeUnknown {
                log: self.0.follower.title().to_owned(),
                seq: self.state().seq + 1,
                reason: "the process is ending".to_owned(),
            })
        })
    }

    /// [`Domain::propose`] again and again, for changes that can be worked out from the state alone. No changes: no
    /// entry. A refusal is only believed on a state that was just read.
    pub async fn append(
        &self,
        mut evaluate: impl FnMut(&LogState) -> Result<Vec<Change>, RepoError> + Send,
    ) -> Result<Arc<LogState>, RepoError> {
        let (mut state, mut fresh) = (self.state(), false);
        loop {
            let changes = match evaluate(&state) {
                Ok(changes) => changes,
                Err(error) if fresh => return Err(error),
                Err(error) => {
                    fresh = true;
                    if !self.poll().await? {
                        return Err(error);
                    }
                    state = self.state();
                    continue;
                }
            };
            if changes.is_empty() {
                return Ok(state);
            }
            match self.propose(&state, Proposal { changes, ..Proposal::default() }).await? {
                Proposed::Landed { state, .. } => return Ok(state),
                Proposed::Moved(now) | Proposed::Condemned { state: now, .. } => (state, fresh) = (now, true),
            }
        }
    }

    /// Lands what waits, if nobody has meanwhile.
    async fn carry(self) {
        let _writing = self.0.queue.writing.lock().await;
        let mut group = {
            let mut waiting = self.0.queue.waiting.lock();
            let count = waiting.len().min(GROUP_MAX);
            // Who gave up before anything was sent wants nothing put.
            waiting.drain(..count).filter(|waiting| !waiting.answer.is_closed()).collect::<Vec<_>>()
        };
        if group.is_empty() {
            return;
        }
        if let Err(error) = self.settle_open().await {
            return answer_all(group, &error);
        }
        if let Err(error) = self.check_mesh_writable() {
            return answer_all(group, &error);
        }
        let (mut pause, mut races) = (PAUSE_MIN, 0);
        loop {
            let head = self.0.follower.head();
            let (ready, later) = self.admit(group, &head).await;
            if ready.is_empty() {
                return;
            }
            let workspaces: Vec<_> = ready.iter().filter_map(|w| w.proposal.workspace.clone()).collect();
            let changes: Vec<_> = ready.iter().flat_map(|w| w.proposal.changes.iter().cloned()).collect();
            let put = match self.send_table(&head, &changes).await {
                Ok(table) => self.0.writer.put(&head, &workspaces, |stamp| head.next(changes, table, stamp)).await,
                Err(error) => Err(error),
            };
            match put {
                Ok(Put::Landed(now)) => {
                    let landed = Proposed::Landed { seq: now.state.seq, state: now.state.clone() };
                    ready.into_iter().for_each(|waiting| waiting.answer(Ok(landed.clone())));
                    later.into_iter().for_each(|waiting| waiting.answer(Ok(Proposed::Moved(now.state.clone()))));
                    return;
                }
                Ok(Put::Taken(_)) => group = ready.into_iter().chain(later).collect(),
                Err(error) => return answer_all(ready.into_iter().chain(later).collect(), &error),
            }
            races += 1;
            self.sys().clock.sleep(jittered(self.sys(), pause)).await;
            pause = (pause * 2).min(PAUSE_MAX);
            if races % RACES_BEFORE_POLL == 0
                && let Err(error) = self.poll().await
            {
                return answer_all(group, &error);
            }
        }
    }

    /// Who may go into the entry after `head`, and who must wait for the entry after that because another of the group
    /// changes the same ref. Whoever must think again is told so.
    async fn admit(&self, group: Vec<Waiting>, head: &Head) -> (Vec<Waiting>, Vec<Waiting>) {
        let (mut ready, mut later) = (Vec::new(), Vec::new());
        let mut changed: BTreeSet<RefName> = BTreeSet::new();
        let mut room = TableRoom::default();
        for waiting in group {
            let state = &head.state;
            let proposal = &waiting.proposal;
            let relied = proposal.relies_on.iter().all(|(name, then)| state.get(name) == Some(*then));
            let admitted = proposal.changes.iter().all(|change| state.admits(change));
            if waiting.fence != state.fence || !relied || !admitted {
                waiting.answer(Ok(Proposed::Moved(state.clone())));
                continue;
            }
            if let Err(error) = self.check_allowed(state, &proposal.changes, proposal.circumstances()).await {
                waiting.answer(Err(error));
                continue;
            }
            match self.condemned_of(proposal, state).await {
                Ok(None) => {}
                Ok(Some(condemned)) => {
                    waiting.answer(Ok(condemned));
                    continue;
                }
                Err(error) => {
                    waiting.answer(Err(error));
                    continue;
                }
            }
            let touches = |name: &RefName| changed.contains(name);
            let clash = proposal.changes.iter().any(|change| touches(&change.name))
                || proposal.relies_on.iter().any(|(name, _)| touches(name));
            if clash {
                later.push(waiting);
            } else if !room.admits(&head.state.refs, &proposal.changes) {
                waiting.answer(Err(self.table_is_full()));
            } else {
                changed.extend(proposal.changes.iter().map(|change| change.name.clone()));
                ready.push(waiting);
            }
        }
        (ready, later)
    }
}

fn answer_all(group: Vec<Waiting>, error: &RepoError) {
    for waiting in group {
        waiting.answer(Err(error.clone()));
    }
}
