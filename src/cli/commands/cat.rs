//! `meshfs cat`: the bytes of files.

use crate::cli::context::Context;
use crate::cli::tree;
use crate::daemon::failure::Failure;
use crate::model::entry::Kind;
use crate::model::report::kind_name;
use std::ffi::OsString;

/// Write files to stdout, with or without a mount.
///
/// Example:
///   meshfs cat sales/@v1.0/orders/1.csv sales/@v1.0/orders/2.csv
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Cat {
    #[arg(value_name = "ADDR", required = true)]
    pub addresses: Vec<OsString>,
}

impl Cat {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let read = |text| context.address(text);
        let addresses = self.addresses.iter().map(|text| read(text)).collect::<Result<Vec<_>, Failure>>()?;
        for address in &addresses {
            let tree = tree::open(context, address).await?;
            let node = tree.find(&address.path, address).await?;
            match node.kind {
                Kind::File => tree.read(&node, &mut |bytes| context.ui.bytes(bytes)).await?,
                Kind::Dir => {
                    return Err(Failure::failed(format!("{address} is a directory"))
                        .hint(format!("`meshfs ls {address}` lists it, `meshfs cp {address} ./copy` copies it")));
                }
                kind => return Err(Failure::failed(format!("{address} is no file but a {}", kind_name(kind)))),
            }
        }
        Ok(())
    }
}
