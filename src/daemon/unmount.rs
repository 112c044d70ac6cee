//! Ending a mount from outside of its daemon.

use std::path::Path;
use std::time::Duration;

use super::config::Settings;
use super::control::client::Client;
use super::control::protocol::Request;
use super::failure::{Class, Failure};
use super::instance;
use super::{mountpoint, mounts};
use crate::sys::Sys;

/// Longest wait for a daemon that was asked to end: what it does is finished first, and detached files are served on.
const END_WAIT: Duration = Duration::from_secs(60);

/// Between two looks whether it has ended.
const END_POLL: Duration = Duration::from_millis(20);

/// Unmounts what is mounted at `dir` and waits until its daemon has ended. A dead mount is cleared.
pub async fn unmount(settings: &Settings, dir: &Path, lazy: bool) -> Result<(), Failure> {
    let shown = dir.display();
    let dir = mounts::lexically_absolute(dir).ok_or_else(|| Failure::usage("the mountpoint is an empty path"))?;
    if mountpoint::clear_dead(&dir)? {
        return Ok(());
    }
    let line = mounts::at(&dir).ok_or_else(|| nothing_there(&dir))?;
    let info = instance::at_mountpoint(settings, &line.mountpoint).ok_or_else(|| {
        Failure::failed(format!("the daemon of {shown} cannot be reached"))
            .hint(format!("be the user who mounted it, or give its --state-dir; or `fusermount3 -u {shown}`"))
    })?;
    match Client::new(info.clone()).perform(Request::Unmount { lazy }).await {
        // It may end before its answer is out.
        Ok(_) => {}
        Err(failure) if failure.class == Class::OutcomeUnknown => {}
        Err(failure) => return Err(failure),
    }
    let clock = Sys::real().clock;
    let deadline = clock.elapsed() + END_WAIT;
    while instance::is_held(&info.folder) {
        if clock.elapsed() >= deadline {
            return Err(Failure::failed(format!("the daemon of {shown} (pid {}) does not end", info.pid))
                .hint("it may be waiting for the store; its log tells, and nothing staged is lost by killing it"));
        }
        clock.sleep(END_POLL).await;
    }
    Ok(())
}

fn nothing_there(dir: &Path) -> Failure {
    let failure = Failure::failed(format!("no mesh is mounted at {}", dir.display()));
    let mounted: Vec<String> = mounts::mount_table()
        .unwrap_or_default()
        .into_iter()
        .filter(mounts::MountLine::is_meshfs)
        .map(|line| line.mountpoint.display().to_string())
        .collect();
    match mounted.as_slice() {
        [] => failure.hint("no mesh is mounted anywhere here"),
        mounted => failure.hint(format!("mounted are: {}", mounted.join(", "))),
    }
}
