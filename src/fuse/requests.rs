//! How many requests of each kind the kernel made.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// Requests since the mount began, by the name of the operation.
#[derive(Debug, Default)]
pub struct Requests(Mutex<BTreeMap<&'static str, u64>>);

impl Requests {
    pub fn count(&self, operation: &'static str) {
        *self.0.lock().entry(operation).or_default() += 1;
    }

    pub fn read(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().clone()
    }
}
