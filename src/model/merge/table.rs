//! The table of a merge: what becomes of one entry that both sides changed.

use super::ConflictKind;
use crate::model::entry::{Content, Entry, Kind, Meta, same_xattrs};
use crate::model::time::Time;

/// What stands in a base made of several commits where those have no version in common: no side has it, so that both
/// count as having changed it, and have to agree.
pub fn disputed() -> Entry {
    let content = Content::Unknown { kind: 0, size: 0, canonical: b"disputed".to_vec(), stored: Vec::new() };
    Entry { meta: Meta { mode: 0, owner: None, mtime: Time(0), xattrs: Vec::new() }, content }
}

/// Can this be what both sides come from?
pub(super) fn is_disputed(entry: &Entry) -> bool {
    matches!(&entry.content, Content::Unknown { kind: 0, .. })
}

/// One value on three sides: whoever changed it against base has it; changed by both to different values, nobody.
fn field<T>(base: Option<T>, ours: T, theirs: T, same: impl Fn(&T, &T) -> bool) -> Option<T> {
    if same(&ours, &theirs) {
        return Some(theirs);
    }
    let base = base?;
    match (same(&base, &ours), same(&base, &theirs)) {
        (true, _) => Some(theirs),
        (_, true) => Some(ours),
        _ => None,
    }
}

/// A time never conflicts: the newest wins where both sides changed it.
fn newest(base: Option<Time>, ours: Time, theirs: Time) -> Time {
    field(base, ours, theirs, Time::eq).unwrap_or(ours.max(theirs))
}

/// Mode, owner and extended attributes, each for itself; none when one of them is in conflict.
pub(super) fn merge_meta(base: Option<&Meta>, ours: &Meta, theirs: &Meta) -> Option<Meta> {
    let xattrs = field(base.map(|meta| &meta.xattrs), &ours.xattrs, &theirs.xattrs, |a, b| same_xattrs(a, b))?;
    Some(Meta {
        mode: field(base.map(|meta| meta.mode), ours.mode, theirs.mode, u16::eq)?,
        owner: field(base.map(|meta| meta.owner), ours.owner, theirs.owner, Option::eq)?,
        mtime: newest(base.map(|meta| meta.mtime), ours.mtime, theirs.mtime),
        xattrs: xattrs.clone(),
    })
}

/// Merges what is no directory: content together with its kind as one field, then mode, owner and extended attributes.
pub(super) fn merge_entry(base: Option<&Entry>, ours: &Entry, theirs: &Entry) -> Option<Entry> {
    let base = base.filter(|base| base.kind() != Kind::Dir && !is_disputed(base));
    let content = field(base, ours, theirs, |a, b| a.content_key() == b.content_key())?.content.clone();
    let meta = merge_meta(base.map(|base| &base.meta), &ours.meta, &theirs.meta)?;
    Some(Entry { meta, content })
}

/// Same mode, owner and extended attributes: all in which a directory itself can be in conflict.
pub(super) fn same_meta(a: &Meta, b: &Meta) -> bool {
    a.mode == b.mode && a.owner == b.owner && same_xattrs(&a.xattrs, &b.xattrs)
}

/// The name of a disagreement is a function of its three sides.
pub(super) fn conflict_kind(base: Option<&Entry>, ours: Option<&Entry>, theirs: Option<&Entry>) -> ConflictKind {
    let is_dir = |entry: &Entry| entry.kind() == Kind::Dir;
    match (base, ours, theirs) {
        (_, Some(ours), Some(theirs)) if is_dir(ours) && !is_dir(theirs) => ConflictKind::DirectoryFile,
        (_, Some(ours), Some(theirs)) if !is_dir(ours) && is_dir(theirs) => ConflictKind::FileDirectory,
        (None, Some(_), Some(_)) => ConflictKind::AddAdd,
        (None, Some(_), None) => ConflictKind::AddDelete,
        (None, None, _) => ConflictKind::DeleteAdd,
        (Some(_), Some(_), None) => ConflictKind::ModifyDelete,
        (Some(_), None, _) => ConflictKind::DeleteModify,
        (Some(_), Some(_), Some(_)) => ConflictKind::ModifyModify,
    }
}
