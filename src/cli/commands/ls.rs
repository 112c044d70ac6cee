//! `meshfs ls`: what a directory holds.

use std::ffi::OsString;

use crate::cli::args::Json;
use crate::cli::context::Context;
use crate::cli::render::{self, PathShape};
use crate::cli::tree::{self, Node, Tree};
use crate::daemon::failure::Failure;
use crate::model::entry::Kind;
use crate::model::quote::quote;
use crate::model::report::kind_name;
use crate::model::time::Time;
use serde::Serialize;

/// List a directory, with or without a mount.
///
/// Example:
///   meshfs ls -l sales/@v1.0/orders
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Ls {
    /// A directory or file [default: the current directory]
    #[arg(value_name = "ADDR")]
    pub address: Option<OsString>,
    /// With mode, owner, size and time
    #[arg(short = 'l', long)]
    pub long: bool,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Serialize)]
struct EntryShape {
    #[serde(flatten)]
    path: PathShape,
    kind: &'static str,
    size: u64,
    mode: String,
    mtime: Time,
}

impl Ls {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let address = context.address_or_here(self.address.as_ref())?;
        let tree = tree::open(context, &address).await?;
        let node = tree.find(&address.path, &address).await?;
        let entries = match node.kind {
            Kind::Dir => tree.list(&node, &address.path).await?,
            _ => vec![(address.path.name().unwrap_or_default().to_vec(), node)],
        };
        if self.json.json {
            return context.ui.json(&entries.iter().map(shape).collect::<Vec<_>>());
        }
        if !self.long {
            return entries.iter().try_for_each(|(name, _)| context.ui.line(quote(name)));
        }
        long(context, &tree, &entries).await
    }
}

fn shape((name, node): &(Vec<u8>, Node)) -> EntryShape {
    EntryShape {
        path: PathShape::of(name),
        kind: kind_name(node.kind),
        size: node.size,
        mode: format!("{:04o}", node.mode),
        mtime: node.mtime,
    }
}

async fn long(context: &Context<'_>, tree: &Tree, entries: &[(Vec<u8>, Node)]) -> Result<(), Failure> {
    let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let sizes = widest(&mut entries.iter().map(|(_, node)| node.size.to_string().len()));
    let owners = widest(&mut entries.iter().map(|(_, node)| render::owner(node.owner).len()));
    for (name, node) in entries {
        let target = match node.kind {
            Kind::Symlink => format!(" -> {}", quote(&tree.target(node).await?)),
            _ => String::new(),
        };
        context.ui.line(format_args!(
            "{} {:owners$} {:>sizes$} {} {}{target}",
            render::mode(node.kind, node.mode),
            render::owner(node.owner),
            node.size,
            node.mtime,
            quote(name)
        ))?;
    }
    Ok(())
}
