//! What a daemon holds for the kernel and its programs, and the memory that it has for it.

use serde::{Deserialize, Serialize};

/// Counts at one instant. All but the memory are back where they were once programs have closed what they opened and the
/// kernel has forgotten what it looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Files and folders that the kernel knows.
    pub nodes: u64,
    /// The kernel's references to them: one for each time that one was found.
    pub references: u64,
    /// Open files and folders.
    pub handles: u64,
    /// Files and folders that working trees keep in memory for those.
    pub inodes: u64,
}
