//! Landing a commit: apply or merge onto the newest head, store, put the log entry; again when the head moved.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join;

use super::changed::{Changed, changed};
use super::domain::{Domain, Proposal, Proposed, Sent, Snapshot};
use super::error::RepoError;
use super::pick::{Incoming, Pick, Taken};
use super::protection::Circumstances;
use super::refs::LogState;
use super::tree::{self, apply::apply};
use super::upload::Upload;
use crate::format::error::FormatError;
use crate::format::record::{commit_id, encode_commit};
use crate::model::commit::Commit;
use crate::model::edit::DirEdit;
use crate::model::entry::Entry;
use crate::model::id::{CommitId, Nonce, PackName};
use crate::model::log::{Operation, RefIdentity};
use crate::model::merge::{Conflict, MergeOptions, merge};
use crate::model::path::TreePath;
use crate::model::tree::{LinkGroup, Root};

/// Heads that may get ahead of one commit before it gives up: with the pauses between them, minutes of a busy branch.
const RACES_MAX: u32 = 64;

/// Longest pause before the first and before any later repetition, in milliseconds. The pause is random below it, so
/// that machines which met once do not meet again.
const FIRST_PAUSE_MS: u64 = 50;
const LONGEST_PAUSE_MS: u64 = 2_000;

/// What is to become the head of a branch.
#[derive(Clone, Debug)]
pub struct CommitRequest {
    pub branch: RefIdentity,
    /// The commit that the edit was made on.
    pub base: CommitId,
    /// What makes the new root directory of the base's.
    pub edit: DirEdit,
    /// All hard-link groups of the new tree; none when they are the base's.
    pub links: Option<Vec<LinkGroup>>,
    /// Other commits from whose trees the edit takes nodes or contents.
    pub sources: Vec<CommitId>,
    pub author: String,
    pub message: String,
    pub metadata: BTreeMap<String, String>,
    /// What is taken into the edited tree before that lands.
    pub incoming: Option<Incoming>,
    /// How conflicts with a head that moved are decided.
    pub options: MergeOptions,
    /// Whose staged changes these are (see [`Proposal`]).
    pub workspace: Option<String>,
}

/// A commit that is the head of its branch, or was.
#[derive(Clone, Debug)]
pub struct Landed {
    pub commit: Arc<Commit>,
    /// Paths at which it has neither what the request had nor what the head had (see `Merged::blended`).
    pub blended: Vec<(TreePath, Entry)>,
    /// Paths at which it has what the head had instead of what the request had, by decision.
    pub overruled: Vec<TreePath>,
}

/// What became of a commit.
#[derive(Clone, Debug)]
pub enum CommitOutcome {
    /// The new head.
    Landed(Landed),
    /// What came in, or the branch's head, changed the same; nothing landed. Theirs is of the commit `with`.
    Conflict { conflicts: Vec<Conflict>, with: CommitId },
    /// The tree is the head's already; no commit was made. The workspace may go on from `head`.
    Nothing { head: CommitId },
    /// A garbage collection condemned what the upload sent: nothing landed, the contents must go again in a new upload.
    Condemned { packs: Vec<PackName> },
}

/// Told of a commit before it is first sent: it may land without anybody living to see it.
pub type BeforeSend<'a> = &'a (dyn Fn(&Landed) -> Result<(), RepoError> + Sync);

/// Makes `request` the newest commit of its branch, on whatever head the branch has by then.
pub async fn land(domain: &Domain, upload: &mut Upload, request: &CommitRequest) -> Result<CommitOutcome, RepoError> {
    land_noted(domain, upload, request, &|_| Ok(())).await
}

/// [`land`], with `before_send` told of each record that is about to be put into the log.
pub async fn land_noted(
    domain: &Domain,
    upload: &mut Upload,
    request: &CommitRequest,
    before_send: BeforeSend<'_>,
) -> Result<CommitOutcome, RepoError> {
    let base = domain.snapshot(&request.base).await?;
    let mut landing = Landing {
        domain,
        upload,
        request,
        base,
        ours: None,
        taken_in: Settled::default(),
        settled: Settled::default(),
    };
    let mut state = domain.state();
    let mut stored: Option<Stored> = None;
    let mut noted = None;
    for race in 0..RACES_MAX {
        let now = match domain.expect(&state, &request.branch, None) {
            // What looks gone may only have been made since the log was last read.
            Err(_) if domain.poll().await? => {
                state = domain.state();
                continue;
            }
            now => now?,
        };
        // Seen here first, before anything large is sent.
        let change = state.change(landing.operation(), &request.branch, Some(now.target));
        domain.check_allowed(&state, change.as_slice(), landing.circumstances(false)).await?;
        let record = match stored.take().filter(|stored| stored.head == now.target) {
            Some(stored) => stored,
            None => match landing.evaluate(&now.target).await? {
                Evaluated::New { root, changed, head } => landing.store(&root, &changed, &head, state.seq + 1).await?,
                Evaluated::Nothing => return Ok(CommitOutcome::Nothing { head: now.target }),
                // A conflict is to be with the newest head.
                Evaluated::Conflict { .. } if domain.poll().await? => {
                    state = domain.state();
                    continue;
                }
                Evaluated::Conflict { conflicts, with } => return Ok(CommitOutcome::Conflict { conflicts, with }),
            },
        };
        let proposal = landing.proposal(&state, &record).await?;
        if noted.replace(record.commit.id) != Some(record.commit.id) {
            before_send(&landing.landed(&record))?;
        }
        match domain.propose(&state, proposal).await? {
            Proposed::Landed { .. } => {
                domain.remember(record.commit.clone(), record.root.clone());
                return Ok(CommitOutcome::Landed(landing.landed(&record)));
            }
            Proposed::Moved(moved) => {
                state = moved;
                stored = Some(record);
                pause(domain, race).await;
            }
            Proposed::Condemned { packs, .. } if !packs.is_empty() => return Ok(CommitOutcome::Condemned { packs }),
            Proposed::Condemned { state: moved, .. } => {
                stored = Some(landing.renew(record, moved.seq + 1).await?);
                state = moved;
            }
        }
    }
    let what = format!("branch `{}` of domain `{}`", request.branch.name.name, domain.info().name);
    Err(RepoError::Moved { what, now: format!("{RACES_MAX} other commits were faster; try again") })
}

