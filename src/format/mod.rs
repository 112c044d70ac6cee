#![doc = include_str!("README.md")]

pub mod chunk;
pub mod content;
pub mod error;
pub mod filter;
pub mod gc;
mod id;
mod json;
pub mod limits;
pub mod link;
pub mod log;
pub mod node;
pub mod pack;
mod place;
pub mod record;
pub mod relocation;
mod sealed;
pub mod split;
mod wire;
