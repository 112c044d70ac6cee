//! Inode numbers across a move to another base.

use super::super::base::{self, LinkIndex};
use super::super::number::{self, Seeds};
use super::super::state::{Result, State};
use super::super::taken::Taken;
use crate::overlay::node::OriginPath;

impl State {
    /// What a commit moved keeps its numbers, and what comes to be where it was gets others.
    pub(super) fn move_seeds(&mut self, taken: &Taken) -> Result<()> {
        let before = self.seeds.clone();
        for (was, now) in taken.moved.iter().filter(|(was, now)| was != now) {
            let Some((parent, name)) = was.split_last() else { continue };
            if taken.map(&parent).join(name) == *now {
                // Moved with the directory that holds it.
                continue;
            }
            let seed = before.seed(&OriginPath::of_base(was));
            self.put_seed(&OriginPath::of_base(now), seed)?;
            if !taken.moved.values().any(|now| now == was) {
                let fresh = OriginPath::foreign(self.sys.random.number());
                self.put_seed(&OriginPath::of_base(was), fresh)?;
            }
        }
        Ok(())
    }

    /// Several names of one file have their number from the first, which may be another one now.
    pub(super) fn keep_link_numbers(&mut self, taken: Option<&Taken>, links: &LinkIndex, seeds: &Seeds) -> Result<()> {
        for group in links.groups() {
            let Some(was) = group.0.first() else { continue };
            let mapped = taken.map_or_else(|| was.clone(), |taken| taken.map(was));
            let now = self.canonical_path(&OriginPath::of_base(&mapped));
            if now == OriginPath::of_base(&mapped) {
                continue;
            }
            let seed = seeds.seed(&OriginPath::of_base(was));
            let Some(entry) = base::find_path(&self.objects, &self.snapshot.root.entry, &mapped)? else { continue };
            let mark = number::content_mark(&entry);
            let kept = self.overlay.db.number(&seed, &mark)?;
            let ino = kept.unwrap_or_else(|| self.numbering.number(&seed, &mark, 0));
            if self.row(ino)?.is_none() {
                self.keep_number(&now, &mark, ino)?;
            }
        }
        Ok(())
    }

    fn put_seed(&mut self, path: &OriginPath, seed: OriginPath) -> Result<()> {
        self.overlay.db.put_seed(path, &seed)?;
        self.seeds.put(path.clone(), seed);
        Ok(())
    }
}
