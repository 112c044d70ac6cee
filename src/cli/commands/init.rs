//! `meshfs init`: makes a mesh.

/// Make a mesh in a store.
///
/// Without STORE this is the store of --store, MESHFS_STORE or the configuration, else a folder of this user:
/// ~/.local/share/meshfs/store. The store must be empty of meshes, and its conditional puts are tried first.
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
