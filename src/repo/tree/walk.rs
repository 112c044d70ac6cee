//! Trees passed without a mount: one directory's entries, or everything below it, in bounded memory.

use std::ops::ControlFlow;

use futures::future::{BoxFuture, try_join_all};

use crate::model::diff::lockstep::Lockstep;
use crate::model::entry::Entry;
use crate::model::path::TreePath;
use crate::model::source::NodeSource;
use crate::model::tree::{DirContent, Misfit, NamedEntry};

/// Child directories opened at once: covers a round trip; each holds one top node of at most 256 KiB.
const OPEN_AT_ONCE: usize = 32;

/// The entries of one directory, in name order.
pub struct Listing {
    step: Lockstep,
}

impl Listing {
    pub async fn open<S: NodeSource>(source: &S, dir: &DirContent) -> Result<Listing, S::Error> {
        Ok(Listing { step: Lockstep::open(source, None, Some(dir)).await? })
    }

    /// Up to `max` of the next entries; fewer only at the end.
    pub async fn next_batch<S: NodeSource>(&mut self, source: &S, max: usize) -> Result<Vec<NamedEntry>, S::Error> {
        let pairs = self.step.next_batch(source, max).await?;
        Ok(pairs.into_iter().filter_map(|pair| pair.new.map(|entry| NamedEntry { name: pair.name, entry })).collect())
    }
}

/// Where a walk goes after an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// On; into the entry if it is a directory.
    Into,
    /// On, past what is in the entry.
    Over,
    /// No further at all.
    Stop,
}

/// Shows everything below the directory `top` in tree order: a directory before what is in it.
pub async fn walk<S: NodeSource>(
    source: &S,
    top: &Entry,
    visit: &mut (dyn FnMut(&TreePath, &Entry) -> Next + Send),
) -> Result<(), S::Error> {
    let Some(dir) = top.as_dir() else { return Ok(()) };
    let listing = Listing::open(source, dir).await?;
    inside(source, TreePath::root(), listing, visit).await.map(|_| ())
}

fn inside<'a, S: NodeSource>(
    source: &'a S,
    path: TreePath,
    mut listing: Listing,
    visit: &'a mut (dyn FnMut(&TreePath, &Entry) -> Next + Send),
) -> BoxFuture<'a, Result<ControlFlow<()>, S::Error>> {
    Box::pin(async move {
        loop {
            let entries = listing.next_batch(source, OPEN_AT_ONCE).await?;
            if entries.is_empty() {
                return Ok(ControlFlow::Continue(()));
            }
            let below = try_join_all(entries.iter().map(async |found| match found.entry.as_dir() {
                Some(dir) => Listing::open(source, dir).await.map(Some),
                None => Ok(None),
            }))
            .await?;
            for (found, below) in entries.iter().zip(below) {
                let path = path.join(&found.name);
                match visit(&path, &found.entry) {
                    Next::Stop => return Ok(ControlFlow::Break(())),
                    Next::Over => {}
                    Next::Into => {
                        let Some((dir, below)) = found.entry.as_dir().zip(below) else { continue };
                        if path.is_too_deep() {
                            return Err(Misfit::too_deep(dir).into());
                        }
                        if inside(source, path, below, visit).await?.is_break() {
                            return Ok(ControlFlow::Break(()));
                        }
                    }
                }
            }
        }
    })
}
