//! A working tree by path, as a program sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

use meshfs::model::entry::{Content, Entry, Kind, Owner};
use meshfs::model::id::CommitId;
use meshfs::model::merge::Side;
use meshfs::model::path::TreePath;
use meshfs::model::report::ChangeReport;
use meshfs::model::time::Time;
use meshfs::repo::domain::Domain;
use meshfs::repo::tree::walk::{Next, walk};
use meshfs::workspace::attr::{Attr, NewNode, RenameMode, SetAttr, XattrMode};
use meshfs::workspace::commit::{CommitOptions, Committed};
use meshfs::workspace::error::WorkspaceError;
use meshfs::workspace::open_file::OpenFile;
use meshfs::workspace::place;
use meshfs::workspace::refresh::Refreshed;
use meshfs::workspace::view::Workspace;

use crate::world::{Machine, World};

pub type Result<T, E = WorkspaceError> = std::result::Result<T, E>;

pub fn path(text: &str) -> TreePath {
    TreePath::parse(text.as_bytes()).unwrap()
}

/// Everything in a tree: of a file its text, of a symlink `-> target`, of a directory `/`.
pub type All = BTreeMap<String, String>;

pub fn all(lines: &[(&str, &str)]) -> All {
    lines.iter().map(|(at, what)| ((*at).to_owned(), (*what).to_owned())).collect()
}

/// The working tree of a branch, `main` unless said otherwise, on one machine.
pub struct Tree {
    pub machine: Machine,
    pub domain: Domain,
    pub workspace: Arc<Workspace>,
}

/// A mesh with the domain `sales`, and two machines on it.
pub async fn two() -> (World, Tree, Tree) {
    let (world, a) = World::in_memory().with_sales().await;
    let b = world.machine(2).await;
    (world, Tree::new(a).await, Tree::new(b).await)
}

pub async fn one() -> (World, Tree) {
    let (world, a) = World::in_memory().with_sales().await;
    (world, Tree::new(a).await)
}

impl Tree {
    pub async fn new(machine: Machine) -> Tree {
        Tree::on(machine, "main").await
    }

    pub async fn on(machine: Machine, branch: &str) -> Tree {
        let domain = machine.sales().await;
        let workspace = open(&machine, &domain, branch).await;
        Tree { machine, domain, workspace }
    }

    /// The process ends and another opens the same state folder.
    pub async fn reopen(&mut self) {
        self.workspace = open(&self.machine, &self.domain, &self.workspace.branch().name.name).await;
    }

    /// Runs an operation on what a path leads to.
    pub async fn at<T>(&self, at: &str, operation: impl Fn(&Workspace, Attr) -> Result<T>) -> Result<T> {
        let at = path(at);
        self.workspace
            .with_fetch(|workspace| {
                let attr = workspace.lookup_path(&at)?;
                let done = operation(workspace, attr);
                workspace.forget(attr.ino, 1);
                done
            })
            .await
    }

    /// Runs an operation on the directory of a path, and the name in it.
    pub async fn named<T>(&self, at: &str, operation: impl Fn(&Workspace, u64, &[u8]) -> Result<T>) -> Result<T> {
        let at = path(at);
        let (parent, name) = at.split_last().unwrap();
        self.at(&parent.to_string(), |workspace, dir| operation(workspace, dir.ino, name)).await
    }

    pub async fn open(&self, at: &str, write: bool, truncate: bool) -> Result<OpenFile> {
        self.at(at, |workspace, attr| workspace.open_file(attr.ino, write, truncate)).await
    }

    /// Writes a whole file, made if it is not there; directories on the way too.
    pub async fn write(&self, at: &str, text: &str) {
        self.try_write(at, text).await.unwrap();
    }

    pub async fn try_write(&self, at: &str, text: &str) -> Result<()> {
        if let Some((parent, _)) = path(at).split_last() {
            Box::pin(self.make_dirs(&parent)).await?;
        }
        if self.at(at, |_, _| Ok(())).await.is_err() {
            self.named(at, |workspace, dir, name| {
                workspace.create(dir, name, NewNode::File, 0o644, None).map(|new| workspace.forget(new.ino, 1))
            })
            .await?;
        }
        let file = self.open(at, true, true).await?;
        file.write(0, text.as_bytes()).map(drop)
    }

