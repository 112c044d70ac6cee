//! Sets of byte offsets, kept as ranges: which parts of a partly staged file are staged.

use std::collections::BTreeMap;
use std::ops::Range;

/// A set of offsets as sorted ranges that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet(BTreeMap<u64, u64>);

impl RangeSet {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.0.iter().map(|(&start, &end)| start..end)
    }

    /// Adds a range. Gives the stored ranges that it swallowed, and the one that now holds it; none when it was held
    /// already.
    pub fn insert(&mut self, range: Range<u64>) -> Option<Joined> {
        if range.is_empty() || self.contains(&range) {
            return None;
        }
        let (mut start, mut end) = (range.start, range.end);
        let mut swallowed = Vec::new();
        while let Some((&at, &until)) = self.0.range(..=end).next_back().filter(|&(_, &until)| until >= start) {
            self.0.remove(&at);
            swallowed.push(at);
            start = start.min(at);
            end = end.max(until);
        }
        self.0.insert(start, end);
        Some(Joined { swallowed, range: start..end })
    }

    pub fn contains(&self, range: &Range<u64>) -> bool {
        range.is_empty() || self.0.range(..=range.start).next_back().is_some_and(|(_, &end)| end >= range.end)
    }

    /// Takes out everything at or after `len`.
    pub fn truncate(&mut self, len: u64) {
        self.0.split_off(&len);
        if let Some(mut last) = self.0.last_entry() {
            *last.get_mut() = len.min(*last.get());
        }
    }

    /// Takes a range out.
    pub fn remove(&mut self, range: &Range<u64>) {
        if range.is_empty() {
            return;
        }
        let rest = self.0.split_off(&range.start);
        if let Some(mut last) = self.0.last_entry()
            && *last.get() > range.start
        {
            let end = last.insert(range.start);
            if end > range.end {
                self.0.insert(range.end, end);
            }
        }
        for (start, end) in rest {
            if end > range.end {
                self.0.insert(start.max(range.end), end);
            }
        }
    }

    /// The part of the set that starts at `offset` (true), or the gap that does (false), up to `end`.
    pub fn piece(&self, offset: u64, end: u64) -> (Range<u64>, bool) {
        if let Some((_, &until)) = self.0.range(..=offset).next_back().filter(|&(_, &until)| until > offset) {
            return (offset..until.min(end), true);
        }
        let next = self.0.range(offset..).next().map_or(end, |(&start, _)| start);
        (offset..next.min(end), false)
    }
}

impl FromIterator<Range<u64>> for RangeSet {
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> RangeSet {
        let mut set = RangeSet::default();
        for range in ranges {
            set.insert(range);
        }
        set
    }
}

/// What became of an inserted range.
#[derive(Debug, PartialEq, Eq)]
pub struct Joined {
    /// Starts of the ranges that are gone.
    pub swallowed: Vec<u64>,
    /// The range that stands for them.
    pub range: Range<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbours_become_one() {
        let mut set: RangeSet = [0..4, 8..12].into_iter().collect();
        assert_eq!(set.insert(4..8), Some(Joined { swallowed: vec![8, 0], range: 0..12 }));
        assert_eq!(set.insert(1..12), None);
        assert_eq!(set.piece(3, 100), (3..12, true));
        assert_eq!(set.piece(12, 100), (12..100, false));
    }

    proptest! {
        #[test]
        fn behaves_as_a_set_of_offsets(
            steps in prop::collection::vec((0..3, 0u64..64, 0u64..24), 1..24),
            from in 0u64..64,
        ) {
            let (mut set, mut plain) = (RangeSet::default(), std::collections::BTreeSet::new());
            for (step, start, len) in steps {
                match step {
                    0 => {
                        set.truncate(start);
                        plain.retain(|&at| at < start);
                    }
                    1 => {
                        set.remove(&(start..start + len));
                        plain.retain(|at| !(start..start + len).contains(at));
                    }
                    _ => {
                        set.insert(start..start + len);
                        plain.extend(start..start + len);
                    }
                }
                let listed: Vec<u64> = set.iter().flatten().collect();
                prop_assert_eq!(listed, plain.iter().copied().collect::<Vec<_>>());
                for pair in set.iter().collect::<Vec<_>>().windows(2) {
                    prop_assert!(pair[0].end < pair[1].start, "touching ranges are one");
                }
            }
            let (piece, held) = set.piece(from, 100);
            prop_assert!(piece.clone().all(|at| plain.contains(&at) == held));
            prop_assert!(piece.end == 100 || plain.contains(&piece.end) != held);
        }
    }
}
