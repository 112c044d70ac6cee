//! Where the workspaces of a mesh lie in its state folder.

use std::path::{Path, PathBuf};

use crate::model::log::RefIdentity;
use crate::repo::domain::Domain;

/// Folder of the workspaces in a mesh's own state folder.
pub const WORKSPACES_FOLDER: &str = "workspaces";

/// The folder of the workspace of a branch. Another life of the branch has another folder: what was staged on a branch
/// that somebody deleted is never taken for changes of its successor.
pub fn folder(mesh_state_dir: &Path, domain: &Domain, branch: &RefIdentity) -> PathBuf {
    let info = domain.info();
    mesh_state_dir
        .join(WORKSPACES_FOLDER)
        .join(format!("{}-{}", info.name, info.uid))
        .join(format!("{}-{}", branch.name.name, branch.created_seq))
}
