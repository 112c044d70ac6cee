//! What a commit took of the working tree.

use std::collections::{BTreeMap, HashMap};

use super::staged::StagedTree;
use super::state::Result;
use crate::model::entry::Kind;
use crate::model::path::TreePath;
use crate::overlay::dirent::Dirent;
use crate::overlay::node::{Node, OriginPath};
use crate::overlay::xattr::StagedValue;

/// What a commit took, read from its [`StagedTree`].
#[derive(Debug, Default)]
pub struct Taken {
    pub nodes: HashMap<u64, Node>,
    pub names: HashMap<u64, BTreeMap<Vec<u8>, Dirent>>,
    pub xattrs: HashMap<u64, Vec<(Vec<u8>, StagedValue)>>,
    /// The inode's path in the commit; the first of several.
    pub paths: HashMap<u64, TreePath>,
    /// Where the commit has the directories that were touched, by where the base had them.
    pub moved: BTreeMap<TreePath, TreePath>,
    /// Where the commit has directories that were put here from elsewhere, and the seeds of what is in them.
    pub foreign: BTreeMap<TreePath, OriginPath>,
    /// The change of each inode that the commit took.
    pub changes: HashMap<u64, u64>,
}

impl Taken {
    pub fn read(tree: &StagedTree) -> Result<Taken> {
        let mut taken = Taken::default();
        taken.read_node(tree, tree.root(), TreePath::root())?;
        Ok(taken)
    }

    fn read_node(&mut self, tree: &StagedTree, ino: u64, path: TreePath) -> Result<()> {
        if self.nodes.contains_key(&ino) {
            return Ok(());
        }
        let node = tree.node(ino)?;
        self.changes.insert(ino, tree.taken(&node));
        if node.own_xattrs {
            self.xattrs.insert(ino, tree.xattrs(ino)?);
        }
        if node.kind == Kind::Dir {
            match node.origin.as_ref().map(|origin| (&origin.path, origin.path.base_path())) {
                Some((_, Some(was))) => drop(self.moved.insert(was, path.clone())),
                Some((foreign, None)) => drop(self.foreign.insert(path.clone(), foreign.clone())),
                None => {}
            }
            let names = tree.names(ino)?;
            for named in &names {
                if let Dirent::Ino(child) = named.dirent {
                    self.read_node(tree, child, path.join(&named.name))?;
                }
            }
            self.names.insert(ino, names.into_iter().map(|named| (named.name, named.dirent)).collect());
        }
        self.nodes.insert(ino, node);
        self.paths.insert(ino, path);
        Ok(())
    }

    pub fn is_unchanged(&self, node: &Node) -> bool {
        self.changes.get(&node.ino) == Some(&node.change)
    }

    /// Where the commit has the inode, if nothing happened to it since.
    pub fn path_of_unchanged(&self, node: &Node) -> Option<&TreePath> {
        self.paths.get(&node.ino).filter(|_| self.is_unchanged(node))
    }

    /// Where the new base has what the old one had at `path`.
    pub fn map(&self, path: &TreePath) -> TreePath {
        let mut above = path.clone();
        loop {
            if let (Some(now), Some(rest)) = (self.moved.get(&above), path.strip_prefix(&above)) {
                return rest.under(now);
            }
            match above.split_last() {
                Some((parent, _)) => above = parent,
                None => return path.clone(),
            }
        }
    }
}
