//! What is found after a power cut: the mesh and the working tree of `sales/main`, opened without a mount from the
//! folder that holds state and store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use meshfs::model::entry::Kind;
use meshfs::model::path::TreePath;
use meshfs::repo::mesh::{Mesh, MeshOptions};
use meshfs::sys::Sys;
use meshfs::workspace::attr::Attr;
use meshfs::workspace::commit::{CommitOptions, Committed};
use meshfs::workspace::error::WorkspaceError;
use meshfs::workspace::place;
use meshfs::workspace::view::Workspace;
use tempfile::TempDir;

/// 2026-11-23T00:00:00Z.
const START_NANOS: i64 = 1_795_392_000_000_000_000;

/// More than any file here has.
const READ_BYTES: usize = 1 << 20;

pub type Result<T> = std::result::Result<T, WorkspaceError>;

/// Everything that a tree shows.
pub type Shown = BTreeMap<String, ShownThing>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownThing {
    pub kind: Kind,
    pub mode: u16,
    pub ino: u64,
    /// Of a file its bytes, of a symlink its target.
    pub bytes: Vec<u8>,
}

pub struct Recovered {
    workspace: Arc<Workspace>,
    /// Local copies are no part of what is looked at: each machine begins without.
    _cache: TempDir,
}

/// A folder in memory where there is such a place: what a real disk would cost is not what these tests look at.
pub fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a scratch folder")
}

fn options(store: &Path, state: PathBuf, cache: &TempDir, boot: &str) -> MeshOptions {
    // Names and numbers made at random must never come twice.
    static SEED: AtomicU64 = AtomicU64::new(1);
    let (sys, _) = Sys::simulated(START_NANOS, SEED.fetch_add(1, Ordering::Relaxed));
    MeshOptions {
        store_url: store.to_str().expect("scratch folders have plain names").to_owned(),
        store: None,
        state_dir: state,
        cache_dir: cache.path().to_owned(),
        cache_bytes: 64 << 20,
        actor: "ann".to_owned(),
        host: "desk".to_owned(),
        sys: Sys { boot: boot.into(), ..sys },
    }
}

impl Recovered {
    /// The machine of `root`, started anew.
    pub async fn open(root: &Path, boot: &str) -> Recovered {
        Recovered::open_on(&root.join("store"), root.join("state"), boot).await
    }

    async fn open_on(store: &Path, state: PathBuf, boot: &str) -> Recovered {
        let cache = scratch();
        let mesh = Mesh::open(options(store, state, &cache, boot)).await.unwrap();
        let domain = mesh.domain("sales").await.unwrap();
        let (identity, _) = domain.state().branch("main").unwrap();
        let dir = place::folder(mesh.state_dir(), &domain, &identity);
        let workspace = Workspace::open(&domain, "main", &dir, mesh.sys().clone()).await.unwrap();
        Recovered { workspace, _cache: cache }
    }

    /// What a machine that was never here finds in the store.
    pub async fn elsewhere(root: &Path) -> Shown {
        let state = scratch();
        Recovered::open_on(&root.join("store"), state.path().to_owned(), "elsewhere").await.shown().await
    }

    /// Runs an operation on what a path leads to.
    async fn at<T>(&self, at: &str, operation: impl Fn(&Workspace, Attr) -> Result<T>) -> Result<T> {
        let at = TreePath::parse(at.as_bytes()).unwrap();
        let run = |workspace: &Workspace| {
            let attr = workspace.lookup_path(&at)?;
            let done = operation(workspace, attr);
            workspace.forget(attr.ino, 1);
            done
        };
        self.workspace.with_fetch(run).await
    }

    pub async fn commit(&self) {
        let options = CommitOptions { message: "More".to_owned(), ..CommitOptions::default() };
        let committed = self.workspace.commit(options).await.unwrap();
        assert!(!matches!(committed, Committed::Conflict(_)), "nobody else was there");
    }

    pub async fn shown(&self) -> Shown {
        let mut shown = Shown::new();
        let mut dirs = vec![String::new()];
        while let Some(dir) = dirs.pop() {
            let listed = self.at(&dir, |workspace, attr| workspace.readdir(attr.ino, None, 1000)).await.unwrap();
            for one in listed {
                let name = String::from_utf8(one.name).unwrap();
                let path = if dir.is_empty() { name } else { format!("{dir}/{name}") };
                let (kind, mode, ino) = (one.attr.kind, one.attr.mode, one.attr.ino);
                let bytes = match kind {
                    Kind::File => self.read(&path).await,
                    Kind::Symlink => self.at(&path, |workspace, attr| workspace.readlink(attr.ino)).await.unwrap(),
                    _ => Vec::new(),
                };
                if kind == Kind::Dir {
                    dirs.push(path.clone());
                }
                shown.insert(path, ShownThing { kind, mode, ino, bytes });
            }
        }
        shown
    }

    async fn read(&self, path: &str) -> Vec<u8> {
        let read = |workspace: &Workspace, attr: Attr| {
            let bytes = workspace.open_file(attr.ino, false, false)?.read(0, READ_BYTES)?;
            assert_eq!(bytes.len() as u64, attr.size, "{path} is as long as it says");
            Ok(bytes.to_vec())
        };
        self.at(path, read).await.unwrap()
    }
}
