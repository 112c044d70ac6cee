//! `meshfs discard`: drops uncommitted changes.

use crate::cli::context::Context;
use crate::daemon::control::protocol::Request;
use crate::daemon::failure::Failure;
use std::ffi::OsString;

/// Drop uncommitted changes: of a path and what is below it, or of a whole branch.
///
/// Example:
///   meshfs discard sales/main/orders/1.parquet
///   meshfs discard sales/main
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Discard {
    /// DOMAIN/BRANCH or DOMAIN/BRANCH/PATH; a local path in a mount, such as ./orders
    #[arg(value_name = "ADDR")]
    pub address: OsString,
}

impl Discard {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let address = context.address(&self.address)?;
        let branch = context.branch_name(&address)?;
        context.perform(Request::Discard { branch, path: address.path }).await?;
        Ok(())
    }
}
