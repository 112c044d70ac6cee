//! `meshfs refresh`: moves a workspace to the newest head.

use std::ffi::OsString;

use crate::cli::args::Json;

/// Which side wins where both changed the same path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum StrategyName {
    /// Report the conflict and change nothing
    Fail,
    /// The workspace's version
    Ours,
    /// The branch's version
    Theirs,
}

/// Move a branch's workspace to the newest head, uncommitted changes and all.
///
/// Without changes this only takes what others committed. With changes it is a three-way merge; when both sides
/// changed the same path, the paths are listed, exit code 3, and everything stays as it was. Then either
///   look at .meshfs/conflicts/{base,ours,theirs}/PATH in the mount and write the file as it should be, or
///   meshfs refresh --strategy ours|theirs PATH...
/// and commit again.
///
/// Example:
///   meshfs refresh sales/main
///   meshfs refresh --strategy theirs sales/main/orders/1.parquet
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Refresh {
    /// DOMAIN/BRANCH, then the paths to resolve; a deeper address is a path [default: the branch of the current directory]
    #[arg(value_name = "BRANCH|PATH")]
    pub addresses: Vec<OsString>,
    /// Resolve conflicts: all, or those of the given paths
    #[arg(long, value_name = "S")]
    pub strategy: Option<StrategyName>,
    #[command(flatten)]
    pub json: Json,
}
