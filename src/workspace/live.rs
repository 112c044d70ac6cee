//! Inodes that somebody holds: the kernel by lookups, open files, and children their directories.

use std::collections::HashMap;
use std::sync::Arc;

use super::number::ContentMark;
use crate::model::entry::Entry;
use crate::sys::heap;

/// What a held inode is, as long as it has no row. A row always goes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// It has, or had, a row.
    Staged,
    /// Untouched: this name of that directory, as long as it has that content.
    Base { parent: u64, name: Box<[u8]>, mark: ContentMark },
    /// It has no name any more: deleted, or replaced by a refresh.
    Detached(Arc<Entry>),
}

#[derive(Debug)]
struct Live {
    /// References by lookups.
    lookups: u64,
    /// References by open files and by held children.
    pins: u64,
    place: Place,
}

#[derive(Debug, Default)]
pub struct LiveTable(HashMap<u64, Live>);

impl LiveTable {
    pub fn place(&self, ino: u64) -> Option<&Place> {
        self.0.get(&ino).map(|live| &live.place)
    }

    pub fn is_live(&self, ino: u64) -> bool {
        self.0.contains_key(&ino)
    }

    /// Counts one lookup of what is now at `place`; gives the inodes that nobody holds any more thereby.
    pub fn add_lookup(&mut self, ino: u64, place: Place) -> Vec<u64> {
        let moved = self.0.get(&ino).is_some_and(|live| live.place != place);
        let dropped = if moved { self.set_place(ino, place.clone()) } else { Vec::new() };
        self.entry(ino, place).lookups += 1;
        dropped
    }

    /// Counts one open file.
    pub fn pin(&mut self, ino: u64) {
        self.entry(ino, Place::Staged).pins += 1;
    }

    fn entry(&mut self, ino: u64, place: Place) -> &mut Live {
        if !self.0.contains_key(&ino) {
            if let Place::Base { parent, .. } = place {
                // The path to an untouched thing goes through its directory, which must stay known as long.
                self.entry(parent, Place::Staged).pins += 1;
            }
            self.0.insert(ino, Live { lookups: 0, pins: 0, place });
        }
        self.0.entry(ino).or_insert(Live { lookups: 0, pins: 0, place: Place::Staged })
    }

    /// Changes what a held inode is; gives the inodes that nobody holds any more thereby.
    pub fn set_place(&mut self, ino: u64, place: Place) -> Vec<u64> {
        let Some(live) = self.0.get_mut(&ino) else { return Vec::new() };
        let before = std::mem::replace(&mut live.place, place);
        let now = live.place.clone();
        if let Place::Base { parent, .. } = now {
            self.entry(parent, Place::Staged).pins += 1;
        }
        match before {
            Place::Base { parent, .. } => self.unpin(parent),
            _ => Vec::new(),
        }
    }

    /// Says what inodes are, directories before what is in them, also of those that are held by what is in them only.
    /// Gives the inodes that nobody holds.
    pub fn set_places(&mut self, places: Vec<(u64, Place)>) -> Vec<u64> {
        let mut dropped = Vec::new();
        let inos: Vec<u64> = places.iter().map(|(ino, _)| *ino).collect();
        for (ino, place) in places {
            if self.is_live(ino) {
                dropped.extend(self.set_place(ino, place));
            } else {
                self.entry(ino, place);
            }
        }
        for ino in inos.iter().rev() {
            dropped.extend(self.drop_unheld(*ino));
        }
        dropped
    }

    /// Takes back `count` lookups; gives the inodes that nobody holds any more.
    pub fn forget(&mut self, ino: u64, count: u64) -> Vec<u64> {
        if let Some(live) = self.0.get_mut(&ino) {
            live.lookups = live.lookups.saturating_sub(count);
        }
        self.drop_unheld(ino)
    }

    /// Takes back one pin; gives the inodes that nobody holds any more.
    pub fn unpin(&mut self, ino: u64) -> Vec<u64> {
        if let Some(live) = self.0.get_mut(&ino) {
            live.pins = live.pins.saturating_sub(1);
        }
        self.drop_unheld(ino)
    }

    fn drop_unheld(&mut self, ino: u64) -> Vec<u64> {
        let mut dropped = Vec::new();
        let mut at = ino;
        while let Some(live) = self.0.get(&at) {
            if live.lookups > 0 || live.pins > 0 {
                break;
            }
            let Some(live) = self.0.remove(&at) else { break };
            heap::shrink(&mut self.0);
            dropped.push(at);
            let Place::Base { parent, .. } = live.place else { break };
            if let Some(parent) = self.0.get_mut(&parent) {
                parent.pins = parent.pins.saturating_sub(1);
            }
            at = parent;
        }
        dropped
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn below(parent: u64) -> Place {
        Place::Base { parent, name: Box::from(&b"x"[..]), mark: ContentMark::default() }
    }

    #[test]
    fn a_directory_stays_known_as_long_as_anything_below_it() {
        let mut live = LiveTable::default();
        live.add_lookup(10, below(1));
        live.add_lookup(11, below(10));
        assert!(live.forget(10, 1).is_empty());
        assert!(live.is_live(10));
        assert_eq!(live.forget(11, 1), [11, 10, 1]);
        assert_eq!(live.len(), 0);
    }

    #[test]
    fn moving_a_thing_moves_its_hold_on_the_directory() {
        let mut live = LiveTable::default();
        live.add_lookup(10, below(1));
        assert_eq!(live.add_lookup(10, below(2)), [1]);
        assert!(live.forget(10, 1).is_empty());
        assert_eq!(live.forget(10, 1), [10, 2]);
    }

    #[test]
    fn an_open_file_is_held_without_lookups() {
        let mut live = LiveTable::default();
        live.add_lookup(10, Place::Staged);
        live.pin(10);
        assert!(live.forget(10, 1).is_empty());
        assert_eq!(live.unpin(10), [10]);
    }
}
