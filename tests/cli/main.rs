//! The command line as its users meet it: the built command, its whole help, its answers and its refusals.

// Modes are set here as users set them.
#![allow(clippy::disallowed_methods)]

#[path = "../common/mod.rs"]
mod common;

mod daemon;
mod help;
mod mistakes;
mod secrets;
mod session;
mod transcript;
mod upkeep;
