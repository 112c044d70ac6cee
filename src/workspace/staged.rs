//! What is staged, as one state that goes on changing underneath: what status shows and a commit takes.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use super::base::LinkIndex;
use super::error::WorkspaceError;
use super::file_state::Data;
use super::state::{Inode, Result, State};
use super::view::Workspace;
use crate::model::entry::Entry;
use crate::model::id::CommitId;
use crate::model::path::TreePath;
use crate::model::tree::LinkGroup;
use crate::overlay::dirent::{Dirent, NamedDirent};
use crate::overlay::error::OverlayError;
use crate::overlay::files::FileIdentity;
use crate::overlay::node::{Node, OriginPath, Under};
use crate::overlay::ranges::RangeSet;
use crate::overlay::schema::Db;
use crate::overlay::taken::TakenNote;
use crate::overlay::xattr::StagedValue;
use crate::repo::domain::Snapshot;

/// The names and rows of everything staged, as of one instant. Nothing of it changes while the workspace goes on.
#[derive(Debug)]
pub struct StagedTree {
    /// A connection that reads one state of the database.
    reader: Mutex<Db>,
    base: Arc<Snapshot>,
    links: Arc<LinkIndex>,
    root: u64,
    /// The newest operation when it was taken.
    pub(super) change: u64,
    /// For files looked at later than the names: the change that was looked at.
    taken: Mutex<HashMap<u64, u64>>,
}

/// A staged file as it is now, which may be later than the [`StagedTree`] it was found in.
#[derive(Debug)]
pub struct StagedFile {
    pub node: Arc<Node>,
    pub xattrs: Vec<(Vec<u8>, StagedValue)>,
    pub file: Arc<File>,
    pub identity: FileIdentity,
    /// Nobody is told when it is written to.
    pub unannounced: bool,
    pub under: Option<Under>,
    valid: RangeSet,
}

impl StagedFile {
    /// Where the file may differ from what shows through it: sorted, not touching.
    pub fn dirty(&self) -> Vec<Range<u64>> {
        let Some(under) = &self.under else { return std::iter::once(0..self.identity.size).collect() };
        let mut dirty = self.valid.clone();
        dirty.insert(under.len..self.identity.size);
        dirty.iter().collect()
    }
}

impl StagedTree {
    pub fn base(&self) -> &Arc<Snapshot> {
        &self.base
    }

    pub fn root(&self) -> u64 {
        self.root
    }

    pub fn node(&self, ino: u64) -> Result<Node> {
        let node = self.reader.lock().node(ino)?;
        node.ok_or(WorkspaceError::Stale)
    }

    /// Every name that the directory says something of, in byte order; the others are its origin's.
    pub fn names(&self, dir: u64) -> Result<Vec<NamedDirent>> {
        Ok(self.reader.lock().dirents(dir, None, usize::MAX)?)
    }

    /// All attributes of an inode with a set of its own; else those of its origin hold.
    pub fn xattrs(&self, ino: u64) -> Result<Vec<(Vec<u8>, StagedValue)>> {
        Ok(self.reader.lock().xattrs(ino)?)
    }

    /// The inode made of what was `path` in the base, if it was touched and is not deleted.
    pub fn node_of_origin(&self, path: &TreePath) -> Result<Option<u64>> {
        Ok(self.reader.lock().node_of_origin(&OriginPath::of_base(path))?)
    }

    /// Has the inode any name that it has in the base?
    pub fn has_home_name(&self, ino: u64) -> Result<bool> {
        Ok(!self.reader.lock().home_names_of(ino)?.is_empty())
    }

    /// All paths of an inode, sorted.
    pub fn paths(&self, ino: u64) -> Result<Vec<TreePath>> {
        if ino == self.root {
            return Ok(vec![TreePath::root()]);
        }
        let names = self.reader.lock().names_of(ino)?;
        let mut paths = Vec::new();
        for (parent, name) in names {
            paths.extend(self.paths(parent)?.first().map(|parent| parent.join(&name)));
        }
        paths.sort();
        Ok(paths)
    }

    /// Where the untouched thing that is `path` in the base is now: directories above it may have moved. None when it
    /// was touched or deleted.
    pub fn path_of_untouched(&self, path: &TreePath) -> Result<Option<TreePath>> {
        let mut above = path.clone();
        let mut rest = TreePath::root();
        while let Some((parent, name)) = above.split_last() {
            rest = rest.under(&TreePath::root().join(name));
            above = parent;
            let dir = if above.is_root() { Some(self.root) } else { self.node_of_origin(&above)? };
            if let Some(dir) = dir {
                let first = rest.names().next().unwrap_or_default();
                let says = self.reader.lock().dirent(dir, first)?;
                let dir = self.paths(dir)?.into_iter().next();
                return Ok(dir.filter(|_| says.is_none()).map(|dir| rest.under(&dir)));
            }
        }
        Ok(None)
    }

    /// All hard-link groups of the tree as staged; none when they are the base's.
    pub fn link_groups(&self) -> Result<Option<Vec<LinkGroup>>> {
        let linked = self.reader.lock().linked_inos()?;
        if linked.is_empty() && self.links.is_empty() {
            return Ok(None);
        }
        let mut groups = BTreeSet::new();
        for ino in linked {
            groups.insert(LinkGroup(self.paths(ino)?));
        }
        for group in self.links.groups() {
            // Touching one name of a file touches all.
            let mut paths = Vec::new();
            for path in &group.0 {
                paths.extend(self.path_of_untouched(path)?);
            }
            if paths.len() > 1 {
                paths.sort();
                groups.insert(LinkGroup(paths));
            }
        }
        let base: BTreeSet<_> = self.links.groups().iter().cloned().collect();
        Ok((groups != base).then(|| groups.into_iter().collect()))
    }

