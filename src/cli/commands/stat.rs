//! `meshfs stat`: everything about one path.

use std::ffi::OsString;

use crate::cli::args::Json;
use crate::cli::context::Context;
use crate::cli::render::{self, PathShape};
use crate::cli::tree::{self, Node};
use crate::cli::ui::Ui;
use crate::daemon::failure::Failure;
use crate::model::entry::{ContentKey, Entry, Kind};
use crate::model::quote::quote;
use crate::model::report::kind_name;
use crate::model::time::Time;
use serde::Serialize;

/// Show kind, size, mode, owner and times of a path.
///
/// Example:
///   meshfs stat sales/main/orders/1.parquet
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Stat {
    #[arg(value_name = "ADDR")]
    pub address: OsString,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Serialize)]
struct StatShape {
    address: String,
    #[serde(flatten)]
    path: PathShape,
    kind: &'static str,
    size: u64,
    mode: String,
    uid: Option<u32>,
    gid: Option<u32>,
    mtime: Time,
    links: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
}

impl Stat {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let address = context.address(&self.address)?;
        let tree = tree::open(context, &address).await?;
        let node = tree.find(&address.path, &address).await?;
        let target = match node.kind {
            Kind::Symlink => Some(tree.target(&node).await?),
            _ => None,
        };
        let shape = StatShape {
            address: address.to_string(),
            path: PathShape::of(address.path.as_bytes()),
            kind: kind_name(node.kind),
            size: node.size,
            mode: format!("{:04o}", node.mode),
            uid: node.owner.map(|owner| owner.uid),
            gid: node.owner.map(|owner| owner.gid),
            mtime: node.mtime,
            links: node.nlink,
            target: target.map(|target| quote(&target).into_owned()),
            content: node.entry().and_then(content_id),
        };
        if self.json.json { context.ui.json(&shape) } else { show(context.ui, &node, &shape) }
    }
}

/// The id of what is stored: equal ids are equal bytes, or equal trees.
fn content_id(entry: &Entry) -> Option<String> {
    match entry.content_key() {
        ContentKey::File(id) => Some(id.to_string()),
        ContentKey::Dir(id) => Some(id.to_string()),
        _ => None,
    }
}

fn show(ui: &Ui, node: &Node, shape: &StatShape) -> Result<(), Failure> {
    ui.line(format_args!("address: {}", quote(shape.address.as_bytes())))?;
    ui.line(format_args!("kind:    {}", shape.kind))?;
    ui.line(format_args!("size:    {}", shape.size))?;
    ui.line(format_args!("mode:    {} ({})", shape.mode, render::mode(node.kind, node.mode)))?;
    ui.line(format_args!("owner:   {}", render::owner(node.owner)))?;
    ui.line(format_args!("mtime:   {}", shape.mtime))?;
    ui.line(format_args!("links:   {}", shape.links))?;
    if let Some(target) = &shape.target {
        ui.line(format_args!("target:  {target}"))?;
    }
    shape.content.iter().try_for_each(|id| ui.line(format_args!("content: {id}")))
}
