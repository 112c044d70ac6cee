//! `meshfs init`: makes a mesh.

use crate::cli::context::Context;
use crate::daemon::failure::Failure;
use crate::daemon::store_name;
use crate::repo::mesh::Mesh;

/// Make a mesh in a store.
///
/// Without STORE this is the store of --store, MESHFS_STORE or the configuration, else a folder
/// of this user: ~/.local/share/meshfs/store. The store must be empty of meshes, and its
/// conditional puts are tried first.
///
/// Example:
///   meshfs init
///   meshfs init s3://bucket/prefix
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Init {
    /// s3://BUCKET/PREFIX, gs://, az://, file:///DIR or a plain path
    #[arg(value_name = "STORE")]
    pub url: Option<String>,
}

impl Init {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let options = context.init_options(self.url.as_deref());
        let store = options.store_url.clone();
        let mesh = Mesh::init(options).await?;
        context.ui.note(format_args!("made the mesh {} in {store}", mesh.uid()));
        if !store_name::same(&store, context.settings.store()) {
            context.ui.note(format_args!("other commands find it by MESHFS_STORE={store}, or --store"));
        }
        context.ui.note("next: meshfs domain create NAME, then meshfs mount DIR");
        Ok(())
    }
}
