//! `meshfs umount`: takes the mesh out of the filesystem.

use std::path::PathBuf;

/// Unmount a mesh and end its daemon.
///
/// Uncommitted changes stay in the state folder for the next mount. A dead mount ("Transport endpoint is not
/// connected") is cleared.
///
/// Example:
///   meshfs umount ~/mesh
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Umount {
    /// The mountpoint
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}
