//! The reference: a filesystem in memory, and random operations on it, for whatever is to be compared with it.

pub mod base;
pub mod deed;
pub mod model;
pub mod operation;
