//! Paths inside a tree: raw bytes, as the kernel has them.

use std::borrow::Borrow;
use std::fmt;

/// Longest name of one directory entry, in bytes (POSIX `NAME_MAX` on Linux).
pub const NAME_BYTES_MAX: usize = 255;

/// Directories that a commit may nest, and whatever passes whole trees follows: more than the kernel's longest path (4,096
/// bytes) can name. Deeper ones are shown, and refused by everything that goes down by itself.
pub const DEPTH_MAX: usize = 2048;

/// Longest path that is followed, in bytes: as in the table of hard links.
pub const PATH_BYTES_MAX: usize = 32_767;

/// What is said of a path that is too deep.
pub const TOO_DEEP: &str = "directories are nested deeper than 2,048 levels, or a path has more than 32,767 bytes";

/// The directory of control files at a branch's root; no stored entry may have this name.
pub const CONTROL_DIR: &[u8] = b".meshfs";

/// Why a name cannot stand in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a name is empty")]
    Empty,
    #[error("a name is longer than 255 bytes")]
    TooLong,
    #[error("a name contains `/` or NUL")]
    Separator,
    #[error("`.`, `..` and `.meshfs` are reserved names")]
    Reserved,
    #[error("{TOO_DEEP}")]
    TooDeep,
}

/// Is `name` one that a tree entry may have?
pub fn check_name(name: &[u8]) -> Result<(), NameError> {
    match name {
        [] => Err(NameError::Empty),
        _ if name.len() > NAME_BYTES_MAX => Err(NameError::TooLong),
        b"." | b".." | CONTROL_DIR => Err(NameError::Reserved),
        _ if name.contains(&b'/') || name.contains(&0) => Err(NameError::Separator),
        _ => Ok(()),
    }
}

/// Does a path of names joined with `/` go deeper than is followed?
pub fn is_too_deep(path: &[u8]) -> bool {
    // A level takes two bytes at least: most paths are not looked at.
    let levels = || 1 + path.iter().filter(|&&byte| byte == b'/').count();
    path.len() > PATH_BYTES_MAX || (path.len() >= 2 * DEPTH_MAX && levels() > DEPTH_MAX)
}

/// A path from the root of a tree: valid names joined with `/`; the root itself is the empty path.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TreePath(Vec<u8>);

impl TreePath {
    pub fn root() -> TreePath {
        TreePath::default()
    }

    /// Reads a path as written by a person or another program: empty components and `.` are dropped.
    pub fn parse(text: &[u8]) -> Result<TreePath, NameError> {
        let mut path = TreePath::root();
        for name in text.split(|&b| b == b'/').filter(|name| !name.is_empty() && *name != b".") {
            check_name(name)?;
            path = path.join(name);
        }
        Ok(path)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Does it go deeper than is followed?
    pub fn is_too_deep(&self) -> bool {
        is_too_deep(&self.0)
    }

    /// This path with one more name. The name must be valid (see [`check_name`]).
    #[must_use]
    pub fn join(&self, name: &[u8]) -> TreePath {
        debug_assert!(check_name(name).is_ok());
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + name.len());
        bytes.extend_from_slice(&self.0);
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name);
        TreePath(bytes)
    }

    /// This path below `base`.
    #[must_use]
    pub fn under(&self, base: &TreePath) -> TreePath {
        match (base.is_root(), self.is_root()) {
            (true, _) => self.clone(),
            (_, true) => base.clone(),
            _ => TreePath([&base.0[..], b"/", &self.0[..]].concat()),
        }
    }

    pub fn names(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/').filter(|name| !name.is_empty())
    }

    /// The directory that holds this path, and its name there; none for the root.
    pub fn split_last(&self) -> Option<(TreePath, &[u8])> {
        if self.is_root() {
            return None;
        }
        match self.0.iter().rposition(|&b| b == b'/') {
            Some(at) => Some((TreePath(self.0[..at].to_vec()), &self.0[at + 1..])),
            None => Some((TreePath::root(), &self.0)),
        }
    }

    /// The first name of this path, and the path below it; none for the root.
    pub fn split_first(&self) -> Option<(&[u8], TreePath)> {
        let first = self.names().next()?;
        let rest = self.0.get(first.len() + 1..).unwrap_or_default();
        Some((first, TreePath(rest.to_vec())))
    }

    pub fn name(&self) -> Option<&[u8]> {
        self.names().next_back()
    }

    /// What is left of this path below `ancestor`; the root path when they are equal, none when it is not below it.
    pub fn strip_prefix(&self, ancestor: &TreePath) -> Option<TreePath> {
        if ancestor.is_root() {
            return Some(self.clone());
        }
        let rest = self.0.strip_prefix(&ancestor.0[..])?;
        match rest.split_first() {
            None => Some(TreePath::root()),
            Some((b'/', rest)) => Some(TreePath(rest.to_vec())),
            Some(_) => None,
        }
    }

    /// The order of a walk: a directory, what is in it, its next sibling; names in byte order.
    pub fn tree_order(&self, other: &TreePath) -> std::cmp::Ordering {
        self.names().cmp(other.names())
    }

    pub fn starts_with(&self, ancestor: &TreePath) -> bool {
        self.strip_prefix(ancestor).is_some()
    }
}

impl Borrow<[u8]> for TreePath {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for TreePath {
    /// For people: bytes that are not UTF-8 show as replacement characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_followed_to_their_bounds_and_no_deeper() {
        let deep = |levels: usize, name: &str| TreePath::parse(vec![name; levels].join("/").as_bytes()).unwrap();
        assert!(!deep(DEPTH_MAX, "d").is_too_deep() && deep(DEPTH_MAX + 1, "d").is_too_deep());
        let long = "n".repeat(NAME_BYTES_MAX);
        assert!(!deep(127, &long).is_too_deep() && deep(129, &long).is_too_deep());
        assert!(!TreePath::root().is_too_deep());
    }
}
