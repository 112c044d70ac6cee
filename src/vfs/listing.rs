//! Reading directories: where a listing stands is a name, so that what is deleted or added meanwhile shifts nothing.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use lru::LruCache;
use parking_lot::Mutex;

use super::Vfs;
use super::error::VfsError;
use super::handle::Handle;
use super::node::{DirItem, FileKind, NodeEntry};
use super::table::Node;

/// Names whose place in a listing is remembered exactly; getdents(2) reads ahead of its caller by far less.
const RECENT_NAMES_MAX: usize = 1 << 16;

/// Of older places, one in this many is remembered; others are found by counting on from there.
const MARK_EVERY: u32 = 64;

/// Names asked for at once: a reply with attributes carries about 200, one without about 800.
const NAMES_WITH_ATTRIBUTES: usize = 256;
const NAMES_ALONE: usize = 1024;

/// Directories whose whole listing the kernel may go on using; what was told of them is remembered for it.
const WHOLE_LISTINGS_MAX: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();

/// Places: 0 is the beginning, 1 is after `.`, 2 after `..`, 2 + n after the n-th name.
const DOTS: u32 = 2;

/// An entry of a listing before it is told.
pub(super) struct ListEntry {
    pub name: Vec<u8>,
    pub ino: u64,
    pub kind: FileKind,
    /// What it leads to, when it can be told without further ado; counts as a lookup only once told.
    pub entry: Option<(NodeEntry, Node, Hold)>,
}

/// How to count a reference to an entry that was told with its attributes.
pub(super) enum Hold {
    /// The table of nodes is all there is.
    Table,
    /// The workspace counts too.
    Workspace { parent: u64, listed: crate::workspace::attr::Listed },
}

/// The names that one handle told, by place.
#[derive(Debug)]
struct Told {
    /// Every [`MARK_EVERY`]-th name before `recent`, with its number.
    marks: Vec<(u32, Vec<u8>)>,
    recent: VecDeque<Vec<u8>>,
    /// Number of the first name in `recent`; names are counted from 1.
    first: u32,
}

/// Where to go on: after a name, or at the beginning; then so many names further.
type Resume = (Option<Vec<u8>>, u32);

impl Told {
    fn new() -> Told {
        Told { marks: Vec::new(), recent: VecDeque::new(), first: 1 }
    }

    fn add(&mut self, name: &[u8]) {
        if self.recent.len() == RECENT_NAMES_MAX {
            if let Some(name) = self.recent.pop_front().filter(|_| self.first.is_multiple_of(MARK_EVERY)) {
                self.marks.push((self.first, name));
            }
            self.first += 1;
        }
        self.recent.push_back(name.to_owned());
    }

    fn after(&self, number: u32) -> Resume {
        if number == 0 {
            return (None, 0);
        }
        if let Some(name) = number.checked_sub(self.first).and_then(|at| self.recent.get(at as usize)) {
            return (Some(name.clone()), 0);
        }
        let before = self.marks.partition_point(|(mark, _)| *mark <= number);
        match before.checked_sub(1).map(|at| &self.marks[at]) {
            Some((mark, name)) => (Some(name.clone()), number - mark),
            None => (None, number),
        }
    }

    /// The next name told is to be the one after `number`: forgets what comes after, and begins anew when what is
    /// remembered does not reach there.
    fn go_to(&mut self, number: u32) {
        let reaches = number.checked_sub(self.first - 1).is_some_and(|names| names as usize <= self.recent.len());
        if reaches {
            self.recent.truncate((number + 1 - self.first) as usize);
        } else {
            self.marks.retain(|(mark, _)| *mark <= number);
            self.recent.clear();
            self.first = number + 1;
        }
    }
}

/// The names told by one handle, as others may need them.
#[derive(Debug)]
struct Teller {
    /// Tells its places from those of others.
    serial: u32,
    told: Mutex<Told>,
}

/// An open directory.
#[derive(Debug)]
pub struct DirHandle {
    pub node: Node,
    pub ino: u64,
    teller: Arc<Teller>,
    /// Whoever told the listing that the kernel has kept: if it drops a part, it comes here with places of theirs.
    _kept: Option<Arc<Teller>>,
    /// Changes of directories seen when the listing began; none while it did not begin at the beginning.
    began: Mutex<Option<u64>>,
}

