//! Least-recently-used maps bounded by bytes.

use std::hash::Hash;

use lru::LruCache;
use parking_lot::Mutex;

/// A map that forgets what was not asked for longest when its values weigh more than the budget.
pub struct ByteLru<K, V> {
    budget_bytes: u64,
    held: Mutex<Held<K, V>>,
}

struct Held<K, V> {
    values: LruCache<K, (V, u64)>,
    bytes: u64,
}

/// What a slot costs besides its value: key, links and hash table, roughly.
const SLOT_BYTES: u64 = 160;

impl<K: Hash + Eq, V: Clone> ByteLru<K, V> {
    pub fn new(budget_bytes: u64) -> ByteLru<K, V> {
        ByteLru { budget_bytes, held: Mutex::new(Held { values: LruCache::unbounded(), bytes: 0 }) }
    }

    pub fn get(&self, key: &K) -> Option<V> {
        self.held.lock().values.get(key).map(|(value, _)| value.clone())
    }

    /// Keeps `value`, which takes `bytes` of memory; a value above the whole budget is not kept.
    pub fn put(&self, key: K, value: V, bytes: u64) {
        let bytes = bytes + SLOT_BYTES;
        if bytes > self.budget_bytes {
            return;
        }
        let mut forgotten = Vec::new();
        let mut held = self.held.lock();
        held.bytes += bytes;
        if let Some((_, (old, old_bytes))) = held.values.push(key, (value, bytes)) {
            held.bytes -= old_bytes;
            forgotten.push(old);
        }
        while held.bytes > self.budget_bytes {
            let Some((_, (old, old_bytes))) = held.values.pop_lru() else { break };
            held.bytes -= old_bytes;
            forgotten.push(old);
        }
        drop(held);
    }

    pub fn remove(&self, key: &K) -> Option<V> {
        let mut held = self.held.lock();
        let (value, bytes) = held.values.pop(key)?;
        held.bytes -= bytes;
        Some(value)
    }

    pub fn clear(&self) {
        let mut held = self.held.lock();
        held.values.clear();
        held.bytes = 0;
    }

    /// Bytes held, slots included.
    pub fn bytes(&self) -> u64 {
        self.held.lock().bytes
    }
}

impl<K: Hash + Eq, V: Clone> std::fmt::Debug for ByteLru<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let held = self.held.lock();
        write!(f, "ByteLru({} values, {} of {} bytes)", held.values.len(), held.bytes, self.budget_bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_budget_holds_and_the_newest_value_is_there(puts in prop::collection::vec((0u8..20, 0u64..2000), 1..200)) {
            let lru = ByteLru::new(5000);
            for (key, bytes) in puts {
                lru.put(key, bytes, bytes);
                prop_assert!(lru.bytes() <= 5000);
                prop_assert_eq!(lru.get(&key), Some(bytes));
            }
        }
    }

    #[test]
    fn what_was_not_asked_for_longest_goes_first() {
        let lru = ByteLru::new(3 * (100 + SLOT_BYTES));
        for key in [1, 2, 3] {
            lru.put(key, key, 100);
        }
        lru.get(&1);
        lru.put(4, 4, 100);
        assert_eq!([1, 2, 3, 4].map(|key| lru.get(&key)), [Some(1), None, Some(3), Some(4)]);
    }

    #[test]
    fn a_value_above_the_budget_is_not_kept_and_pushes_nothing_out() {
        let lru = ByteLru::new(1000);
        lru.put(1, 1, 10);
        lru.put(2, 2, 1000);
        assert_eq!((lru.get(&1), lru.get(&2)), (Some(1), None));
    }

    #[test]
    fn what_is_removed_or_replaced_weighs_nothing() {
        let lru = ByteLru::new(1000);
        lru.put(1, 1, 100);
        lru.put(1, 2, 50);
        assert_eq!(lru.bytes(), 50 + SLOT_BYTES);
        lru.remove(&1);
        assert_eq!(lru.bytes(), 0);
    }
}
