//! Commits that landed while the workspace was not told: the process was killed, or the store did not answer. What a
//! commit took is kept from before it is sent until the workspace is on it, so that what was written since is told from
//! what the commit has.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::commit::settlements;
use super::contents::{unread, unsent_xattr};
use super::edit::{Builder, Contents, ReadFile};
use super::rebase::Settlements;
use super::refresh::Refreshed;
use super::staged::StagedTree;
use super::state::Result;
use super::taken::Taken;
use super::view::Workspace;
use crate::model::content::FileContent;
use crate::model::entry::{Content, XattrValue};
use crate::model::id::CommitId;
use crate::model::merge::{Conflict, Side};
use crate::model::path::TreePath;
use crate::model::source::lookup;
use crate::model::tree::Root;
use crate::overlay::node::Node;
use crate::overlay::schema::Db;
use crate::repo::commit::Landed;
use crate::repo::domain::Snapshot;
use crate::repo::objects::Objects;
use crate::repo::tree::apply::apply;
use crate::repo::tree::{links, root};
use crate::repo::upload::Upload;

/// A commit that landed, with what it took.
pub(super) struct Earlier {
    pub snapshot: Arc<Snapshot>,
    pub taken: Taken,
    tree: StagedTree,
    settle: Settlements,
}

impl Earlier {
    pub fn new(snapshot: Arc<Snapshot>, tree: StagedTree, settle: Settlements) -> Result<Earlier> {
        Ok(Earlier { snapshot, taken: Taken::read(&tree)?, tree, settle })
    }

    /// What the commit has of a staged file, if nothing happened to that since.
    pub async fn content(&self, objects: &Objects, node: &Node) -> Result<Option<FileContent>> {
        let Some(path) = self.taken.path_of_unchanged(node) else { return Ok(None) };
        let there = lookup(objects, &self.snapshot.root.entry, path).await?;
        Ok(there.and_then(|entry| match entry.content {
            Content::File(content) => Some(content),
            _ => None,
        }))
    }

    /// The tree that the workspace asked to commit: the commit's, without what others had changed by then.
    pub async fn root(&self, workspace: &Workspace) -> Result<Root> {
        let objects = &workspace.shared.objects;
        let contents = Committed { objects, earlier: self, upload: Upload::dry(&workspace.shared.domain) };
        let edit = Builder::new(&self.tree, contents).root().await?;
        let entry = apply(objects, &edit).await?;
        let table = match self.tree.link_groups()? {
            Some(groups) => links(groups)?,
            None => self.tree.base().root.links.clone(),
        };
        Ok(root(entry, table)?)
    }

    /// What the commit settled otherwise than was staged, at paths where nothing happened since.
    pub fn settled_still(&self, now: &StagedTree) -> Result<Settlements> {
        let mut settle = Settlements::new();
        for (path, how) in &self.settle {
            let (then, now_there) = (self.tree.ino_at(path)?, now.ino_at(path)?);
            let untouched = match then.filter(|_| then == now_there) {
                Some(ino) => self.taken.path_of_unchanged(&now.node(ino)?).is_some(),
                None => then == now_there,
            };
            if untouched {
                settle.insert(path.clone(), how.clone());
            }
        }
        Ok(settle)
    }
}

/// Contents as a commit that landed has them.
struct Committed<'a> {
    objects: &'a Objects,
    earlier: &'a Earlier,
    upload: Upload,
}

impl Contents for Committed<'_> {
    fn file<'a>(
        &'a mut self,
        tree: &'a StagedTree,
        node: &'a Node,
        path: &'a TreePath,
    ) -> BoxFuture<'a, Result<ReadFile>> {
        Box::pin(async move {
            let there = lookup(self.objects, &self.earlier.snapshot.root.entry, path).await?;
            let mtime = there.as_ref().map_or(node.mtime, |entry| entry.meta.mtime);
            let content = match there.map(|entry| entry.content) {
                Some(Content::File(content)) => content,
                // Not what was staged: whatever that was, it is equal to nothing.
                _ => unread(&[&node.ino.to_le_bytes()], 0),
            };
            Ok(ReadFile { content, node: node.clone(), mtime, xattrs: tree.xattrs(node.ino)? })
        })
    }

    fn empty_file(&mut self) -> BoxFuture<'_, Result<FileContent>> {
        Box::pin(async { Ok(self.upload.file(Arc::new(Vec::new()), 0, None).await?) })
    }

    fn xattr(&mut self, value: Vec<u8>) -> BoxFuture<'_, Result<XattrValue>> {
        Box::pin(async { Ok(unsent_xattr(value)) })
    }
}

