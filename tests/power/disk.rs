//! A disk as a log of what was asked of it, and what may be on it when the power goes.
//!
//! Nothing is on the disk for certain but what was synced: a file's bytes and length by fsync(2) of the file, a name by
//! fsync(2) of its directory. What else is there when the power goes is chosen by a seed, in one of the ways that
//! [`Manner`] has.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

pub const PAGE: u64 = 4096;

/// What a disk writes whole or not at all.
const SECTOR: u64 = 512;

pub const ROOT: u64 = 1;

/// One thing asked of the disk.
#[derive(Clone, Debug)]
pub enum Op {
    Make {
        dir: u64,
        name: OsString,
        ino: u64,
        what: Made,
        mode: u32,
    },
    Link {
        dir: u64,
        name: OsString,
        ino: u64,
    },
    Unlink {
        dir: u64,
        name: OsString,
    },
    Rename {
        from: (u64, OsString),
        to: (u64, OsString),
        exchange: bool,
    },
    Write {
        ino: u64,
        offset: u64,
        bytes: Arc<[u8]>,
    },
    SetLen {
        ino: u64,
        len: u64,
    },
    Punch {
        ino: u64,
        start: u64,
        end: u64,
    },
    Attr {
        ino: u64,
        mode: Option<u32>,
        mtime: Option<(i64, u32)>,
    },
    Sync {
        ino: u64,
    },
    /// Nothing of the disk: whoever drives it got this far.
    Mark(usize),
}

#[derive(Clone, Debug)]
pub enum Made {
    File,
    Dir,
    Symlink(OsString),
    Socket,
}

/// What was written of a file, by the number of the page.
type Pages = BTreeMap<u64, Box<[u8]>>;

#[derive(Clone, Debug)]
pub enum Body {
    File { pages: Pages, len: u64 },
    Dir(BTreeMap<OsString, u64>),
    Symlink(OsString),
    Socket,
}

#[derive(Clone, Debug)]
pub struct Inode {
    pub body: Body,
    pub mode: u32,
    /// Seconds and nanoseconds.
    pub mtime: (i64, u32),
    /// Moves with every change.
    pub version: u64,
}

/// Everything on a disk. Inodes without a name stay, for who has them open.
#[derive(Clone, Debug)]
pub struct Image {
    pub inodes: BTreeMap<u64, Inode>,
}

impl Image {
    pub fn empty() -> Image {
        let root = Inode { body: Body::Dir(BTreeMap::new()), mode: 0o700, mtime: (0, 0), version: 0 };
        Image { inodes: [(ROOT, root)].into() }
    }

    pub fn dir(&self, ino: u64) -> Option<&BTreeMap<OsString, u64>> {
        match &self.inodes.get(&ino)?.body {
            Body::Dir(names) => Some(names),
            _ => None,
        }
    }

    fn dir_mut(&mut self, ino: u64) -> Option<&mut BTreeMap<OsString, u64>> {
        match &mut self.inodes.get_mut(&ino)?.body {
            Body::Dir(names) => Some(names),
            _ => None,
        }
    }

    pub fn names_of(&self, ino: u64) -> u32 {
        let dirs = self.inodes.values().filter_map(|inode| match &inode.body {
            Body::Dir(names) => Some(names),
            _ => None,
        });
        dirs.flat_map(|names| names.values()).filter(|&&named| named == ino).count() as u32
    }

