//! Local copies of immutable things: decoded nodes, pages and chunks in memory, blocks of packs on disk.
//!
//! Everything here can be lost at any moment without harm, and nothing here is believed: whoever decodes bytes from a
//! block checks them as if they came from the store.

pub mod blocks;
mod index;
pub mod memory;
pub mod weight;
