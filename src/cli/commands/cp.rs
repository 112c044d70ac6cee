//! `meshfs cp`: copies into, out of and inside the mesh.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::cli::address;
use crate::cli::context::Context;
use crate::cli::copy::{self, Source, Target};
use crate::cli::tree::{self, Tree};
use crate::cli::{refs, working};
use crate::daemon::control::protocol::Request;
use crate::daemon::failure::Failure;
use crate::daemon::mounts;
use crate::model::address::{Address, View};
use crate::model::entry::Kind;
use crate::model::path::TreePath;

/// Copy files and directories between local paths and the mesh, or inside the mesh.
///
/// Directories are copied whole. A local path starts with /, ./ or ../; everything else is an
/// address. What is copied into a branch is staged in its workspace; with -m it is committed at
/// once. Inside a domain no data is copied.
///
/// Example:
///   meshfs cp ./orders sales/main/ -m "Orders of March"
///   meshfs cp sales/@v1.0/orders ./old-orders
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, override_usage = "meshfs cp [OPTIONS] <SRC>... <DST>")]
pub struct Cp {
    /// Sources, then the destination; into it when it is a directory
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<OsString>,
    /// Commit the result with this message
    #[arg(short = 'm', long, value_name = "MSG")]
    pub message: Option<String>,
    /// Accepted for habit's sake
    #[arg(short = 'r', long, hide = true)]
    pub recursive: bool,
}

/// One end of a copy.
enum End {
    Mesh(Address),
    Local(PathBuf),
}

impl Cp {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let ends = self.paths.iter().map(|text| end(context, text)).collect::<Result<Vec<_>, Failure>>()?;
        let Some((destination, sources)) = ends.split_last().filter(|(_, sources)| !sources.is_empty()) else {
            return Err(Failure::usage("a copy needs a source and a destination")
                .hint("meshfs cp SRC... DST, such as: meshfs cp ./orders sales/main/"));
        };
        let branch = match destination {
            End::Mesh(address) => Some(context.branch_name(address)?),
            End::Local(path) if self.message.is_some() => {
                return Err(Failure::usage(format!("-m is given, and {} is outside of the mesh", path.display()))
                    .hint("the destination comes last: meshfs cp SRC... DST"));
            }
            End::Local(_) => None,
        };
        if sources.iter().chain([destination]).all(|end| matches!(end, End::Local(_))) {
            return Err(Failure::usage("neither side is in the mesh")
                .hint("an address is DOMAIN/BRANCH/PATH, such as sales/main/orders; `cp` copies local files"));
        }
        let target = open_target(context, destination).await?;
        let is_dir = target.kind().await? == Some(Kind::Dir);
        if sources.len() > 1 && !is_dir {
            return Err(Failure::usage("several sources go into a directory, and the destination is none")
                .hint(format!("make it first; the destination is {}", shown(destination))));
        }
        for source in sources {
            copy_one(context, source, destination, &target, is_dir).await?;
        }
        match branch {
            // What was written through a lock of this process must be seen by the commit: it is, by the same process.
            Some(branch) => working::commit_if_asked(context, branch, self.message).await,
            None => Ok(()),
        }
    }
}

async fn copy_one(
    context: &Context<'_>,
    source: &End,
    destination: &End,
    target: &Target,
    into: bool,
) -> Result<(), Failure> {
    let tree = match source {
        End::Mesh(address) => tree::open(context, address).await?,
        End::Local(path) => Tree::Folder(path.clone()),
    };
    let (path, name) = match source {
        End::Mesh(address) => (address.path.clone(), address.path.name().map(<[u8]>::to_vec)),
        End::Local(path) => (TreePath::root(), path.file_name().map(|name| name.as_bytes().to_vec())),
    };
    let node = tree.find(&path, &shown(source)).await?;
    // A whole branch has no name of its own: what is in it goes into the destination.
    let name = name.filter(|_| into);
    if let (End::Mesh(from), End::Mesh(to)) = (source, destination)
        && let (View::Revision(_), true) = (&from.view, from.domain == to.domain)
        && (name.is_some() || !into)
    {
        // Inside a domain a snapshot's entry is taken as it is, however large.
        let into_path = name.map_or_else(|| to.path.clone(), |name| to.path.join(&name));
        let request = Request::Restore {
            source: refs::name_of(from),
            source_path: from.path.clone(),
            into: context.branch_name(to)?,
            into_path,
        };
        return context.perform(request).await.map(|_| ());
    }
    let target = name.map_or_else(|| target.clone(), |name| target.join(&name));
    let progress = context.ui.bytes_bar(&format!("copying {}", shown(source)), node.size);
    copy::copy(Source { tree: &tree, path, node }, target, &progress).await
}

fn end(context: &Context<'_>, text: &OsString) -> Result<End, Failure> {
    if !address::is_local(text) {
        return Ok(End::Mesh(address::parse(text)?));
    }
    match mounts::inside(Path::new(text)) {
        Some(_) => Ok(End::Mesh(context.address(text)?)),
        None => Ok(End::Local(PathBuf::from(text))),
    }
}

async fn open_target(context: &Context<'_>, destination: &End) -> Result<Target, Failure> {
    let address = match destination {
        End::Local(path) => return Ok(Target::Folder(path.clone())),
        End::Mesh(address) => address,
    };
    match tree::open_for_writing(context, address).await? {
        Tree::Workspace(workspace) => Ok(Target::Workspace { workspace, path: address.path.clone() }),
        Tree::Folder(root) => Ok(Target::Folder(tree::below(&root, &address.path))),
        Tree::Snapshot(_) => Err(Failure::usage(format!("{address} is a snapshot, which is read-only"))),
    }
}

fn shown(end: &End) -> String {
    match end {
        End::Mesh(address) => address.to_string(),
        End::Local(path) => path.display().to_string(),
    }
}
