//! Which processes use a mount, as far as this user may see: what to close before it can be unmounted.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

/// A process, and one thing it has in the mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub pid: u32,
    pub command: String,
    pub path: PathBuf,
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {}) uses {}", self.command, self.pid, self.path.display())
    }
}

/// The processes with a current folder, root, open or mapped file below `mountpoint`. Asks the mount itself nothing.
pub fn of_mount(mountpoint: &Path) -> Vec<User> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut users: Vec<User> = processes.filter_map(|item| user_in(&item.path(), mountpoint)).collect();
    users.sort_by_key(|user| user.pid);
    users
}

fn user_in(process: &Path, mountpoint: &Path) -> Option<User> {
    let pid = process.file_name().and_then(OsStr::to_str)?.parse().ok()?;
    let links = ["cwd", "root", "exe"].map(|name| process.join(name));
    let open = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten().map(|item| item.path());
    let used = links
        .into_iter()
        .chain(open)
        .filter_map(|link| std::fs::read_link(link).ok())
        .chain(mapped(process))
        .find(|path| path.starts_with(mountpoint))?;
    let command = std::fs::read_to_string(process.join("comm")).unwrap_or_default().trim_end().to_owned();
    Some(User { pid, command, path: used })
}

fn mapped(process: &Path) -> Vec<PathBuf> {
    let maps = std::fs::read_to_string(process.join("maps")).unwrap_or_default();
    maps.lines().filter_map(|line| Some(PathBuf::from(&line[line.find('/')?..]))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_a_file_open_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        let open = std::fs::File::create(path.join("x")).unwrap();
        let users = of_mount(&path);
        assert!(users.iter().any(|user| user.pid == std::process::id() && user.path == path.join("x")), "{users:?}");
        drop(open);
        assert_eq!(of_mount(&path), []);
    }
}
