//! What is staged, as an edit of the base: what a commit applies, and what is compared with other trees.

use std::collections::{BTreeMap, HashMap};

use futures::future::BoxFuture;

use super::error::WorkspaceError;
use super::staged::StagedTree;
use super::state::Result;
use crate::model::content::FileContent;
use crate::model::edit::{DirEdit, Edit};
use crate::model::entry::{Content, Entry, Kind, Meta, Xattr, XattrValue};
use crate::model::path::{TOO_DEEP, TreePath};
use crate::model::time::Time;
use crate::overlay::dirent::{Dirent, NamedDirent};
use crate::overlay::node::Node;
use crate::overlay::xattr::StagedValue;
use crate::repo::error::RepoError;

/// Names shown of a path that is too long to be shown.
const NAMES_SHOWN: usize = 4;

/// A staged file as it was read.
pub(super) struct ReadFile {
    pub content: FileContent,
    pub node: Node,
    pub mtime: Time,
    pub xattrs: Vec<(Vec<u8>, StagedValue)>,
}

/// Where the contents of staged files come from: read and sent, read and hashed, or not read at all.
pub(super) trait Contents: Send {
    /// [`WorkspaceError::Stale`] when the file is not staged any more: the names have to be looked at anew.
    fn file<'a>(
        &'a mut self,
        tree: &'a StagedTree,
        node: &'a Node,
        path: &'a TreePath,
    ) -> BoxFuture<'a, Result<ReadFile>>;

    fn empty_file(&mut self) -> BoxFuture<'_, Result<FileContent>>;

    fn xattr(&mut self, value: Vec<u8>) -> BoxFuture<'_, Result<XattrValue>>;
}

/// Makes edits of what is staged.
pub(super) struct Builder<'a, C> {
    pub tree: &'a StagedTree,
    pub contents: C,
    /// Files that have an entry by now: one with several names is read once.
    files: HashMap<u64, Entry>,
}

impl<'a, C: Contents> Builder<'a, C> {
    pub fn new(tree: &'a StagedTree, contents: C) -> Builder<'a, C> {
        Builder { tree, contents, files: HashMap::new() }
    }

    /// The entry of a file that was met.
    pub fn read_entry(&self, ino: u64) -> Option<&Entry> {
        self.files.get(&ino)
    }

    /// What makes the working tree's root directory of the base's.
    pub async fn root(&mut self) -> Result<DirEdit> {
        let node = self.tree.node(self.tree.root())?;
        self.dir(node, TreePath::root()).await
    }

    /// A touched directory.
    pub fn dir(&mut self, node: Node, path: TreePath) -> BoxFuture<'_, Result<DirEdit>> {
        Box::pin(async move {
            check_depth(&path)?;
            let mut names = BTreeMap::new();
            for named in self.tree.names(node.ino)? {
                let edit = match named.dirent {
                    Dirent::Whiteout => Some(Edit::Remove),
                    Dirent::Ino(ino) => {
                        let child = self.tree.node(ino)?;
                        self.child(&named, child, path.join(&named.name)).await?
                    }
                };
                if let Some(edit) = edit {
                    names.insert(named.name, edit);
                }
            }
            let from = origin(&node).filter(|entry| entry.kind() == Kind::Dir).cloned();
            let meta = self.meta(&node, node.mtime).await?;
            Ok(DirEdit { from, meta, names })
        })
    }

    /// What becomes of a touched name; none when it is the base's after all.
    async fn child(&mut self, named: &NamedDirent, node: Node, path: TreePath) -> Result<Option<Edit>> {
        if node.kind != Kind::Dir {
            let unchanged = named.home && !node.dirty;
            return if unchanged { Ok(None) } else { Ok(Some(Edit::Put(self.file(&node, &path).await?))) };
        }
        let edit = self.dir(node, path).await?;
        match edit.from.as_ref().filter(|from| edit.names.is_empty() && from.meta == edit.meta) {
            Some(_) if named.home => Ok(None),
            Some(from) => Ok(Some(Edit::Put(from.clone()))),
            None => Ok(Some(Edit::Dir(edit))),
        }
    }

    /// The entry of what is no directory.
    pub async fn file(&mut self, node: &Node, path: &TreePath) -> Result<Entry> {
        if let Some(entry) = self.files.get(&node.ino) {
            return Ok(entry.clone());
        }
        let entry = if node.staged && !node.settled {
            let read = self.contents.file(self.tree, node, path).await?;
            let mut meta = self.meta(&read.node, read.mtime).await?;
            if read.node.own_xattrs {
                meta.xattrs = self.stored_xattrs(read.xattrs).await?;
            }
            Entry { meta, content: Content::File(read.content) }
        } else {
            let mtime = match origin(node).filter(|_| node.settled) {
                Some(settled) => settled.meta.mtime,
                None => node.mtime,
            };
            Entry { meta: self.meta(node, mtime).await?, content: self.unstaged_content(node).await? }
        };
        self.files.insert(node.ino, entry.clone());
        Ok(entry)
    }

    async fn unstaged_content(&mut self, node: &Node) -> Result<Content> {
        if let Some(origin) = origin(node) {
            return Ok(origin.content.clone());
        }
        Ok(match node.kind {
            Kind::File => Content::File(self.contents.empty_file().await?),
            Kind::Symlink => Content::Symlink(node.target.clone().unwrap_or_default()),
            Kind::Fifo => Content::Fifo,
            Kind::Socket => Content::Socket,
            Kind::CharDevice => Content::CharDevice { rdev: node.rdev },
            Kind::BlockDevice => Content::BlockDevice { rdev: node.rdev },
            Kind::Dir | Kind::Unknown => return Err(WorkspaceError::Stale),
        })
    }

    /// A row's own mode, owner, time and attributes.
    pub async fn meta(&mut self, node: &Node, mtime: Time) -> Result<Meta> {
        let xattrs = match (node.own_xattrs, origin(node)) {
            (true, _) => self.stored_xattrs(self.tree.xattrs(node.ino)?).await?,
            (false, Some(origin)) => origin.meta.xattrs.clone(),
            (false, None) => Vec::new(),
        };
        Ok(Meta { mode: node.mode, owner: node.owner, mtime, xattrs })
    }

    async fn stored_xattrs(&mut self, staged: Vec<(Vec<u8>, StagedValue)>) -> Result<Vec<Xattr>> {
        let mut xattrs = Vec::with_capacity(staged.len());
        for (name, value) in staged {
            let value = match value {
                StagedValue::Base(value) => value,
                StagedValue::Bytes(bytes) => self.contents.xattr(bytes).await?,
            };
            xattrs.push(Xattr { name, value });
        }
        xattrs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(xattrs)
    }
}

fn origin(node: &Node) -> Option<&Entry> {
    node.origin.as_ref().map(|origin| &*origin.entry)
}

/// Nothing is committed that nobody could go down to.
pub(super) fn check_depth(path: &TreePath) -> Result<()> {
    if !path.is_too_deep() {
        return Ok(());
    }
    let begins: Vec<String> =
        path.names().take(NAMES_SHOWN).map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let what =
        format!("what lies below `{}/...` cannot be committed: {TOO_DEEP}. Move it up, or delete it", begins.join("/"));
    Err(RepoError::Refused(what).into())
}
