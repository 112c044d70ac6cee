//! `meshfs mount`: puts the mesh into the filesystem.

use std::path::PathBuf;

/// Mount the mesh at a folder.
///
/// Returns when the mount is usable, and leaves a daemon behind that serves it until `meshfs umount`. DIR is made if
/// it can be; it must be empty. Uncommitted changes of an earlier mount, also of one that was killed, are there again.
///
/// Example:
///   meshfs mount ~/mesh
///   meshfs mount /mesh --allow-other --cache-size 20G
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Mount {
    /// The mountpoint
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Refuse every change
    #[arg(long)]
    pub read_only: bool,
    /// Stay in the foreground, log to stderr
    #[arg(long)]
    pub foreground: bool,
    /// Let other users in; as an ordinary user this needs `user_allow_other` in /etc/fuse.conf
    #[arg(long)]
    pub allow_other: bool,
    /// Most bytes kept in the cache folder, with K, M, G or T [default: 10G]
    #[arg(long, value_name = "N", value_parser = crate::daemon::config::parse_size)]
    pub cache_size: Option<u64>,
    /// Seconds between looks for other machines' commits [default: 1]
    #[arg(long, value_name = "SECS", value_parser = crate::daemon::config::parse_seconds)]
    pub poll: Option<std::time::Duration>,
    /// Tell the process that started this one, on stdout, when the mount is usable or why not
    #[arg(long, hide = true)]
    pub report: bool,
}
