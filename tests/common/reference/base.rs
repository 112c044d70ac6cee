//! What runs begin with: nested directories, hard links, a large file, a long attribute, a listing of many names.

use meshfs::model::entry::Kind;

use super::deed::Deed;
use super::operation::OTHERS;

/// Bytes of the large file: several chunks and a hole.
const LARGE_BYTES: usize = 1_200_000;

/// Bytes that do not compress and do not repeat.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..len).map(step).collect()
}

/// What makes the base of nothing.
pub fn base() -> Vec<Deed> {
    let mut deeds: Vec<Deed> = ["a", "a/b", "a/b/c", "d", "many", OTHERS].map(Deed::dir).into();
    for (path, len) in [("a/b/c/e", 3000), ("a/b/b", 100), ("d/a", 5000), ("others/a", 40)] {
        deeds.extend(Deed::file(path, noise(len, len as u64)));
    }
    let mut large = noise(LARGE_BYTES, 7);
    large[300_000..500_000].fill(0);
    deeds.extend(Deed::file("d/large", large));
    for number in 0..12 {
        deeds.extend(Deed::file(&format!("many/{number:02}"), vec![number; 10]));
    }
    for (from, to) in [("d/a", "d/link"), ("d/a", "a/b/link"), ("many/03", "many/linked")] {
        deeds.push(Deed::Link { from: from.to_owned(), to: to.to_owned() });
    }
    let link = Deed::Create { path: "d/s".to_owned(), kind: Kind::Symlink, mode: 0o777, target: b"a/b".to_vec() };
    let attribute = Deed::SetXattr { path: "a/b/b".to_owned(), name: b"user.0".to_vec(), value: noise(900, 3) };
    deeds.extend([link, attribute]);
    deeds
}
