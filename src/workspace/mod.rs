#![doc = include_str!("README.md")]

pub mod attr;
pub mod commit;
pub mod conflict;
pub mod direct;
mod discard;
pub mod error;
pub mod incoming;
pub mod observer;
pub mod open_file;
pub mod place;
pub mod rebase;
pub mod refresh;
pub mod restore;
pub mod snapshot;
pub mod staged;
pub mod status;
pub mod view;

mod allocate;
mod attributes;
mod base;
mod contents;
mod earlier;
mod edit;
mod external;
mod file_state;
mod keep;
mod listing;
mod live;
mod names;
mod number;
mod rename;
mod state;
mod swap;
mod taken;
mod tree;
mod xattrs;
