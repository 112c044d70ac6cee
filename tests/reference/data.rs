//! Data of files.
