//! `meshfs domain`: the domains of the mesh.

use crate::cli::args::Json;
use crate::cli::context::Context;
use crate::daemon::control::protocol::Request;
use crate::daemon::failure::Failure;
use crate::model::log::{DomainInfo, RefKind};
use serde::Serialize;

/// Create, list, show and delete domains.
///
/// A domain is a repository owned by one team: branches, tags, commits. A new one has the
/// branch `main`.
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

#[derive(Serialize)]
struct DomainShape<'a> {
    name: &'a str,
    owner: Option<&'a str>,
    description: Option<&'a str>,
    default_branch: &'a str,
}

impl<'a> DomainShape<'a> {
    fn of(info: &'a DomainInfo) -> DomainShape<'a> {
        DomainShape {
            name: &info.name,
            owner: info.owner.as_deref(),
            description: info.description.as_deref(),
            default_branch: &info.default_branch,
        }
    }
}

#[derive(Serialize)]
struct DomainDetails<'a> {
    #[serde(flatten)]
    domain: DomainShape<'a>,
    branches: Vec<&'a str>,
    tags: Vec<&'a str>,
}

impl Domain {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        match self.command {
            DomainCommand::Create { name, owner, description } => {
                context.perform(Request::CreateDomain { name: name.clone(), owner, description }).await?;
                context.ui.note(format_args!("made domain {name} with branch {name}/main"));
                Ok(())
            }
            DomainCommand::List { json } => list(context, json).await,
            DomainCommand::Show { name, json } => show(context, &name, json).await,
            DomainCommand::Delete { name } => {
                context.perform(Request::DeleteDomain { name: name.clone() }).await?;
                context.ui.note(format_args!("domain {name} is off the mesh; its objects stay in the store"));
                Ok(())
            }
        }
    }
}

async fn list(context: &Context<'_>, json: Json) -> Result<(), Failure> {
    let domains = context.mesh().await?.domains().await?;
    if json.json {
        return context.ui.json(&domains.iter().map(DomainShape::of).collect::<Vec<_>>());
    }
    if domains.is_empty() {
        context.ui.note("the mesh has no domains yet: meshfs domain create NAME");
    }
    domains.iter().try_for_each(|domain| context.ui.line(&domain.name))
}

async fn show(context: &Context<'_>, name: &str, json: Json) -> Result<(), Failure> {
    let domain = context.domain(name).await?;
    let (info, state) = (domain.info(), domain.state());
    let names = |kind| state.of_kind(kind).map(|(name, _)| name).collect();
    let details =
        DomainDetails { domain: DomainShape::of(info), branches: names(RefKind::Branch), tags: names(RefKind::Tag) };
    if json.json {
        return context.ui.json(&details);
    }
    let ui = context.ui;
    ui.line(format_args!("name:           {}", info.name))?;
    ui.line(format_args!("owner:          {}", info.owner.as_deref().unwrap_or("-")))?;
    ui.line(format_args!("description:    {}", info.description.as_deref().unwrap_or("-")))?;
    ui.line(format_args!("default branch: {}", info.default_branch))?;
    ui.line(format_args!("branches:       {}", details.branches.join(" ")))?;
    ui.line(format!("tags:           {}", details.tags.join(" ")).trim_end())
}
