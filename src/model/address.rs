//! Addresses: the path below the mountpoint, which names the same thing on the command line.

use super::id::CommitId;
use super::path::{NameError, TreePath};
use super::time::Time;

/// Longest name of a domain, branch or tag, in bytes.
pub const LABEL_BYTES_MAX: usize = 128;

/// Shortest abbreviation of a commit id, in digits.
pub const ABBREVIATION_DIGITS_MIN: usize = 8;

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error(
        "`{0}` cannot be the name of a domain, branch or tag: 1 to 128 of A-Z a-z 0-9 . _ -, the first a letter or digit, no `/`"
    )]
    Label(String),
    #[error("`{0}` is not a revision: a tag, a branch, a commit id of at least 8 digits, then ~N or @{{TIME}}")]
    Revision(String),
    #[error("an address starts with a domain: DOMAIN, DOMAIN/BRANCH or DOMAIN/@REVISION, then a path")]
    NoDomain,
    #[error("`{path}` is not a path: {reason}")]
    Path { path: String, reason: NameError },
}

/// Checks the name of a domain, branch or tag: `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`.
pub fn check_label(label: &str) -> Result<(), AddressError> {
    let bytes = label.as_bytes();
    let inner = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    match bytes.first() {
        Some(first) if first.is_ascii_alphanumeric() && bytes.len() <= LABEL_BYTES_MAX && bytes.iter().all(inner) => {
            Ok(())
        }
        _ => Err(AddressError::Label(label.to_owned())),
    }
}

/// A tag may not look like an abbreviated commit id.
pub fn looks_like_commit_id(label: &str) -> bool {
    label.len() >= ABBREVIATION_DIGITS_MIN
        && label.len() <= 64
        && label.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// What a revision starts from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RevisionBase {
    /// A tag or a branch, in that order.
    Label(String),
    /// A commit id or its abbreviation; a tag or branch of that name goes first.
    Commit { digits: String },
}

/// A revision: `v1.0`, `main`, `0a1b2c3d`, `main~2`, `main@{2026-11-01T00:00Z}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revision {
    pub base: RevisionBase,
    /// The branch as it was at this time.
    pub at: Option<Time>,
    /// First parents to go back.
    pub back: u64,
}

impl Revision {
    pub fn of_commit(id: CommitId) -> Revision {
        Revision { base: RevisionBase::Commit { digits: id.to_string() }, at: None, back: 0 }
    }

    pub fn of_label(label: &str) -> Revision {
        Revision { base: RevisionBase::Label(label.to_owned()), at: None, back: 0 }
    }

    /// The whole commit id, when the revision is nothing but one.
    pub fn whole_commit(&self) -> Option<CommitId> {
        match &self.base {
            RevisionBase::Commit { digits } if self.at.is_none() && self.back == 0 => digits.parse().ok(),
            _ => None,
        }
    }
}

impl std::str::FromStr for Revision {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Revision, AddressError> {
        let error = || AddressError::Revision(text.to_owned());
        let (rest, back) = split_ancestor(text).ok_or_else(error)?;
        let (label, at) = match rest.split_once("@{") {
            Some((label, time)) => {
                (label, Some(parse_time(time.strip_suffix('}').ok_or_else(error)?).ok_or_else(error)?))
            }
            None => (rest, None),
        };
        check_label(label).map_err(|_| error())?;
        let base = if looks_like_commit_id(label) {
            RevisionBase::Commit { digits: label.to_owned() }
        } else {
            RevisionBase::Label(label.to_owned())
        };
        Ok(Revision { base, at, back })
    }
}

/// `x`, `x~` and `x~N`, also repeated: the part before, and how many parents in all.
fn split_ancestor(text: &str) -> Option<(&str, u64)> {
    let mut parts = text.split('~');
    let rest = parts.next()?;
    let mut back = 0u64;
    for part in parts {
        let step = if part.is_empty() { 1 } else { part.parse::<u64>().ok()? };
        back = back.checked_add(step)?;
    }
    Some((rest, back))
}

