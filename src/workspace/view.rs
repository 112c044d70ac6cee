//! The workspace as its callers have it: base snapshot and overlay as one tree, by inode number.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use futures::future::try_join_all;
use parking_lot::Mutex;

use super::attr::{Attr, Listed, NewNode, RenameMode, SetAttr, Space, XattrMode};
use super::base::LinkIndex;
use super::direct::Kernel;
use super::error::{Miss, WorkspaceError};
use super::external::ExternalCache;
use super::keep::Looked;
use super::live::Place;
use super::number::{self, Numbering};
use super::observer::BaseObserver;
use super::open_file::OpenFile;
use super::state::{Inode, Result, State};
use super::sync::Written;
use crate::model::entry::{Kind, Owner};
use crate::model::id::CommitId;
use crate::model::log::RefIdentity;
use crate::model::path::TreePath;
use crate::model::source::NodeSource;
use crate::overlay::schema::Db;
use crate::overlay::{Durability, Identity, Overlay};
use crate::repo::domain::{Domain, Snapshot};
use crate::repo::error::RepoError;
use crate::repo::objects::Objects;
use crate::sys::Sys;

/// Key of the overlay's note of the commit that staged changes are on.
pub(super) const BASE_KEY: &str = "base";

/// The working tree of one branch on this machine. Operations on names and data are synchronous and never wait for the
/// store: what is not at hand is [`WorkspaceError::Miss`].
#[derive(Debug)]
pub struct Workspace {
    pub(super) shared: Arc<Shared>,
}

/// What a workspace and its open files have in common.
#[derive(Debug)]
pub struct Shared {
    pub domain: Domain,
    pub branch: RefIdentity,
    /// Without symlinks: whichever way a process came here, its attempts are known by one name.
    pub dir: PathBuf,
    pub sys: Sys,
    pub objects: Objects,
    pub external: ExternalCache,
    pub durability: Durability,
    pub state: Mutex<State>,
    pub observer: Mutex<Option<Arc<dyn BaseObserver>>>,
    /// Snapshots taken for commits since this was opened: a file written after one is noted as changed again.
    pub commit_snapshots: AtomicU64,
    /// The newest operation when everything staged was last made to survive power loss.
    pub flushed: Mutex<Option<u64>>,
    pub written: Written,
    /// Held by the verb under way: a commit, a refresh, a restore.
    pub verb: tokio::sync::Mutex<()>,
    /// What [`Workspace::keep_base`] saw last.
    pub kept: Mutex<Option<Looked>>,
}

impl std::fmt::Debug for dyn BaseObserver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BaseObserver")
    }
}

impl Workspace {
    /// Opens the workspace of `branch` that lies in the folder `dir`, or makes it, on the branch's head. What a killed
    /// process left is recovered.
    pub async fn open(domain: &Domain, branch: &str, dir: &Path, sys: Sys) -> Result<Arc<Workspace>> {
        let (branch, head) = find_branch(domain, branch).await?;
        let owner = format!(
            "branch {} (made by entry {}) of domain {}",
            branch.name.name,
            branch.created_seq,
            domain.info().uid
        );
        let overlay = Overlay::open(dir, &Identity { owner }, &sys.boot)?;
        let base = match overlay.db.meta(BASE_KEY)? {
            Some(kept) => parse_base(dir, &kept)?,
            None => {
                overlay.db.set_meta(BASE_KEY, head.to_string().as_bytes())?;
                head
            }
        };
        let snapshot = domain.snapshot(&base).await?;
        let links = Arc::new(LinkIndex::load(domain.objects(), &snapshot.root).await?);
        let numbering = Numbering::new(&domain.info().uid, &branch);
        let durability = overlay.durability();
        let taken = Db::taken(dir)?;
        let mut state = State::new(overlay, snapshot, links, numbering, sys.clone())?;
        // No operation may be taken for one that a commit took.
        state.change = state.change.max(taken.map_or(0, |(_, note)| note.last_change()));
        let shared = Shared {
            domain: domain.clone(),
            branch,
            dir: dir.canonicalize().unwrap_or_else(|_| dir.to_owned()),
            sys,
            objects: domain.objects().clone(),
            external: ExternalCache::default(),
            durability,
            state: Mutex::new(state),
            observer: Mutex::new(None),
            commit_snapshots: AtomicU64::new(0),
            flushed: Mutex::new(None),
            written: Written::default(),
            verb: tokio::sync::Mutex::new(()),
            kept: Mutex::new(None),
        };
        let workspace = Arc::new(Workspace { shared: Arc::new(shared) });
        workspace.take_up_at_opening().await;
        Ok(workspace)
    }

