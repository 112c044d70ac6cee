//! Edits applied: the tree that an edit describes, made of new nodes where it differs and of the old ones elsewhere.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::sequence;
use crate::model::edit::{DirEdit, Edit};
use crate::model::entry::{Content, Entry};
use crate::model::source::NodeSource;
use crate::repo::error::RepoError;

/// Directories edited at once on one level: covers a round trip.
const EDITED_AT_ONCE: usize = 16;

/// The directory that the edit describes. Its id is that of the same entries however they came about; only nodes on
/// the way to what the edit names are loaded, and made again if they changed.
pub fn apply<'a, S>(source: &'a S, edit: &'a DirEdit) -> BoxFuture<'a, Result<Entry, RepoError>>
where
    S: NodeSource<Error = RepoError>,
{
    Box::pin(async move {
        let mut changes = Vec::with_capacity(edit.names.len());
        for (name, edit) in &edit.names {
            changes.push(one(source, name, edit));
        }
        let changes: BTreeMap<_, _> = stream::iter(changes).buffered(EDITED_AT_ONCE).try_collect().await?;
        let old = edit.from.as_ref().and_then(Entry::as_dir);
        let dir = sequence::edit(source, old, changes).await?;
        Ok(Entry { meta: edit.meta.clone(), content: Content::Dir(dir) })
    })
}

type Change = (Vec<u8>, Option<Entry>);

fn one<'a, S>(source: &'a S, name: &'a [u8], edit: &'a Edit) -> BoxFuture<'a, Result<Change, RepoError>>
where
    S: NodeSource<Error = RepoError>,
{
    Box::pin(async move {
        let entry = match edit {
            Edit::Remove => None,
            Edit::Put(entry) => Some(entry.clone()),
            Edit::Dir(below) => Some(apply(source, below).await?),
        };
        Ok((name.to_vec(), entry))
    })
}
