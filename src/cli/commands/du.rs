//! `meshfs du`: how much lies below a path.

use std::ffi::OsString;

use crate::cli::args::Json;
use crate::cli::context::Context;
use crate::cli::usage;
use crate::daemon::failure::Failure;
use crate::model::quote::quote;
use crate::model::report::counted;
use serde::Serialize;

/// Show bytes and numbers of files below a path. Costs the same however much that is.
///
/// Example:
///   meshfs du sales/main
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Du {
    /// A directory or file [default: the current directory]
    #[arg(value_name = "ADDR")]
    pub address: Option<OsString>,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Serialize)]
struct UsageShape {
    address: String,
    bytes: u64,
    files: u64,
    entries: u64,
}

impl Du {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let address = context.address_or_here(self.address.as_ref())?;
        let counts = usage::below(context, &address).await?;
        if self.json.json {
            return context.ui.json(&UsageShape {
                address: address.to_string(),
                bytes: counts.bytes,
                files: counts.files,
                entries: counts.entries,
            });
        }
        context.ui.line(format_args!("{}\t{}", counts.bytes, quote(address.to_string().as_bytes())))?;
        let (files, entries) = (counted(counts.files, "file", "files"), counted(counts.entries, "entry", "entries"));
        context.ui.note(format_args!("{files}, {entries}"));
        Ok(())
    }
}
