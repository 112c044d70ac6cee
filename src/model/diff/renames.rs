//! Renames in a difference: additions and deletions of equal content told as one change.
//!
//! Directories are paired from the largest down. A directory holds more entries than any inside it, so when those of
//! one size are paired, all of that size are known on both sides; only what found no pair is looked into.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;
use std::ops::ControlFlow;

use futures::future::try_join_all;

use super::lockstep::Lockstep;
use super::{Change, DiffOptions, OPEN_AT_ONCE};
use crate::model::entry::{ContentKey, Entry};
use crate::model::id::NodeId;
use crate::model::path::TreePath;
use crate::model::source::NodeSource;

/// Additions and deletions held to be paired; with more of them, none is paired and memory stays bounded.
const CANDIDATES_MAX: usize = 200_000;

/// Possible partners searched for one of the same name, so that thousands of equal files do not cost their square.
const NAMESAKES_SEARCHED: usize = 64;

/// A path that is on one side only.
type Alone = (TreePath, Entry);

#[derive(Default)]
struct Sides {
    old: Vec<Alone>,
    new: Vec<Alone>,
}

impl Sides {
    fn len(&self) -> usize {
        self.old.len() + self.new.len()
    }
}

pub(super) async fn diff<S: NodeSource>(
    source: &S,
    old: Option<&Entry>,
    new: Option<&Entry>,
    options: DiffOptions,
    visit: &mut (dyn FnMut(Change) -> ControlFlow<()> + Send),
) -> Result<(), S::Error> {
    let unpaired = DiffOptions { renames: false, ..options };
    let mut pairing = Pairing { shallow: options.shallow, ..Pairing::default() };
    let mut take = |change: Change| {
        pairing.take(change);
        if pairing.overflows() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    Box::pin(super::diff(source, old, new, DiffOptions { shallow: true, ..unpaired }, &mut take)).await?;
    if !pairing.overflows() {
        pairing.pair_directories(source).await?;
    }
    if pairing.overflows() {
        return Box::pin(super::diff(source, old, new, unpaired, visit)).await;
    }
    pairing.pair_files();
    let mut told = pairing.told;
    told.sort_by(|a, b| a.path().tree_order(b.path()).then_with(|| is_addition(a).cmp(&is_addition(b))));
    let _ = told.into_iter().try_for_each(visit);
    Ok(())
}

/// A deletion stands before an addition at the same path.
fn is_addition(change: &Change) -> bool {
    !matches!(change, Change::Deleted { .. })
}

#[derive(Default)]
struct Pairing {
    shallow: bool,
    told: Vec<Change>,
    /// By number of entries below.
    directories: BTreeMap<u64, Sides>,
    files: Sides,
    candidates: usize,
}

impl Pairing {
    fn overflows(&self) -> bool {
        self.candidates > CANDIDATES_MAX
    }

    fn take(&mut self, change: Change) {
        match change {
            Change::Added { path, new } => self.sides(&new).new.push((path, new)),
            Change::Deleted { path, old } => self.sides(&old).old.push((path, old)),
            Change::Modified { .. } | Change::Renamed { .. } => self.told.push(change),
        }
    }

    fn sides(&mut self, entry: &Entry) -> &mut Sides {
        self.candidates += 1;
        match entry.as_dir() {
            Some(dir) => self.directories.entry(dir.counts.entries).or_default(),
            None => &mut self.files,
        }
    }

    async fn pair_directories<S: NodeSource>(&mut self, source: &S) -> Result<(), S::Error> {
        while let Some((entries, sides)) = self.directories.pop_last() {
            // Empty directories are all alike: none is more a renaming of one than of another.
            let key = |entry: &Entry| entry.as_dir().filter(|_| entries > 0).map(|dir| dir.id);
            let left = pair::<NodeId>(sides, key, &mut self.told);
            if !self.shallow && entries > 0 {
                self.open(source, &left).await?;
            }
            self.tell(left);
            if self.overflows() {
                break;
            }
        }
        Ok(())
    }

    /// Takes what is directly in these directories as further candidates.
    async fn open<S: NodeSource>(&mut self, source: &S, left: &Sides) -> Result<(), S::Error> {
        let old = left.old.iter().map(|alone| (alone, true));
        let all: Vec<_> = old.chain(left.new.iter().map(|alone| (alone, false))).collect();
        for some in all.chunks(OPEN_AT_ONCE) {
            let steps = try_join_all(some.iter().map(async |((_, entry), is_old)| {
                let dir = entry.as_dir();
                Lockstep::open(source, dir.filter(|_| *is_old), dir.filter(|_| !*is_old)).await
            }))
            .await?;
            for (((path, _), _), mut step) in some.iter().zip(steps) {
                while let Some(found) = step.next(source).await? {
                    let path = path.join(&found.name);
                    if let Some(old) = found.old {
                        self.take(Change::Deleted { path, old });
                    } else if let Some(new) = found.new {
                        self.take(Change::Added { path, new });
                    }
                    if self.overflows() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn pair_files(&mut self) {
        let key = |entry: &Entry| (entry.size() > 0).then(|| entry.content_key());
        let left = pair::<ContentKey>(std::mem::take(&mut self.files), key, &mut self.told);
        self.tell(left);
    }

    fn tell(&mut self, left: Sides) {
        self.told.extend(left.old.into_iter().map(|(path, old)| Change::Deleted { path, old }));
        self.told.extend(left.new.into_iter().map(|(path, new)| Change::Added { path, new }));
    }
}

/// Tells entries of equal key as renamings, and gives back those without a partner. Of several possible partners the
/// first of the same name is taken, else the first.
fn pair<K: Hash + Eq>(sides: Sides, key: impl Fn(&Entry) -> Option<K>, told: &mut Vec<Change>) -> Sides {
    if sides.old.is_empty() || sides.new.is_empty() {
        return sides;
    }
    let mut left = Sides { old: Vec::new(), new: Vec::with_capacity(sides.len()) };
    let mut partners: HashMap<K, VecDeque<Alone>> = HashMap::new();
    for alone in sides.old {
        match key(&alone.1) {
            Some(key) => partners.entry(key).or_default().push_back(alone),
            None => left.old.push(alone),
        }
    }
    let mut unnamed = Vec::new();
    for (path, new) in sides.new {
        let candidates = key(&new).and_then(|key| partners.get_mut(&key));
        let same_name = |candidates: &mut VecDeque<Alone>| {
            let at = candidates.iter().take(NAMESAKES_SEARCHED).position(|(from, _)| from.name() == path.name())?;
            candidates.remove(at)
        };
        match candidates.and_then(same_name) {
            Some((from, old)) => told.push(Change::Renamed { from, path, old, new }),
            None => unnamed.push((path, new)),
        }
    }
    for (path, new) in unnamed {
        let candidates = key(&new).and_then(|key| partners.get_mut(&key));
        match candidates.and_then(VecDeque::pop_front) {
            Some((from, old)) => told.push(Change::Renamed { from, path, old, new }),
            None => left.new.push((path, new)),
        }
    }
    left.old.extend(partners.into_values().flatten());
    left
}