    /// Does an operation whole. What it names may be missing where an earlier one was lost: then it does nothing.
    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Write { ino, offset, bytes } => {
                self.put(*ino, *offset, bytes);
                self.grow(*ino, offset + bytes.len() as u64);
            }
            Op::SetLen { ino, len } => self.set_len(*ino, *len),
            Op::Punch { ino, start, end } => self.punch(*ino, *start, *end),
            Op::Attr { ino, mode, mtime } => {
                if let Some(inode) = self.inodes.get_mut(ino) {
                    inode.mode = mode.unwrap_or(inode.mode);
                    inode.mtime = mtime.unwrap_or(inode.mtime);
                }
            }
            Op::Sync { .. } | Op::Mark(_) => {}
            names => self.apply_names(names),
        }
        if let Op::Write { ino, .. } | Op::SetLen { ino, .. } | Op::Punch { ino, .. } | Op::Attr { ino, .. } = op
            && let Some(inode) = self.inodes.get_mut(ino)
        {
            inode.version += 1;
        }
    }

    fn apply_names(&mut self, op: &Op) {
        match op {
            Op::Make { dir, name, ino, what, mode } => {
                self.inode(*ino, what, *mode);
                self.put_name(*dir, name, Some(*ino));
            }
            Op::Link { dir, name, ino } => self.put_name(*dir, name, Some(*ino)),
            Op::Unlink { dir, name } => self.put_name(*dir, name, None),
            Op::Rename { from, to, exchange } => {
                let find = |(dir, name): &(u64, OsString)| self.dir(*dir)?.get(name).copied();
                let (moved, target) = (find(from), find(to));
                if moved.is_some() {
                    self.put_name(from.0, &from.1, target.filter(|_| *exchange));
                    self.put_name(to.0, &to.1, moved);
                }
            }
            _ => {}
        }
    }

    /// An inode is there from its making on; whether a name leads to it is another matter.
    fn inode(&mut self, ino: u64, what: &Made, mode: u32) {
        let body = match what {
            Made::File => Body::File { pages: BTreeMap::new(), len: 0 },
            Made::Dir => Body::Dir(BTreeMap::new()),
            Made::Symlink(target) => Body::Symlink(target.clone()),
            Made::Socket => Body::Socket,
        };
        self.inodes.entry(ino).or_insert(Inode { body, mode, mtime: (0, 0), version: 0 });
    }

    fn put_name(&mut self, dir: u64, name: &OsStr, ino: Option<u64>) {
        let Some(names) = self.dir_mut(dir) else { return };
        match ino {
            Some(ino) => drop(names.insert(name.to_owned(), ino)),
            None => drop(names.remove(name)),
        }
    }

    fn file_mut(&mut self, ino: u64) -> Option<(&mut Pages, &mut u64)> {
        match &mut self.inodes.get_mut(&ino)?.body {
            Body::File { pages, len } => Some((pages, len)),
            _ => None,
        }
    }

    fn put(&mut self, ino: u64, offset: u64, bytes: &[u8]) {
        let Some((pages, _)) = self.file_mut(ino) else { return };
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let inside = (at % PAGE) as usize;
            let step = (PAGE as usize - inside).min(bytes.len() - done);
            let page = pages.entry(at / PAGE).or_insert_with(|| vec![0; PAGE as usize].into());
            page[inside..inside + step].copy_from_slice(&bytes[done..done + step]);
            done += step;
        }
    }

    fn grow(&mut self, ino: u64, end: u64) {
        if let Some((_, len)) = self.file_mut(ino) {
            *len = end.max(*len);
        }
    }

    fn set_len(&mut self, ino: u64, new: u64) {
        self.punch(ino, new, u64::MAX);
        if let Some((_, len)) = self.file_mut(ino) {
            *len = new;
        }
    }

    fn punch(&mut self, ino: u64, start: u64, end: u64) {
        let Some((pages, _)) = self.file_mut(ino) else { return };
        for page in [start / PAGE, end / PAGE] {
            if let Some(bytes) = pages.get_mut(&page) {
                let inside = |at: u64| at.clamp(page * PAGE, (page + 1) * PAGE) - page * PAGE;
                bytes[inside(start) as usize..inside(end) as usize].fill(0);
            }
        }
        pages.retain(|&page, _| page * PAGE < start || page.saturating_add(1).saturating_mul(PAGE) > end);
    }

    /// Bytes of a file, holes as zeros.
    pub fn read(&self, ino: u64, offset: u64, len: usize) -> Vec<u8> {
        let Some(Body::File { pages, len: size }) = self.inodes.get(&ino).map(|inode| &inode.body) else {
            return Vec::new();
        };
        let end = offset.saturating_add(len as u64).min(*size).max(offset);
        let mut bytes = vec![0; (end - offset) as usize];
        for (&page, data) in pages.range(offset / PAGE..end.div_ceil(PAGE)) {
            let (from, until) = ((page * PAGE).max(offset), ((page + 1) * PAGE).min(end));
            let inside = (from - page * PAGE) as usize..(until - page * PAGE) as usize;
            bytes[(from - offset) as usize..(until - offset) as usize].copy_from_slice(&data[inside]);
        }
        bytes
    }

    /// Makes all of it below the empty folder `at`.
    pub fn write_to(&self, at: &Path) {
        let mut made = BTreeMap::new();
        self.write_dir(ROOT, at, &mut made);
    }

    fn write_dir(&self, ino: u64, at: &Path, made: &mut BTreeMap<u64, std::path::PathBuf>) {
        for (name, child) in self.dir(ino).expect("a directory") {
            let path = at.join(name);
            let inode = &self.inodes[child];
            match &inode.body {
                Body::Dir(_) => {
                    std::fs::create_dir(&path).expect("a folder of the image");
                    self.write_dir(*child, &path, made);
                }
                Body::Symlink(target) => std::os::unix::fs::symlink(target, &path).expect("a link of the image"),
                // Nobody listens on it any more.
                Body::Socket => {}
                Body::File { pages, len } => {
                    if let Some(first) = made.get(child) {
                        std::fs::hard_link(first, &path).expect("a name of the image");
                        continue;
                    }
                    let file = std::fs::File::create_new(&path).expect("a file of the image");
                    for (page, bytes) in pages.range(..len.div_ceil(PAGE)) {
                        file.write_all_at(bytes, page * PAGE).expect("a page of the image");
                    }
                    file.set_len(*len).expect("the length of a file of the image");
                    let nanos = std::time::Duration::new(inode.mtime.0.unsigned_abs(), inode.mtime.1);
                    file.set_modified(std::time::UNIX_EPOCH + nanos).expect("the time of a file of the image");
                    made.insert(*child, path.clone());
                }
            }
            if matches!(inode.body, Body::Dir(_) | Body::File { .. }) {
                let mode = std::fs::Permissions::from_mode(inode.mode & 0o7777);
                std::fs::set_permissions(&path, mode).expect("the mode of a file of the image");
            }
        }
    }
}

