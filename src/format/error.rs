//! Why bytes could not be read, or a value not be written, named by what a caller can do about it.

use crate::model::tree::Misfit;

/// What failed to become bytes, or to come from them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The bytes are no encoding of the thing: damage, or a faulty writer. Another copy may be whole.
    #[error("{what} is damaged: {why}")]
    Damaged { what: &'static str, why: String },
    /// A sound encoding of something else: the location is stale or wrong. Look for a relocation.
    #[error("expected {what} {expected}, found {found}")]
    WrongId { what: &'static str, expected: String, found: String },
    /// Written by a later version of this program.
    #[error("{what} is of format version {version}, this program knows {known}: upgrade it")]
    NewerVersion { what: &'static str, version: u64, known: u64 },
    /// The mesh or domain asks its readers for what this program does not have.
    #[error("reading it needs features this program lacks ({}): upgrade it", names.join(", "))]
    UnknownFeatures { names: Vec<String> },
    /// The value cannot be stored: a name, length or count that the format does not allow.
    #[error("{what} cannot be stored: {why}")]
    Unstorable { what: &'static str, why: String },
    /// A child must be stored, so that it has a location, before what refers to it is encoded.
    #[error("{what} refers to {child}, which is not stored yet")]
    ChildNotStored { what: &'static str, child: String },
}

pub type Result<T> = std::result::Result<T, FormatError>;

impl From<Misfit> for FormatError {
    fn from(misfit: Misfit) -> FormatError {
        FormatError::Damaged { what: "a tree node", why: misfit.why.to_owned() }
    }
}
