//! The store and the mesh in it.

use super::{Finding, Level};
use crate::daemon::config::Settings;
use crate::daemon::failure::Failure;
use crate::daemon::run::mesh_options;
use crate::format::log::entry_name;
use crate::model::report::counted;
use crate::repo::error::RepoError;
use crate::repo::layout::MESH_LOG;
use crate::repo::mesh::Mesh;
use crate::storage::probe::{self, Outcome};
use crate::storage::{Store, StoreError, StoreSettings};
use crate::sys::Sys;

pub async fn examine(
    settings: &Settings,
    url: &str,
    tell: &mut dyn FnMut(&Finding) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let options = mesh_options(settings, url);
    let store = match crate::storage::open(&options.store_url, &StoreSettings::new()) {
        Ok(store) => store,
        Err(error @ StoreError::NoBucket { .. }) => {
            return tell(&Finding { level: Level::Warn, ..Finding::failed("store", error.into()) });
        }
        Err(error) => return tell(&Finding::failed("store", error.into())),
    };
    let report = probe::probe(&*store, &*Sys::real().random).await;
    for check in report.checks {
        tell(&found(check))?;
    }
    for finding in mesh(settings, url, &*store).await {
        tell(&finding)?;
    }
    Ok(())
}

fn found(check: probe::Check) -> Finding {
    let (level, text) = match check.outcome {
        Outcome::Good(text) => (Level::Ok, text),
        Outcome::Warning(text) => (Level::Warn, text),
        Outcome::Bad(text) => (Level::Fail, text),
    };
    let text = if text.is_empty() { "as it should be".to_owned() } else { text };
    Finding { check: check.name, level, text, hint: None }
}

async fn mesh(settings: &Settings, url: &str, store: &dyn Store) -> Vec<Finding> {
    const CHECK: &str = "mesh";
    let mesh = match Mesh::open(mesh_options(settings, url)).await {
        Ok(mesh) => mesh,
        Err(error @ RepoError::NoMesh { .. }) => {
            return vec![Finding { level: Level::Warn, ..Finding::failed(CHECK, error.into()) }];
        }
        Err(error) => return vec![Finding::failed(CHECK, error.into())],
    };
    let mut findings = Vec::new();
    match mesh.domains().await {
        Ok(domains) => {
            let domains = counted(domains.len() as u64, "domain", "domains");
            findings.push(Finding::ok(CHECK, format!("{} with {domains}", mesh.uid())));
        }
        Err(error) => findings.push(Finding::failed(CHECK, error.into())),
    }
    findings.push(first_entry(store).await);
    findings.push(unsettled(&mesh).await);
    findings
}

/// Whatever removes objects by age takes the oldest first.
async fn first_entry(store: &dyn Store) -> Finding {
    const CHECK: &str = "oldest entry";
    match store.size(&format!("{MESH_LOG}{}", entry_name(1))).await {
        Ok(_) => Finding::ok(CHECK, "the mesh's log is there from its beginning"),
        Err(error) => Finding::fail(
            CHECK,
            format!("the beginning of the mesh's log is gone: {error}"),
            "something deletes objects here: find it, and bring them back from the bucket's versions",
        ),
    }
}

/// Entries that this machine sent and whose outcome it never learnt.
async fn unsettled(mesh: &Mesh) -> Finding {
    const CHECK: &str = "attempts";
    let mut open = Vec::new();
    for info in mesh.known_domains() {
        let attempts = match mesh.domain(&info.name).await {
            Ok(domain) => domain.db().open_attempts(&info.uid.to_string()),
            Err(error) => Err(error),
        };
        match attempts {
            Ok(attempts) if attempts.is_empty() => {}
            Ok(attempts) => open.push(format!("{} in {}", attempts.len(), info.name)),
            Err(error) => return Finding::failed(CHECK, error.into()),
        }
    }
    if open.is_empty() {
        return Finding::ok(CHECK, "every entry that this machine sent is settled");
    }
    Finding::warn(
        CHECK,
        format!("entries whose outcome is not known yet: {}", open.join(", ")),
        "the next commit or refresh there settles them",
    )
}
