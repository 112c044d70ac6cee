//! What went wrong, as a person is told it: what, why, what next. It crosses the control socket as it is.

use serde::{Deserialize, Serialize};

use crate::model::path::TreePath;

/// How a command ends when it does not succeed; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    Failed,
    /// The command line itself is at fault.
    Usage,
    Conflict,
    /// Something was sent and nobody knows yet whether it landed.
    OutcomeUnknown,
    /// Whoever reads our output has enough of it; no reason to complain.
    ReaderGone,
}

/// A path that two sides changed differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictPath {
    #[serde(with = "super::wire::path")]
    pub path: TreePath,
    /// Such as `content`, `deleted-modified`.
    pub kind: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{what}")]
pub struct Failure {
    pub class: Class,
    pub what: String,
    /// Outermost first.
    #[serde(default)]
    pub causes: Vec<String>,
    #[serde(default)]
    pub hint: Option<String>,
    /// Of a conflict: its paths.
    #[serde(default)]
    pub conflicts: Vec<ConflictPath>,
}

impl Failure {
    fn new(class: Class, what: impl Into<String>) -> Failure {
        Failure { class, what: what.into(), causes: Vec::new(), hint: None, conflicts: Vec::new() }
    }

    pub fn failed(what: impl Into<String>) -> Failure {
        Failure::new(Class::Failed, what)
    }

    pub fn usage(what: impl Into<String>) -> Failure {
        Failure::new(Class::Usage, what)
    }

    pub fn unknown(what: impl Into<String>) -> Failure {
        Failure::new(Class::OutcomeUnknown, what)
    }

    pub fn conflict(what: impl Into<String>, conflicts: Vec<ConflictPath>) -> Failure {
        Failure { conflicts, ..Failure::new(Class::Conflict, what) }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what `error` says, and what lies below it, as causes.
    #[must_use]
    pub fn because(mut self, error: &dyn std::error::Error) -> Failure {
        self.push_cause(error.to_string());
        let mut below = error.source();
        while let Some(error) = below {
            self.push_cause(error.to_string());
            below = error.source();
        }
        self
    }

    /// Errors that already say what their source says would say it twice.
    fn push_cause(&mut self, text: String) {
        if !self.causes.last().unwrap_or(&self.what).ends_with(&text) {
            self.causes.push(text);
        }
    }
}
