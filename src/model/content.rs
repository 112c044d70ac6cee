//! A file's content: a sequence of chunks and holes, kept in the entry when short and in pages when long.

use super::id::{ChunkId, ContentId, Location};

/// A list of at most this many items stands in the entry; a longer one is a tree of pages.
pub const ITEMS_IN_ENTRY_MAX: usize = 4;

/// A page of level 0 covers one segment: the forced cut at each multiple of this offset bounds what an edit can shift.
pub const SEGMENT_BYTES: u64 = 64 << 20;

/// A page of a higher level lists at most this many pages, so each level-1 page covers 64 GiB.
pub const PAGES_IN_PAGE_MAX: usize = 1024;

/// How a mesh cuts files into chunks. Recorded when the mesh is made and never changed: content ids depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Constants {
    /// No cut nearer than this to the one before, in bytes.
    pub chunk_min: u32,
    /// Expected length of a chunk, in bytes.
    pub chunk_target: u32,
    /// Longest chunk, and longest file that is not cut, in bytes.
    pub chunk_max: u32,
    /// Runs of zeros at least this long are holes, in bytes.
    pub hole_min: u32,
    /// A cut is forced at each multiple of this offset; [`SEGMENT_BYTES`] in every mesh.
    pub segment: u64,
}

impl Default for Constants {
    fn default() -> Constants {
        Constants {
            chunk_min: 32 << 10,
            chunk_target: 128 << 10,
            chunk_max: 512 << 10,
            hole_min: 64 << 10,
            segment: SEGMENT_BYTES,
        }
    }
}

/// A stretch of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    /// `len` raw bytes stored as one chunk.
    Chunk { len: u32, id: ChunkId, location: Location },
    /// `len` zero bytes that are stored nowhere.
    Hole { len: u64 },
}

impl Item {
    pub fn len(&self) -> u64 {
        match self {
            Item::Chunk { len, .. } => u64::from(*len),
            Item::Hole { len } => *len,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A page's place: how many raw bytes it covers, what it is, where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PageRef {
    pub len: u64,
    pub id: ContentId,
    pub location: Location,
}

/// One page of a long content list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// The items of one segment, in file order.
    Items(Vec<Item>),
    /// Pages of `level - 1`, in file order; `level` is at least 1.
    Pages { level: u8, pages: Vec<PageRef> },
}

impl Page {
    /// Raw bytes of the file that this page covers.
    pub fn len(&self) -> u64 {
        match self {
            Page::Items(items) => items.iter().map(Item::len).sum(),
            Page::Pages { pages, .. } => pages.iter().map(|page| page.len).sum(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Where a file's list of items stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileBody {
    /// At most [`ITEMS_IN_ENTRY_MAX`] items; the empty file is the empty list.
    Items(Vec<Item>),
    /// The top page, whose id is the content's id.
    Pages(Location),
}

/// Content of a regular file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileContent {
    /// Length in bytes.
    pub size: u64,
    pub id: ContentId,
    pub body: FileBody,
}

/// Content of a regular file that lies outside the mesh; a source changed since is an error, never other data.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExternalContent {
    pub url: String,
    /// Length in bytes.
    pub size: u64,
    pub etag: Option<String>,
    pub version: Option<String>,
    pub id: ContentId,
}
