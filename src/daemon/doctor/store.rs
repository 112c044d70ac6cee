//! The store: reachable, listed in order, atomic in its conditional puts, with a clock like ours, with a whole mesh.

use std::time::Duration;

use bytes::Bytes;

use super::Finding;
use crate::daemon::config::Settings;
use crate::daemon::failure::Failure;
use crate::daemon::run::mesh_options;
use crate::format::log::entry_name;
use crate::repo::error::RepoError;
use crate::repo::layout::MESH_LOG;
use crate::repo::mesh::Mesh;
use crate::storage::{CreateError, Store, StoreError, StoreSettings};
use crate::sys::Sys;

/// Clocks further apart than this are no danger yet, and no accident either.
const SKEW_ODD: Duration = Duration::from_secs(60);

/// Beyond this, puts are refused.
const SKEW_MAX: Duration = Duration::from_secs(600);

/// Objects of the doctor's own lie below this prefix and are removed again.
const PREFIX: &str = "doctor/";

type Tell<'a> = dyn FnMut(&Finding) -> Result<(), Failure> + 'a;

pub async fn examine(settings: &Settings, url: &str, tell: &mut Tell<'_>) -> Result<(), Failure> {
    let options = mesh_options(settings, url);
    let store = match crate::storage::open(&options.store_url, &StoreSettings::new()) {
        Ok(store) => store,
        Err(StoreError::NoBucket { store, .. }) if !options.store_url.contains("://") => {
            return tell(&Finding::fail("store", format!("{store} does not exist"), "`meshfs init` makes it"));
        }
        Err(error) => return tell(&Finding::failed("store", error.into())),
    };
    let listed = store.list(MESH_LOG, None, 1).await;
    if let Err(error) = listed {
        return tell(&Finding::failed("store", error.into()));
    }
    tell(&Finding::ok("store", format!("{} answers and may be listed", store.name())))?;
    for finding in conditional_puts(&*store, &Sys::real()).await {
        tell(&finding)?;
    }
    tell(&clock(&*store))?;
    for finding in mesh(settings, url, &*store).await {
        tell(&finding)?;
    }
    Ok(())
}

/// Create-if-absent is what everything stands on.
async fn conditional_puts(store: &dyn Store, sys: &Sys) -> Vec<Finding> {
    const CHECK: &str = "conditional puts";
    let name: String = sys.random.name().iter().map(|byte| format!("{byte:02x}")).collect();
    let key = format!("{PREFIX}{name}");
    let (ours, theirs) = (Bytes::from_static(b"first"), Bytes::from_static(b"second"));
    let first = store.create(&key, ours.clone()).await;
    if let Err(CreateError::Refused(error) | CreateError::Unknown(error)) = first {
        let failure = Failure::from(error);
        return vec![Finding { level: super::Level::Warn, ..Finding::failed(CHECK, failure) }, read_only()];
    }
    let second = store.create(&key, theirs).await;
    let kept = store.get(&key).await.map(|object| object.bytes == ours);
    let removed = store.delete(&key).await;
    let mut findings = Vec::new();
    findings.push(match (second, kept) {
        (Err(CreateError::Exists), Ok(true)) => Finding::ok(CHECK, "an object that exists is not written again"),
        (Err(CreateError::Exists), Ok(false)) | (Ok(()), _) => Finding::fail(
            CHECK,
            "the store overwrites an object that was to be created only if absent",
            "commits of two machines can undo each other here: use a store with atomic conditional puts",
        ),
        (Err(CreateError::Exists), Err(error)) => Finding::failed(CHECK, error.into()),
        (Err(error), _) => {
            Finding::warn(CHECK, format!("the second put was not answered clearly: {error}"), "run it again")
        }
    });
    if let Err(error) = removed {
        findings.push(Finding::warn(
            "delete",
            format!("{key} cannot be deleted: {error}"),
            "a later garbage collection needs that right; commits do not",
        ));
    }
    findings
}

fn read_only() -> Finding {
    Finding::warn(
        "write",
        "nothing can be written here with these credentials",
        "reading works; mount with --read-only",
    )
}

fn clock(store: &dyn Store) -> Finding {
    const CHECK: &str = "clock";
    let Some(skew) = store.clock_skew() else {
        return Finding::ok(CHECK, "the store has no clock of its own");
    };
    let apart = Duration::from_nanos(skew.unsigned_abs());
    let text = format!("this machine's clock and the store's are {} s apart", apart.as_secs());
    let hint = "set this machine's clock: `timedatectl set-ntp true`";
    match apart {
        _ if apart > SKEW_MAX => Finding::fail(CHECK, format!("{text}: nothing can be committed"), hint),
        _ if apart > SKEW_ODD => Finding::warn(CHECK, text, hint),
        _ => Finding::ok(CHECK, text),
    }
}

async fn mesh(settings: &Settings, url: &str, store: &dyn Store) -> Vec<Finding> {
    const CHECK: &str = "mesh";
    let mesh = match Mesh::open(mesh_options(settings, url)).await {
        Ok(mesh) => mesh,
        Err(error @ RepoError::NoMesh { .. }) => {
            let failure = Failure::from(error);
            return vec![Finding { level: super::Level::Warn, ..Finding::failed(CHECK, failure) }];
        }
        Err(error) => return vec![Finding::failed(CHECK, error.into())],
    };
    let mut findings = Vec::new();
    match mesh.domains().await {
        Ok(domains) => findings.push(Finding::ok(CHECK, format!("{} with {} domains", mesh.uid(), domains.len()))),
        Err(error) => findings.push(Finding::failed(CHECK, error.into())),
    }
    findings.push(first_entries(&mesh, store).await);
    findings.push(unsettled(&mesh).await);
    findings
}

/// A lifecycle rule that expires objects would take the oldest first.
async fn first_entries(mesh: &Mesh, store: &dyn Store) -> Finding {
    const CHECK: &str = "lifecycle";
    match store.size(&format!("{MESH_LOG}{}", entry_name(1))).await {
        Ok(_) if mesh.store().is_local() => Finding::ok(CHECK, "the oldest entry of the mesh's log is there"),
        Ok(_) => Finding::ok(
            CHECK,
            "the oldest entry of the mesh's log is there; make sure that no rule of the bucket expires or archives objects below this prefix",
        ),
        Err(error) => Finding::fail(
            CHECK,
            format!("the oldest entry of the mesh's log is gone: {error}"),
            "a rule of the bucket deletes objects: remove it, and restore what it deleted from the bucket's versions",
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
