//! The stored format: ids that depend on content alone, round trips, hostile bytes, golden files.

mod chunks;
mod contents;
mod corpus;
mod golden;
mod hostile;
mod links;
mod made;
mod packs;
mod raw;
mod records;
mod trees;
