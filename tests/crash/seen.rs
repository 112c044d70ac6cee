//! What a mounted tree shows, and in what it differs from the model.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use meshfs::model::entry::{Kind, Owner};

use super::system;
use crate::common::reference::model::{File, Id, Model, ROOT};
use crate::common::reference::operation::OTHERS;

/// One file as system calls show it.
#[derive(Debug)]
pub struct Seen {
    pub kind: Kind,
    pub mode: u16,
    pub owner: Owner,
    pub mtime: i64,
    pub nlink: u32,
    pub ino: u64,
    /// Bytes of a file, target of a symlink.
    pub content: Vec<u8>,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// A whole tree by path; the root's is empty.
pub type Tree = BTreeMap<String, Seen>;

pub fn read_tree(root: &Path) -> io::Result<Tree> {
    fn below(path: &Path, name: &str, tree: &mut Tree) -> io::Result<()> {
        let seen = look(path)?;
        if seen.kind == Kind::Dir {
            for item in std::fs::read_dir(path)? {
                let item = item?;
                let child = item.file_name().into_string().expect("names are plain");
                let child = if name.is_empty() { child } else { format!("{name}/{child}") };
                below(&item.path(), &child, tree)?;
            }
        }
        tree.insert(name.to_owned(), seen);
        Ok(())
    }
    let mut tree = Tree::new();
    below(root, "", &mut tree)?;
    Ok(tree)
}

fn look(path: &Path) -> io::Result<Seen> {
    let about = std::fs::symlink_metadata(path)?;
    let kind = match about.file_type() {
        kind if kind.is_dir() => Kind::Dir,
        kind if kind.is_symlink() => Kind::Symlink,
        kind if kind.is_fifo() => Kind::Fifo,
        _ => Kind::File,
    };
    let content = match kind {
        Kind::File => std::fs::read(path)?,
        Kind::Symlink => std::fs::read_link(path)?.as_os_str().as_bytes().to_vec(),
        _ => Vec::new(),
    };
    assert!(
        kind == Kind::Dir || about.len() == content.len() as u64,
        "{}: its size is not what it holds",
        path.display()
    );
    Ok(Seen {
        kind,
        mode: (about.mode() & 0o7777) as u16,
        owner: Owner { uid: about.uid(), gid: about.gid() },
        mtime: mtime(&about),
        nlink: about.nlink() as u32,
        ino: about.ino(),
        content,
        xattrs: system::xattrs(path)?.into_iter().collect(),
    })
}

pub fn mtime(about: &std::fs::Metadata) -> i64 {
    about.mtime() * 1_000_000_000 + about.mtime_nsec()
}

/// What an operation that was cut off may have left of one file: each byte as before or as after.
#[derive(Clone, Debug)]
pub struct Torn {
    pub id: Id,
    pub before: File,
}

/// What the tree may differ in from a model.
#[derive(Clone, Debug, Default)]
pub struct Leeway {
    /// This mtime in the model is any in the tree: nobody saw what it came to be.
    pub unseen_mtime: Option<i64>,
    pub torn: Option<Torn>,
    /// Of directories any mtime: theirs alone are nothing to commit.
    pub any_dir_mtime: bool,
}

/// Everything in which the tree differs.
pub fn differences(tree: &Tree, model: &Model, leeway: &Leeway) -> Vec<String> {
    let mut expected: Vec<String> = model.paths();
    expected.push(String::new());
    expected.sort();
    let names: Vec<&String> = tree.keys().collect();
    if names != expected.iter().collect::<Vec<_>>() {
        let missing = expected.iter().filter(|path| !tree.contains_key(*path));
        let missing = missing.map(|path| format!("`{path}` is missing"));
        let more = tree.keys().filter(|path| !expected.contains(path)).map(|path| format!("`{path}` is not expected"));
        return missing.chain(more).collect();
    }
    let mut found = Vec::new();
    for (path, seen) in tree {
        let id = if path.is_empty() { ROOT } else { model.find(path).expect("just listed") };
        found.extend(differ(seen, id, model.file(id), leeway).map(|what| format!("`{path}`: {what}")));
    }
    found
}

fn differ(seen: &Seen, id: Id, expected: &File, leeway: &Leeway) -> Option<String> {
    let torn = leeway.torn.as_ref().filter(|torn| torn.id == id);
    let owner = expected.owner.unwrap_or(Owner { uid: 0, gid: 0 });
    // The mode of a symlink is nobody's business.
    let mode = if expected.kind == Kind::Symlink { seen.mode } else { expected.mode };
    // A directory tells its subdirectories as long as it is not committed, which the model does not know of.
    let nlink = if expected.kind == Kind::Dir { seen.nlink } else { expected.nlink };
    let facts = (seen.kind, seen.mode, seen.owner, seen.nlink);
    let wanted = (expected.kind, mode, owner, nlink);
    if facts != wanted {
        return Some(format!("{facts:?} instead of {wanted:?}"));
    }
    let any_mtime = leeway.unseen_mtime == Some(expected.mtime)
        || torn.is_some()
        || (leeway.any_dir_mtime && expected.kind == Kind::Dir);
    if seen.mtime != expected.mtime && !any_mtime {
        return Some(format!("mtime {} instead of {}", seen.mtime, expected.mtime));
    }
    if seen.xattrs != expected.xattrs {
        return Some("other extended attributes".to_owned());
    }
    let content = if expected.kind == Kind::Symlink { &expected.target } else { &expected.data };
    match torn {
        None if seen.content != *content => {
            let at = seen.content.iter().zip(content).position(|(a, b)| a != b);
            Some(format!("{} bytes instead of {}, other from {at:?}", seen.content.len(), content.len()))
        }
        Some(torn) => differ_torn(&seen.content, &torn.before.data, content),
        None => None,
    }
}

fn differ_torn(seen: &[u8], before: &[u8], after: &[u8]) -> Option<String> {
    let (least, most) = (before.len().min(after.len()), before.len().max(after.len()));
    if !(least..=most).contains(&seen.len()) {
        return Some(format!("{} bytes, and not {least} to {most}", seen.len()));
    }
    let is_either = |at: &usize| before.get(*at) == Some(&seen[*at]) || after.get(*at) == Some(&seen[*at]);
    (0..seen.len()).find(|at| !is_either(at)).map(|at| format!("byte {at} of {} is neither old nor new", seen.len()))
}

/// Inode numbers seen so far: each file keeps its own through everything, and no other ever gets it.
#[derive(Debug, Default)]
pub struct Numbers {
    of: BTreeMap<Id, u64>,
    taken: BTreeMap<u64, Id>,
}

impl Numbers {
    pub fn check(&mut self, tree: &Tree, model: &Model) {
        for (path, seen) in tree {
            // What the other machine replaces by equal content keeps its number, which the model cannot know.
            if path.starts_with(OTHERS) {
                continue;
            }
            let id = if path.is_empty() { ROOT } else { model.find(path).expect("compared before") };
            let (of, taken) = (*self.of.entry(id).or_insert(seen.ino), *self.taken.entry(seen.ino).or_insert(id));
            assert_eq!((of, taken), (seen.ino, id), "the inode number of `{path}` changed, or is another's");
        }
    }
}
