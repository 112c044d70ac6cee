//! `meshfs tag`: names that never move.

use std::ffi::OsString;

use crate::cli::args::Json;
use crate::cli::context::Context;
use crate::cli::refs;
use crate::daemon::control::protocol::Request;
use crate::daemon::failure::Failure;
use crate::model::address::{RevisionBase, View};
use crate::model::log::RefKind;
use std::ffi::OsStr;

/// Create, list and delete tags.
///
/// A tag names one commit for good and keeps it. It is read at DOMAIN/@NAME.
///
/// Example:
///   meshfs tag create sales/@v1.0 sales/main
///   meshfs tag list sales
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Tag {
    #[command(subcommand)]
    pub command: TagCommand,
}

#[derive(Debug, clap::Subcommand)]
pub enum TagCommand {
    /// Create a tag
    Create {
        /// DOMAIN/@NAME
        #[arg(value_name = "DOMAIN/@NAME")]
        tag: OsString,
        /// What it names: the head of DOMAIN/BRANCH, or DOMAIN/@REVISION
        #[arg(value_name = "ADDR")]
        target: OsString,
    },
    /// List the tags of a domain and their commits
    List {
        /// The domain [default: that of the current directory]
        #[arg(value_name = "DOMAIN")]
        domain: Option<OsString>,
        #[command(flatten)]
        json: Json,
    },
    /// Delete a tag
    Delete {
        /// DOMAIN/@NAME
        #[arg(value_name = "DOMAIN/@NAME")]
        tag: OsString,
    },
}

impl Tag {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        match self.command {
            TagCommand::Create { tag, target } => create(context, &tag, &target).await,
            TagCommand::List { domain, json } => refs::list(context, domain.as_ref(), RefKind::Tag, json).await,
            TagCommand::Delete { tag } => {
                let (domain, name) = named_tag(context, &tag)?;
                context.perform(Request::DeleteTag { domain, name }).await?;
                Ok(())
            }
        }
    }
}

async fn create(context: &Context<'_>, tag: &OsStr, target: &OsStr) -> Result<(), Failure> {
    let (domain, name) = named_tag(context, tag)?;
    let target = refs::commit_name(context, target)?;
    context.perform(Request::CreateTag { domain, name, target }).await?;
    Ok(())
}

/// `DOMAIN/@NAME`, which need not exist.
fn named_tag(context: &Context<'_>, text: &OsStr) -> Result<(String, String), Failure> {
    let address = context.address(text)?;
    match &address.view {
        View::Revision(revision) if address.path.is_root() && revision.at.is_none() && revision.back == 0 => {
            let name = match &revision.base {
                RevisionBase::Label(name) => name.clone(),
                RevisionBase::Commit { digits } => digits.clone(),
            };
            Ok((address.domain.clone(), name))
        }
        _ => Err(Failure::usage(format!("{address} is not the name of a tag: that is DOMAIN/@NAME"))
            .hint(format!("the tag comes first: meshfs tag create {0}/@v1.0 {0}/main", address.domain))),
    }
}
