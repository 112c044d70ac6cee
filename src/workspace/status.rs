//! What is staged, told as changes against the base.
//!
//! Every touched name is looked at once. A thing that was renamed is one line whatever was done to it, and what is in
//! a renamed directory is told under its new path; everything else is compared with what the base has at its path.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use futures::future::BoxFuture;

use super::contents::Unread;
use super::edit::{Builder, check_depth};
use super::error::WorkspaceError;
use super::staged::StagedTree;
use super::state::Result;
use super::view::Workspace;
use crate::model::diff::{Change, DiffOptions, diff};
use crate::model::entry::{Entry, Kind};
use crate::model::path::TreePath;
use crate::model::source::find;
use crate::overlay::dirent::{Dirent, NamedDirent};
use crate::overlay::node::Node;
use crate::repo::error::RepoError;
use crate::repo::tree::apply::apply;

/// Looks at everything anew when files came and went meanwhile: as often, then the caller is told.
const LOOKS_MAX: u32 = 5;

impl Workspace {
    /// What differs from the base, in tree order. Costs follow what is staged; contents are not compared: a file
    /// written to is modified. Of staged files the entry's size and times are current, its content id is not.
    pub async fn status(&self) -> Result<Vec<Change>> {
        self.write_back_all();
        for _ in 0..LOOKS_MAX {
            let tree = self.staged()?;
            match self.status_of(&tree).await {
                Err(WorkspaceError::Stale) => {}
                told => return told,
            }
        }
        Err(WorkspaceError::Busy("files came and went all the time while they were looked at: try again".into()))
    }

    async fn status_of(&self, tree: &StagedTree) -> Result<Vec<Change>> {
        let mut status = Status {
            workspace: self,
            tree,
            builder: Builder::new(tree, Unread { workspace: self, earlier: None, met: Vec::new() }),
            renamed: HashMap::new(),
            moved_away: HashSet::new(),
            told: Vec::new(),
        };
        status.find_renamings().await?;
        let root = tree.node(tree.root())?;
        if root.dirty {
            let new = Entry { meta: status.builder.meta(&root, root.mtime).await?, ..tree.base().root.entry.clone() };
            status.told.push(Change::Modified { path: TreePath::root(), old: tree.base().root.entry.clone(), new });
        }
        let base = Some((TreePath::root(), tree.base().root.entry.clone()));
        status.inside(root.ino, TreePath::root(), base).await?;
        let mut told = status.told;
        let is_deletion = |change: &Change| matches!(change, Change::Deleted { .. });
        told.sort_by(|a, b| a.path().tree_order(b.path()).then_with(|| is_deletion(b).cmp(&is_deletion(a))));
        Ok(told)
    }
}

/// Changes told at once: they are held in memory, and a directory of a few KiB can unpack to any number.
const TOLD_MAX: usize = 1_000_000;

/// A directory of the base: its path there, and its entry.
type BaseDir = Option<(TreePath, Entry)>;

struct Status<'a> {
    workspace: &'a Workspace,
    tree: &'a StagedTree,
    builder: Builder<'a, Unread<'a>>,
    /// Renamed inodes, with the name that each is told under.
    renamed: HashMap<u64, TreePath>,
    /// Paths of the base that they had.
    moved_away: HashSet<TreePath>,
    told: Vec<Change>,
}

/// A name that stands for something which the base has under another one.
struct Candidate {
    node: Node,
    path: TreePath,
    /// What this name is in the base, should it be there.
    target: Option<TreePath>,
}

