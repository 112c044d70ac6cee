//! The log: what is written at which level, and where it goes.
//!
//! `MESHFS_LOG` takes the directives of tracing's env-filter (`debug`, `info,meshfs::storage=trace`).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use tracing_subscriber::EnvFilter;

/// The variable that sets the level.
pub const LEVEL_VARIABLE: &str = "MESHFS_LOG";

/// Where lines go.
#[derive(Clone, Debug)]
pub enum Target {
    Stderr,
    File(Arc<File>),
}

impl Target {
    /// Appends to the file at `path`, made if missing for its owner only.
    pub fn file(path: &Path) -> io::Result<Target> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        Ok(Target::File(Arc::new(file)))
    }
}

/// Starts logging for the whole process; `default` is the level without `MESHFS_LOG`. A second call changes nothing.
pub fn init(target: Target, default: &str) {
    let directives = std::env::var(LEVEL_VARIABLE).unwrap_or_default();
    let directives = if directives.trim().is_empty() { default } else { directives.trim() };
    let (filter, refused) = match EnvFilter::try_new(directives) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new(default), Some(error)),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    // An error says that a log is already there, and the first one stays.
    let _ = match target {
        Target::Stderr => builder.with_writer(io::stderr).try_init(),
        Target::File(file) => builder.with_writer(file).try_init(),
    };
    if let Some(error) = refused {
        tracing::warn!("{LEVEL_VARIABLE}={directives} is not understood ({error}); logging at {default}");
    }
}
