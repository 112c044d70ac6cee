//! What a branch's control file tells about commits made here.

use parking_lot::Mutex;
use serde::Serialize;

use crate::model::report::CommitReport;
use crate::model::time::Time;

/// How the newest commit went.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Story {
    /// None was made since the mount.
    Nothing(Option<()>),
    Going(Going),
    Landed(Box<CommitReport>),
    Failed(Failed),
}

#[derive(Clone, Debug, Serialize)]
struct Going {
    state: &'static str,
    message: String,
    since: Time,
}

#[derive(Clone, Debug, Serialize)]
struct Failed {
    state: &'static str,
    message: String,
    error: String,
}

/// A branch's control files: what they remember.
#[derive(Debug)]
pub struct ControlState {
    story: Mutex<Story>,
}

impl Default for ControlState {
    fn default() -> ControlState {
        ControlState { story: Mutex::new(Story::Nothing(None)) }
    }
}

impl ControlState {
    /// A commit has begun; what was told before, for when it turns out that there is nothing to commit.
    pub fn begin(&self, message: &str, since: Time) -> Before {
        let going = Story::Going(Going { state: "running", message: message.to_owned(), since });
        Before(std::mem::replace(&mut *self.story.lock(), going))
    }

    pub fn landed(&self, commit: CommitReport) {
        *self.story.lock() = Story::Landed(Box::new(commit));
    }

    pub fn failed(&self, message: &str, error: String) {
        *self.story.lock() = Story::Failed(Failed { state: "failed", message: message.to_owned(), error });
    }

    /// Nothing was to be committed.
    pub fn nothing(&self, before: Before) {
        *self.story.lock() = before.0;
    }

    /// One line of JSON.
    pub fn text(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec(&*self.story.lock()).unwrap_or_default();
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

    fn text(state: &ControlState) -> String {
        String::from_utf8(state.text()).unwrap()
    }

    #[test]
    fn a_commit_is_told_from_its_beginning_to_its_end() {
        let state = ControlState::default();
        assert_eq!(text(&state), "null\n");
        let before = state.begin("first", Time(0));
        assert_eq!(text(&state), "{\"state\":\"running\",\"message\":\"first\",\"since\":\"1970-01-01T00:00:00Z\"}\n");
        state.nothing(before);
        assert_eq!(text(&state), "null\n");
        state.begin("second", Time(0));
        state.failed("second", "no".into());
        assert_eq!(text(&state), "{\"state\":\"failed\",\"message\":\"second\",\"error\":\"no\"}\n");
    }
}