    pub fn domain(&self) -> &Domain {
        &self.shared.domain
    }

    pub fn branch(&self) -> &RefIdentity {
        &self.shared.branch
    }

    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// The snapshot that staged changes are on.
    pub fn base(&self) -> Arc<Snapshot> {
        self.shared.state.lock().snapshot.clone()
    }

    pub fn head(&self) -> CommitId {
        self.base().commit.id
    }

    /// Who is told when what was shown changes by itself; one at a time.
    pub fn observe(&self, observer: Arc<dyn BaseObserver>) {
        *self.shared.observer.lock() = Some(observer);
    }

    /// Loads what a miss names.
    pub async fn fetch(&self, miss: &Miss) -> Result<()> {
        fetch(&self.shared.objects, &self.shared.external, miss).await
    }

    /// Runs an operation until nothing it needs is missing.
    pub async fn with_fetch<T>(&self, mut operation: impl FnMut(&Workspace) -> Result<T>) -> Result<T> {
        loop {
            match operation(self) {
                Err(WorkspaceError::Miss(miss)) => self.fetch(&miss).await?,
                outcome => return outcome,
            }
        }
    }

    pub fn root_ino(&self) -> u64 {
        self.shared.state.lock().root
    }

    /// Anything staged, or any file open for writing?
    pub fn is_dirty(&self) -> Result<bool> {
        self.shared.state.lock().is_dirty()
    }

    /// Finds `name` in the directory `parent`, and counts one reference to it.
    pub fn lookup(&self, parent: u64, name: &[u8]) -> Result<Attr> {
        let state = &mut *self.shared.state.lock();
        let dir = state.dir(parent)?;
        let found = state.child(&dir, name)?.ok_or(WorkspaceError::NotFound)?;
        let attr = state.attr(&found)?;
        state.hold(&found)?;
        Ok(attr)
    }

    /// Counts one reference to an entry that [`Workspace::readdir`] gave, as a lookup would.
    pub fn keep(&self, parent: u64, listed: &Listed) {
        match self.lookup(parent, &listed.name) {
            Ok(found) if found.ino == listed.attr.ino => {}
            // The name got another file meanwhile, which nobody was told of.
            Ok(found) => self.forget(found.ino, 1),
            // What was listed a moment ago is at hand; should it not be, the kernel asks for it again.
            Err(error) => tracing::debug!(ino = listed.attr.ino, %error, "a listed entry was not kept"),
        }
    }

    /// Takes back `count` references.
    pub fn forget(&self, ino: u64, count: u64) {
        let state = &mut *self.shared.state.lock();
        let dropped = state.live.forget(ino, count);
        if let Err(error) = state.drop_orphans(&dropped) {
            tracing::warn!(ino, %error, "cleaning up after a deleted file");
        }
    }

    /// Inodes kept in memory because somebody holds them, or something in them.
    pub fn inodes_held(&self) -> usize {
        self.shared.state.lock().live.len()
    }

    pub fn attr(&self, ino: u64) -> Result<Attr> {
        let state = &mut *self.shared.state.lock();
        let inode = state.resolve(ino)?;
        state.attr(&inode)
    }

    /// The directory that holds the directory `ino`; the root is its own parent.
    pub fn parent(&self, ino: u64) -> Result<u64> {
        self.shared.state.lock().parent(ino)
    }

    /// One path of `ino` now; none when it has no name any more.
    pub fn path(&self, ino: u64) -> Result<Option<TreePath>> {
        self.shared.state.lock().path(ino)
    }

    /// Walks `path` from the root, counting one reference to what it leads to.
    pub fn lookup_path(&self, path: &TreePath) -> Result<Attr> {
        let state = &mut *self.shared.state.lock();
        let mut held = Vec::new();
        let found = state.hold_path(path, &mut held);
        // What is below a directory holds it from now on.
        for ino in held {
            let dropped = state.live.forget(ino, 1);
            state.drop_orphans(&dropped)?;
        }
        found
    }

