//! What a failed operation answers, and what `last-error` then tells its caller.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::Vfs;
use super::errno::errno;
use super::error::VfsError;
use super::node::Caller;
use crate::model::time::Time;

/// Users whose last failure is kept; with more, the longest ago goes first.
const USERS_MAX: usize = 256;

#[derive(Debug)]
struct Failure {
    at: Time,
    text: String,
}

/// The last failure of each user that has more to say than its errno.
#[derive(Debug, Default)]
pub struct LastErrors {
    of: Mutex<HashMap<u32, Failure>>,
}

impl LastErrors {
    fn set(&self, uid: u32, at: Time, text: String) {
        let mut of = self.of.lock();
        of.insert(uid, Failure { at, text });
        if of.len() > USERS_MAX {
            let oldest = of.iter().min_by_key(|(_, failure)| failure.at).map(|(uid, _)| *uid);
            oldest.and_then(|uid| of.remove(&uid));
        }
    }

    /// Time and sentence, or nothing.
    pub fn text(&self, uid: u32) -> Vec<u8> {
        match self.of.lock().get(&uid) {
            Some(failure) => format!("{} {}\n", failure.at, failure.text).into_bytes(),
            None => Vec::new(),
        }
    }
}

impl Vfs {
    /// The errno of a failed operation; remembers for its caller what else there is to say.
    pub fn refusal(&self, caller: Caller, operation: &'static str, error: &VfsError) -> i32 {
        if error.explains() {
            let text = format!("{operation}: {error}");
            match error {
                VfsError::Unreadable(_) => tracing::error!(pid = caller.pid, "{text}"),
                _ => tracing::debug!(pid = caller.pid, "{text}"),
            }
            self.last_errors.set(caller.uid, Time(self.options.sys.clock.now()), text);
        }
        errno(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_has_one_last_failure_and_old_ones_make_room() {
        let errors = LastErrors::default();
        for uid in 0..300 {
            errors.set(uid, Time(i64::from(uid)), format!("failure {uid}"));
        }
        errors.set(299, Time(1_000_000_000), "newer".into());
        assert_eq!(errors.text(299), b"1970-01-01T00:00:01Z newer\n");
        assert_eq!(errors.text(0), b"");
        assert_eq!(errors.of.lock().len(), USERS_MAX);
    }
}
