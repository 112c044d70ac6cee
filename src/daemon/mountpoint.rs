//! The folder to mount on: made when missing, cleared when a daemon died on it, refused when it would hide something.

use std::io;
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::mounts;
use crate::fuse::dead;

/// A folder that is ready to be mounted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Without symlinks.
    pub dir: PathBuf,
    /// It was not there before.
    made: bool,
}

impl Prepared {
    /// Nothing was mounted: takes a folder back that was only made for that.
    pub fn give_up(self) {
        if self.made {
            // Whoever put something in it meanwhile keeps it.
            let _ = std::fs::remove_dir(&self.dir);
        }
    }
}

/// Makes `dir` ready to be mounted on.
pub fn prepare(dir: &Path) -> Result<Prepared, Failure> {
    let dir = mounts::lexically_absolute(dir).ok_or_else(|| Failure::usage("the mountpoint is an empty path"))?;
    clear_dead(&dir)?;
    let mut made = false;
    match std::fs::metadata(&dir) {
        Ok(metadata) if !metadata.is_dir() => {
            return Err(Failure::failed(format!("{} is not a folder", dir.display()))
                .hint("name an empty folder, or one that does not exist yet"));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            std::fs::create_dir_all(&dir).map_err(|error| cannot_make(&dir, &error))?;
            made = true;
        }
        Err(error) => return Err(unusable(&dir, &error)),
    }
    let dir = std::fs::canonicalize(&dir).map_err(|error| unusable(&dir, &error))?;
    if mounts::at(&dir).is_some() {
        return Err(Failure::failed(format!("a mesh is mounted at {} already", dir.display()))
            .hint(format!("use it, or `meshfs umount {}` first", dir.display())));
    }
    let mut names = std::fs::read_dir(&dir).map_err(|error| unusable(&dir, &error))?;
    if let Some(Ok(item)) = names.next() {
        return Err(Failure::failed(format!(
            "{} is not empty: it holds `{}`",
            dir.display(),
            item.file_name().display()
        ))
        .hint("mounting would hide what is there: name an empty folder, or one that does not exist yet"));
    }
    Ok(Prepared { dir, made })
}

/// Detaches a mount from `dir` whose daemon is gone. True when there was one.
pub fn clear_dead(dir: &Path) -> Result<bool, Failure> {
    dead::clear(dir).map_err(|error| {
        Failure::failed(format!("{} is a dead mount, and cannot be cleared", dir.display()))
            .because(&error)
            .hint(format!("as the user who mounted it: `fusermount3 -uz {0}`; as root: `umount -l {0}`", dir.display()))
    })
}

fn cannot_make(dir: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("cannot make the folder {}", dir.display()))
        .because(error)
        .hint(format!("`sudo install -d -o $USER {}` makes it yours; or mount at ~/mesh", dir.display()))
}

fn unusable(dir: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("cannot use the folder {}", dir.display()))
        .because(error)
        .hint(format!("`sudo install -d -o $USER {}` makes it yours; or mount at ~/mesh", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_folder_is_made_with_those_above_it() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b");
        let prepared = prepare(&dir).unwrap();
        assert_eq!(prepared.dir, dir.canonicalize().unwrap());
        prepare(&dir).unwrap().give_up();
        assert!(dir.is_dir(), "it was there before the second time");
        prepared.give_up();
        assert!(!dir.exists());
    }

    #[test]
    fn a_folder_that_holds_something_is_refused_by_name() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("thesis.txt"), "x").unwrap();
        let failure = prepare(root.path()).unwrap_err();
        assert!(failure.what.contains("thesis.txt"), "{failure}");
        let failure = prepare(&root.path().join("thesis.txt")).unwrap_err();
        assert!(failure.what.contains("not a folder"), "{failure}");
    }

    #[test]
    fn a_folder_that_cannot_be_made_comes_with_the_command_that_makes_it() {
        let failure = prepare(Path::new("/proc/mesh")).unwrap_err();
        let hint = failure.hint.unwrap();
        assert!(hint.contains("sudo install -d -o $USER /proc/mesh") && hint.contains("~/mesh"), "{hint}");
    }
}
