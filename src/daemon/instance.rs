//! One daemon per mesh and state folder: the lock that holds to it, and how others find who has it.
//!
//! The lock is the truth (it ends with its holder); `daemon.json` beside it only describes who took it last.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::config::Settings;
use super::failure::Failure;
use super::store_name;
use crate::model::time::Time;
use crate::sys::lock::{self, FileLock};
use crate::sys::{Sys, disk};

/// Longest that a command waits for another command that has the state folder.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// Between two tries at the lock.
const LOCK_RETRY: Duration = Duration::from_millis(20);

const LOCK_FILE: &str = "lock";
const INFO_FILE: &str = "daemon.json";

/// Name of the control socket in the state folder.
pub const SOCKET_FILE: &str = "control.sock";

/// A daemon, as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    pub pid: u32,
    pub mountpoint: PathBuf,
    pub store: String,
    /// The mesh's own state folder, which holds the lock and the socket.
    pub folder: PathBuf,
    pub cache_root: PathBuf,
    pub read_only: bool,
    pub started: Time,
    /// Version of the program.
    pub version: String,
}

impl Info {
    /// The folder below which `folder` lies.
    pub fn state_root(&self) -> &Path {
        disk::parent_of(&self.folder)
    }

    /// Is the daemon that wrote this still there?
    pub fn is_running(&self) -> bool {
        read_info(&self.folder).as_ref() == Some(self) && is_held(&self.folder)
    }
}

/// The right to change what lies in a mesh's state folder; ends when dropped.
#[derive(Debug)]
pub struct Hold {
    _lock: FileLock,
}

/// Does any process hold `folder`?
pub fn is_held(folder: &Path) -> bool {
    let path = folder.join(LOCK_FILE);
    path.exists() && matches!(FileLock::try_shared(&path), Ok(None))
}

/// Takes `folder` for a daemon at `mountpoint`, at once or not at all.
pub fn hold_for_daemon(folder: &Path, mountpoint: &Path) -> Result<Hold, Failure> {
    let note = format!("pid {}, which has it mounted at {}", std::process::id(), mountpoint.display());
    match try_hold(folder, &note)? {
        Some(hold) => Ok(hold),
        None => Err(held_by_another(folder)),
    }
}

/// Takes `folder` for one command, waiting a while for another command.
pub async fn hold_for_command(folder: &Path, sys: &Sys) -> Result<Hold, Failure> {
    let note = format!("pid {}, a meshfs command", std::process::id());
    let deadline = sys.clock.elapsed() + LOCK_WAIT;
    loop {
        if let Some(hold) = try_hold(folder, &note)? {
            return Ok(hold);
        }
        if sys.clock.elapsed() >= deadline {
            return Err(held_by_another(folder));
        }
        sys.clock.sleep(LOCK_RETRY).await;
    }
}

fn try_hold(folder: &Path, note: &str) -> Result<Option<Hold>, Failure> {
    let taken = disk::create_private_dirs(folder)
        .and_then(|()| FileLock::try_exclusive(&folder.join(LOCK_FILE)))
        .and_then(|lock| match lock {
            Some(mut lock) => lock.set_note(note).map(|()| Some(Hold { _lock: lock })),
            None => Ok(None),
        });
    taken.map_err(|error| {
        Failure::failed(format!("cannot use the state folder {}", folder.display()))
            .because(&error)
            .hint("--state-dir or MESHFS_STATE_DIR names another one")
    })
}

fn held_by_another(folder: &Path) -> Failure {
    let who = lock::note(&folder.join(LOCK_FILE)).unwrap_or_default();
    let who = if who.is_empty() { "another process".to_owned() } else { who };
    Failure::failed(format!("the state folder {} is in use by {who}", folder.display()))
        .hint("`meshfs umount` that mount first, or give this one a --state-dir of its own")
}

