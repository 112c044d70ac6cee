//! The commands, one file each; a file's doc comment on its arguments is the command's help.

pub mod branch;
pub mod cat;
pub mod commit;
pub mod cp;
pub mod diff;
pub mod discard;
pub mod doctor;
pub mod domain;
pub mod du;
pub mod fsck;
pub mod init;
pub mod log;
pub mod ls;
pub mod mount;
pub mod reflog;
pub mod refresh;
pub mod restore;
pub mod show;
pub mod stat;
pub mod status;
pub mod tag;
pub mod umount;
