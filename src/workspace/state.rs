//! What a workspace holds in memory beside its overlay, and how an inode number is turned into what it stands for.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::base::{self, LinkIndex};
use super::error::WorkspaceError;
use super::file_state::OpenState;
use super::live::{LiveTable, Place};
use super::number::{self, ContentMark, Numbering, Seeds};
use crate::model::entry::{Content, Entry, Kind};
use crate::model::path::{NameError, TreePath};
use crate::model::time::Time;
use crate::model::tree::DirContent;
use crate::overlay::Overlay;
use crate::overlay::dirent::Dirent;
use crate::overlay::error::OverlayError;
use crate::overlay::node::{Node, Origin, OriginPath};
use crate::overlay::number::Kept;
use crate::repo::domain::Snapshot;
use crate::repo::objects::Objects;
use crate::sys::Sys;

pub type Result<T> = std::result::Result<T, WorkspaceError>;

/// Rows kept decoded; when more are, all are forgotten.
const ROWS_KEPT_MAX: usize = 1 << 16;

/// Everything behind the workspace's lock.
#[derive(Debug)]
pub struct State {
    pub overlay: Overlay,
    pub snapshot: Arc<Snapshot>,
    pub links: Arc<LinkIndex>,
    pub objects: Objects,
    pub numbering: Numbering,
    pub seeds: Seeds,
    pub sys: Sys,
    pub root: u64,
    pub live: LiveTable,
    /// Files that are open, by inode.
    pub open: HashMap<u64, OpenState>,
    /// Rows without a name that are still held.
    pub orphans: HashSet<u64>,
    /// Rows as last read or written, absent ones too.
    rows: HashMap<u64, Option<Arc<Node>>>,
    /// Number of the operation under way, or of the last one.
    pub change: u64,
    /// The table of kept numbers is not empty.
    any_number: bool,
    /// What the transaction under way does outside of SQLite once it is committed.
    after: Vec<After>,
    /// Staged files that the transaction under way made.
    made: Vec<u64>,
    /// Staged files that no row names any more, and that go once the disk knows it: a row that came back after a power
    /// loss would miss its file.
    pub(super) doomed: BTreeSet<u64>,
}

/// What follows a committed transaction.
#[derive(Debug)]
pub enum After {
    /// An untouched inode lost its last name.
    Detach(u64, Arc<Entry>),
    /// A row without a name waits for its last user.
    Orphan(u64),
    /// Nothing refers to a staged file any more. `synced`: it may be on disk, and a row that names it.
    RemoveFile { ino: u64, synced: bool },
    /// A held inode is something else now.
    Place(u64, Place),
}

/// What an inode number stands for.
#[derive(Clone, Debug)]
pub enum Inode {
    Staged(Arc<Node>),
    Base(Box<BaseInode>),
    /// Nameless, but still held.
    Detached(u64, Arc<Entry>),
}

/// An untouched inode.
#[derive(Clone, Debug)]
pub struct BaseInode {
    pub ino: u64,
    pub parent: u64,
    pub name: Vec<u8>,
    /// Where it is in the base.
    pub path: OriginPath,
    pub entry: Entry,
    /// When it was last changed here, should that not be its mtime.
    pub ctime: Option<Time>,
}

impl BaseInode {
    /// Its row, which differs from its origin in nothing yet.
    pub fn row(&self, origin: Origin) -> Node {
        let node = derived_node(self.ino, origin);
        Node { ctime: self.ctime.unwrap_or(node.ctime), ..node }
    }
}

/// A directory's base: where its children come from when it says nothing of them itself.
#[derive(Clone, Debug)]
pub struct ShowThrough {
    pub path: OriginPath,
    pub dir: DirContent,
}

impl Inode {
    pub fn ino(&self) -> u64 {
        match self {
            Inode::Staged(node) => node.ino,
            Inode::Base(base) => base.ino,
            Inode::Detached(ino, _) => *ino,
        }
    }

    pub fn kind(&self) -> Kind {
        match self {
            Inode::Staged(node) => node.kind,
            Inode::Base(base) => base.entry.kind(),
            Inode::Detached(_, entry) => entry.kind(),
        }
    }

    /// Has it no name any more?
    pub fn is_nameless(&self) -> bool {
        match self {
            Inode::Staged(node) => node.nlink == 0,
            Inode::Base(_) => false,
            Inode::Detached(..) => true,
        }
    }

    pub fn show_through(&self) -> Option<ShowThrough> {
        match self {
            Inode::Staged(node) => show_through(node),
            Inode::Base(base) => {
                base.entry.as_dir().map(|dir| ShowThrough { path: base.path.clone(), dir: dir.clone() })
            }
            Inode::Detached(..) => None,
        }
    }
}