    /// At most `max` entries of the directory, in byte order of names, those after `after` only; empty at the end.
    /// No references are counted.
    pub fn readdir(&self, dir: u64, after: Option<&[u8]>, max: usize) -> Result<Vec<Listed>> {
        let state = &mut *self.shared.state.lock();
        let dir = state.dir(dir)?;
        let found = state.list(&dir, after, max)?;
        found.into_iter().map(|(name, inode)| Ok(Listed { name, attr: state.attr(&inode)? })).collect()
    }

    pub fn readlink(&self, ino: u64) -> Result<Vec<u8>> {
        self.shared.state.lock().readlink(ino)
    }

    /// Creates `name` and counts one reference to it. No owner: shown as whoever mounts.
    pub fn create(&self, parent: u64, name: &[u8], new: NewNode, mode: u16, owner: Option<Owner>) -> Result<Attr> {
        let state = &mut *self.shared.state.lock();
        let made = state.create(parent, name, &new, mode, owner)?;
        state.hold(&made)?;
        state.attr(&made)
    }

    /// Another name for the file `ino`; counts one reference to it.
    pub fn link(&self, ino: u64, parent: u64, name: &[u8]) -> Result<Attr> {
        let state = &mut *self.shared.state.lock();
        let linked = state.link(ino, parent, name)?;
        state.hold(&linked)?;
        state.attr(&linked)
    }

    pub fn unlink(&self, parent: u64, name: &[u8]) -> Result<()> {
        self.shared.state.lock().unlink(parent, name)
    }

    pub fn rmdir(&self, parent: u64, name: &[u8]) -> Result<()> {
        self.shared.state.lock().rmdir(parent, name)
    }

    /// A file that replaces another is synced first: after a power loss its name shows the old one or the new, whole.
    pub fn rename(&self, from: (u64, &[u8]), to: (u64, &[u8]), mode: RenameMode) -> Result<()> {
        let replacement = self.shared.state.lock().replacement(from, to, mode);
        if let Some(ino) = replacement {
            self.sync_content(ino)?;
        }
        self.shared.state.lock().rename(from, to, mode)
    }

    pub fn set_attr(&self, ino: u64, change: SetAttr) -> Result<Attr> {
        if let Some(size) = change.size {
            let kind = self.attr(ino)?.kind;
            match kind {
                Kind::File => self.open_file(ino, true, false)?.truncate(size)?,
                Kind::Dir => return Err(WorkspaceError::IsDirectory),
                _ => return Err(WorkspaceError::Invalid("not a regular file")),
            }
        }
        if (SetAttr { size: None, ..change }) == SetAttr::default() {
            return self.attr(ino);
        }
        self.shared.state.lock().set_meta(ino, &change)
    }

    pub fn get_xattr(&self, ino: u64, name: &[u8]) -> Result<Vec<u8>> {
        self.shared.state.lock().get_xattr(ino, name)
    }

    /// Names, sorted.
    pub fn list_xattrs(&self, ino: u64) -> Result<Vec<Vec<u8>>> {
        let state = &mut *self.shared.state.lock();
        let inode = state.resolve(ino)?;
        Ok(state.xattrs(&inode)?.into_iter().map(|(name, _)| name).collect())
    }

    pub fn set_xattr(&self, ino: u64, name: &[u8], value: &[u8], mode: XattrMode) -> Result<()> {
        self.shared.state.lock().set_xattr(ino, name, value, mode)
    }

    pub fn remove_xattr(&self, ino: u64, name: &[u8]) -> Result<()> {
        self.shared.state.lock().remove_xattr(ino, name)
    }

    /// Opens a regular file. `truncate` empties it and needs `write`.
    pub fn open_file(&self, ino: u64, write: bool, truncate: bool) -> Result<OpenFile> {
        self.open_file_for(None, ino, write, truncate)
    }

    /// [`Workspace::open_file`] for a kernel that can use local files by itself.
    pub fn open_file_for(&self, kernel: Option<Kernel<'_>>, ino: u64, write: bool, truncate: bool) -> Result<OpenFile> {
        let (state, serving) = self.shared.state.lock().open(ino, write, kernel)?;
        let file = OpenFile::new(self.shared.clone(), state, write, serving);
        if truncate {
            file.truncate(0)?;
        }
        Ok(file)
    }

