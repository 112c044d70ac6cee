//! Numbers of the nodes that no workspace numbers: hashes of what they stand for, so that they are the same after a
//! remount and never mean another thing.

/// Set in all of these numbers, and in none of a workspace's.
const VIRTUAL: u64 = 1 << 63;

/// The number of the thing that `parts` name together.
pub fn number_of(kind: &str, parts: &[&[u8]]) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key("meshfs 2026 numbers of virtual nodes");
    for part in std::iter::once(kind.as_bytes()).chain(parts.iter().copied()) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut number = [0; 8];
    number.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(number) | VIRTUAL
}

#[cfg(test)]
mod tests {
    use super::number_of;

    #[test]
    fn where_one_part_ends_counts() {
        assert_ne!(number_of("branch", &[b"ab", b"c"]), number_of("branch", &[b"a", b"bc"]));
        assert_ne!(number_of("branch", &[b"a"]), number_of("domain", &[b"a"]));
        assert_eq!(number_of("branch", &[b"a"]), number_of("branch", &[b"a"]));
    }
}
