//! Names and units of what is counted, and where the log goes. Below everything that counts.

pub mod counters;
pub mod log;
pub mod usage;
