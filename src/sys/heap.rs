//! The allocator: told to give memory back, so that a process's size is what it uses.

use std::collections::HashMap;
use std::hash::Hash;

/// Blocks of at least this many bytes are mapped one by one and unmapped when freed: buffers of chunks, parts and
/// fetched ranges, which would otherwise leave holes that nothing fits. Setting it also stops glibc from raising it.
const MAPPED_BYTES_MIN: i32 = 256 << 10;

/// Heaps that threads share; glibc makes up to eight per core, each keeping what was freed in it.
const HEAPS_MAX: i32 = 4;

/// Free bytes at a heap's end beyond which they are given back.
const TRIM_BYTES: i32 = 1 << 20;

/// Bounds what freed memory stays with the process. To be called before threads are started; without glibc it does
/// nothing.
pub fn keep_small() {
    #[cfg(target_env = "gnu")]
    for (parameter, value) in [
        (libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN),
        (libc::M_ARENA_MAX, HEAPS_MAX),
        (libc::M_TRIM_THRESHOLD, TRIM_BYTES),
    ] {
        // SAFETY: mallopt only stores the values. One that it refuses leaves the default, which is correct too.
        unsafe { libc::mallopt(parameter, value) };
    }
}

/// Lets a table that something was removed from have a size that fits what is left; cheap on average.
pub fn shrink<K: Eq + Hash, V>(table: &mut HashMap<K, V>) {
    if table.len() < table.capacity() / 4 {
        table.shrink_to(table.len() * 2);
    }
}

/// Gives the system back what lies free between what is in use, which freeing alone does at a heap's end only. Takes
/// milliseconds; to be called when much was freed.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes the allocator's own locks and moves nothing.
    unsafe {
        libc::malloc_trim(0)
    };
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;

    fn resident_bytes() -> u64 {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
    }

    #[test]
    fn a_table_shrinks_with_what_is_in_it() {
        let mut table: HashMap<u32, u32> = (0..100_000).map(|n| (n, n)).collect();
        for n in 0..99_990 {
            table.remove(&n);
            shrink(&mut table);
        }
        assert!(table.capacity() < 100, "{}", table.capacity());
        assert_eq!(table.len(), 10);
    }

    #[test]
    fn small_blocks_between_others_are_given_back() {
        let held: Vec<Vec<u8>> = (0..1_000_000).map(|_| vec![1; 64]).collect();
        let full = resident_bytes();
        let kept: Vec<Vec<u8>> =
            held.into_iter().enumerate().filter(|(at, _)| at % 10_000 == 0).map(|(_, b)| b).collect();
        give_back();
        let rest = resident_bytes();
        assert!(rest + (48 << 20) < full, "{full} bytes before, {rest} after");
        drop(kept);
    }

    #[test]
    fn large_buffers_are_given_back_when_freed() {
        keep_small();
        let held: Vec<Vec<u8>> = (0..256).map(|_| vec![1; 1 << 20]).collect();
        let full = resident_bytes();
        // Every second one: what is freed between others must go back as well.
        let kept: Vec<Vec<u8>> = held.into_iter().enumerate().filter(|(at, _)| at % 2 == 0).map(|(_, b)| b).collect();
        let rest = resident_bytes();
        assert!(rest + (64 << 20) < full, "{full} bytes before, {rest} after");
        drop(kept);
    }
}
