//! `meshfs cp`: copies into, out of and inside the mesh.

use std::ffi::OsString;

/// Copy files and directories between local paths and the mesh, or inside the mesh.
///
/// Directories are copied whole. A local path starts with /, ./ or ../; everything else is an address. What is copied
/// into a branch is staged in its workspace; with -m it is committed at once. Inside a domain no data is copied.
///
/// Example:
///   meshfs cp ./orders sales/main/ -m "Orders of March"
///   meshfs cp sales/@v1.0/orders ./old-orders
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Cp {
    /// Sources, then the destination; into it when it is a directory
    #[arg(value_name = "SRC... DST", required = true, num_args = 2..)]
    pub paths: Vec<OsString>,
    /// Commit the result with this message
    #[arg(short = 'm', long, value_name = "MSG")]
    pub message: Option<String>,
    /// Accepted for habit's sake
    #[arg(short = 'r', long, hide = true)]
    pub recursive: bool,
}
