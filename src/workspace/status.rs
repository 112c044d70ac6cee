//! What is staged, told as changes against the base.

use super::state::Result;
use super::view::Workspace;
use crate::model::diff::Change;

impl Workspace {
    /// What differs from the base, in tree order. Costs follow what is staged; contents are not compared: a file
    /// written to is modified. Of staged files the entry's size and times are current, its content id is not.
    pub async fn status(&self) -> Result<Vec<Change>> {
        todo!()
    }
}