/// Tellers by their serials.
#[derive(Debug, Default)]
pub struct Tellers {
    last: AtomicU32,
    all: Mutex<HashMap<u32, Weak<Teller>>>,
}

impl Tellers {
    pub fn open(&self, node: Node, ino: u64) -> DirHandle {
        // Half of the range, so that places stay positive where a program takes them for signed.
        let serial = self.last.fetch_add(1, Ordering::Relaxed) & (u32::MAX >> 1);
        let teller = Arc::new(Teller { serial, told: Mutex::new(Told::new()) });
        let mut all = self.all.lock();
        // Now and then, in steps that make it cheap on average.
        if all.len().is_power_of_two() {
            all.retain(|_, teller| teller.strong_count() > 0);
        }
        all.insert(serial, Arc::downgrade(&teller));
        let kept = node.listings().and_then(|listings| listings.whole(ino));
        DirHandle { node, ino, teller, _kept: kept, began: Mutex::new(None) }
    }

    fn resume(&self, handle: &DirHandle, serial: u32, number: u32) -> Resume {
        if serial == handle.teller.serial {
            return handle.teller.told.lock().after(number);
        }
        let other = self.all.lock().get(&serial).and_then(Weak::upgrade);
        // A teller that nobody needs any more told of a directory that did not change since: counting finds the place.
        other.map_or((None, number), |other| other.told.lock().after(number))
    }
}

/// Which directories of a branch the kernel has a whole and true listing of, and who told it.
#[derive(Debug)]
pub struct DirStates {
    whole: Mutex<LruCache<u64, Arc<Teller>>>,
    changes: AtomicU64,
}

impl Default for DirStates {
    fn default() -> DirStates {
        DirStates { whole: Mutex::new(LruCache::new(WHOLE_LISTINGS_MAX)), changes: AtomicU64::new(0) }
    }
}

impl DirStates {
    pub fn is_whole(&self, ino: u64) -> bool {
        self.whole(ino).is_some()
    }

    fn whole(&self, ino: u64) -> Option<Arc<Teller>> {
        self.whole.lock().get(&ino).cloned()
    }

    /// The directory's names changed: what the kernel has begun to keep is not true any more.
    pub fn changed(&self, ino: u64) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.whole.lock().pop(&ino);
    }

    fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    fn ended(&self, ino: u64, began: u64, teller: &Arc<Teller>) {
        let mut whole = self.whole.lock();
        if self.changes() == began {
            whole.put(ino, teller.clone());
        }
    }
}

fn place(serial: u32, low: u32) -> u64 {
    u64::from(serial) << 32 | u64::from(low)
}

