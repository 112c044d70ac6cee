//! Packs written and read: what comes back, what it costs, and what happens when something is damaged, gone or moved.

#[path = "../common/mod.rs"]
mod common;

mod cost;
mod damage;
mod edit;
mod external;
mod lab;
mod sending;
mod sharing;
mod trees;
mod whole;
