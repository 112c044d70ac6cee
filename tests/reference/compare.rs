//! Everything that can be seen of a workspace, compared with the model.

use std::collections::{BTreeMap, HashMap};

use meshfs::model::entry::Kind;
use meshfs::model::time::Time;
use meshfs::workspace::attr::Attr;
use meshfs::workspace::error::WorkspaceError;

use super::machine::Machine;
use crate::common::reference::model::{File, Id, Model, ROOT};

/// Names asked for at once: few, so that listings go on from cursors all the time.
const BATCH: usize = 3;

/// Inode numbers and ctimes seen so far: through crashes and commits the ones stay, the others never go back.
#[derive(Default)]
pub struct Numbers {
    by_path: HashMap<Id, (u64, Time)>,
    forgotten: Vec<String>,
}

impl Numbers {
    /// What is below here was changed by another machine: a file replaced by one of equal content keeps its number, so
    /// the model's idea of identity does not hold.
    pub fn forget_below(&mut self, path: &str) {
        self.forgotten.push(format!("{path}/"));
    }

    fn check(&mut self, path: &str, id: Id, attr: &Attr) {
        if !self.forgotten.iter().any(|below| path.starts_with(below.as_str())) {
            let (ino, ctime) = self.by_path.insert(id, (attr.ino, attr.ctime)).unwrap_or((attr.ino, attr.ctime));
            assert_eq!(ino, attr.ino, "the inode number of {path} changed");
            assert!(ctime <= attr.ctime, "the ctime of {path} went back from {ctime:?} to {:?}", attr.ctime);
        }
    }
}

pub fn compare(machine: &Machine, model: &Model, numbers: &mut Numbers) {
    let workspace = machine.workspace();
    let root = machine.run(|workspace| workspace.attr(workspace.root_ino())).unwrap();
    compare_attr("", &root, model, ROOT);
    let mut seen: BTreeMap<u64, Id> = BTreeMap::new();
    compare_dir(machine, model, numbers, (workspace.root_ino(), ROOT), "", &mut seen);
}

fn compare_dir(
    machine: &Machine,
    model: &Model,
    numbers: &mut Numbers,
    (ino, id): (u64, Id),
    path: &str,
    seen: &mut BTreeMap<u64, Id>,
) {
    let mut listed = Vec::new();
    loop {
        let after = listed.last().map(|(name, _): &(Vec<u8>, Attr)| name.clone());
        let more = machine.run(|workspace| workspace.readdir(ino, after.as_deref(), BATCH)).unwrap();
        if more.is_empty() {
            break;
        }
        listed.extend(more.into_iter().map(|listed| (listed.name, listed.attr)));
    }
    let expected = &model.file(id).children;
    let names: Vec<String> = listed.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect();
    assert_eq!(names, expected.keys().cloned().collect::<Vec<_>>(), "names in `{path}`");
    let absent = machine.run(|workspace| workspace.lookup(ino, b"absent"));
    assert!(matches!(absent, Err(WorkspaceError::NotFound)));
    for ((name, listed), &child) in listed.iter().zip(expected.values()) {
        let path = format!("{path}{}", String::from_utf8_lossy(name));
        let attr = machine.run(|workspace| workspace.lookup(ino, name)).unwrap();
        assert_eq!(attr, *listed, "`{path}` looked up and listed");
        assert_eq!(*seen.entry(attr.ino).or_insert(child), child, "`{path}` shares its number with something else");
        numbers.check(&path, child, &attr);
        compare_attr(&path, &attr, model, child);
        compare_content(machine, &path, attr.ino, model.file(child));
        if attr.kind == Kind::Dir {
            compare_dir(machine, model, numbers, (attr.ino, child), &format!("{path}/"), seen);
        }
        machine.workspace().forget(attr.ino, 1);
    }
}

fn compare_attr(path: &str, attr: &Attr, model: &Model, id: Id) {
    let expected = model.file(id);
    assert_eq!(attr.kind, expected.kind, "kind of `{path}`");
    assert_eq!(attr.mode, expected.mode, "mode of `{path}`");
    assert_eq!(attr.owner, expected.owner, "owner of `{path}`");
    assert_eq!(attr.mtime.0, expected.mtime, "mtime of `{path}`");
    if expected.kind == Kind::Dir {
        // Whether they are counted depends on what is committed; a wrong count there never is.
        let dirs = expected.children.values().filter(|&&child| model.file(child).kind == Kind::Dir).count();
        assert!([1, dirs as u32 + 2].contains(&attr.nlink), "links of `{path}`: {} with {dirs} below", attr.nlink);
    } else {
        assert_eq!(attr.nlink, expected.nlink, "names of `{path}`");
    }
    let size = match expected.kind {
        Kind::File => expected.data.len(),
        Kind::Symlink => expected.target.len(),
        _ => 0,
    };
    assert_eq!(attr.size, size as u64, "size of `{path}`");
}

fn compare_content(machine: &Machine, path: &str, ino: u64, expected: &File) {
    match expected.kind {
        Kind::File => {
            let file = machine.run(|workspace| workspace.open_file(ino, false, false)).unwrap();
            let read = machine.run(|_| file.read(0, expected.data.len() + 7)).unwrap();
            let differs = read.iter().zip(&expected.data).position(|(a, b)| a != b);
            assert_eq!(differs, None, "`{path}` differs at this offset of {}", read.len());
            assert_eq!(read.len(), expected.data.len(), "length read of `{path}`");
        }
        Kind::Symlink => {
            assert_eq!(
                machine.run(|workspace| workspace.readlink(ino)).unwrap(),
                expected.target,
                "target of `{path}`"
            );
        }
        _ => {}
    }
    let names = machine.run(|workspace| workspace.list_xattrs(ino)).unwrap();
    assert_eq!(names, expected.xattrs.keys().cloned().collect::<Vec<_>>(), "attributes of `{path}`");
    for (name, value) in &expected.xattrs {
        let real = machine.run(|workspace| workspace.get_xattr(ino, name)).unwrap();
        assert!(real == *value, "an attribute of `{path}`");
    }
}