pub fn show_through(node: &Node) -> Option<ShowThrough> {
    let origin = node.origin.as_ref()?;
    let dir = origin.entry.as_dir()?.clone();
    Some(ShowThrough { path: origin.path.clone(), dir })
}

impl State {
    pub fn new(
        overlay: Overlay,
        snapshot: Arc<Snapshot>,
        links: Arc<LinkIndex>,
        numbering: Numbering,
        sys: Sys,
    ) -> Result<State> {
        let objects = snapshot.domain.objects().clone();
        let change = overlay.db.last_change()?;
        let any_number = overlay.db.any_number()?;
        let seeds = Seeds::new(overlay.db.seeds()?);
        let root_path = OriginPath::of_base(&TreePath::root());
        let root = numbering.number(&root_path, &number::content_mark(&snapshot.root.entry), 0);
        let mut state = State {
            overlay,
            snapshot,
            links,
            objects,
            numbering,
            seeds,
            sys,
            root,
            live: LiveTable::default(),
            open: HashMap::new(),
            orphans: HashSet::new(),
            rows: HashMap::new(),
            change,
            any_number,
            after: Vec::new(),
            made: Vec::new(),
            doomed: BTreeSet::new(),
        };
        state.live.pin(root);
        if state.row(root)?.is_none() {
            let entry = Arc::new(state.snapshot.root.entry.clone());
            let node = derived_node(root, Origin { path: root_path, entry });
            state.change(|state| state.put_row(node))?;
        }
        Ok(state)
    }

    pub fn now(&self) -> Time {
        Time(self.sys.clock.now())
    }

    /// Runs one operation as one transaction: all of it, or with an error (a miss, say) nothing of it.
    pub fn change<T>(&mut self, work: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        self.overlay.db.begin()?;
        self.change += 1;
        let outcome = work(self).and_then(|value| {
            self.overlay.db.commit()?;
            Ok(value)
        });
        match outcome {
            Ok(value) => {
                self.made.clear();
                self.run_after()?;
                Ok(value)
            }
            Err(error) => {
                self.overlay.db.rollback();
                self.rows.clear();
                self.after.clear();
                for ino in std::mem::take(&mut self.made) {
                    self.overlay.files.remove(ino)?;
                }
                Err(error)
            }
        }
    }

    /// Has `after` done when the transaction under way is committed.
    pub fn then(&mut self, after: After) {
        self.after.push(after);
    }

    /// Has the staged file of `ino` removed should the transaction under way fail.
    pub fn made_file(&mut self, ino: u64) {
        self.made.push(ino);
    }

    fn run_after(&mut self) -> Result<()> {
        let mut places = Vec::new();
        for after in std::mem::take(&mut self.after) {
            match after {
                After::Detach(ino, entry) => {
                    let dropped = self.live.set_place(ino, Place::Detached(entry));
                    self.drop_orphans(&dropped)?;
                }
                After::Orphan(ino) => {
                    self.orphans.insert(ino);
                    if !self.live.is_live(ino) {
                        self.drop_orphans(&[ino])?;
                    }
                }
                After::RemoveFile { ino, synced: true } => drop(self.doomed.insert(ino)),
                After::RemoveFile { ino, synced: false } => self.overlay.files.remove(ino)?,
                After::Place(ino, place) => places.push((ino, place)),
            }
        }
        // Directories come after what is in them, and must be known before it.
        places.reverse();
        let dropped = self.live.set_places(places);
        self.drop_orphans(&dropped)
    }

    /// Deletes those of `inos` that nobody holds any more and that have no name.
    pub fn drop_orphans(&mut self, inos: &[u64]) -> Result<()> {
        for ino in inos {
            if self.orphans.remove(ino) {
                self.rows.remove(ino);
                let ino = *ino;
                let synced = self.overlay.db.transaction(|db| {
                    let synced = db.staged_and_synced(ino)?;
                    db.delete_dirents(ino)?;
                    db.delete_node(ino)?;
                    Ok::<_, OverlayError>(synced)
                })?;
                match synced {
                    Some(true) => drop(self.doomed.insert(ino)),
                    Some(false) => self.overlay.files.remove(ino)?,
                    None => {}
                }
            }
        }
        Ok(())
    }

    pub fn row(&mut self, ino: u64) -> Result<Option<Arc<Node>>> {
        if let Some(row) = self.rows.get(&ino) {
            return Ok(row.clone());
        }
        let row = self.overlay.db.node(ino)?.map(Arc::new);
        self.remember_row(ino, row.clone());
        Ok(row)
    }

