//! Where zero runs start, and where FastCDC cuts.

use fastcdc::v2020::{Normalization, cut, select_masks};

use crate::model::content::Constants;

/// Where the first long run of zeros starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    At(usize),
    /// None does before this; what follows the bytes seen may make one that starts here.
    NotBefore(usize),
}

/// The first run of `min` zeros or more that starts before `limit`.
pub(super) fn first_run(bytes: &[u8], min: usize, limit: usize) -> Run {
    let mut start = 0;
    while start < limit {
        let Some(window) = bytes.get(start..start + min) else {
            return Run::NotBefore(start + last_nonzero(&bytes[start..]).map_or(0, |at| at + 1));
        };
        match last_nonzero(window) {
            None => return Run::At(start),
            Some(at) => start += at + 1,
        }
    }
    Run::NotBefore(start)
}

const ZEROS: [u8; 64] = [0; 64];

fn last_nonzero(bytes: &[u8]) -> Option<usize> {
    let zeros: usize = bytes.rchunks_exact(ZEROS.len()).take_while(|chunk| **chunk == ZEROS).map(<[u8]>::len).sum();
    bytes[..bytes.len() - zeros].iter().rposition(|&b| b != 0)
}

pub(super) fn leading_zeros(bytes: &[u8]) -> usize {
    let zeros: usize = bytes.chunks_exact(ZEROS.len()).take_while(|chunk| **chunk == ZEROS).map(<[u8]>::len).sum();
    zeros + bytes[zeros..].iter().take_while(|&&b| b == 0).count()
}

/// FastCDC v2020 with normalization level 1 and seed 0.
#[derive(Clone, Debug)]
pub(super) struct Cdc {
    min: usize,
    target: usize,
    max: usize,
    mask_short: u64,
    mask_long: u64,
}

impl Cdc {
    pub fn new(constants: &Constants) -> Cdc {
        let target = constants.chunk_target as usize;
        let (mask_short, mask_long) = select_masks(target, Normalization::Level1);
        Cdc { min: constants.chunk_min as usize, target, max: constants.chunk_max as usize, mask_short, mask_long }
    }

    /// Length of the first chunk of a stretch.
    pub fn cut(&self, stretch: &[u8]) -> usize {
        let Cdc { min, target, max, mask_short, mask_long } = *self;
        cut(stretch, min, target, max, mask_short, mask_long, mask_short << 1, mask_long << 1).1
    }
}
