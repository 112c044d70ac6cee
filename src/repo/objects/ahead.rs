//! Readahead: what one open file's reads so far tell about the next.

/// The state of one open handle. Shared by its readers.
#[derive(Debug, Default)]
pub struct ReadAhead {}

impl ReadAhead {
    pub fn new() -> ReadAhead {
        ReadAhead::default()
    }
}
