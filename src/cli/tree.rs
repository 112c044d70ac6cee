//! Trees as commands read them: a snapshot, a working tree in this process, or one that a daemon has mounted.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::BoxFuture;

use super::context::Context;
use super::refs;
use crate::daemon::closest::closest;
use crate::daemon::failure::Failure;
use crate::daemon::here;
use crate::daemon::mounts;
use crate::daemon::verbs::{self, Host};
use crate::model::address::{Address, View};
use crate::model::entry::{Entry, Kind, Owner};
use crate::model::path::TreePath;
use crate::model::time::Time;
use crate::repo::objects::ahead::ReadAhead;
use crate::workspace::error::{Miss, WorkspaceError};
use crate::workspace::snapshot::{SnapshotNode, SnapshotView};
use crate::workspace::view::Workspace;

/// Entries asked for at a time.
const LIST_BATCH: usize = 1000;

/// Bytes asked for at a time: enough for a few large ranges of the store in parallel, little beside the daemon's memory.
const READ_BYTES: usize = 4 << 20;

/// A tree that an address leads into.
pub enum Tree {
    Snapshot(Box<SnapshotView>),
    Workspace(Arc<Workspace>),
    /// The root of a branch in a mount, or any local folder.
    Folder(PathBuf),
}

/// Something in a tree.
#[derive(Clone, Debug)]
pub struct Node {
    pub kind: Kind,
    pub mode: u16,
    pub owner: Option<Owner>,
    pub size: u64,
    pub mtime: Time,
    pub nlink: u32,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Snapshot(Box<SnapshotNode>),
    Workspace { ino: u64 },
    Folder(PathBuf),
}

/// The tree that an address is in.
pub async fn open(context: &Context<'_>, address: &Address) -> Result<Tree, Failure> {
    let branch = match &address.view {
        View::Revision(_) => {
            let (domain, id) = refs::commit_of(context, address).await?;
            return Ok(Tree::Snapshot(Box::new(SnapshotView::open(domain.snapshot(&id).await?).await?)));
        }
        View::Branch(branch) => Some(branch.clone()),
        View::Default => None,
    };
    if let Some(mountpoint) = mountpoint(context).await? {
        let branch = match branch {
            Some(branch) => branch,
            None => context.domain(&address.domain).await?.info().default_branch.clone(),
        };
        return mounted(context, &mountpoint, &address.domain, &branch).await;
    }
    let domain = context.domain(&address.domain).await?;
    let branch = verbs::branch_or_default(&domain, branch);
    let folder = here::workspace_folder(context.mesh().await?, &domain, &branch).await?;
    if folder.exists() {
        return Ok(Tree::Workspace(context.here().await?.workspace(&domain, &branch).await?));
    }
    // Nothing was ever staged here, so the working tree is the head: no lock, no folder.
    let head = refs::head_of(&domain, &branch)?;
    Ok(Tree::Snapshot(Box::new(SnapshotView::open(domain.snapshot(&head).await?).await?)))
}

/// The working tree that an address is in, to be written to.
pub async fn open_for_writing(context: &Context<'_>, address: &Address) -> Result<Tree, Failure> {
    let name = context.branch_name(address)?;
    if let Some(mountpoint) = mountpoint(context).await? {
        let domain = context.domain(&name.domain).await?;
        let branch = verbs::branch_or_default(&domain, name.branch);
        return mounted(context, &mountpoint, &name.domain, &branch).await;
    }
    let domain = context.domain(&name.domain).await?;
    let branch = verbs::branch_or_default(&domain, name.branch);
    Ok(Tree::Workspace(context.here().await?.workspace(&domain, &branch).await?))
}

async fn mountpoint(context: &Context<'_>) -> Result<Option<PathBuf>, Failure> {
    if let Some(mountpoint) = &context.connection().foreign_mount {
        return Ok(Some(mountpoint.clone()));
    }
    Ok(context.daemon().await?.map(|daemon| daemon.info().mountpoint.clone()))
}

async fn mounted(context: &Context<'_>, mountpoint: &Path, domain: &str, branch: &str) -> Result<Tree, Failure> {
    if mounts::at(mountpoint).is_none() {
        return Err(Failure::failed(format!("the mount at {} cannot be seen from here", mountpoint.display()))
            .hint("its daemon runs in another mount namespace; call meshfs there"));
    }
    let root = mountpoint.join(domain).join(branch);
    match std::fs::symlink_metadata(&root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let domain = context.domain(domain).await?;
            Err(verbs::no_branch(&domain, branch))
        }
        Err(error) => Err(cannot_read(&root, &error)),
        Ok(_) => Ok(Tree::Folder(root)),
    }
}

