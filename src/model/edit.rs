//! Edits: how a directory is to differ from another, whatever is below that they do not name staying as it is.

use std::collections::BTreeMap;

use super::entry::{Entry, Meta};
use super::path::TreePath;
use super::source::{NodeSource, lookup};

/// A directory made from another one's entries.
#[derive(Clone, Debug)]
pub struct DirEdit {
    /// The directory whose entries show through where `names` is silent; none for a new, empty one.
    pub from: Option<Entry>,
    pub meta: Meta,
    pub names: BTreeMap<Vec<u8>, Edit>,
}

/// What becomes of one name.
#[derive(Clone, Debug)]
pub enum Edit {
    Remove,
    /// The entry as it is, also a whole directory that exists elsewhere.
    Put(Entry),
    Dir(DirEdit),
}

impl DirEdit {
    /// An edit that changes nothing yet of `directory`.
    pub fn of(directory: &Entry) -> DirEdit {
        DirEdit { from: Some(directory.clone()), meta: directory.meta.clone(), names: BTreeMap::new() }
    }

    /// What will be at `path` (not the root); none also for a directory that is itself edited.
    pub async fn lookup<S: NodeSource>(&self, source: &S, path: &TreePath) -> Result<Option<Entry>, S::Error> {
        let mut edit = self;
        let mut path = path.clone();
        while let Some((name, rest)) = path.split_first() {
            match edit.names.get(name) {
                Some(Edit::Remove) => return Ok(None),
                Some(Edit::Put(entry)) => return lookup(source, entry, &rest).await,
                Some(Edit::Dir(below)) => edit = below,
                None => match &edit.from {
                    Some(from) => return lookup(source, from, &path).await,
                    None => return Ok(None),
                },
            }
            path = rest;
        }
        Ok(None)
    }

    /// Has `entry` at `path` (not the root), whose directories are there or are being made by this edit.
    pub async fn put<S: NodeSource>(&mut self, source: &S, path: &TreePath, entry: Entry) -> Result<(), S::Error> {
        let Some((parent, last)) = path.split_last() else { return Ok(()) };
        let mut edit = self;
        for name in parent.names() {
            let below = match edit.names.remove(name) {
                Some(Edit::Dir(below)) => below,
                Some(Edit::Put(directory)) => DirEdit::of(&directory),
                None | Some(Edit::Remove) => {
                    let shown = match &edit.from {
                        Some(from) => lookup(source, from, &TreePath::root().join(name)).await?,
                        None => None,
                    };
                    match shown {
                        Some(directory) => DirEdit::of(&directory),
                        None => return Ok(()),
                    }
                }
            };
            let Edit::Dir(below) = edit.names.entry(name.to_vec()).or_insert(Edit::Dir(below)) else { return Ok(()) };
            edit = below;
        }
        edit.names.insert(last.to_vec(), Edit::Put(entry));
        Ok(())
    }
}
