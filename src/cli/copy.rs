//! Copying one path, with all below it, from any tree into a working tree or a local folder.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::LocalBoxFuture;

use super::tree::{self, Node, Tree, settled};
use super::ui::Progress;
use crate::daemon::failure::Failure;
use crate::daemon::local;
use crate::model::entry::Kind;
use crate::model::path::{TOO_DEEP, TreePath};
use crate::model::report::kind_name;
use crate::workspace::attr::{Attr, NewNode, SetAttr};
use crate::workspace::error::WorkspaceError;
use crate::workspace::open_file::OpenFile;
use crate::workspace::view::Workspace;

/// A path to be written.
#[derive(Clone)]
pub enum Target {
    Workspace { workspace: Arc<Workspace>, path: TreePath },
    Folder(PathBuf),
}

impl Target {
    /// The path `name` below this one.
    pub fn join(&self, name: &[u8]) -> Target {
        match self {
            Target::Workspace { workspace, path } => {
                Target::Workspace { workspace: workspace.clone(), path: path.join(name) }
            }
            Target::Folder(path) => Target::Folder(path.join(OsStr::from_bytes(name))),
        }
    }

    /// What is there now.
    pub async fn kind(&self) -> Result<Option<Kind>, Failure> {
        match self {
            // Into a symlink that leads to a folder goes what goes into the folder.
            Target::Folder(path) if path.is_dir() => Ok(Some(Kind::Dir)),
            Target::Folder(path) => Ok(Node::of_local(path)?.map(|node| node.kind)),
            Target::Workspace { workspace, path } => Ok(attr_at(workspace, path).await?.map(|attr| attr.kind)),
        }
    }
}

/// Where copying comes from, and what is told about it.
pub struct Source<'a> {
    pub tree: &'a Tree,
    pub path: TreePath,
    pub node: Node,
}

/// Copies `from` to `to`. Directories are merged into those that are there; files are replaced. A symlink is followed
/// where the destination itself is one, and never below it: what is copied there may come from anybody, and must not
/// choose where it is written.
pub async fn copy(from: Source<'_>, to: Target, progress: &Progress) -> Result<(), Failure> {
    let to = match to {
        Target::Folder(path) => Target::Folder(fs::canonicalize(&path).unwrap_or(path)),
        to @ Target::Workspace { .. } => to,
    };
    below(from, to, progress).await
}

fn below<'a>(from: Source<'a>, to: Target, progress: &'a Progress) -> LocalBoxFuture<'a, Result<(), Failure>> {
    Box::pin(async move {
        match from.node.kind {
            Kind::Dir => {
                make_dir(&to, &from.node).await?;
                if from.path.is_too_deep() {
                    return Err(Failure::failed(format!("not all of it can be copied: {TOO_DEEP}"))
                        .hint("through a mount, its parts can be moved up"));
                }
                for (name, node) in from.tree.list(&from.node, &from.path).await? {
                    let inner = Source { tree: from.tree, path: from.path.join(&name), node };
                    below(inner, to.join(&name), progress).await?;
                }
                finish(&to, &from.node).await
            }
            Kind::File => {
                copy_file(&from, &to, progress).await?;
                finish(&to, &from.node).await
            }
            Kind::Symlink => {
                let target = from.tree.target(&from.node).await?;
                make_symlink(&to, &target).await?;
                finish(&to, &from.node).await
            }
            kind => Err(Failure::failed(format!("`{}` is a {}, which is not copied", from.path, kind_name(kind)))
                .hint("copy what is beside it by name; through a mount, `cp -a` copies it too")),
        }
    })
}

async fn copy_file(from: &Source<'_>, to: &Target, progress: &Progress) -> Result<(), Failure> {
    match to {
        Target::Folder(path) => copy_file_out(from, path, progress).await,
        Target::Workspace { workspace, path } => {
            let attr = make_node(workspace, path, NewNode::File, from.node.mode).await?;
            let file = settled(&**workspace, || workspace.open_file(attr.ino, true, true)).await?;
            match (from.tree, from.node.ino()) {
                (Tree::Workspace(source), Some(ino)) if source.domain().info() == workspace.domain().info() => {
                    copy_within_domain(source, ino, &file, from.node.size, progress).await
                }
                _ => copy_file_in(from, &file, progress).await,
            }
        }
    }
}

async fn copy_file_out(from: &Source<'_>, path: &Path, progress: &Progress) -> Result<(), Failure> {
    let mut file = create_file(path).map_err(|error| cannot_write(path, &error))?;
    if let Some(local) = from.node.local_path() {
        // The kernel knows the shortest way; inside a mount one that moves no data.
        let mut source = File::open(local).map_err(|error| tree::cannot_read(local, &error))?;
        let len = io::copy(&mut source, &mut file).map_err(|error| cannot_write(path, &error))?;
        progress.advance(len);
        return file.set_permissions(permissions(&from.node)).map_err(|error| cannot_write(path, &error));
    }
    from.tree
        .read(&from.node, &mut |bytes| {
            progress.advance(bytes.len() as u64);
            file.write_all(bytes).map_err(|error| cannot_write(path, &error))
        })
        .await?;
    file.set_permissions(permissions(&from.node)).map_err(|error| cannot_write(path, &error))
}

