//! Verbs without a daemon: this process takes the lock of the state folder and opens the workspaces itself.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::Mutex;

use super::failure::Failure;
use super::instance::{self, Hold};
use super::verbs::{self, Host};
use crate::repo::domain::Domain;
use crate::repo::mesh::Mesh;
use crate::workspace::place;
use crate::workspace::view::Workspace;

/// The state folder, held by this process.
#[derive(Debug)]
pub struct Here {
    mesh: Mesh,
    _hold: Hold,
    workspaces: Mutex<HashMap<PathBuf, Arc<Workspace>>>,
}

impl Here {
    /// Takes the state folder of `mesh`, waiting a while for another command that has it.
    pub async fn open(mesh: Mesh) -> Result<Here, Failure> {
        let hold = instance::hold_for_command(mesh.state_dir(), mesh.sys()).await?;
        Ok(Here { mesh, _hold: hold, workspaces: Mutex::default() })
    }

    async fn open_workspace(&self, domain: &Domain, branch: &str) -> Result<Arc<Workspace>, Failure> {
        let folder = workspace_folder(&self.mesh, domain, branch).await?;
        let mut workspaces = self.workspaces.lock().await;
        if let Some(workspace) = workspaces.get(&folder) {
            return Ok(workspace.clone());
        }
        let workspace = Workspace::open(domain, branch, &folder, self.mesh.sys().clone()).await?;
        workspaces.insert(folder, workspace.clone());
        Ok(workspace)
    }
}

impl Drop for Here {
    /// A command leaves nothing behind that a power loss could take, as a daemon does.
    fn drop(&mut self) {
        for (folder, workspace) in self.workspaces.get_mut() {
            if let Err(error) = workspace.flush() {
                tracing::warn!(folder = %folder.display(), %error, "what is staged cannot be brought to disk");
            }
        }
    }
}

impl Host for Here {
    fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    fn workspace<'a>(&'a self, domain: &'a Domain, branch: &'a str) -> BoxFuture<'a, Result<Arc<Workspace>, Failure>> {
        Box::pin(self.open_workspace(domain, branch))
    }
}

/// Where the workspace of a live branch lies, whether or not there is one yet.
pub async fn workspace_folder(mesh: &Mesh, domain: &Domain, branch: &str) -> Result<PathBuf, Failure> {
    if domain.state().branch(branch).is_none() {
        domain.poll().await?;
    }
    let (identity, _) = domain.state().branch(branch).ok_or_else(|| verbs::no_branch(domain, branch))?;
    Ok(place::folder(mesh.state_dir(), domain, &identity))
}
