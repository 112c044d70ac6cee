//! Folders that are gone when the test is, unless it failed and `MESHFS_KEEP_SCRATCH` asks to keep them.

use std::path::{Path, PathBuf};

/// A folder of one test.
#[derive(Debug)]
pub struct Scratch {
    folder: Option<tempfile::TempDir>,
}

impl Scratch {
    pub fn new() -> Scratch {
        let folder = tempfile::Builder::new().prefix("meshfs-test-").tempdir().expect("a scratch folder");
        Scratch { folder: Some(folder) }
    }

    pub fn path(&self) -> &Path {
        self.folder.as_ref().expect("kept until dropped").path()
    }

    /// The path of `name` in it; nothing is made.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// The folder `name` in it, made.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.join(name);
        std::fs::create_dir_all(&path).expect("a folder in the scratch folder");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("MESHFS_KEEP_SCRATCH").is_some() {
            // Its name stays in the temporary folder to be found.
            let _ = self.folder.take().map(tempfile::TempDir::keep);
        }
    }
}