impl Workspace {
    /// Keeps what a commit took, which is about to be sent. The staged changes themselves come first: rows older than
    /// the commit, met again after a power loss, would be taken for changes made since, and bytes that it took and that
    /// count as unsynced would be taken back.
    pub(super) fn keep_taken(&self, tree: &StagedTree, landed: &Landed) -> Result<()> {
        self.flush()?;
        let blended = landed.blended.iter().map(|(path, entry)| (path.clone(), Some(entry.clone())));
        let overruled = landed.overruled.iter().map(|path| (path.clone(), None));
        Ok(tree.keep_taken(&self.shared.dir, landed.commit.id, blended.chain(overruled).collect())?)
    }

    /// What is kept of that commit, if the workspace is still where it was.
    fn kept(&self, commit: CommitId) -> Result<Option<(StagedTree, Settlements)>> {
        let Some((rows, note)) = Db::taken(&self.shared.dir)? else { return Ok(None) };
        if note.commit != commit || note.base != self.head() {
            return Ok(None);
        }
        let (mut blended, mut overruled) = (Vec::new(), Vec::new());
        for (path, entry) in note.settled.iter().cloned() {
            match entry {
                Some(entry) => blended.push((path, entry)),
                None => overruled.push(path),
            }
        }
        Ok(Some((self.staged_before(rows, &note), settlements(blended, overruled))))
    }

    /// A commit of this workspace may have landed without its process living to see it. Gives the conflicts that keep
    /// the workspace from being put on it: what was written since, and what others had changed by then.
    pub(super) async fn take_up_earlier(&self, strategy: Option<Side>, paths: &[TreePath]) -> Result<Vec<Conflict>> {
        let domain = &self.shared.domain;
        let settled = domain.settled(&self.id()).await?;
        if settled.is_empty() {
            return Ok(Vec::new());
        }
        let ours = |change: &&crate::model::log::Change| {
            change.name == self.shared.branch.name && change.created_seq == self.shared.branch.created_seq
        };
        let landed = settled.iter().filter(|attempt| attempt.landed).flat_map(|attempt| &attempt.changes);
        if let Some(commit) = landed.filter(ours).filter_map(|change| change.target).next_back() {
            if !domain.is_ancestor(&commit, &self.head()).await? {
                let snapshot = domain.snapshot(&commit).await?;
                let moved = match self.kept(commit)? {
                    Some((tree, settle)) => self.adopt(&Earlier::new(snapshot, tree, settle)?, strategy, paths).await?,
                    None => self.move_to(snapshot, None, strategy, paths).await?,
                };
                if let Refreshed::Conflict(conflicts) = moved {
                    return Ok(conflicts);
                }
            }
            // Also of one that the workspace was on already when its process ended.
            self.went_into_commit()?;
        }
        self.taken_up()?;
        Ok(Vec::new())
    }

    /// The same for a workspace just opened, of which nobody has seen or changed anything yet.
    pub(super) async fn take_up_at_opening(&self) {
        let _verb = self.shared.verb.lock().await;
        match self.take_up_earlier(None, &[]).await {
            Ok(conflicts) if conflicts.is_empty() => {}
            Ok(conflicts) => {
                tracing::warn!(paths = conflicts.len(), "an earlier commit landed, beside others' changes")
            }
            // The next verb tries again, and what is kept tells it what was written meanwhile.
            Err(error) => tracing::warn!(%error, "what became of an earlier commit is not known yet"),
        }
    }

    /// Puts the workspace on a commit of its own.
    pub(super) async fn adopt(
        &self,
        earlier: &Earlier,
        strategy: Option<Side>,
        paths: &[TreePath],
    ) -> Result<Refreshed> {
        let from = self.head();
        let to = earlier.snapshot.clone();
        if !self.commit_landed(to.clone(), &earlier.tree, &earlier.settle).await? {
            return self.move_to(to, Some(earlier), strategy, paths).await;
        }
        self.went_into_commit()?;
        Ok(Refreshed::Moved { from, to: to.commit.id })
    }

    /// What came in, what was decided about it, and what was restored are part of a commit by now.
    fn went_into_commit(&self) -> Result<()> {
        self.forget_incoming()?;
        self.forget_conflicts()?;
        self.forget_sources()
    }

    /// The workspace is on whatever landed of what it sent.
    pub(super) fn taken_up(&self) -> Result<()> {
        Db::forget_taken(&self.shared.dir)?;
        Ok(self.shared.domain.take_up(&self.id())?)
    }
}
