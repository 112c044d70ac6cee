//! What is told about commits of a branch made on this machine.

use parking_lot::Mutex;
use serde::Serialize;

use crate::model::commit::Commit;
use crate::model::id::CommitId;
use crate::model::report::CommitReport;
use crate::model::time::Time;

/// How the newest commit through the control file went.
#[derive(Clone, Debug)]
enum Story {
    /// None was made since the mount.
    Nothing,
    Going {
        message: String,
        since: Time,
    },
    Landed(Box<CommitReport>),
    /// On this base.
    Failed {
        message: String,
        error: String,
        base: CommitId,
    },
}

/// As JSON tells it.
#[derive(Serialize)]
#[serde(untagged)]
enum Told<'a> {
    Nothing(Option<()>),
    Going { state: &'static str, message: &'a str, since: Time },
    Commit(&'a CommitReport),
    Failed { state: &'static str, message: &'a str, error: &'a str },
}

/// A branch's control files: what they remember.
#[derive(Debug)]
pub struct ControlState {
    story: Mutex<Story>,
}

impl Default for ControlState {
    fn default() -> ControlState {
        ControlState { story: Mutex::new(Story::Nothing) }
    }
}

impl ControlState {
    /// A commit has begun; what was told before, for when it turns out that there is nothing to commit.
    pub fn begin(&self, message: &str, since: Time) -> Before {
        let going = Story::Going { message: message.to_owned(), since };
        Before(std::mem::replace(&mut *self.story.lock(), going))
    }

    pub fn landed(&self, commit: CommitReport) {
        *self.story.lock() = Story::Landed(Box::new(commit));
    }

    pub fn failed(&self, message: &str, error: String, base: CommitId) {
        *self.story.lock() = Story::Failed { message: message.to_owned(), error, base };
    }

    /// Nothing was to be committed.
    pub fn nothing(&self, before: Before) {
        *self.story.lock() = before.0;
    }

    /// One line of JSON. `base`: the commit that the working tree is on, which may have been made here by other means
    /// than the control file, and then is the newest.
    pub fn text(&self, base: &Commit, host: &str) -> Vec<u8> {
        let made_here = (base.host == host && base.generation > 0).then(|| CommitReport::from(base));
        let story = self.story.lock();
        let told = match (&*story, &made_here) {
            (Story::Going { message, since }, _) => Told::Going { state: "running", message, since: *since },
            (Story::Failed { message, error, base: then }, _) if *then == base.id => {
                Told::Failed { state: "failed", message, error }
            }
            (_, Some(report)) => Told::Commit(report),
            (Story::Landed(report), None) => Told::Commit(report),
            (Story::Nothing | Story::Failed { .. }, None) => Told::Nothing(None),
        };
        let mut text = serde_json::to_vec(&told).unwrap_or_default();
        text.push(b'\n');
        text
    }
}

/// What was told before a commit began.
#[derive(Debug)]
pub struct Before(Story);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::{Codec, Location, Nonce, PackName, RootId};

    fn commit(number: u8, host: &str) -> Commit {
        Commit {
            id: CommitId([number; 32]),
            root: RootId([0; 32]),
            parents: Vec::new(),
            generation: u64::from(number),
            author: "a".into(),
            host: host.into(),
            time: Time(0),
            message: format!("commit {number}"),
            metadata: Default::default(),
            stats: Default::default(),
            nonce: Nonce([0; 16]),
            root_location: Location { pack: PackName([0; 16]), offset: 0, len: 0, codec: Codec::Raw },
            first_seq: 1,
            changed_paths: Default::default(),
            extra: Default::default(),
        }
    }

    fn told(state: &ControlState, base: &Commit) -> String {
        String::from_utf8(state.text(base, "here")).unwrap()
    }

    #[test]
    fn a_commit_is_told_from_its_beginning_to_its_end() {
        let (state, root) = (ControlState::default(), commit(0, "here"));
        assert_eq!(told(&state, &root), "null\n");
        let before = state.begin("first", Time(0));
        let going = "{\"state\":\"running\",\"message\":\"first\",\"since\":\"1970-01-01T00:00:00Z\"}\n";
        assert_eq!(told(&state, &root), going);
        state.nothing(before);
        assert_eq!(told(&state, &root), "null\n");
        state.begin("second", Time(0));
        state.failed("second", "no".into(), root.id);
        assert_eq!(told(&state, &root), "{\"state\":\"failed\",\"message\":\"second\",\"error\":\"no\"}\n");
        state.landed(CommitReport::from(&commit(1, "here")));
        assert!(told(&state, &commit(2, "elsewhere")).contains("commit 1"));
    }

    #[test]
    fn a_commit_made_here_by_other_means_is_told_too() {
        let state = ControlState::default();
        assert!(told(&state, &commit(3, "here")).contains("commit 3"));
        state.failed("x", "no".into(), CommitId([3; 32]));
        assert!(told(&state, &commit(4, "here")).contains("commit 4"));
        assert_eq!(told(&state, &commit(4, "elsewhere")), "null\n");
    }
}
