//! `meshfs fsck`: checks stored bytes against their ids.

use std::ffi::OsString;

use crate::cli::args::Json;
use crate::cli::context::Context;
use crate::cli::refs;
use crate::cli::render::PathShape;
use crate::daemon::failure::Failure;
use crate::model::id::CommitId;
use crate::model::quote::quote;
use crate::repo::fsck;
use serde::Serialize;

/// Re-hash one snapshot: every node it reaches, and with --read-data every chunk.
///
/// Exit code 1 when something is damaged or missing; each such path is listed.
///
/// Example:
///   meshfs fsck sales/@v1.0 --read-data
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Fsck {
    /// DOMAIN/@REVISION, or the head of DOMAIN/BRANCH [default: the branch of the current directory]
    #[arg(value_name = "ADDR")]
    pub address: Option<OsString>,
    /// Also download and re-hash the data of every file
    #[arg(long)]
    pub read_data: bool,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Serialize)]
struct DamageShape {
    #[serde(flatten)]
    path: PathShape,
    problem: String,
}

#[derive(Serialize)]
struct FsckShape<'a> {
    commit: CommitId,
    nodes: u64,
    files: u64,
    bytes: u64,
    damaged: &'a [DamageShape],
}

impl Fsck {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let address = context.address_or_branch_here(self.address.as_ref())?;
        refs::whole(&address, "fsck checks whole snapshots")?;
        let (domain, id) = refs::commit_of(context, &address).await?;
        let snapshot = domain.snapshot(&id).await?;
        let total = snapshot.root.entry.as_dir().map_or(0, |dir| dir.counts.entries);
        let bar = context.ui.files_bar("checking", total);
        let report = fsck::check(&snapshot, self.read_data, &|entries| bar.advance(entries)).await;
        drop(bar);
        let damaged: Vec<DamageShape> = report
            .damaged
            .iter()
            .map(|damage| DamageShape {
                path: PathShape::of(damage.path.as_bytes()),
                problem: damage.error.to_string(),
            })
            .collect();
        let (nodes, files, bytes) = (report.nodes, report.files, report.bytes);
        if self.json.json {
            context.ui.json(&FsckShape { commit: id, nodes, files, bytes, damaged: &damaged })?;
        } else {
            for damage in &report.damaged {
                let path = if damage.path.is_root() { "." } else { &quote(damage.path.as_bytes()) };
                context.ui.line(format_args!("damaged {path}: {}", damage.error))?;
            }
            context.ui.note(format_args!("commit {id}: {nodes} nodes, {files} files, {bytes} bytes of data re-hashed"));
        }
        match damaged.len() {
            0 => Ok(()),
            count => Err(Failure::failed(format!("{count} places in {address} are damaged or missing")).hint(
                "restore the objects from the bucket's versions or another copy; `meshfs log` shows commits to go back to",
            )),
        }
    }
}