/// How much of what was not synced is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As ext4 with `data=ordered`: names and lengths up to some moment, in order; of the bytes, any; a file grows as
    /// far as its bytes are there.
    Ordered,
    /// Nothing.
    Nothing,
    /// Names and lengths, and no bytes.
    NamesOnly,
    /// Bytes, and neither names nor lengths.
    BytesOnly,
    /// Some files whole and others not at all, and so the names of some directories.
    SomeFiles,
    /// Any name, any length, any sector.
    Any,
}

pub const MANNERS: [Manner; 6] =
    [Manner::Ordered, Manner::SomeFiles, Manner::NamesOnly, Manner::Any, Manner::BytesOnly, Manner::Nothing];

/// Chance that follows from a seed and what it decides about, whatever is asked in between.
pub fn chance(seed: u64, about: &[u64]) -> u64 {
    let mut mixed = seed ^ 0x9e37_79b9_7f4a_7c15;
    for part in about {
        mixed = (mixed ^ part).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
    }
    mixed
}

/// The disk at the moment when `log[..cut]` had been asked of it and the power went.
pub struct Cut<'a> {
    pub before: &'a Image,
    pub log: &'a [Op],
    pub manner: Manner,
    pub seed: u64,
}

impl Cut<'_> {
    pub fn image(&self) -> Image {
        let mut image = self.before.clone();
        let synced = self.synced();
        // Under `Ordered`: names and lengths before this are there.
        let last_sync = self.log.iter().rposition(|op| matches!(op, Op::Sync { .. })).map_or(0, |at| at + 1);
        let journal = last_sync + self.below(&[1], self.log.len() - last_sync + 1);
        for (at, op) in self.log.iter().enumerate() {
            if synced[at] {
                image.apply(op);
                continue;
            }
            match op {
                Op::Write { ino, offset, bytes } => self.write(&mut image, at, *ino, *offset, bytes),
                Op::SetLen { ino, .. } | Op::Punch { ino, .. } | Op::Attr { ino, .. } => {
                    if self.has_length(at, *ino, journal) {
                        image.apply(op);
                    }
                }
                names => {
                    if let Op::Make { ino, what, mode, .. } = names {
                        image.inode(*ino, what, *mode);
                    }
                    if self.has_name(at, directory_of(names), journal) {
                        image.apply(names);
                    }
                }
            }
        }
        image
    }

    /// What a later sync covers. A rename is one: it is there when either of its directories was synced.
    fn synced(&self) -> Vec<bool> {
        let mut covered = std::collections::BTreeSet::new();
        let mut synced = vec![false; self.log.len()];
        for (at, op) in self.log.iter().enumerate().rev() {
            synced[at] = match op {
                Op::Sync { ino } => covered.insert(*ino),
                Op::Make { dir, .. } | Op::Link { dir, .. } | Op::Unlink { dir, .. } => covered.contains(dir),
                Op::Rename { from, to, .. } => covered.contains(&from.0) || covered.contains(&to.0),
                Op::Write { ino, .. } | Op::SetLen { ino, .. } | Op::Punch { ino, .. } | Op::Attr { ino, .. } => {
                    covered.contains(ino)
                }
                Op::Mark(_) => false,
            };
        }
        synced
    }

    fn below(&self, about: &[u64], bound: usize) -> usize {
        (chance(self.seed, about) % bound as u64) as usize
    }

    /// A moment in the log for one thing: what happened to it before is there. Often the first or the last.
    fn moment(&self, about: &[u64]) -> usize {
        match chance(self.seed, about) % 4 {
            0 => 0,
            1 => self.log.len(),
            _ => self.below(&[about, &[2]].concat(), self.log.len() + 1),
        }
    }

    fn has_file(&self, ino: u64) -> bool {
        chance(self.seed, &[6, ino]).is_multiple_of(2)
    }

    fn has_name(&self, at: usize, dir: u64, journal: usize) -> bool {
        match self.manner {
            Manner::Ordered => at < journal,
            Manner::Nothing | Manner::BytesOnly => false,
            Manner::NamesOnly => true,
            Manner::SomeFiles => self.has_file(dir),
            Manner::Any => chance(self.seed, &[3, at as u64]).is_multiple_of(2),
        }
    }

    fn has_length(&self, at: usize, ino: u64, journal: usize) -> bool {
        match self.manner {
            Manner::Any => at < self.moment(&[4, ino]),
            _ => self.has_name(at, ino, journal),
        }
    }

    fn write(&self, image: &mut Image, at: usize, ino: u64, offset: u64, bytes: &[u8]) {
        // Pages as a machine writes them back; sectors where the power goes in the middle of one.
        let unit = if self.manner == Manner::Any { SECTOR } else { PAGE };
        let mut done = 0;
        while done < bytes.len() {
            let here = offset + done as u64;
            let step = ((unit - here % unit) as usize).min(bytes.len() - done);
            let there = match self.manner {
                Manner::Nothing | Manner::NamesOnly => false,
                Manner::BytesOnly => true,
                Manner::SomeFiles => self.has_file(ino),
                Manner::Ordered | Manner::Any => at < self.moment(&[5, ino, here / unit]),
            };
            let len = image.file_mut(ino).map_or(0, |(_, len)| *len);
            let in_order = self.manner != Manner::Ordered || here <= len;
            if there && in_order {
                image.put(ino, here, &bytes[done..done + step]);
                if self.manner == Manner::Ordered {
                    image.grow(ino, here + step as u64);
                }
            }
            done += step;
        }
        let longer = match self.manner {
            Manner::NamesOnly => true,
            Manner::SomeFiles => self.has_file(ino),
            Manner::Any => at < self.moment(&[4, ino]),
            Manner::Ordered | Manner::Nothing | Manner::BytesOnly => false,
        };
        if longer {
            image.grow(ino, offset + bytes.len() as u64);
        }
    }
}

/// The directory whose names an operation changes; of a rename, the one that gets the name.
fn directory_of(op: &Op) -> u64 {
    match op {
        Op::Make { dir, .. } | Op::Link { dir, .. } | Op::Unlink { dir, .. } | Op::Rename { to: (dir, _), .. } => *dir,
        _ => ROOT,
    }
}
