//! The commands, one file each; a file's doc comment on its arguments is the command's help.

pub mod bisect;
pub mod blame;
pub mod branch;
pub mod cat;
pub mod cherry_pick;
pub mod commit;
pub mod cp;
pub mod diff;
pub mod discard;
pub mod doctor;
pub mod domain;
pub mod du;
pub mod fsck;
pub mod gc;
pub mod guard;
pub mod init;
pub mod log;
pub mod ls;
pub mod merge;
pub mod mount;
pub mod reflog;
pub mod refresh;
pub mod reset;
pub mod restore;
pub mod revert;
pub mod show;
pub mod stat;
pub mod status;
pub mod tag;
pub mod umount;
pub mod warm;

use super::args::Command;
use super::context::Context;
use crate::daemon::failure::Failure;
use crate::telemetry::log as telemetry_log;

/// A daemon logs what it does; another command only what a person must know.
pub fn start_log(command: &Command) {
    let level = match command {
        Command::Mount(mount) if mount.foreground => "info",
        _ => "warn",
    };
    telemetry_log::init(telemetry_log::Target::Stderr, level);
}

pub async fn run(context: &Context<'_>, command: Command) -> Result<(), Failure> {
    match command {
        Command::Init(command) => command.run(context).await,
        Command::Doctor(command) => command.run(context).await,
        Command::Mount(command) => command.run(context).await,
        Command::Umount(command) => command.run(context).await,
        Command::Domain(command) => command.run(context).await,
        Command::Branch(command) => command.run(context).await,
        Command::Tag(command) => command.run(context).await,
        Command::Status(command) => command.run(context).await,
        Command::Diff(command) => command.run(context).await,
        Command::Log(command) => command.run(context).await,
        Command::Show(command) => command.run(context).await,
        Command::Reflog(command) => command.run(context).await,
        Command::Blame(command) => command.run(context).await,
        Command::Bisect(command) => command.run(context).await,
        Command::Commit(command) => command.run(context).await,
        Command::Discard(command) => command.run(context).await,
        Command::Refresh(command) => command.run(context).await,
        Command::Merge(command) => command.run(context).await,
        Command::CherryPick(command) => command.run(context).await,
        Command::Revert(command) => command.run(context).await,
        Command::Reset(command) => command.run(context).await,
        Command::Restore(command) => command.run(context).await,
        Command::Ls(command) => command.run(context).await,
        Command::Cat(command) => command.run(context).await,
        Command::Stat(command) => command.run(context).await,
        Command::Du(command) => command.run(context).await,
        Command::Warm(command) => command.run(context).await,
        Command::Cp(command) => command.run(context).await,
        Command::Gc(command) => command.run(context).await,
        Command::Fsck(command) => command.run(context).await,
        Command::Guard(command) => command.run().await,
    }
}
