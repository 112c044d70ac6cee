//! `meshfs warm`: brings committed files to this machine before somebody reads them.

use std::ffi::OsString;
use std::sync::Arc;

use futures::future::LocalBoxFuture;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::cli::context::Context;
use crate::cli::refs;
use crate::cli::tree::settled;
use crate::cli::ui::Progress;
use crate::daemon::failure::Failure;
use crate::model::entry::{Content, Kind};
use crate::model::path::TreePath;
use crate::model::report::counted;
use crate::repo::objects::ahead::ReadAhead;
use crate::workspace::error::WorkspaceError;
use crate::workspace::snapshot::{SnapshotNode, SnapshotView};

/// Entries of a directory looked at in one step.
const LIST_BATCH: usize = 1000;

/// Bytes of a file asked for at a time: a few large ranges of the store in parallel.
const READ_BYTES: usize = 4 << 20;

/// Files read at once, so that many small ones do not each wait for a round trip.
const FILES_AT_ONCE: usize = 16;

/// Fetch committed files into this machine's cache, so that reading them asks the store nothing.
///
/// A directory is fetched whole. What is checked when it is read is checked now: a damaged file
/// is reported. The cache keeps to its size: of more than that, what was fetched last stays.
///
/// Example:
///   meshfs warm sales/main/orders
///   meshfs warm sales/@v1.0
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Warm {
    /// A directory or file [default: the current directory]
    #[arg(value_name = "ADDR")]
    pub address: Option<OsString>,
}

/// One run.
struct Warming<'a> {
    view: &'a SnapshotView,
    progress: &'a Progress,
}

impl Warm {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let address = context.address_or_here(self.address.as_ref())?;
        let (domain, commit) = refs::commit_of(context, &address).await?;
        let view = SnapshotView::open(domain.snapshot(&commit).await?).await?;
        let top = match settled(&view, || view.lookup(&address.path)).await {
            Err(WorkspaceError::NotFound | WorkspaceError::NotDirectory) => {
                return Err(Failure::failed(format!("nothing is committed at {address}"))
                    .hint("what is only staged is on this machine already: `meshfs status` shows it"));
            }
            found => found?,
        };
        let (files, bytes) = match &top.entry.content {
            Content::Dir(dir) => (dir.counts.files, dir.counts.bytes),
            _ => (1, top.entry.size()),
        };
        if domain.place().store.is_local() {
            context.ui.note("the store is on this machine: there is nothing to fetch");
            return Ok(());
        }
        let progress = context.ui.bytes_bar(&format!("fetching {address}"), bytes);
        Warming { view: &view, progress: &progress }.below(address.path.clone(), top).await?;
        drop(progress);
        context
            .ui
            .note(format_args!("{} of {address}, {bytes} bytes, can be read here", counted(files, "file", "files")));
        Ok(())
    }
}

impl Warming<'_> {
    fn below(&self, path: TreePath, node: SnapshotNode) -> LocalBoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            match node.attr.kind {
                Kind::Dir => self.dir(&path, &node).await,
                Kind::File => self.file(&node).await,
                _ => Ok(()),
            }
        })
    }

    async fn dir(&self, path: &TreePath, dir: &SnapshotNode) -> Result<(), Failure> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let listed = settled(self.view, || self.view.readdir_in(dir, path, after.as_deref(), LIST_BATCH)).await?;
            let Some((last, _)) = listed.last() else { return Ok(()) };
            after = Some(last.clone());
            let (dirs, files): (Vec<_>, Vec<_>) = listed.into_iter().partition(|(_, node)| node.attr.kind == Kind::Dir);
            let files = stream::iter(files).map(|(name, node)| self.below(path.join(&name), node));
            files.buffer_unordered(FILES_AT_ONCE).try_collect::<()>().await?;
            for (name, node) in dirs {
                self.below(path.join(&name), node).await?;
            }
        }
    }

    async fn file(&self, node: &SnapshotNode) -> Result<(), Failure> {
        let ahead = Arc::new(ReadAhead::default());
        let mut offset = 0;
        while offset < node.entry.size() {
            let read = settled(self.view, || self.view.read(node, offset, READ_BYTES, Some(&ahead))).await?;
            if read.is_empty() {
                break;
            }
            offset += read.len() as u64;
            self.progress.advance(read.len() as u64);
        }
        Ok(())
    }
}