impl Tree {
    /// What `path` leads to; what is not there comes with what was probably meant. `shown` is the address.
    pub async fn find(&self, path: &TreePath, shown: &impl std::fmt::Display) -> Result<Node, Failure> {
        if let Some(node) = self.look(path).await? {
            return Ok(node);
        }
        let failure = Failure::failed(format!("there is no {shown}"));
        let Some((dir, name)) = path.split_last() else { return Err(failure) };
        let Ok(Some(node)) = self.look(&dir).await else { return Err(failure) };
        let mut names = Vec::new();
        if node.kind == Kind::Dir {
            // A huge directory is not worth reading for a hint.
            names = self.batch(&node, &dir, None).await?;
        }
        let names: Vec<String> = names.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect();
        let meant = closest(&String::from_utf8_lossy(name), names.iter().map(String::as_str)).map(str::to_owned);
        Err(match meant {
            Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
            None => failure,
        })
    }

    /// What `path` leads to, if it leads to something.
    pub async fn look(&self, path: &TreePath) -> Result<Option<Node>, Failure> {
        let found = match self {
            Tree::Snapshot(view) => settled(&**view, || view.lookup(path)).await.map(Node::of_snapshot),
            Tree::Workspace(workspace) => {
                let attr = settled(&**workspace, || workspace.lookup_path(path)).await;
                attr.map(|attr| Node::of_attr(attr, Place::Workspace { ino: attr.ino }))
            }
            Tree::Folder(root) => return Node::of_local(&below(root, path)),
        };
        match found {
            Ok(node) => Ok(Some(node)),
            Err(WorkspaceError::NotFound | WorkspaceError::NotDirectory) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The entries of a directory, in byte order of their names.
    pub async fn list(&self, dir: &Node, path: &TreePath) -> Result<Vec<(Vec<u8>, Node)>, Failure> {
        let mut all: Vec<(Vec<u8>, Node)> = Vec::new();
        loop {
            let batch = self.batch(dir, path, all.last().map(|(name, _)| name.as_slice())).await?;
            if batch.is_empty() {
                return Ok(all);
            }
            all.extend(batch);
            if let Place::Folder(_) = dir.place {
                return Ok(all);
            }
        }
    }

    async fn batch(&self, dir: &Node, path: &TreePath, after: Option<&[u8]>) -> Result<Vec<(Vec<u8>, Node)>, Failure> {
        match (self, &dir.place) {
            (Tree::Snapshot(view), _) => {
                let listed = settled(&**view, || view.readdir(path, after, LIST_BATCH)).await?;
                Ok(listed.into_iter().map(|(name, node)| (name, Node::of_snapshot(node))).collect())
            }
            (Tree::Workspace(workspace), Place::Workspace { ino }) => {
                let listed = settled(&**workspace, || workspace.readdir(*ino, after, LIST_BATCH)).await?;
                let mut nodes = Vec::with_capacity(listed.len());
                for one in listed {
                    // Only what is looked up may be read by its number later.
                    let attr = settled(&**workspace, || workspace.lookup(*ino, &one.name)).await?;
                    nodes.push((one.name, Node::of_attr(attr, Place::Workspace { ino: attr.ino })));
                }
                Ok(nodes)
            }
            (_, Place::Folder(folder)) => local_entries(folder),
            (Tree::Workspace(_) | Tree::Folder(_), _) => unreachable!("a node is asked for in its own tree"),
        }
    }

    /// Gives the bytes of a file to `take`, in order.
    pub async fn read(&self, file: &Node, take: &mut dyn FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
        if let Place::Folder(path) = &file.place {
            return read_local(path, take);
        }
        let open = match (self, &file.place) {
            (Tree::Workspace(workspace), Place::Workspace { ino }) => {
                let open = || workspace.open_file(*ino, false, false);
                Some(settled(&**workspace, open).await?)
            }
            _ => None,
        };
        let ahead = Arc::new(ReadAhead::default());
        let mut offset = 0;
        loop {
            let bytes = match (self, &file.place, &open) {
                (Tree::Snapshot(view), Place::Snapshot(node), _) => {
                    settled(&**view, || view.read(node, offset, READ_BYTES, Some(&ahead))).await?
                }
                (Tree::Workspace(workspace), _, Some(open)) => {
                    settled(&**workspace, || open.read(offset, READ_BYTES)).await?
                }
                _ => unreachable!("a node is read in its own tree"),
            };
            if bytes.is_empty() {
                return Ok(());
            }
            take(&bytes)?;
            offset += bytes.len() as u64;
        }
    }

    /// Where a symlink points.
    pub async fn target(&self, link: &Node) -> Result<Vec<u8>, Failure> {
        match (self, &link.place) {
            (_, Place::Snapshot(node)) => match &node.entry.content {
                crate::model::entry::Content::Symlink(target) => Ok(target.clone()),
                _ => Ok(Vec::new()),
            },
            (Tree::Workspace(workspace), Place::Workspace { ino }) => {
                Ok(settled(&**workspace, || workspace.readlink(*ino)).await?)
            }
            (_, Place::Folder(path)) => {
                let target = std::fs::read_link(path).map_err(|error| cannot_read(path, &error))?;
                Ok(target.as_os_str().as_bytes().to_vec())
            }
            _ => unreachable!("a node is read in its own tree"),
        }
    }
}

impl Node {
    fn of_attr(attr: crate::workspace::attr::Attr, place: Place) -> Node {
        Node {
            kind: attr.kind,
            mode: attr.mode,
            owner: attr.owner,
            size: attr.size,
            mtime: attr.mtime,
            nlink: attr.nlink,
            place,
        }
    }

    fn of_snapshot(node: SnapshotNode) -> Node {
        Node::of_attr(node.attr, Place::Snapshot(Box::new(node)))
    }

    /// What a local path leads to, symlinks not followed.
    pub fn of_local(path: &Path) -> Result<Option<Node>, Failure> {
        match std::fs::symlink_metadata(path) {
            Ok(metadata) => Ok(Some(Node::of_metadata(&metadata, path))),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(cannot_read(path, &error)),
        }
    }

    fn of_metadata(metadata: &std::fs::Metadata, path: &Path) -> Node {
        let kind = match metadata.file_type() {
            kind if kind.is_dir() => Kind::Dir,
            kind if kind.is_symlink() => Kind::Symlink,
            kind if kind.is_fifo() => Kind::Fifo,
            kind if kind.is_socket() => Kind::Socket,
            kind if kind.is_char_device() => Kind::CharDevice,
            kind if kind.is_block_device() => Kind::BlockDevice,
            _ => Kind::File,
        };
        let nanos = u32::try_from(metadata.mtime_nsec()).unwrap_or(0);
        Node {
            kind,
            mode: (metadata.mode() & 0o7777) as u16,
            owner: Some(Owner { uid: metadata.uid(), gid: metadata.gid() }),
            size: if kind == Kind::Dir { 0 } else { metadata.len() },
            mtime: Time::from_parts(metadata.mtime(), nanos),
            nlink: u32::try_from(metadata.nlink()).unwrap_or(u32::MAX),
            place: Place::Folder(path.to_owned()),
        }
    }

    /// The entry of a snapshot that this is.
    pub fn entry(&self) -> Option<&Entry> {
        match &self.place {
            Place::Snapshot(node) => Some(&node.entry),
            _ => None,
        }
    }

    /// Its number in a working tree of this process.
    pub fn ino(&self) -> Option<u64> {
        match self.place {
            Place::Workspace { ino } => Some(ino),
            _ => None,
        }
    }

    /// Its path on this machine.
    pub fn local_path(&self) -> Option<&Path> {
        match &self.place {
            Place::Folder(path) => Some(path),
            _ => None,
        }
    }
}

/// Loads what operations missed.
pub trait Fetch {
    fn fetch_missed<'a>(&'a self, miss: &'a Miss) -> BoxFuture<'a, Result<(), WorkspaceError>>;
}

impl Fetch for Workspace {
    fn fetch_missed<'a>(&'a self, miss: &'a Miss) -> BoxFuture<'a, Result<(), WorkspaceError>> {
        Box::pin(self.fetch(miss))
    }
}

impl Fetch for SnapshotView {
    fn fetch_missed<'a>(&'a self, miss: &'a Miss) -> BoxFuture<'a, Result<(), WorkspaceError>> {
        Box::pin(self.fetch(miss))
    }
}

/// Calls `work` until it does not miss anything.
pub async fn settled<T>(
    from: &impl Fetch,
    mut work: impl FnMut() -> Result<T, WorkspaceError>,
) -> Result<T, WorkspaceError> {
    loop {
        match work() {
            Err(WorkspaceError::Miss(miss)) => from.fetch_missed(&miss).await?,
            done => return done,
        }
    }
}

/// The local path of `path` below the folder `root`.
pub fn below(root: &Path, path: &TreePath) -> PathBuf {
    if path.is_root() { root.to_owned() } else { root.join(Path::new(std::ffi::OsStr::from_bytes(path.as_bytes()))) }
}

fn local_entries(folder: &Path) -> Result<Vec<(Vec<u8>, Node)>, Failure> {
    let read = || -> io::Result<Vec<(Vec<u8>, Node)>> {
        let mut entries = Vec::new();
        for item in std::fs::read_dir(folder)? {
            let item = item?;
            let node = Node::of_metadata(&item.metadata()?, &item.path());
            entries.push((item.file_name().as_bytes().to_vec(), node));
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(entries)
    };
    read().map_err(|error| cannot_read(folder, &error))
}

fn read_local(path: &Path, take: &mut dyn FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut file = File::open(path).map_err(|error| cannot_read(path, &error))?;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => take(&buffer[..len])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(cannot_read(path, &error)),
        }
    }
}

pub fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("cannot read {}", path.display())).because(error)
}
