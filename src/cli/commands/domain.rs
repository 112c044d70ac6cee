//! `meshfs domain`: the domains of the mesh.

use crate::cli::args::Json;

/// Create, list, show and delete domains.
///
/// A domain is a repository owned by one team: branches, tags, commits. A new one has the branch `main`.
///
/// Example:
///   meshfs domain create sales --owner sales-team@example.com
///   meshfs domain list
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Domain {
    #[command(subcommand)]
    pub command: DomainCommand,
}

#[derive(Debug, clap::Subcommand)]
pub enum DomainCommand {
    /// Create a domain
    Create {
        /// Letters, digits and . _ -, the first a letter or digit
        #[arg(value_name = "NAME")]
        name: String,
        /// Who answers for the domain
        #[arg(long, value_name = "O")]
        owner: Option<String>,
        /// What the domain holds, in a sentence
        #[arg(long, value_name = "D")]
        description: Option<String>,
    },
    /// List the domains
    List {
        #[command(flatten)]
        json: Json,
    },
    /// Show a domain: owner, description, default branch, branches and tags
    Show {
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        json: Json,
    },
    /// Delete a domain from the mesh; its objects stay in the store
    Delete {
        #[arg(value_name = "NAME")]
        name: String,
    },
}
