//! Every number of the format.

/// Version byte of every binary encoding, and `format` field of every JSON one.
pub const FORMAT_VERSION: u8 = 1;

/// Canonical bytes of a node, with what it inlines, never exceed this.
pub const NODE_BYTES_MAX: u64 = 262_144;

/// Expected size of a node: an item is the last of its node with probability size / this.
pub const NODE_BYTES_TARGET: u64 = 65_536;

/// A directory of one leaf is inlined in its parent when its inlined size is at most this.
pub const INLINE_BYTES_MAX: u64 = 4096;