    /// Puts another row in the place of the one remembered.
    pub(super) fn change_cached(&mut self, ino: u64, change: impl FnOnce(Node) -> Node) {
        if let Some(Some(row)) = self.rows.get_mut(&ino) {
            *row = Arc::new(change(Node::clone(row)));
        }
    }

    pub(super) fn remember_row(&mut self, ino: u64, row: Option<Arc<Node>>) {
        if self.rows.len() >= ROWS_KEPT_MAX {
            self.rows.clear();
        }
        self.rows.insert(ino, row);
    }

    /// Stores a row whole, inside a transaction.
    pub fn put_row(&mut self, mut node: Node) -> Result<Arc<Node>> {
        node.change = self.change;
        node.dirty = self.differs(&node)?;
        self.overlay.db.put_node(&node)?;
        let node = Arc::new(node);
        self.remember_row(node.ino, Some(node.clone()));
        Ok(node)
    }

    /// Stores a row of which neither origin nor data changed, inside a transaction.
    pub fn update_row(&mut self, mut node: Node) -> Result<Arc<Node>> {
        node.change = self.change;
        node.dirty = self.differs(&node)?;
        self.overlay.db.update_node(&node)?;
        let node = Arc::new(node);
        self.remember_row(node.ino, Some(node.clone()));
        Ok(node)
    }

    /// Counts the links of every directory that has a row, inside a transaction: which of them have an origin changed.
    pub fn count_subdirectories(&mut self) -> Result<()> {
        self.overlay.db.count_subdirectories()?;
        self.rows.clear();
        Ok(())
    }

    /// Deletes a row, inside a transaction. Its names are the caller's.
    pub fn delete_row(&mut self, ino: u64) -> Result<()> {
        self.overlay.db.delete_node(ino)?;
        self.remember_row(ino, None);
        Ok(())
    }

    /// What an inode number stands for.
    pub fn resolve(&mut self, ino: u64) -> Result<Inode> {
        // Up to what has a row, then down again: directories may be nested deeper than a stack is.
        let mut below = Vec::new();
        let mut at = ino;
        let mut here = loop {
            if let Some(row) = self.row(at)? {
                break Inode::Staged(row);
            }
            match self.live.place(at).cloned() {
                Some(Place::Base { parent, name, mark }) => {
                    below.push((at, parent, name, mark));
                    at = parent;
                }
                Some(Place::Detached(entry)) => break Inode::Detached(at, entry),
                Some(Place::Staged) | None => return self.resolve_gone(ino),
            }
        };
        for (ino_below, parent, name, mark) in below.into_iter().rev() {
            let Some(through) = here.show_through() else { return self.resolve_gone(ino) };
            let found = base::find(&self.objects, &through.dir, &name)?;
            let Some(entry) = found.filter(|entry| number::content_mark(entry) == mark) else {
                return self.resolve_gone(ino);
            };
            let path = through.path.child(&name);
            // Of the directories above, nobody asks for it.
            let kept = if ino_below == ino { self.kept(&path, &entry)? } else { None };
            let ctime = kept.filter(|kept| kept.ino == ino).and_then(|kept| kept.ctime);
            let name = name.into_vec();
            here = Inode::Base(Box::new(BaseInode { ino: ino_below, parent, name, path, entry, ctime }));
        }
        Ok(here)
    }

    /// A refresh took it away or put something else in its place: who has it open keeps it.
    fn resolve_gone(&self, ino: u64) -> Result<Inode> {
        let entry = self.open.get(&ino).and_then(|open| open.entry.clone());
        entry.map(|entry| Inode::Detached(ino, entry)).ok_or(WorkspaceError::Stale)
    }

    /// The directory `ino`, which must have a name.
    pub fn dir(&mut self, ino: u64) -> Result<Inode> {
        let inode = self.resolve(ino)?;
        if inode.kind() != Kind::Dir {
            return Err(WorkspaceError::NotDirectory);
        }
        Ok(inode)
    }

    /// What `name` stands for in a directory.
    pub fn child(&mut self, parent: &Inode, name: &[u8]) -> Result<Option<Inode>> {
        if let Inode::Staged(node) = parent {
            match self.overlay.db.dirent(node.ino, name)? {
                Some(Dirent::Ino(ino)) => {
                    let row = self.row(ino)?.ok_or(WorkspaceError::Stale)?;
                    return Ok(Some(Inode::Staged(row)));
                }
                Some(Dirent::Whiteout) => return Ok(None),
                None => {}
            }
        }
        let Some(through) = parent.show_through() else { return Ok(None) };
        if through.path.is_too_deep() {
            return Err(NameError::TooDeep.into());
        }
        let Some(entry) = base::find(&self.objects, &through.dir, name)? else { return Ok(None) };
        let base = self.base_inode(parent.ino(), name, through.path.child(name), entry)?;
        Ok(Some(Inode::Base(Box::new(base))))
    }

