//! Inode numbers of what nothing here has touched: a hash of branch, path and content.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::entry::{ContentKey, Entry};
use crate::model::id::Uid;
use crate::model::log::RefIdentity;
use crate::overlay::node::OriginPath;

/// Numbers below this are left to those who serve more than this workspace.
pub const INO_MIN: u64 = 1 << 16;

/// What tells two contents of one path apart.
pub type ContentMark = [u8; 16];

/// Numbers of one branch's inodes.
#[derive(Clone, Debug)]
pub struct Numbering {
    seed: blake3::Hasher,
}

impl Numbering {
    pub fn new(domain: &Uid, branch: &RefIdentity) -> Numbering {
        let mut seed = blake3::Hasher::new_derive_key("meshfs 2026-11 inode numbers");
        seed.update(&domain.0);
        seed.update(&branch.created_seq.to_le_bytes());
        seed.update(&(branch.name.name.len() as u64).to_le_bytes());
        seed.update(branch.name.name.as_bytes());
        Numbering { seed }
    }

    /// The number of the thing at `path` with this content. `attempt` counts up when the number is taken.
    pub fn number(&self, path: &OriginPath, content: &ContentMark, attempt: u32) -> u64 {
        let mut hasher = self.seed.clone();
        hasher.update(content);
        hasher.update(&attempt.to_le_bytes());
        hasher.update(path.as_bytes());
        valid(first_word(hasher.finalize().as_bytes()))
    }
}

/// What paths stand for in hashes: directories that a commit moved keep the numbers of all below them, and what is made
/// where they were gets others.
#[derive(Clone, Debug, Default)]
pub struct Seeds(Arc<BTreeMap<OriginPath, OriginPath>>);

impl Seeds {
    pub fn new(seeds: Vec<(OriginPath, OriginPath)>) -> Seeds {
        Seeds(Arc::new(seeds.into_iter().collect()))
    }

    pub fn put(&mut self, path: OriginPath, seed: OriginPath) {
        Arc::make_mut(&mut self.0).insert(path, seed);
    }

    pub fn get(&self, path: &OriginPath) -> Option<&OriginPath> {
        self.0.get(path)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&OriginPath, &OriginPath)> {
        self.0.iter()
    }

    /// The seed of the nearest directory above that has one, and the path below it.
    pub fn seed(&self, path: &OriginPath) -> OriginPath {
        if self.0.is_empty() {
            return path.clone();
        }
        let mut above = Some(path.clone());
        while let Some(at) = above {
            if let Some(seed) = self.0.get(&at) {
                return seed.below(&path.as_bytes()[at.as_bytes().len()..]);
            }
            above = at.parent();
        }
        path.clone()
    }
}

/// A number that SQLite can keep and nobody else uses.
pub fn valid(word: u64) -> u64 {
    let number = word & (i64::MAX as u64);
    if number < INO_MIN { number + INO_MIN } else { number }
}

fn first_word(hash: &[u8; 32]) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&hash[..8]);
    u64::from_le_bytes(word)
}

/// The mark of an entry's content: equal for equal content; all directories have the same, so that they keep their
/// number whatever is in them.
pub fn content_mark(entry: &Entry) -> ContentMark {
    let mut hasher = blake3::Hasher::new();
    let mut add = |kind: u8, bytes: &[u8]| {
        hasher.update(&[kind]);
        hasher.update(bytes);
    };
    match entry.content_key() {
        ContentKey::File(id) => add(0, &id.0),
        ContentKey::Dir(_) => add(1, &[]),
        ContentKey::Symlink(target) => add(2, &target),
        ContentKey::Fifo => add(3, &[]),
        ContentKey::Socket => add(4, &[]),
        ContentKey::CharDevice(rdev) => add(5, &rdev.to_le_bytes()),
        ContentKey::BlockDevice(rdev) => add(6, &rdev.to_le_bytes()),
        ContentKey::Unknown(kind, size, canonical) => {
            add(7, &[kind]);
            add(7, &size.to_le_bytes());
            add(7, &canonical);
        }
    }
    let mut mark = ContentMark::default();
    mark.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    mark
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::path::TreePath;

    fn path(text: &str) -> OriginPath {
        OriginPath::of_base(&TreePath::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn the_nearest_seed_above_counts() {
        let mut seeds = Seeds::default();
        assert_eq!(seeds.seed(&path("a/b")), path("a/b"));
        seeds.put(path("x"), path("a"));
        seeds.put(path("x/y"), path("z"));
        assert_eq!(seeds.seed(&path("x")), path("a"));
        assert_eq!(seeds.seed(&path("x/b/c")), path("a/b/c"));
        assert_eq!(seeds.seed(&path("x/y/c")), path("z/c"));
        assert_eq!(seeds.seed(&path("xy")), path("xy"));
    }
}
