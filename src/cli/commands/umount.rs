//! `meshfs umount`: takes the mesh out of the filesystem.

use crate::cli::context::Context;
use crate::daemon::failure::Failure;
use crate::daemon::unmount;
use std::path::PathBuf;

/// Unmount a mesh and end its daemon.
///
/// Uncommitted changes stay in the state folder for the next mount. A dead mount ("Transport
/// endpoint is not connected") is cleared.
///
/// Example:
///   meshfs umount ~/mesh
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Umount {
    /// The mountpoint
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Also while it is in use: take it out of the folder now, and end soon after
    #[arg(short = 'l', long)]
    pub lazy: bool,
}

impl Umount {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        unmount::unmount(&context.settings, &self.dir, self.lazy).await
    }
}