    /// An untouched child with its number.
    pub fn base_inode(&mut self, parent: u64, name: &[u8], path: OriginPath, entry: Entry) -> Result<BaseInode> {
        let Kept { ino, ctime } = self.number_of(&path, &entry)?;
        Ok(BaseInode { ino, parent, name: name.to_vec(), path, entry, ctime })
    }

    /// The path that gives an untouched thing its number: of several names of one file the first.
    pub fn canonical(&self, path: &OriginPath, entry: &Entry) -> OriginPath {
        if entry.kind() == Kind::Dir { path.clone() } else { self.canonical_path(path) }
    }

    /// [`State::canonical`] of what need not be a file: no directory is in the table of hard links.
    pub fn canonical_path(&self, path: &OriginPath) -> OriginPath {
        if self.links.is_empty() {
            return path.clone();
        }
        let group = path.base_path().and_then(|path| self.links.group(&path));
        group.and_then(|group| group.0.first()).map_or_else(|| path.clone(), OriginPath::of_base)
    }

    /// What is kept of an untouched thing.
    fn kept(&self, path: &OriginPath, entry: &Entry) -> Result<Option<Kept>> {
        if !self.any_number {
            return Ok(None);
        }
        let seed = self.seeds.seed(&self.canonical(path, entry));
        Ok(self.overlay.db.kept(&seed, &number::content_mark(entry))?)
    }

    fn number_of(&mut self, path: &OriginPath, entry: &Entry) -> Result<Kept> {
        if let Some(kept) = self.kept(path, entry)?
            && self.row(kept.ino)?.is_none()
        {
            return Ok(kept);
        }
        let mark = number::content_mark(entry);
        let seed = self.seeds.seed(&self.canonical(path, entry));
        for attempt in 0.. {
            let ino = self.numbering.number(&seed, &mark, attempt);
            // Equal number and content: the same thing, perhaps under another of its names.
            let taken_here = match self.live.place(ino) {
                Some(Place::Base { mark: held, .. }) => *held != mark,
                Some(Place::Detached(held)) => number::content_mark(held) != mark,
                Some(Place::Staged) | None => false,
            };
            if !taken_here && !self.number_is_stored(ino)? {
                return Ok(Kept { ino, ctime: None });
            }
        }
        Err(WorkspaceError::NoSpace("no inode number is free".into()))
    }

    fn number_is_stored(&mut self, ino: u64) -> Result<bool> {
        Ok(self.row(ino)?.is_some() || (self.any_number && self.overlay.db.has_number(ino)?))
    }

    /// A number that nothing ever had.
    pub fn fresh_ino(&mut self) -> Result<u64> {
        loop {
            let ino = number::valid(self.sys.random.number());
            if !self.live.is_live(ino) && !self.number_is_stored(ino)? {
                return Ok(ino);
            }
        }
    }

    /// Keeps number and ctime of what is at `path`, inside a transaction, where they do not follow from what it is.
    pub fn keep_number(&mut self, path: &OriginPath, mark: &ContentMark, kept: Kept) -> Result<()> {
        let seed = self.seeds.seed(path);
        self.overlay.db.delete_number(&seed, kept.ino)?;
        if self.numbering.number(&seed, mark, 0) != kept.ino || kept.ctime.is_some() {
            self.overlay.db.put_kept(&seed, mark, kept)?;
            self.any_number = true;
        }
        Ok(())
    }
}

/// The row of something that differs from its origin in nothing yet.
pub fn derived_node(ino: u64, origin: Origin) -> Node {
    let entry = origin.entry.clone();
    let rdev = match entry.content {
        Content::CharDevice { rdev } | Content::BlockDevice { rdev } => rdev,
        _ => 0,
    };
    let target = match &entry.content {
        Content::Symlink(target) => Some(target.clone()),
        _ => None,
    };
    Node {
        ino,
        kind: entry.kind(),
        mode: entry.meta.mode,
        owner: entry.meta.owner,
        rdev,
        mtime: entry.meta.mtime,
        ctime: entry.meta.mtime,
        nlink: 1,
        origin: Some(origin),
        staged: false,
        direct: false,
        under: None,
        target,
        own_xattrs: false,
        settled: false,
        dirty: false,
        change: 0,
    }
}
