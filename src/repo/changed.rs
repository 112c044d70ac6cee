//! What a commit changed against its first parent: counted, and as a filter of paths.

use std::ops::ControlFlow;

use super::error::RepoError;
use super::tree::walk::{Next, walk};
use crate::format::filter;
use crate::model::commit::{PathFilter, Stats};
use crate::model::diff::{Change, DiffOptions, diff};
use crate::model::entry::Entry;
use crate::model::path::TreePath;
use crate::model::source::NodeSource;

/// More changed paths than this fit in no filter, and are not remembered.
const PATHS_MAX: usize = 8192;

#[derive(Clone, Debug, Default)]
pub struct Changed {
    pub stats: Stats,
    pub filter: PathFilter,
}

impl Changed {
    pub fn is_nothing(&self) -> bool {
        self.stats == Stats::default()
    }
}

/// Paths for a filter; none when they are too many.
struct Paths(Option<Vec<TreePath>>);

impl Paths {
    fn add(&mut self, path: &TreePath) {
        if let Some(paths) = &mut self.0 {
            paths.push(path.clone());
            if paths.len() > PATHS_MAX {
                self.0 = None;
            }
        }
    }
}

/// Compares two root directories.
pub async fn changed<S>(source: &S, old: &Entry, new: &Entry) -> Result<Changed, RepoError>
where
    S: NodeSource<Error = RepoError>,
{
    let mut stats = Stats::default();
    let mut paths = Paths(Some(Vec::new()));
    let mut moved: Vec<(TreePath, TreePath, Entry)> = Vec::new();
    let mut count = |change: Change| {
        paths.add(change.path());
        match change {
            Change::Added { .. } => stats.added += 1,
            Change::Modified { .. } => stats.modified += 1,
            Change::Deleted { .. } => stats.deleted += 1,
            Change::Renamed { from, path, new, .. } => {
                stats.renamed += 1;
                paths.add(&from);
                if new.as_dir().is_some() {
                    moved.push((from, path, new));
                }
            }
        }
        ControlFlow::Continue(())
    };
    let renames = DiffOptions { renames: true, ..DiffOptions::default() };
    diff(source, Some(old), Some(new), renames, &mut count).await?;
    for (from, to, directory) in moved {
        inside(source, &from, &to, &directory, &mut paths).await?;
    }
    let filter = paths.0.map_or_else(PathFilter::default, |paths| filter::build(&paths));
    Ok(Changed { stats, filter })
}

/// All in a renamed directory has another path now. A large one is not walked: nothing is known of its paths.
async fn inside<S>(
    source: &S,
    from: &TreePath,
    to: &TreePath,
    directory: &Entry,
    paths: &mut Paths,
) -> Result<(), RepoError>
where
    S: NodeSource<Error = RepoError>,
{
    let entries = directory.as_dir().map_or(0, |dir| dir.counts.entries);
    if entries > PATHS_MAX as u64 / 2 {
        paths.0 = None;
    }
    if paths.0.is_none() {
        return Ok(());
    }
    let mut visit = |path: &TreePath, _: &Entry| {
        paths.add(&path.under(from));
        paths.add(&path.under(to));
        Next::Into
    };
    walk(source, directory, &mut visit).await
}
