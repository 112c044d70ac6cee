//! FUSE, the folders, and the mounts of this machine.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Finding;
use crate::daemon::config::Settings;
use crate::daemon::control::client::Client;
use crate::daemon::control::protocol::{Reply, Request};
use crate::daemon::failure::Failure;
use crate::daemon::{instance, mounts};
use crate::fuse::dead;
use crate::sys::clock::{SystemClock, within};
use crate::sys::{disk, process};

const FUSE_DEVICE: &str = "/dev/fuse";
const FUSE_CONFIG: &str = "/etc/fuse.conf";

/// Below this, staging and caching come to their limits soon.
const FREE_BYTES_LOW: u64 = 1 << 30;

/// Longest that a daemon may take to say what it holds.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

pub async fn examine(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![device(), helper(), allow_other()];
    findings.push(folder("state folder", &settings.state_root, "--state-dir or MESHFS_STATE_DIR"));
    findings.push(folder("cache folder", &settings.cache_root, "--cache-dir or MESHFS_CACHE_DIR"));
    for dir in meshfs_mounts() {
        findings.push(mounted(settings, &dir).await);
    }
    findings
}

fn device() -> Finding {
    const CHECK: &str = "fuse device";
    match process::may_read_and_write(Path::new(FUSE_DEVICE)) {
        Ok(()) => Finding::ok(CHECK, format!("{FUSE_DEVICE} can be opened")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Finding::fail(
            CHECK,
            format!("there is no {FUSE_DEVICE}"),
            "`sudo modprobe fuse`; in a container: --device /dev/fuse --cap-add SYS_ADMIN",
        ),
        Err(error) => Finding::fail(
            CHECK,
            format!("{FUSE_DEVICE}: {error}"),
            format!("`sudo chmod 666 {FUSE_DEVICE}`, or mount as root"),
        ),
    }
}

fn helper() -> Finding {
    const CHECK: &str = "fusermount3";
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|dir| dir.join("fusermount3")).find(|path| path.is_file());
    match found {
        Some(path) => Finding::ok(CHECK, format!("{} is there", path.display())),
        None if process::effective_uid() == 0 => Finding::ok(CHECK, "not installed, and root does not need it"),
        None => Finding::fail(CHECK, "not installed: only root can mount without it", "`sudo apt-get install fuse3`"),
    }
}

fn allow_other() -> Finding {
    const CHECK: &str = "user_allow_other";
    let allowed = fs::read_to_string(FUSE_CONFIG).is_ok_and(|text| text.lines().any(|line| line.trim() == CHECK));
    match (allowed, process::effective_uid()) {
        (true, _) => Finding::ok(CHECK, format!("set in {FUSE_CONFIG}: --allow-other works for every user")),
        (false, 0) => Finding::ok(CHECK, "not set; root does not need it for --allow-other"),
        (false, _) => Finding::ok(CHECK, format!("not set in {FUSE_CONFIG}: only root can use --allow-other")),
    }
}

fn folder(check: &'static str, path: &Path, option: &str) -> Finding {
    let shown = path.display();
    let probe = path.join(format!("doctor-{}", std::process::id()));
    let tried = disk::create_private_dirs(path)
        .and_then(|()| disk::write_atomically(&probe, b"meshfs"))
        .and_then(|()| fs::remove_file(&probe))
        .and_then(|()| disk::space(path));
    match tried {
        Ok(space) if space.available_bytes < FREE_BYTES_LOW => Finding::warn(
            check,
            format!("{shown} has {} MiB left", space.available_bytes >> 20),
            format!("free some space, or name another folder with {option}"),
        ),
        Ok(space) => Finding::ok(check, format!("{shown} is writable, with {} GiB left", space.available_bytes >> 30)),
        Err(error) => Finding::fail(check, format!("{shown}: {error}"), format!("name another folder with {option}")),
    }
}

fn meshfs_mounts() -> Vec<PathBuf> {
    let lines = mounts::mount_table().unwrap_or_default();
    lines.into_iter().filter(mounts::MountLine::is_meshfs).map(|line| line.mountpoint).collect()
}

async fn mounted(settings: &Settings, dir: &Path) -> Finding {
    const CHECK: &str = "mount";
    let shown = dir.display();
    if dead::is_dead(dir) {
        return Finding::warn(
            CHECK,
            format!("{shown} is dead: its daemon was killed"),
            format!("`meshfs mount {shown}` clears it and mounts again; nothing staged is lost"),
        );
    }
    let Some(info) = instance::at_mountpoint(settings, dir) else {
        return Finding::ok(CHECK, format!("{shown} is served by another user, or on another state folder"));
    };
    let mount = format!("{shown} shows {} (pid {})", info.store, info.pid);
    let answer = within(&SystemClock::new(), ANSWER_LIMIT, Client::new(info).perform(Request::Usage)).await;
    match answer.unwrap_or_else(|| Err(Failure::failed(format!("{mount}, and its daemon does not answer")))) {
        Ok(Reply::Usage { held, resident_bytes }) => {
            let memory = resident_bytes >> 20;
            let text = format!("{mount}: {} open, {} known to the kernel, {memory} MiB", held.handles, held.nodes);
            Finding::ok(CHECK, text)
        }
        Ok(_) => Finding::warn(CHECK, mount, "its daemon runs another version: unmount and mount again"),
        Err(failure) => Finding::failed(CHECK, failure),
    }
}
