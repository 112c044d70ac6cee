//! Stores: one conformance suite for all of them, and what faults do to each call.

#[path = "../common/mod.rs"]
mod common;

mod conformance;
mod counting;
mod credentials;
mod errors;
mod faults;
mod line;
mod moto;
mod probing;
mod race;
mod wire;
