//! Arguments that name something: addresses, local paths, and the mistakes that are made with them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::daemon::failure::Failure;
use crate::daemon::mounts::{self, Inside};
use crate::model::address::{Address, View};
use crate::model::path::CONTROL_DIR;

/// Does an argument name a local path, rather than an address?
pub fn is_local(text: &OsStr) -> bool {
    let bytes = text.as_bytes();
    matches!(bytes, b"." | b"..") || [&b"/"[..], b"./", b"../"].iter().any(|start| bytes.starts_with(start))
}

/// Reads an address that is no local path.
pub fn parse(text: &OsStr) -> Result<Address, Failure> {
    Address::parse(text.as_bytes()).map_err(|error| {
        let failure = Failure::from(error);
        let written = text.to_string_lossy();
        if written.contains("://") {
            return failure.hint("a store goes to --store or MESHFS_STORE; an address is DOMAIN/BRANCH/PATH");
        }
        if written.starts_with("~/") {
            return failure.hint("a local path starts with /, ./ or ../");
        }
        failure
    })
}

/// The address of a local path inside a mount.
pub fn of_local_path(text: &OsStr) -> Result<(Address, Inside), Failure> {
    let shown = Path::new(text).display();
    let inside = mounts::inside(Path::new(text)).ok_or_else(|| {
        Failure::usage(format!("{shown} is a local path outside of any mesh that is mounted here"))
            .hint("an address is DOMAIN/BRANCH/PATH, such as sales/main/orders; `meshfs mount` shows it as a folder")
    })?;
    address_of(inside, &shown.to_string())
}

fn address_of(inside: Inside, shown: &str) -> Result<(Address, Inside), Failure> {
    if inside.inner.is_empty() {
        return Err(Failure::usage(format!("{shown} is the whole mesh: name a domain in it"))
            .hint("`meshfs domain list` shows them"));
    }
    Ok((Address::parse(&inside.inner)?, inside))
}

/// The folder that the command was called in.
#[derive(Clone, Debug)]
pub struct Here {
    inside: Option<Inside>,
}

impl Here {
    pub fn look() -> Here {
        Here { inside: std::env::current_dir().ok().and_then(|dir| mounts::inside(&dir)) }
    }

    pub fn inside(&self) -> Option<&Inside> {
        self.inside.as_ref()
    }

    /// Its address; in a branch's folder of control files, that of the branch.
    pub fn address(&self) -> Result<(Address, Inside), Failure> {
        let mut inside = self.inside.clone().ok_or_else(|| {
            Failure::usage("name an address: the current folder is not in a mounted mesh")
                .hint("an address is DOMAIN/BRANCH/PATH, such as sales/main; `meshfs domain list` shows the domains")
        })?;
        let parts: Vec<&[u8]> = inside.inner.split(|&b| b == b'/').collect();
        if parts.get(2) == Some(&CONTROL_DIR) {
            inside.inner = parts[..2].join(&b'/');
        }
        address_of(inside, "the current folder")
    }
}

/// Says what was probably meant by an address whose domain does not exist.
pub fn explain_unknown_domain(failure: Failure, name: &str, current: Option<&Address>) -> Failure {
    if Path::new(name).exists() {
        return failure.hint(format!("a local path starts with /, ./ or ../: write ./{name}"));
    }
    match current {
        Some(Address { domain, view: View::Default | View::Branch(_), .. }) if failure.hint.is_none() => {
            failure.hint(format!("in full, a branch of the current domain is {domain}/{name}"))
        }
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_path_is_known_by_its_beginning() {
        for local in ["/mesh/sales", "./x", "../x", ".", ".."] {
            assert!(is_local(OsStr::new(local)), "{local}");
        }
        for address in ["sales", "sales/main", "x.csv", ".hidden", "s3://bucket"] {
            assert!(!is_local(OsStr::new(address)), "{address}");
        }
    }

    #[test]
    fn a_store_or_a_home_path_given_for_an_address_is_recognised() {
        assert!(parse(OsStr::new("s3://bucket/x")).unwrap_err().hint.unwrap().contains("--store"));
        assert!(parse(OsStr::new("~/mesh")).unwrap_err().hint.unwrap().contains("./"));
    }

    #[test]
    fn the_control_files_belong_to_their_branch() {
        let inside = Inside { mountpoint: "/mesh".into(), inner: b"sales/main/.meshfs/conflicts".to_vec() };
        let (address, _) = Here { inside: Some(inside) }.address().unwrap();
        assert_eq!(address.to_string(), "sales/main");
    }
}
