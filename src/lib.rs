#![doc = include_str!("README.md")]

pub mod cache;
pub mod cli;
pub mod daemon;
pub mod format;
pub mod fuse;
pub mod model;
pub mod overlay;
pub mod repo;
pub mod storage;
pub mod sys;
pub mod telemetry;
pub mod vfs;
pub mod workspace;