async fn pause(domain: &Domain, race: u32) {
    let bound = (FIRST_PAUSE_MS << race.min(10)).min(LONGEST_PAUSE_MS);
    let pause = Duration::from_millis(domain.sys().random.below(bound));
    domain.sys().clock.sleep(pause).await;
}

/// A record in the store that no entry names yet.
struct Stored {
    commit: Arc<Commit>,
    root: Arc<Root>,
    /// The head that it was worked out on.
    head: CommitId,
    /// The newest epoch known before it was sent.
    epoch: u64,
    changes_settings: bool,
}

/// What a commit comes to on some head.
enum Evaluated {
    New { root: Box<Root>, changed: Changed, head: Arc<Snapshot> },
    Nothing,
    Conflict { conflicts: Vec<Conflict>, with: CommitId },
}

struct Landing<'a> {
    domain: &'a Domain,
    upload: &'a mut Upload,
    request: &'a CommitRequest,
    base: Arc<Snapshot>,
    /// The edited base, with what comes in; made when first needed.
    ours: Option<Root>,
    /// Of what came in.
    taken_in: Settled,
    /// Of the newest evaluation.
    settled: Settled,
}

/// Where a merge has something else than the edit asked for: neither's, or (none) what the other side had.
#[derive(Clone, Debug, Default)]
pub struct Settled(BTreeMap<TreePath, Option<Entry>>);

impl Settled {
    pub fn new(blended: Vec<(TreePath, Entry)>, overruled: Vec<TreePath>) -> Settled {
        let blended = blended.into_iter().map(|(path, entry)| (path, Some(entry)));
        Settled(blended.chain(overruled.into_iter().map(|path| (path, None))).collect())
    }
}

