//! What the command line accepts: the options that every command has, and the list of commands.

use std::path::PathBuf;

use super::commands::{
    bisect, blame, branch, cat, cherry_pick, commit, cp, diff, discard, doctor, domain, du, fsck, gc, guard, init, log,
    ls, merge, mount, reflog, refresh, reset, restore, revert, show, stat, status, tag, umount, warm,
};

const AFTER_HELP: &str =
    "Settings: options, then the environment, then ~/.config/meshfs/config.toml (author, store, cache_size, poll, timeout).
The store is that of --store, MESHFS_STORE, the mount that the current folder is in, or ~/.local/share/meshfs/store.
Exit codes: 0 done, 1 failed, 2 usage, 3 conflict, 4 outcome unknown.";

/// A data mesh as a filesystem: git for data, over any object store, with no server.
///
/// An address is the path below the mountpoint, and works with and without a mount:
///
///   sales                   the default branch of domain `sales`
///   sales/main/orders       the working tree of a branch, and a path in it
///   sales/@main             the newest commit of a branch
///   sales/@v1.0/orders      a tag, as are @0a1b2c3d, @main~2, @main@{2026-11-01T00:00Z}
///   ./orders, /mesh/sales   a local path; inside a mount it is turned into its address
///
/// To begin:
///
///   meshfs init && meshfs domain create sales && meshfs mount ~/mesh
///   cp orders.csv ~/mesh/sales/main/ && meshfs commit sales/main -m "First orders"
#[derive(Debug, clap::Parser)]
#[command(
    name = "meshfs",
    version,
    verbatim_doc_comment,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = false,
    max_term_width = 100,
    after_help = AFTER_HELP
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// The store: s3://BUCKET/PREFIX, gs://, az://, file:///DIR or a path [$MESHFS_STORE]
    #[arg(long, global = true, value_name = "URL", env = "MESHFS_STORE", hide_env = true)]
    pub store: Option<String>,
    /// Where uncommitted changes are kept; precious [$MESHFS_STATE_DIR]
    #[arg(long, global = true, value_name = "DIR", env = "MESHFS_STATE_DIR", hide_env = true)]
    pub state_dir: Option<PathBuf>,
    /// Where copies of stored data are kept; disposable [$MESHFS_CACHE_DIR]
    #[arg(long, global = true, value_name = "DIR", env = "MESHFS_CACHE_DIR", hide_env = true)]
    pub cache_dir: Option<PathBuf>,
}

/// The flag of commands that can answer in JSON.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Json {
    /// Answer in JSON on stdout
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Init(init::Init),
    Doctor(doctor::Doctor),
    Mount(mount::Mount),
    Umount(umount::Umount),
    Domain(domain::Domain),
    Branch(branch::Branch),
    Tag(tag::Tag),
    Status(status::Status),
    Diff(diff::Diff),
    Log(log::Log),
    Show(show::Show),
    Reflog(reflog::Reflog),
    Blame(blame::Blame),
    Bisect(bisect::Bisect),
    Commit(commit::Commit),
    Discard(discard::Discard),
    Refresh(refresh::Refresh),
    Merge(merge::Merge),
    CherryPick(cherry_pick::CherryPick),
    Revert(revert::Revert),
    Reset(reset::Reset),
    Restore(restore::Restore),
    Ls(ls::Ls),
    Cat(cat::Cat),
    Stat(stat::Stat),
    Du(du::Du),
    Warm(warm::Warm),
    Cp(cp::Cp),
    Gc(gc::Gc),
    Fsck(fsck::Fsck),
    #[command(hide = true)]
    Guard(guard::Guard),
}
