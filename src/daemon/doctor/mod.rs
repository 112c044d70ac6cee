//! What stands in the way of working: each check says how it stands and, when not well, what to do.

mod machine;
mod store;

use serde::Serialize;

use super::config::Settings;
use super::failure::Failure;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Ok,
    Warn,
    Fail,
}

/// One line of the doctor's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub check: &'static str,
    pub level: Level,
    pub text: String,
    pub hint: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, text: impl Into<String>) -> Finding {
        Finding { check, level: Level::Ok, text: text.into(), hint: None }
    }

    fn warn(check: &'static str, text: impl Into<String>, hint: impl Into<String>) -> Finding {
        Finding { check, level: Level::Warn, text: text.into(), hint: Some(hint.into()) }
    }

    fn fail(check: &'static str, text: impl Into<String>, hint: impl Into<String>) -> Finding {
        Finding { check, level: Level::Fail, text: text.into(), hint: Some(hint.into()) }
    }

    fn failed(check: &'static str, failure: Failure) -> Finding {
        let causes: String = failure.causes.iter().map(|cause| format!(": {cause}")).collect();
        Finding { check, level: Level::Fail, text: format!("{}{causes}", failure.what), hint: failure.hint }
    }
}

/// All checks, for the store `store`, told as they are done.
pub async fn examine(
    settings: &Settings,
    store: &str,
    tell: &mut dyn FnMut(&Finding) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for finding in machine::examine(settings).await {
        tell(&finding)?;
    }
    store::examine(settings, store, tell).await
}
