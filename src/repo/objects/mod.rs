//! (being written)

/// Reads nodes and contents of one domain.
#[derive(Debug)]
pub struct Objects {}