    async fn make_dirs(&self, at: &TreePath) -> Result<()> {
        let mut here = TreePath::root();
        for name in at.names() {
            here = here.join(name);
            match self.mkdir(&here.to_string()).await {
                Ok(()) | Err(WorkspaceError::Exists) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub async fn mkdir(&self, at: &str) -> Result<()> {
        self.named(at, |workspace, dir, name| {
            workspace.create(dir, name, NewNode::Dir, 0o755, None).map(|new| workspace.forget(new.ino, 1))
        })
        .await
    }

    pub async fn symlink(&self, at: &str, target: &str) -> Result<()> {
        self.named(at, |workspace, dir, name| {
            let new = NewNode::Symlink(target.into());
            workspace.create(dir, name, new, 0o777, None).map(|new| workspace.forget(new.ino, 1))
        })
        .await
    }

    pub async fn read(&self, at: &str) -> Result<String> {
        let file = self.open(at, false, false).await?;
        read_all(&self.workspace, &file).await
    }

    pub async fn unlink(&self, at: &str) -> Result<()> {
        self.named(at, Workspace::unlink).await
    }

    pub async fn rmdir(&self, at: &str) -> Result<()> {
        self.named(at, Workspace::rmdir).await
    }

    /// Deletes whatever is there, with all below.
    pub async fn remove(&self, at: &str) -> Result<()> {
        let attr = self.at(at, |_, attr| Ok(attr)).await?;
        if attr.kind != Kind::Dir {
            return self.unlink(at).await;
        }
        for name in self.names(at).await? {
            Box::pin(self.remove(&format!("{at}/{name}"))).await?;
        }
        self.rmdir(at).await
    }

    pub async fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.named(from, |_, _, _| Ok(())).await?;
        let (from, to) = (path(from), path(to));
        let ((from_dir, from_name), (to_dir, to_name)) = (from.split_last().unwrap(), to.split_last().unwrap());
        let (from_dir, to_dir) = (from_dir.to_string(), to_dir.to_string());
        let from_ino = self.at(&from_dir, |_, attr| Ok(attr.ino)).await?;
        let rename = |workspace: &Workspace, dir: Attr| {
            let held = workspace.lookup_path(&path(&from_dir))?;
            let renamed = workspace.rename((from_ino, from_name), (dir.ino, to_name), RenameMode::Replace);
            workspace.forget(held.ino, 1);
            renamed
        };
        self.at(&to_dir, rename).await
    }

    pub async fn link(&self, from: &str, to: &str) -> Result<()> {
        let from = path(from);
        self.named(to, |workspace, dir, name| {
            let held = workspace.lookup_path(&from)?;
            let linked = workspace.link(held.ino, dir, name).map(|new| workspace.forget(new.ino, 1));
            workspace.forget(held.ino, 1);
            linked
        })
        .await
    }

    async fn set(&self, at: &str, change: SetAttr) {
        self.at(at, |workspace, attr| workspace.set_attr(attr.ino, change)).await.unwrap();
    }

    pub async fn chmod(&self, at: &str, mode: u16) {
        self.set(at, SetAttr { mode: Some(mode), ..SetAttr::default() }).await;
    }

    pub async fn chown(&self, at: &str, uid: u32) {
        self.set(at, SetAttr { owner: Some(Owner { uid, gid: uid }), ..SetAttr::default() }).await;
    }

    pub async fn touch(&self, at: &str, time: i64) {
        self.set(at, SetAttr { mtime: Some(Time(time)), ..SetAttr::default() }).await;
    }

    pub async fn set_xattr(&self, at: &str, name: &str, value: &str) {
        let set = |workspace: &Workspace, attr: Attr| {
            workspace.set_xattr(attr.ino, name.as_bytes(), value.as_bytes(), XattrMode::Any)
        };
        self.at(at, set).await.unwrap();
    }

    pub async fn attr(&self, at: &str) -> Attr {
        self.at(at, |_, attr| Ok(attr)).await.unwrap()
    }

    pub async fn names(&self, at: &str) -> Result<Vec<String>> {
        let listed = self.at(at, |workspace, dir| workspace.readdir(dir.ino, None, 10_000)).await?;
        Ok(listed.into_iter().map(|listed| String::from_utf8(listed.name).unwrap()).collect())
    }

    /// Everything that the working tree shows.
    pub async fn all(&self) -> All {
        let mut all = All::new();
        let mut dirs = vec![String::new()];
        while let Some(dir) = dirs.pop() {
            for name in self.names(&dir).await.unwrap() {
                let at = if dir.is_empty() { name } else { format!("{dir}/{name}") };
                let attr = self.attr(&at).await;
                let what = match attr.kind {
                    Kind::Dir => {
                        dirs.push(at.clone());
                        "/".to_owned()
                    }
                    Kind::Symlink => {
                        let target = self.at(&at, |workspace, attr| workspace.readlink(attr.ino)).await.unwrap();
                        format!("-> {}", String::from_utf8(target).unwrap())
                    }
                    _ => self.read(&at).await.unwrap(),
                };
                all.insert(at, what);
            }
        }
        all
    }

    /// Status lines.
    pub async fn status(&self) -> Vec<String> {
        let changes = self.workspace.status().await.unwrap();
        changes.iter().map(|change| ChangeReport::from(change).to_string()).collect()
    }

    pub async fn try_commit(&self) -> Result<Committed> {
        let options = CommitOptions { message: "a change".to_owned(), ..CommitOptions::default() };
        self.workspace.commit(options).await
    }

    /// Commits; it must land.
    pub async fn commit(&self) -> CommitId {
        match self.try_commit().await.unwrap() {
            Committed::Landed(commit) => commit.id,
            other => panic!("{other:?}"),
        }
    }

    /// Commits; the paths that are in conflict.
    pub async fn commit_in_conflict(&self) -> Vec<String> {
        match self.try_commit().await.unwrap() {
            Committed::Conflict(conflicts) => conflicts.iter().map(|conflict| conflict.path.to_string()).collect(),
            other => panic!("{other:?}"),
        }
    }

    pub async fn refresh(&self, strategy: Option<Side>, paths: &[&str]) -> Refreshed {
        let paths: Vec<_> = paths.iter().map(|text| path(text)).collect();
        self.workspace.refresh(strategy, &paths).await.unwrap()
    }
}

async fn open(machine: &Machine, domain: &Domain, branch: &str) -> Arc<Workspace> {
    let (identity, _) = domain.state().branch(branch).unwrap();
    let folder = place::folder(machine.mesh.state_dir(), domain, &identity);
    Workspace::open(domain, branch, &folder, machine.mesh.sys().clone()).await.unwrap()
}

pub async fn read_all(workspace: &Workspace, file: &OpenFile) -> Result<String> {
    let bytes = workspace.with_fetch(|_| file.read(0, 1 << 20)).await?;
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

/// Everything in a commit, as a machine that never saw it reads it.
pub async fn committed(world: &World, id: &CommitId) -> All {
    let machine = world.machine(99).await;
    let domain = machine.sales().await;
    let snapshot = domain.snapshot(id).await.unwrap();
    let mut entries = Vec::new();
    let mut visit = |at: &TreePath, entry: &Entry| {
        entries.push((at.to_string(), entry.clone()));
        Next::Into
    };
    walk(domain.objects(), &snapshot.root.entry, &mut visit).await.unwrap();
    let mut all = All::new();
    for (at, entry) in entries {
        let what = match &entry.content {
            Content::File(content) => {
                let bytes = domain.objects().read(content, 0, content.size).await.unwrap();
                String::from_utf8(bytes.to_vec()).unwrap()
            }
            Content::Symlink(target) => format!("-> {}", String::from_utf8_lossy(target)),
            _ => "/".to_owned(),
        };
        all.insert(at, what);
    }
    all
}