/// Describes this daemon for others. The registry entry lets its mountpoint be found whatever the state root.
pub fn announce(info: &Info, registry: &Path) -> io::Result<()> {
    let json = serde_json::to_vec_pretty(info)?;
    disk::write_atomically(&info.folder.join(INFO_FILE), &json)?;
    disk::create_private_dirs(registry)?;
    disk::write_atomically(&registry_entry(registry, &info.mountpoint), &json)
}

/// Takes the description back.
pub fn withdraw(info: &Info, registry: &Path) {
    // What stays behind names a daemon that holds no lock: it misleads nobody.
    let _ = std::fs::remove_file(info.folder.join(INFO_FILE));
    let _ = std::fs::remove_file(info.folder.join(SOCKET_FILE));
    let _ = std::fs::remove_file(registry_entry(registry, &info.mountpoint));
}

/// The daemon that has `folder`, if one has.
pub fn in_folder(folder: &Path) -> Option<Info> {
    read_info(folder).filter(|_| is_held(folder))
}

/// The daemon that serves `mountpoint`, whatever its state root.
pub fn at_mountpoint(settings: &Settings, mountpoint: &Path) -> Option<Info> {
    let registered = read_json(&registry_entry(&settings.registry, mountpoint));
    let in_root = || {
        folders(&settings.state_root).find_map(|folder| read_info(&folder).filter(|info| info.mountpoint == mountpoint))
    };
    registered.filter(Info::is_running).or_else(|| in_root().filter(Info::is_running))
}

/// The daemon that served `mountpoint` last and is no more.
pub fn gone_from_mountpoint(settings: &Settings, mountpoint: &Path) -> Option<Info> {
    read_json(&registry_entry(&settings.registry, mountpoint)).filter(|info| !info.is_running())
}

/// The daemon that has this store mounted on the state root of `settings`; asks the store nothing.
pub fn of_store(settings: &Settings, store: &str) -> Option<Info> {
    folders(&settings.state_root)
        .filter_map(|folder| read_info(&folder))
        .find(|info| store_name::same(&info.store, store) && info.is_running())
}

fn folders(state_root: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(state_root).into_iter().flatten().filter_map(|item| Some(item.ok()?.path()))
}

fn registry_entry(registry: &Path, mountpoint: &Path) -> PathBuf {
    registry.join(format!("{}.json", blake3::hash(mountpoint.as_os_str().as_bytes())))
}

fn read_info(folder: &Path) -> Option<Info> {
    read_json(&folder.join(INFO_FILE))
}

fn read_json(path: &Path) -> Option<Info> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(folder: &Path) -> Info {
        Info {
            pid: std::process::id(),
            mountpoint: PathBuf::from("/mesh"),
            store: "/data/store".to_owned(),
            folder: folder.to_owned(),
            cache_root: PathBuf::from("/cache"),
            read_only: false,
            started: Time(0),
            version: "1".to_owned(),
        }
    }

    #[test]
    fn a_second_daemon_is_told_who_has_the_folder() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("mesh");
        let hold = hold_for_daemon(&folder, Path::new("/mesh")).unwrap();
        let refused = hold_for_daemon(&folder, Path::new("/other")).unwrap_err();
        assert!(refused.what.contains(&format!("pid {}", std::process::id())), "{refused}");
        assert!(refused.what.contains("/mesh"), "{refused}");
        drop(hold);
        hold_for_daemon(&folder, Path::new("/other")).unwrap();
    }

    #[test]
    fn only_a_daemon_that_holds_its_folder_is_found() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("mesh");
        let registry = root.path().join("mounts");
        let info = info(&folder);
        let hold = hold_for_daemon(&folder, &info.mountpoint).unwrap();
        assert_eq!(in_folder(&folder), None, "holding is not announcing");
        announce(&info, &registry).unwrap();
        assert_eq!(in_folder(&folder), Some(info.clone()));
        drop(hold);
        assert_eq!(in_folder(&folder), None, "killed: the description stays, the lock does not");
    }
}
