//! `meshfs cat`: the bytes of files.

use crate::cli::args::Json;
use crate::cli::context::Context;
use crate::cli::tree::{self, Node, Tree};
use crate::daemon::failure::Failure;
use crate::model::address::Address;
use crate::model::entry::Kind;
use crate::model::path::TreePath;
use crate::model::report::{kind_name, text_or_base64};
use serde::Serialize;
use std::ffi::OsString;

/// Write files to stdout, with or without a mount.
///
/// With --json: an array with each file's text, or its bytes in base64 when it is no text.
///
/// Example:
///   meshfs cat sales/@v1.0/orders/1.csv sales/@v1.0/orders/2.csv
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Cat {
    #[arg(value_name = "ADDR", required = true)]
    pub addresses: Vec<OsString>,
    #[command(flatten)]
    pub json: Json,
}

/// A whole file in JSON.
#[derive(Serialize)]
struct FileShape {
    address: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<String>,
}

impl Cat {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let read = |text| context.address(text);
        let addresses = self.addresses.iter().map(|text| read(text)).collect::<Result<Vec<_>, Failure>>()?;
        let mut trees: Vec<(Address, Tree)> = Vec::new();
        let mut shapes = Vec::new();
        for address in &addresses {
            let top = Address { path: TreePath::root(), ..address.clone() };
            if !trees.iter().any(|(known, _)| *known == top) {
                trees.push((top.clone(), tree::open(context, address).await?));
            }
            let (_, tree) = trees.iter().find(|(known, _)| *known == top).expect("opened above");
            let node = self.file(tree, address).await?;
            if self.json.json {
                shapes.push(shape(tree, &node, address).await?);
            } else {
                tree.read(&node, &mut |bytes| context.ui.bytes(bytes)).await?;
            }
        }
        if self.json.json { context.ui.json(&shapes) } else { Ok(()) }
    }

    async fn file(&self, tree: &Tree, address: &Address) -> Result<Node, Failure> {
        let node = tree.find(&address.path, address).await?;
        match node.kind {
            Kind::File => Ok(node),
            Kind::Dir => Err(Failure::failed(format!("{address} is a directory"))
                .hint(format!("`meshfs ls {address}` lists it, `meshfs cp {address} ./copy` copies it"))),
            kind => Err(Failure::failed(format!("{address} is no file but a {}", kind_name(kind)))),
        }
    }
}

async fn shape(tree: &Tree, node: &Node, address: &Address) -> Result<FileShape, Failure> {
    let mut content = Vec::new();
    tree.read(node, &mut |bytes| {
        content.extend_from_slice(bytes);
        Ok(())
    })
    .await?;
    let (text, bytes) = text_or_base64(&content);
    Ok(FileShape { address: address.to_string(), size: content.len() as u64, text, bytes })
}