impl Status<'_> {
    /// A directory that has another name is renamed. So is another file, unless its new name was another's and that
    /// one is gone: then it is told as modified.
    async fn find_renamings(&mut self) -> Result<()> {
        let mut candidates = Vec::new();
        self.collect(self.tree.root(), TreePath::root(), Some(TreePath::root()), &mut candidates)?;
        loop {
            let mut later = Vec::new();
            let before = self.renamed.len();
            for candidate in candidates {
                if self.is_free(&candidate).await? {
                    self.accept(candidate);
                } else {
                    later.push(candidate);
                }
            }
            if self.renamed.len() == before {
                return Ok(());
            }
            candidates = later;
        }
    }

    fn accept(&mut self, candidate: Candidate) {
        if let Some(from) = origin_path(&candidate.node)
            && self.moved_away.insert(from)
        {
            self.renamed.insert(candidate.node.ino, candidate.path);
        }
    }

    async fn is_free(&self, candidate: &Candidate) -> Result<bool> {
        let Some(target) = &candidate.target else { return Ok(true) };
        if candidate.node.kind == Kind::Dir || self.moved_away.contains(target) {
            return Ok(true);
        }
        let objects = &self.workspace.shared.objects;
        let there = crate::model::source::lookup(objects, &self.tree.base().root.entry, target).await?;
        Ok(there.is_none_or(|there| there.kind() == Kind::Dir))
    }

    /// All names under which things of the base are that had other ones. `base`: where the directory was, if it was.
    fn collect(&self, dir: u64, path: TreePath, base: Option<TreePath>, candidates: &mut Vec<Candidate>) -> Result<()> {
        for named in self.tree.names(dir)? {
            let Dirent::Ino(ino) = named.dirent else { continue };
            let node = self.tree.node(ino)?;
            let at = path.join(&named.name);
            let from = origin_path(&node);
            check_depth(&at)?;
            if node.kind == Kind::Dir && (from.is_some() || node.origin.is_none()) {
                self.collect(ino, at.clone(), from.clone(), candidates)?;
            }
            if !named.home && from.is_some() && !self.has_home_name(&node)? {
                let target = base.as_ref().map(|base| base.join(&named.name));
                candidates.push(Candidate { node, path: at, target });
            }
        }
        Ok(())
    }

    /// Has the inode still a name that it has in the base?
    fn has_home_name(&self, node: &Node) -> Result<bool> {
        if node.nlink < 2 {
            return Ok(false);
        }
        self.tree.has_home_name(node.ino)
    }

    /// Tells what differs in a directory of the working tree from one of the base.
    fn inside(&mut self, dir: u64, path: TreePath, base: BaseDir) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            for named in self.tree.names(dir)? {
                let there = match base.as_ref().and_then(|(at, entry)| Some((at.join(&named.name), entry.as_dir()?))) {
                    Some((at, dir)) => {
                        find(&self.workspace.shared.objects, dir, &named.name).await?.map(|entry| (at, entry))
                    }
                    None => None,
                };
                self.name(&named, path.join(&named.name), there).await?;
            }
            Ok(())
        })
    }

    /// Tells what a touched name is, which `there` was in the base.
    async fn name(&mut self, named: &NamedDirent, path: TreePath, there: BaseDir) -> Result<()> {
        let there = there.filter(|(at, _)| named.home || !self.moved_away.contains(at));
        let Dirent::Ino(ino) = named.dirent else { return self.gone(&path, there).await };
        let node = self.tree.node(ino)?;
        if named.home {
            return self.kept(&node, path, there).await;
        }
        if self.renamed.get(&ino) == Some(&path)
            && let (Some(from), Some(old)) = (origin_path(&node), origin_entry(&node))
        {
            self.gone(&path, there).await?;
            let new = self.entry(&node, &path).await?;
            self.told.push(Change::Renamed { from: from.clone(), path: path.clone(), old: old.clone(), new });
            return if node.kind == Kind::Dir { self.inside(ino, path, Some((from, old))).await } else { Ok(()) };
        }
        match there {
            Some((_, old)) if old.kind() == node.kind => self.replaced(&node, path, Some(old)).await,
            there => {
                self.gone(&path, there).await?;
                self.replaced(&node, path, None).await
            }
        }
    }

    /// The base has it under this very name.
    async fn kept(&mut self, node: &Node, path: TreePath, there: BaseDir) -> Result<()> {
        if node.dirty
            && let Some(old) = origin_entry(node)
        {
            let new = self.entry(node, &path).await?;
            self.told.push(Change::Modified { path: path.clone(), old, new });
        }
        if node.kind == Kind::Dir { self.inside(node.ino, path, there).await } else { Ok(()) }
    }

    /// Something new, or in the place of something of its kind.
    async fn replaced(&mut self, node: &Node, path: TreePath, old: Option<Entry>) -> Result<()> {
        if node.kind == Kind::Dir && old.is_none() && node.origin.is_none() {
            let new = self.entry(node, &path).await?;
            self.told.push(Change::Added { path: path.clone(), new });
            return self.inside(node.ino, path, None).await;
        }
        let new = match node.kind {
            Kind::Dir => {
                let edit = self.builder.dir(node.clone(), path.clone()).await?;
                apply(&self.workspace.shared.objects, &edit).await?
            }
            _ => self.builder.file(node, &path).await?,
        };
        self.compare(&path, old.as_ref(), Some(&new)).await
    }

    /// What the base has there is deleted, but for what of it was renamed.
    async fn gone(&mut self, path: &TreePath, there: BaseDir) -> Result<()> {
        let Some((at, old)) = there else { return Ok(()) };
        let before = self.told.len();
        self.compare(path, Some(&old), None).await?;
        let told = self.told.split_off(before);
        let stays = |change: &Change| {
            let inner = change.path().strip_prefix(path).unwrap_or_default().under(&at);
            !self.is_moved_below(&at, inner)
        };
        let left: Vec<_> = match self.moved_away.is_empty() {
            true => told,
            false => told.into_iter().filter(stays).collect(),
        };
        self.told.extend(left);
        Ok(())
    }

    /// Was the path, or a directory between it and `top`, renamed?
    fn is_moved_below(&self, top: &TreePath, mut path: TreePath) -> bool {
        while path.starts_with(top) {
            if self.moved_away.contains(&path) {
                return true;
            }
            match path.split_last() {
                Some((parent, _)) => path = parent,
                None => break,
            }
        }
        false
    }

    /// Tells the difference of two entries at a path, and of what is in them.
    async fn compare(&mut self, path: &TreePath, old: Option<&Entry>, new: Option<&Entry>) -> Result<()> {
        let own = match (old, new) {
            (Some(old), Some(new)) => {
                let modified = match old.kind() {
                    Kind::Dir => !Entry { content: old.content.clone(), ..new.clone() }.same_but_times(old),
                    _ => !old.same(new),
                };
                modified.then(|| Change::Modified { path: path.clone(), old: old.clone(), new: new.clone() })
            }
            (Some(old), None) => Some(Change::Deleted { path: path.clone(), old: old.clone() }),
            (None, Some(new)) => Some(Change::Added { path: path.clone(), new: new.clone() }),
            (None, None) => None,
        };
        self.told.extend(own);
        let told = &mut self.told;
        let mut visit = |change: Change| {
            if !change.path().is_root() {
                told.push(change.under(path));
            }
            if told.len() > TOLD_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        diff(&self.workspace.shared.objects, old, new, DiffOptions::default(), &mut visit).await?;
        if self.told.len() > TOLD_MAX {
            let what = format!("more than a million paths changed, with what is below `{path}`: they cannot be told");
            return Err(RepoError::Refused(what).into());
        }
        Ok(())
    }

    /// The entry itself; of a directory without what is staged in it.
    async fn entry(&mut self, node: &Node, path: &TreePath) -> Result<Entry> {
        if node.kind != Kind::Dir {
            return self.builder.file(node, path).await;
        }
        let meta = self.builder.meta(node, node.mtime).await?;
        match origin_entry(node) {
            Some(origin) => Ok(Entry { meta, content: origin.content }),
            None => {
                let edit = crate::model::edit::DirEdit { from: None, meta, names: Default::default() };
                Ok(apply(&self.workspace.shared.objects, &edit).await?)
            }
        }
    }
}

fn origin_entry(node: &Node) -> Option<Entry> {
    node.origin.as_ref().map(|origin| Entry::clone(&origin.entry))
}

/// Where the base has it; none for what is new or was put here from elsewhere.
fn origin_path(node: &Node) -> Option<TreePath> {
    node.origin.as_ref().and_then(|origin| origin.path.base_path())
}
