//! Repositories on real stores: logs, attempts, refs, revisions; every interleaving that once went wrong, by name.

mod attempts;
mod checking;
mod collections;
mod cost;
mod database;
mod meshes;
mod reading;
mod revisions;
mod tables;
mod watched;
mod world;
mod writers;