impl Landing<'_> {
    fn landed(&self, record: &Stored) -> Landed {
        let mut landed = Landed { commit: record.commit.clone(), blended: Vec::new(), overruled: Vec::new() };
        // What the head had to say came last.
        let mut settled = self.taken_in.0.clone();
        settled.extend(self.settled.0.clone());
        for (path, entry) in settled {
            match entry {
                Some(entry) => landed.blended.push((path, entry)),
                None => landed.overruled.push(path),
            }
        }
        landed
    }

    /// The edited base, with what comes in; else the conflicts with that.
    async fn ours(&mut self) -> Result<Result<Root, Vec<Conflict>>, RepoError> {
        let entry = apply(self.domain.objects(), &self.request.edit).await?;
        let edited = match &self.request.links {
            Some(groups) => tree::root(entry, tree::links(groups.clone())?)?,
            None => tree::root(entry, self.base.root.links.clone())?,
        };
        let Some(incoming) = &self.request.incoming else { return Ok(Ok(edited)) };
        Ok(match self.domain.take_in(&edited, &self.request.base, incoming).await? {
            Taken::Tree { root, settled } => {
                self.taken_in = settled;
                Ok(*root)
            }
            Taken::Conflict(conflicts) => Err(conflicts),
        })
    }

    /// The commits of what comes in.
    fn pick(&self) -> Option<Pick> {
        self.request.incoming.as_ref().map(|incoming| incoming.pick)
    }

    fn operation(&self) -> Operation {
        self.pick().map_or(Operation::Commit, |pick| pick.operation())
    }

    fn circumstances(&self, changes_settings: bool) -> Circumstances {
        Circumstances { staged: self.request.workspace.is_some(), changes_settings }
    }

    /// What becomes a parent beside the head.
    fn merged(&self) -> Option<CommitId> {
        self.pick().and_then(|pick| pick.parent())
    }

    async fn evaluate(&mut self, head: &CommitId) -> Result<Evaluated, RepoError> {
        let objects = self.domain.objects();
        let ours = match self.ours.take() {
            Some(ours) => ours,
            None => match self.ours().await? {
                Ok(ours) => ours,
                Err(conflicts) => {
                    let with = self.pick().map_or(*head, |pick| pick.theirs());
                    return Ok(Evaluated::Conflict { conflicts, with });
                }
            },
        };
        let ours = self.ours.insert(ours);
        self.settled = Settled::default();
        if *head == self.base.commit.id {
            let (ours, base) = (ours.clone(), self.base.clone());
            return self.compare(ours, base).await;
        }
        let head = self.domain.snapshot(head).await?;
        let merged = merge(objects, &self.base.root, ours, &head.root, &self.request.options).await?;
        if !merged.conflicts.is_empty() {
            return Ok(Evaluated::Conflict { conflicts: merged.conflicts, with: head.commit.id });
        }
        self.settled = Settled::new(merged.blended, merged.overruled);
        let entry = apply(objects, &merged.edit).await?;
        let links = match merged.links {
            Some(groups) => tree::links(groups)?,
            None => head.root.links.clone(),
        };
        self.compare(tree::root(entry, links)?, head).await
    }

    /// A directory's own time alone is no change worth a commit.
    async fn compare(&self, root: Root, head: Arc<Snapshot>) -> Result<Evaluated, RepoError> {
        if root.id == head.root.id && self.merged().is_none() {
            return Ok(Evaluated::Nothing);
        }
        let changed = changed(self.domain.objects(), &head.root.entry, &root.entry).await?;
        let table = |root: &Root| root.links.as_ref().map(|links| links.id);
        let same = changed.is_nothing() && table(&root) == table(&head.root);
        Ok(match same && self.merged().is_none() {
            true => Evaluated::Nothing,
            false => Evaluated::New { root: Box::new(root), changed, head },
        })
    }

    /// Sends the tree's new nodes, and beside them the record. `seq` is the entry that it is first put for.
    async fn store(&mut self, root: &Root, changed: &Changed, head: &Snapshot, seq: u64) -> Result<Stored, RepoError> {
        let epoch = self.domain.state().fence.epoch;
        let (root, root_location) = self.upload.place_nodes(root.clone()).await?;
        let mut parents = vec![head.commit.id];
        let mut generation = head.commit.generation;
        if let Some(id) = self.merged() {
            generation = generation.max(self.domain.record(&id).await?.generation);
            parents.push(id);
        }
        let commit = Commit {
            id: CommitId([0; 32]),
            root: root.id,
            parents,
            generation: generation + 1,
            author: self.request.author.clone(),
            host: self.domain.host().to_owned(),
            time: self.domain.store_time()?,
            message: self.request.message.clone(),
            metadata: self.request.metadata.clone(),
            stats: changed.stats,
            nonce: Nonce([0; 16]),
            root_location,
            first_seq: seq,
            changed_paths: changed.filter.clone(),
            extra: Default::default(),
        };
        let record = put_record(self.domain, commit);
        let (commit, ()) = try_join(record, self.upload.finish()).await?;
        let changes_settings =
            self.domain.changes_settings(&self.request.branch, &head.root.entry, &root.entry).await?;
        Ok(Stored { root: Arc::new(root), commit, head: head.commit.id, epoch, changes_settings })
    }

    /// The same record under another name, for a name that was condemned.
    async fn renew(&self, stored: Stored, seq: u64) -> Result<Stored, RepoError> {
        let epoch = self.domain.state().fence.epoch;
        let commit = Commit { first_seq: seq, ..Commit::clone(&stored.commit) };
        let commit = put_record(self.domain, commit).await?;
        Ok(Stored { commit, epoch, ..stored })
    }

    async fn proposal(&self, state: &LogState, stored: &Stored) -> Result<Proposal, RepoError> {
        let change = state.change(self.operation(), &self.request.branch, Some(stored.commit.id));
        let mut relies_on = Vec::new();
        // A head is live; what else the tree takes bytes from must be judged.
        let base = (stored.head != self.request.base).then_some(&self.request.base);
        let theirs = self.pick().map(|pick| pick.theirs());
        for commit in base.into_iter().chain(&self.request.sources).chain(&theirs) {
            relies_on.extend(self.domain.usable(state, commit).await?);
        }
        Ok(Proposal {
            changes: change.into_iter().collect(),
            packs: self.upload.packs(),
            records: vec![Sent { name: stored.commit.id, epoch: stored.epoch }],
            relies_on,
            workspace: self.request.workspace.clone(),
            changes_settings: stored.changes_settings,
        })
    }
}

/// Puts a record under a new nonce, and so a name that was never used.
async fn put_record(domain: &Domain, mut commit: Commit) -> Result<Arc<Commit>, RepoError> {
    let refused = |error: FormatError| RepoError::Refused(error.to_string());
    commit.nonce = Nonce(domain.sys().random.name());
    commit.id = commit_id(&commit).map_err(refused)?;
    let bytes = encode_commit(&commit).map_err(refused)?;
    domain.store().put(&domain.place().record_key(&commit.id), bytes.into()).await?;
    Ok(Arc::new(commit))
}