/// The file at `path`, emptied; one in the place of a symlink.
fn create_file(path: &Path) -> io::Result<File> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
        fs::remove_file(path)?;
    }
    OpenOptions::new().write(true).create(true).truncate(true).custom_flags(libc::O_NOFOLLOW).open(path)
}

async fn copy_file_in(from: &Source<'_>, file: &OpenFile, progress: &Progress) -> Result<(), Failure> {
    let mut offset = 0;
    from.tree
        .read(&from.node, &mut |bytes| {
            let mut rest = bytes;
            while !rest.is_empty() {
                let written = file.write(offset, rest)?;
                offset += written as u64;
                rest = &rest[written..];
            }
            progress.advance(bytes.len() as u64);
            Ok(())
        })
        .await
}

/// Points to what is stored instead of moving it.
async fn copy_within_domain(
    source: &Workspace,
    ino: u64,
    to: &OpenFile,
    size: u64,
    progress: &Progress,
) -> Result<(), Failure> {
    let from = settled(source, || source.open_file(ino, false, false)).await?;
    let mut offset = 0;
    while offset < size {
        let copied = settled(source, || to.copy_from(&from, offset, offset, size - offset)).await?;
        if copied == 0 {
            return Ok(());
        }
        progress.advance(copied);
        offset += copied;
    }
    Ok(())
}

async fn make_dir(to: &Target, from: &Node) -> Result<(), Failure> {
    match to {
        Target::Folder(path) if fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) => Ok(()),
        Target::Folder(path) => fs::create_dir(path).map_err(|error| cannot_write(path, &error)),
        // The root of a branch is always there.
        Target::Workspace { path, .. } if path.is_root() => Ok(()),
        Target::Workspace { workspace, path } => make_node(workspace, path, NewNode::Dir, from.mode).await.map(|_| ()),
    }
}

async fn make_symlink(to: &Target, target: &[u8]) -> Result<(), Failure> {
    match to {
        Target::Folder(path) => {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot_write(path, &error)),
                _ => {}
            }
            let target = Path::new(OsStr::from_bytes(target));
            std::os::unix::fs::symlink(target, path).map_err(|error| cannot_write(path, &error))
        }
        Target::Workspace { workspace, path } => {
            let (parent, name) = parent_of(workspace, path).await?;
            match settled(&**workspace, || workspace.unlink(parent.ino, &name)).await {
                Ok(()) | Err(WorkspaceError::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
            make_node(workspace, path, NewNode::Symlink(target.to_vec()), 0o777).await.map(|_| ())
        }
    }
}

/// Mode and mtime as they were; last, because writing and filling change them.
async fn finish(to: &Target, from: &Node) -> Result<(), Failure> {
    match to {
        Target::Folder(path) => {
            let set = || -> io::Result<()> {
                if from.kind == Kind::Dir {
                    File::open(path)?.set_permissions(permissions(from))?;
                }
                local::set_modified(path, from.mtime)
            };
            set().map_err(|error| cannot_write(path, &error))
        }
        Target::Workspace { workspace, path } => {
            let Some(attr) = attr_at(workspace, path).await? else { return Ok(()) };
            let mode = (from.kind != Kind::Symlink).then_some(from.mode);
            let change = SetAttr { mode, mtime: Some(from.mtime), ..SetAttr::default() };
            settled(&**workspace, || workspace.set_attr(attr.ino, change)).await?;
            Ok(())
        }
    }
}

/// As cp(1) has them: a program from a mesh does not become one that runs as whoever copied it.
fn permissions(node: &Node) -> fs::Permissions {
    let mode = if node.kind == Kind::Dir { node.mode } else { node.mode & 0o777 };
    fs::Permissions::from_mode(u32::from(mode))
}

/// What is at `path` already if it is of the same kind, or else what is made there.
async fn make_node(workspace: &Workspace, path: &TreePath, new: NewNode, mode: u16) -> Result<Attr, Failure> {
    let wanted = match new {
        NewNode::Dir => Kind::Dir,
        _ => Kind::File,
    };
    let found = attr_at(workspace, path).await?;
    match found {
        Some(attr) if attr.kind == wanted => return Ok(attr),
        Some(attr) => {
            return Err(Failure::failed(format!("`{path}` is a {} already", kind_name(attr.kind)))
                .hint("delete it first, or copy to another name"));
        }
        None => {}
    }
    let (parent, name) = parent_of(workspace, path).await?;
    let create = || workspace.create(parent.ino, &name, new.clone(), mode, None);
    Ok(settled(workspace, create).await?)
}

async fn parent_of(workspace: &Workspace, path: &TreePath) -> Result<(Attr, Vec<u8>), Failure> {
    let (dir, name) = path.split_last().ok_or_else(|| Failure::usage("a branch itself is not a file"))?;
    let parent = attr_at(workspace, &dir).await?.filter(|attr| attr.kind == Kind::Dir);
    let parent = parent.ok_or_else(|| Failure::failed(format!("there is no directory `{dir}` to copy into")))?;
    Ok((parent, name.to_vec()))
}

async fn attr_at(workspace: &Workspace, path: &TreePath) -> Result<Option<Attr>, Failure> {
    match settled(workspace, || workspace.lookup_path(path)).await {
        Ok(attr) => Ok(Some(attr)),
        Err(WorkspaceError::NotFound | WorkspaceError::NotDirectory) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("cannot write {}", path.display())).because(error)
}
