//! `meshfs branch`: the branches of a domain.

use std::ffi::OsString;

use crate::cli::args::Json;

/// Create, list and delete branches.
///
/// A branch costs nothing, whatever its size. Without --from it starts at the head of the default branch.
///
/// Example:
///   meshfs branch create sales/exp
///   meshfs branch create sales/fix --from sales/@v1.0
///   meshfs branch list sales
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Branch {
    #[command(subcommand)]
    pub command: BranchCommand,
}

#[derive(Debug, clap::Subcommand)]
pub enum BranchCommand {
    /// Create a branch
    Create {
        /// DOMAIN/BRANCH
        #[arg(value_name = "ADDR")]
        branch: OsString,
        /// Where it starts: DOMAIN/@REVISION or DOMAIN/BRANCH
        #[arg(long, value_name = "ADDR")]
        from: Option<OsString>,
    },
    /// List the branches of a domain and their heads
    List {
        /// The domain [default: that of the current directory]
        #[arg(value_name = "DOMAIN")]
        domain: Option<OsString>,
        #[command(flatten)]
        json: Json,
    },
    /// Delete a branch; its commits stay reachable for 30 days through the reflog
    Delete {
        /// DOMAIN/BRANCH
        #[arg(value_name = "ADDR")]
        branch: OsString,
    },
}