    /// What the working tree has at a path, if it was touched.
    pub(super) fn ino_at(&self, path: &TreePath) -> Result<Option<u64>> {
        let mut here = self.root;
        for name in path.names() {
            match self.reader.lock().dirent(here, name)? {
                Some(Dirent::Ino(ino)) => here = ino,
                Some(Dirent::Whiteout) | None => return Ok(None),
            }
        }
        Ok(Some(here))
    }

    /// Keeps the names and rows in `dir`, as what `commit` takes (see [`TakenNote`]).
    pub(super) fn keep_taken(
        &self,
        dir: &Path,
        commit: CommitId,
        settled: Vec<(TreePath, Option<Entry>)>,
    ) -> std::result::Result<(), OverlayError> {
        let looked_at = self.taken.lock().iter().map(|(ino, change)| (*ino, *change)).collect();
        let note = TakenNote { commit, base: self.base.commit.id, change: self.change, looked_at, settled };
        self.reader.lock().keep_taken(dir, &note)
    }

    /// The change of an inode that the commit took.
    pub(super) fn taken(&self, node: &Node) -> u64 {
        self.taken.lock().get(&node.ino).copied().unwrap_or(node.change)
    }
}

impl Workspace {
    /// What was staged when a commit took it, by rows that were kept. The workspace is still on the base it was on.
    pub(super) fn staged_before(&self, rows: Db, note: &TakenNote) -> StagedTree {
        let state = self.shared.state.lock();
        StagedTree {
            reader: Mutex::new(rows),
            base: state.snapshot.clone(),
            links: state.links.clone(),
            root: state.root,
            change: note.change,
            taken: Mutex::new(note.looked_at.iter().copied().collect()),
        }
    }

    /// What is staged now.
    pub fn staged(&self) -> Result<StagedTree> {
        let state = &mut *self.shared.state.lock();
        state.look_at_all()?;
        // Writes that begin from here on are noted in their rows: none can slip between looking and taking.
        self.shared.commit_snapshots.fetch_add(1, Ordering::AcqRel);
        Ok(StagedTree {
            reader: Mutex::new(state.overlay.db.reader()?),
            base: state.snapshot.clone(),
            links: state.links.clone(),
            root: state.root,
            change: state.change,
            taken: Mutex::default(),
        })
    }

    /// A file whose bytes are staged, to be read and then asked about again ([`Workspace::is_unchanged`]). None when
    /// it is deleted by now, or its bytes are the base's.
    pub fn staged_file(&self, tree: &StagedTree, ino: u64) -> Result<Option<StagedFile>> {
        loop {
            let open = self.shared.state.lock().open.get(&ino).map(|open| open.state.clone());
            // A write under way ends before this, and the next one begins after it.
            let data = open.as_ref().map(|open| open.data.read());
            let state = &mut *self.shared.state.lock();
            let still = state.open.get(&ino).map(|open| Arc::as_ptr(&open.state)) == open.as_ref().map(Arc::as_ptr);
            // Who opened it meanwhile may be writing.
            if still {
                return self.staged_file_locked(state, data.as_deref(), tree, ino);
            }
        }
    }

    /// `data`: the file's own, if it is open; nobody writes to it.
    fn staged_file_locked(
        &self,
        state: &mut State,
        data: Option<&Data>,
        tree: &StagedTree,
        ino: u64,
    ) -> Result<Option<StagedFile>> {
        // The next write is noted in the row, as it comes after what the row is taken for here.
        self.shared.commit_snapshots.fetch_add(1, Ordering::AcqRel);
        // Before the look at the file: what is written after that then differs from what is noted.
        state.look(ino)?;
        let Some(node) = state.row(ino)?.filter(|node| node.staged && node.nlink > 0) else { return Ok(None) };
        let (file, valid) = match data {
            Some(Data::Staged(staged)) => (staged.file.clone(), staged.valid.clone()),
            _ => {
                let staged = state.open_staged(&node)?;
                (staged.file, staged.valid)
            }
        };
        let identity = FileIdentity::of(&file).map_err(|error| OverlayError::io(&self.shared.dir, error))?;
        let xattrs = state.xattrs(&Inode::Staged(node.clone()))?;
        tree.taken.lock().insert(ino, node.change);
        let unannounced = state.is_written_directly(ino);
        Ok(Some(StagedFile { under: node.under.clone(), node, xattrs, file, identity, unannounced, valid }))
    }

    /// Is the file as it was when [`Workspace::staged_file`] gave it?
    pub fn is_unchanged(&self, file: &StagedFile) -> Result<bool> {
        let state = &mut *self.shared.state.lock();
        let same_row = state.row(file.node.ino)?.is_some_and(|node| node.change == file.node.change);
        let now = FileIdentity::of(&file.file).map_err(|error| OverlayError::io(&self.shared.dir, error))?;
        Ok(same_row && now == file.identity)
    }

    /// Is the file open for writing?
    pub fn is_open_for_writing(&self, ino: u64) -> bool {
        self.shared.state.lock().is_open_for_writing(ino)
    }
}

impl State {
    pub fn is_open_for_writing(&self, ino: u64) -> bool {
        self.open.get(&ino).is_some_and(|open| open.writers > 0)
    }
}
