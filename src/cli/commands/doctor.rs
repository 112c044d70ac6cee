//! `meshfs doctor`: looks for what stands in the way.

use crate::cli::args::Json;
use crate::cli::context::Context;
use crate::cli::ui::Ui;
use crate::daemon::doctor::{self, Finding, Level};
use crate::daemon::failure::Failure;

/// Check the store, the clock, FUSE and the folders, each with a next step.
///
/// Writes and removes small objects of its own under `doctor/` in the store. Exit code 1 when a
/// check fails.
///
/// Example:
///   meshfs doctor
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Doctor {
    #[command(flatten)]
    pub json: Json,
}

impl Doctor {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let connection = context.connection();
        let mut findings: Vec<Finding> = Vec::new();
        let mut tell = |finding: &Finding| {
            findings.push(finding.clone());
            if self.json.json { Ok(()) } else { show(context.ui, finding) }
        };
        doctor::examine(&connection.settings, &connection.store, &mut tell).await?;
        if self.json.json {
            context.ui.json(&findings)?;
        }
        match findings.iter().filter(|finding| finding.level == Level::Fail).count() {
            0 => Ok(()),
            1 => Err(Failure::failed("one check failed")),
            failed => Err(Failure::failed(format!("{failed} checks failed"))),
        }
    }
}

fn show(ui: &Ui, finding: &Finding) -> Result<(), Failure> {
    let level = match finding.level {
        Level::Ok => "ok",
        Level::Warn => "warn",
        Level::Fail => "fail",
    };
    ui.line(format_args!("{level:4} {}: {}", finding.check, finding.text))?;
    finding.hint.iter().try_for_each(|hint| ui.line(format_args!("     next: {hint}")))
}