/// RFC 3339, also without seconds, and a bare date (its first instant, UTC).
fn parse_time(text: &str) -> Option<Time> {
    let with_seconds = || {
        let (clock, zone) = text.split_at(text.find(['Z', '+']).or_else(|| text.rfind('-'))?);
        format!("{clock}:00{zone}").parse().ok()
    };
    text.parse().ok().or_else(with_seconds).or_else(|| format!("{text}T00:00:00Z").parse().ok())
}

impl std::fmt::Display for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.base {
            RevisionBase::Label(label) => f.write_str(label)?,
            RevisionBase::Commit { digits } => f.write_str(digits)?,
        }
        if let Some(at) = self.at {
            write!(f, "@{{{at}}}")?;
        }
        if self.back > 0 {
            write!(f, "~{}", self.back)?;
        }
        Ok(())
    }
}

/// Which version of a domain an address means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum View {
    /// `D` alone: the working tree of the default branch.
    Default,
    /// `D/B`: the working tree, the head plus this state folder's staged changes.
    Branch(String),
    /// `D/@R`: a snapshot.
    Revision(Revision),
}

/// `DOMAIN[/BRANCH|/@REVISION[/PATH]]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    pub domain: String,
    pub view: View,
    pub path: TreePath,
}

impl Address {
    /// Reads an address given as bytes, as paths are.
    pub fn parse(text: &[u8]) -> Result<Address, AddressError> {
        let text = text.strip_suffix(b"/").unwrap_or(text);
        let mut parts = text.splitn(3, |&b| b == b'/');
        let label = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let domain = label(parts.next().filter(|d| !d.is_empty()).ok_or(AddressError::NoDomain)?);
        check_label(&domain)?;
        let view = match parts.next() {
            None => View::Default,
            Some(view) => match view.strip_prefix(b"@") {
                Some(revision) => View::Revision(label(revision).parse()?),
                None => {
                    let branch = label(view);
                    check_label(&branch)?;
                    View::Branch(branch)
                }
            },
        };
        let rest = parts.next().unwrap_or_default();
        let path = TreePath::parse(rest).map_err(|reason| AddressError::Path { path: label(rest), reason })?;
        Ok(Address { domain, view, path })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.domain)?;
        match &self.view {
            View::Default => {}
            View::Branch(branch) => write!(f, "/{branch}")?,
            View::Revision(revision) => write!(f, "/@{revision}")?,
        }
        if !self.path.is_root() {
            write!(f, "/{}", self.path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_address_reads_back_as_it_was_written() {
        for text in [
            "sales",
            "sales/main",
            "sales/main/orders/1.parquet",
            "sales/@v1.0",
            "sales/@v1.0/a b",
            "sales/@main~2/x",
            "sales/@0a1b2c3d4e",
            "sales/@main@{2026-11-01T00:00:00Z}~1/x",
        ] {
            assert_eq!(Address::parse(text.as_bytes()).unwrap().to_string(), text);
        }
    }

    #[test]
    fn times_may_leave_out_seconds_or_the_clock() {
        for text in ["main@{2026-11-01T00:00Z}", "main@{2026-11-01}", "main@{2026-11-01T01:00+01:00}"] {
            let revision: Revision = text.parse().unwrap();
            assert_eq!(revision.to_string(), "main@{2026-11-01T00:00:00Z}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", "starts with a domain"),
            ("-x/main", "cannot be the name"),
            ("sales/ma in", "cannot be the name"),
            ("sales/@", "not a revision"),
            ("sales/@main~x", "not a revision"),
            ("sales/main/a/../b", "reserved names"),
        ] {
            let error = Address::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn labels_of_hexadecimal_digits_are_taken_for_commit_ids() {
        assert!(matches!("0a1b2c3d".parse::<Revision>().unwrap().base, RevisionBase::Commit { .. }));
        assert!(matches!("0a1b2c3".parse::<Revision>().unwrap().base, RevisionBase::Label(_)));
    }
}
