//! The process around a mount, and everything that a command needs to find it, talk to it, or do without it.

pub mod bisect;
pub mod closest;
pub mod compare;
pub mod config;
pub mod control;
pub mod doctor;
pub mod explain;
pub mod failure;
pub mod guard;
pub mod here;
pub mod instance;
pub mod integrate;
pub mod launch;
pub mod local;
pub mod mountpoint;
pub mod mounts;
pub mod run;
pub mod staging;
pub mod store_name;
pub mod unmount;
pub mod users;
pub mod verbs;
pub mod wire;
