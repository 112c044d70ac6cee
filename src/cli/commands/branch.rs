//! `meshfs branch`: the branches of a domain.

use std::ffi::OsString;

use crate::cli::args::Json;
use crate::cli::context::Context;
use crate::cli::refs;
use crate::daemon::control::protocol::Request;
use crate::daemon::failure::Failure;
use crate::model::address::View;
use crate::model::log::RefKind;
use std::ffi::OsStr;

/// Create, list and delete branches.
///
/// A branch costs nothing, whatever its size. Without --from it starts at the head of the
/// default branch.
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

impl Branch {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        match self.command {
            BranchCommand::Create { branch, from } => create(context, &branch, from.as_ref()).await,
            BranchCommand::List { domain, json } => refs::list(context, domain.as_ref(), RefKind::Branch, json).await,
            BranchCommand::Delete { branch } => {
                let (domain, name) = named_branch(context, &branch)?;
                context.perform(Request::DeleteBranch { domain, name }).await?;
                Ok(())
            }
        }
    }
}

async fn create(context: &Context<'_>, branch: &OsStr, from: Option<&OsString>) -> Result<(), Failure> {
    let (domain, name) = named_branch(context, branch)?;
    let from = from.map(|from| refs::commit_name(context, from)).transpose()?;
    context.perform(Request::CreateBranch { domain, name, from }).await?;
    Ok(())
}

/// `DOMAIN/BRANCH`, which need not exist.
fn named_branch(context: &Context<'_>, text: &OsStr) -> Result<(String, String), Failure> {
    let address = context.address(text)?;
    match &address.view {
        View::Branch(name) if address.path.is_root() => Ok((address.domain.clone(), name.clone())),
        View::Branch(name) => Err(Failure::usage(format!("{address} is a path in a branch, not a branch"))
            .hint(format!("the branch is {}/{name}; a branch's name has no `/`", address.domain))),
        View::Default => Err(Failure::usage(format!("{address} is a domain: name a branch of it"))
            .hint(format!("such as {address}/NAME; `meshfs branch list {address}` shows what there is"))),
        View::Revision(_) => Err(Failure::usage(format!("{address} is a snapshot: a branch is DOMAIN/NAME"))
            .hint(format!("to start a branch there: meshfs branch create {}/NAME --from {address}", address.domain))),
    }
}