impl Vfs {
    /// Tells the entries after the place `offset` until `take` takes no more. With `attributes`, each one taken counts
    /// as a lookup. A miss is reported only before anything was taken.
    pub fn read_dir(
        &self,
        handle: u64,
        offset: u64,
        attributes: bool,
        take: &mut dyn FnMut(&DirItem<'_>) -> bool,
    ) -> Result<(), VfsError> {
        let handle = self.handles.get(handle)?;
        let Handle::Dir(dir) = &*handle else { return Err(VfsError::BadHandle) };
        let (serial, mut low) = ((offset >> 32) as u32, offset as u32);
        if low == 0 {
            *dir.began.lock() = dir.node.listings().map(DirStates::changes);
        }
        let mut taken_any = false;
        for (at, name, ino) in [(1, &b"."[..], dir.ino), (DOTS, b"..", self.parent_of(&dir.node, dir.ino))] {
            if low < at {
                if !take(&DirItem { name, ino, kind: FileKind::Dir, next: place(dir.teller.serial, at), entry: None }) {
                    return Ok(());
                }
                (low, taken_any) = (at, true);
            }
        }
        let number = low - DOTS;
        let (after, skip) = if number == 0 { (None, 0) } else { self.tellers.resume(dir, serial, number) };
        dir.teller.told.lock().go_to(number);
        let rest = Rest { number, after, skip, taken_any };
        self.tell_names(dir, rest, attributes, take)
    }

    fn tell_names(
        &self,
        dir: &DirHandle,
        mut rest: Rest,
        attributes: bool,
        take: &mut dyn FnMut(&DirItem<'_>) -> bool,
    ) -> Result<(), VfsError> {
        let wanted = if attributes { NAMES_WITH_ATTRIBUTES } else { NAMES_ALONE };
        loop {
            let page = match self.names_after(&dir.node, dir.ino, rest.after.as_deref(), wanted) {
                // The next call begins with what is missing here.
                Err(VfsError::Miss(_)) if rest.taken_any => return Ok(()),
                page => page?,
            };
            let Some(last) = page.last() else { break };
            rest.after = Some(last.name.clone());
            for entry in page {
                if rest.skip > 0 {
                    rest.skip -= 1;
                    continue;
                }
                let next = place(dir.teller.serial, DOTS + rest.number + 1);
                let shown = entry.entry.as_ref().map(|(shown, ..)| *shown).filter(|_| attributes);
                if !take(&DirItem { name: &entry.name, ino: entry.ino, kind: entry.kind, next, entry: shown }) {
                    return Ok(());
                }
                rest.number += 1;
                rest.taken_any = true;
                dir.teller.told.lock().add(&entry.name);
                if attributes {
                    self.hold_listed(entry);
                }
            }
        }
        if let (Some(listings), Some(began)) = (dir.node.listings(), dir.began.lock().take()) {
            listings.ended(dir.ino, began, &dir.teller);
        }
        Ok(())
    }
}

/// What is left to tell.
struct Rest {
    /// Of the last name told.
    number: u32,
    after: Option<Vec<u8>>,
    /// Names to count over first.
    skip: u32,
    taken_any: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(names: u32) -> Told {
        let mut told = Told::new();
        for number in 1..=names {
            told.add(format!("{number}").as_bytes());
        }
        told
    }

    #[test]
    fn recent_places_are_names() {
        let told = told(1000);
        for number in 1..=1000 {
            assert_eq!(told.after(number), (Some(format!("{number}").into_bytes()), 0));
        }
        assert_eq!(told.after(0), (None, 0));
    }

    #[test]
    fn old_places_are_found_by_counting_on_from_a_mark() {
        let names = RECENT_NAMES_MAX as u32 + 1000;
        let told = told(names);
        for number in [1, 63, 64, 65, 640, 999, 1000, 1001, names] {
            let (name, skip) = told.after(number);
            let from = name.map_or(0, |name| String::from_utf8(name).unwrap().parse::<u32>().unwrap());
            assert_eq!(from + skip, number);
            assert!(skip < MARK_EVERY);
        }
    }

    #[test]
    fn going_back_tells_the_rest_anew() {
        let mut told = told(300);
        told.go_to(150);
        assert_eq!(told.after(150), (Some(b"150".to_vec()), 0));
        told.add(b"other");
        assert_eq!(told.after(151), (Some(b"other".to_vec()), 0));
        told.go_to(0);
        assert_eq!(told.after(0), (None, 0));
        told.add(b"first");
        assert_eq!(told.after(1), (Some(b"first".to_vec()), 0));
    }

    #[test]
    fn a_listing_that_goes_on_from_anothers_place_counts_from_there() {
        let mut told = Told::new();
        told.go_to(2046);
        told.add(b"next");
        assert_eq!(told.after(2047), (Some(b"next".to_vec()), 0));
        assert_eq!(told.after(2000), (None, 2000));
    }

    #[test]
    fn a_listing_during_which_a_directory_changed_is_not_whole() {
        let states = DirStates::default();
        let teller = Arc::new(Teller { serial: 1, told: Mutex::new(Told::new()) });
        let began = states.changes();
        states.changed(7);
        states.ended(7, began, &teller);
        assert!(!states.is_whole(7));
        states.ended(7, states.changes(), &teller);
        assert!(states.is_whole(7));
        states.changed(7);
        assert!(!states.is_whole(7));
    }
}
