//! Randomness: the operating system's for what runs, a seed's for what is to be replayed.

use std::sync::Mutex;

/// Gives bytes that nobody can guess, or that follow from a seed.
pub trait Random: std::fmt::Debug + Send + Sync {
    fn fill(&self, bytes: &mut [u8]);

    /// 128 random bits: a name that is never made twice.
    fn name(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        bytes
    }

    fn number(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A number below `bound`; 0 when there is none.
    fn below(&self, bound: u64) -> u64 {
        // The bias of a product's upper half is at most bound / 2^64: nothing that a delay or a choice could show.
        ((u128::from(self.number()) * u128::from(bound)) >> 64) as u64
    }
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy)]
pub struct OsRandom;

impl Random for OsRandom {
    fn fill(&self, bytes: &mut [u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            // SAFETY: the pointer and length describe `rest`, which is writable for the whole call.
            let filled = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
            match usize::try_from(filled) {
                Ok(filled) => rest = &mut rest[filled..],
                Err(_) => {
                    let error = std::io::Error::last_os_error();
                    // Without unguessable names nothing may be written: going on would risk somebody's data.
                    assert!(error.kind() == std::io::ErrorKind::Interrupted, "getrandom: {error}");
                }
            }
        }
    }
}

/// Numbers that follow from a seed (SplitMix64), for tests and simulations.
#[derive(Debug)]
pub struct SeededRandom {
    state: Mutex<u64>,
}

impl SeededRandom {
    pub fn new(seed: u64) -> SeededRandom {
        SeededRandom { state: Mutex::new(seed) }
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for chunk in bytes.chunks_mut(8) {
            *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = *state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^= mixed >> 31;
            chunk.copy_from_slice(&mixed.to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence() {
        let (one, two, other) = (SeededRandom::new(1), SeededRandom::new(1), SeededRandom::new(2));
        let draw = |random: &SeededRandom| (0..10).map(|_| random.number()).collect::<Vec<_>>();
        let first = draw(&one);
        assert_eq!(first, draw(&two));
        assert_ne!(first, draw(&other));
    }

    #[test]
    fn names_of_the_operating_system_differ() {
        assert_ne!(OsRandom.name(), OsRandom.name());
    }

    #[test]
    fn numbers_stay_below_their_bound_and_reach_it() {
        let random = SeededRandom::new(3);
        let seen: std::collections::BTreeSet<u64> = (0..200).map(|_| random.below(5)).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!(random.below(0), 0);
    }
}