    /// fsync(2) of a directory: its names survive a power loss.
    pub fn sync_dir(&self, _ino: u64) -> Result<()> {
        self.shared.make_durable()
    }

    pub fn space(&self) -> Result<Space> {
        let space = self.shared.state.lock().overlay.files.space()?;
        Ok(Space {
            bytes_total: space.total_bytes,
            bytes_free: space.available_bytes,
            bytes_available: space.available_bytes,
            files_total: space.total_files,
            files_free: space.available_files,
        })
    }
}

impl State {
    pub fn is_dirty(&self) -> Result<bool> {
        Ok(self.open.values().any(|open| open.writers > 0) || self.overlay.db.any_change()?)
    }

    /// Anything staged, also what the kernel did not tell of?
    pub fn any_change(&mut self) -> Result<bool> {
        self.look_at_all()?;
        Ok(self.overlay.db.any_change()?)
    }

    /// Counts one lookup of `inode`.
    fn hold(&mut self, inode: &Inode) -> Result<()> {
        let place = match inode {
            Inode::Staged(_) => Place::Staged,
            Inode::Base(base) => Place::Base {
                parent: base.parent,
                name: base.name.clone().into(),
                mark: number::content_mark(&base.entry),
            },
            Inode::Detached(_, entry) => Place::Detached(entry.clone()),
        };
        let dropped = self.live.add_lookup(inode.ino(), place);
        self.drop_orphans(&dropped)
    }

    /// Counts one lookup of each directory on `path` (listed in `held`) and of what it leads to.
    fn hold_path(&mut self, path: &TreePath, held: &mut Vec<u64>) -> Result<Attr> {
        let mut here = self.resolve(self.root)?;
        for name in path.names() {
            if here.kind() != Kind::Dir {
                return Err(WorkspaceError::NotDirectory);
            }
            self.hold(&here)?;
            held.push(here.ino());
            here = self.child(&here, name)?.ok_or(WorkspaceError::NotFound)?;
        }
        let attr = self.attr(&here)?;
        self.hold(&here)?;
        Ok(attr)
    }

    /// What `path` leads to.
    pub fn find_path(&mut self, path: &TreePath) -> Result<Option<Inode>> {
        let mut here = self.resolve(self.root)?;
        for name in path.names() {
            if here.kind() != Kind::Dir {
                return Ok(None);
            }
            match self.child(&here, name)? {
                Some(child) => here = child,
                None => return Ok(None),
            }
        }
        Ok(Some(here))
    }
}

/// Loads what a miss names.
pub(super) async fn fetch(objects: &Objects, external: &ExternalCache, miss: &Miss) -> Result<()> {
    match miss {
        Miss::Nodes(nodes) => {
            try_join_all(nodes.iter().map(|(id, body)| objects.node(id, body))).await?;
        }
        Miss::Content { content, offset, len } => drop(objects.read(content, *offset, *len).await?),
        Miss::Items { content, offset } => {
            objects.next_data(content, *offset).await?;
            objects.next_hole(content, *offset).await?;
        }
        Miss::External { content, offset, len } => external.fetch(objects, content, *offset, *len).await?,
        Miss::Xattr(value) => drop(objects.xattr_value(value).await?),
    }
    Ok(())
}

async fn find_branch(domain: &Domain, branch: &str) -> Result<(RefIdentity, CommitId)> {
    if domain.state().branch(branch).is_none() {
        domain.poll().await?;
    }
    let found = domain.state().branch(branch).map(|(identity, state)| (identity, state.target));
    let unknown = || RepoError::NoBranch { domain: domain.info().name.clone(), branch: branch.to_owned() };
    Ok(found.ok_or_else(unknown)?)
}

fn parse_base(dir: &Path, kept: &[u8]) -> Result<CommitId> {
    let parsed = std::str::from_utf8(kept).ok().and_then(|text| text.parse().ok());
    let damaged = || crate::overlay::error::OverlayError::Damaged {
        path: dir.to_owned(),
        reason: "the note of its base commit is no commit id".to_owned(),
    };
    Ok(parsed.ok_or_else(damaged)?)
}
