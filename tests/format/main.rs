//! The stored format: ids that depend on content alone, round trips, hostile bytes, golden files.

mod chunks;
mod contents;
mod links;
mod made;
mod packs;
mod records;
mod trees;
