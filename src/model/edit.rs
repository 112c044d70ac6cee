//! Edits: how a directory is to differ from another, whatever is below that they do not name staying as it is.

use std::collections::BTreeMap;

use super::entry::{Entry, Meta};

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
}
