//! Starting a daemon: this program again, in a session of its own, which reports when its mount is usable.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::config::Settings;
use super::failure::Failure;
use super::instance::Info;
use crate::sys::{disk, process};

/// A log longer than this is put aside before a daemon goes on writing to it.
const LOG_BYTES_MAX: u64 = 16 << 20;

/// Of a daemon that died without a report, the end of its log is shown: this much.
const LOG_TAIL_BYTES: u64 = 2 << 10;

/// What the new process writes to its stdout, as one line.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    pub result: Result<Info, Failure>,
}

/// Starts a daemon for `mountpoint` with `options` (without the mountpoint), and waits until its mount is usable.
pub fn start(settings: &Settings, mountpoint: &Path, options: Vec<OsString>) -> Result<Info, Failure> {
    let log = log_path(settings, mountpoint);
    let log_file = open_log(&log).map_err(|error| {
        Failure::failed(format!("cannot write the daemon's log {}", log.display()))
            .because(&error)
            .hint("--state-dir or MESHFS_STATE_DIR names another folder")
    })?;
    let cannot_start = |error: io::Error| Failure::failed("cannot start the daemon").because(&error);
    let mut command = Command::new(process::own_program().map_err(cannot_start)?);
    command
        .args(["mount", "--foreground", "--report"])
        .args(options)
        .arg(mountpoint)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log_file);
    process::in_new_session(&mut command);
    let mut child = command.spawn().map_err(cannot_start)?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line).map_err(cannot_start)?;
    }
    match serde_json::from_str::<Report>(&line) {
        Ok(report) => report.result,
        Err(_) => {
            let status = child.wait().map_err(cannot_start)?;
            let tail = tail(&log).unwrap_or_default();
            let causes = tail.lines().map(str::to_owned).collect();
            Err(Failure {
                causes,
                ..Failure::failed(format!("the daemon ended before its mount was usable ({status})"))
            }
            .hint(format!("its log is {}", log.display())))
        }
    }
}

/// Where the daemon of `mountpoint` logs.
pub fn log_path(settings: &Settings, mountpoint: &Path) -> PathBuf {
    let name = String::from_utf8_lossy(mountpoint.as_os_str().as_bytes()).trim_matches('/').replace('/', "-");
    // Names of files end at 255 bytes; the end of a path tells more than its beginning.
    let start = name.char_indices().rev().take(200).last().map_or(0, |(at, _)| at);
    settings.state_root.join("logs").join(format!("{}.log", &name[start..]))
}

fn open_log(path: &Path) -> io::Result<File> {
    disk::create_private_dirs(disk::parent_of(path))?;
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > LOG_BYTES_MAX) {
        fs::rename(path, path.with_extension("log.old"))?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(LOG_TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
