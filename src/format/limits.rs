//! Every number of the format.

/// Version byte of every binary encoding, and `format` field of every JSON one.
pub const FORMAT_VERSION: u8 = 1;

/// Canonical bytes of a node, with what it inlines, never exceed this.
pub const NODE_BYTES_MAX: u64 = 262_144;

/// Expected size of a node: an item is the last of its node with probability size / this.
pub const NODE_BYTES_TARGET: u64 = 65_536;

/// A directory of one leaf is inlined in its parent when its inlined size is at most this.
pub const INLINE_BYTES_MAX: u64 = 4096;

/// Highest level of an inner node. Every level at least halves the one below, so no real tree comes near.
pub const LEVEL_MAX: u8 = 32;

/// Largest decoded frame of any kind: bounds what a reader allocates for one.
pub const FRAME_RAW_BYTES_MAX: usize = 4 << 20;

/// Longest chunk that any mesh's constants may allow.
pub const CHUNK_BYTES_MAX: u32 = 4 << 20;

/// Permission, setuid, setgid and sticky bits.
pub const MODE_MAX: u16 = 0o7777;

/// Longest name of an extended attribute (Linux `XATTR_NAME_MAX`).
pub const XATTR_NAME_BYTES_MAX: usize = 255;

/// Longest target of a symlink (Linux `PATH_MAX` less its NUL).
pub const SYMLINK_BYTES_MAX: usize = 4095;

/// Longest URL of an external content.
pub const URL_BYTES_MAX: usize = 4096;

/// Longest etag, and longest version, of an external content.
pub const ETAG_BYTES_MAX: usize = 1024;

/// Longest canonical bytes, and longest places, of a content kind that a later version adds.
pub const UNKNOWN_CONTENT_BYTES_MAX: usize = 32 << 10;

/// Longest path in the hard-link table.
pub const LINK_PATH_BYTES_MAX: usize = 32_767;

/// A hard-link group is cut into parts of about so many canonical bytes.
pub const LINK_PART_BYTES_TARGET: u64 = 32 << 10;

/// Largest pack, its directory and footer aside.
pub const PACK_BYTES_MAX: u64 = 64 << 20;

/// Most frames of one pack: keeps a pack's directory within one frame.
pub const PACK_FRAMES_MAX: usize = 65_536;

/// Largest commit record.
pub const RECORD_BYTES_MAX: usize = 4 << 20;

/// Largest log entry.
pub const ENTRY_BYTES_MAX: usize = 16 << 20;

/// A table (of refs, of domains) of more JSON bytes than this is not repeated in each entry.
pub const TABLE_IN_ENTRY_BYTES_MAX: usize = 16 << 10;

/// Rows of a table of refs, each counted at its longest: a frame, less what later versions may want to add. Writers keep
/// to it so that each later entry can write the table that it leaves.
pub const TABLE_ROWS_BYTES_MAX: usize = FRAME_RAW_BYTES_MAX - (64 << 10);

/// Every entry whose seq is a multiple of this carries or names the whole table.
pub const TABLE_EVERY: u64 = 64;

/// Largest Bloom filter of changed paths.
pub const FILTER_BYTES_MAX: usize = 2048;

/// Largest list of condemned things, and largest relocation map.
pub const COLLECTION_BYTES_MAX: usize = 256 << 20;

/// Features that this version knows how to read, and to write. Version 1 has none beyond itself.
pub const FEATURES_READ: &[&str] = &[];
pub const FEATURES_WRITE: &[&str] = &[];
