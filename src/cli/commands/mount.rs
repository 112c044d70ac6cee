//! `meshfs mount`: puts the mesh into the filesystem.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::context::Context;
use crate::daemon::config::Settings;
use crate::daemon::failure::Failure;
use crate::daemon::launch::{self, Report};
use crate::daemon::run::{self, MountRequest};
use crate::daemon::{mountpoint, store_name};

/// Mount the mesh at a folder.
///
/// Returns when the mount is usable, and leaves a daemon behind that serves it until `meshfs
/// umount`. DIR is made if it can be; it must be empty. Uncommitted changes of an earlier
/// mount, also of one that was killed, are there again.
///
/// Example:
///   meshfs mount ~/mesh
///   meshfs mount /mesh --allow-other --cache-size 20G
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Mount {
    /// The mountpoint
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Refuse every change
    #[arg(long)]
    pub read_only: bool,
    /// Stay in the foreground, log to stderr
    #[arg(long)]
    pub foreground: bool,
    /// Let other users in; as an ordinary user this needs `user_allow_other` in /etc/fuse.conf
    #[arg(long)]
    pub allow_other: bool,
    /// As root: let the kernel read and write staged files by itself, faster. Not where programs go on writing
    /// through a mapping of a file that they closed: a commit may miss what they write then
    #[arg(long)]
    pub passthrough: bool,
    /// Most bytes kept in the cache folder, with K, M, G or T [default: 10G]
    #[arg(long, value_name = "N", value_parser = crate::daemon::config::parse_size)]
    pub cache_size: Option<u64>,
    /// Seconds between looks for other machines' commits [default: 1]
    #[arg(long, value_name = "SECS", value_parser = crate::daemon::config::parse_poll)]
    pub poll: Option<std::time::Duration>,
    /// Longest that a file operation waits for a store that does not answer, in seconds [default: 60]
    #[arg(long, value_name = "SECS", value_parser = crate::daemon::config::parse_timeout)]
    pub timeout: Option<std::time::Duration>,
    /// Tell the process that started this one, on stdout, when the mount is usable or why not
    #[arg(long, hide = true)]
    pub report: bool,
}

impl Mount {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        if self.foreground {
            return self.serve(context).await;
        }
        if self.dir.to_string_lossy().contains("://") {
            return Err(Failure::usage(format!(
                "{} is a store, and DIR is the folder to show it in",
                self.dir.display()
            ))
            .hint(format!("meshfs mount ~/mesh --store {}", self.dir.display())));
        }
        let prepared = mountpoint::prepare(&self.dir)?;
        let progress = context.ui.spinner("mounting");
        let started = launch::start(&context.settings, &prepared.dir, self.options(&context.settings));
        drop(progress);
        let info = started.inspect_err(|_| prepared.give_up())?;
        context.ui.note(format_args!("{} is mounted at {}", info.store, info.mountpoint.display()));
        Ok(())
    }

    /// What the daemon is started with: everything that this process decided, so that both decide alike.
    fn options(&self, settings: &Settings) -> Vec<OsString> {
        let mut options: Vec<OsString> = vec![
            "--store".into(),
            store_name::normal(settings.store()).into(),
            "--state-dir".into(),
            settings.state_root.clone().into(),
            "--cache-dir".into(),
            settings.cache_root.clone().into(),
            "--cache-size".into(),
            self.cache_size.unwrap_or(settings.cache_bytes).to_string().into(),
            "--poll".into(),
            self.poll.unwrap_or(settings.poll).as_secs_f64().to_string().into(),
            "--timeout".into(),
            self.timeout.unwrap_or(settings.timeout).as_secs_f64().to_string().into(),
        ];
        options.extend(self.read_only.then(|| "--read-only".into()));
        options.extend(self.allow_other.then(|| "--allow-other".into()));
        options.extend(self.passthrough.then(|| "--passthrough".into()));
        options
    }

    async fn serve(self, context: &Context<'_>) -> Result<(), Failure> {
        let settings = &context.settings;
        let request = MountRequest {
            dir: self.dir,
            store: settings.store().to_owned(),
            read_only: self.read_only,
            allow_other: self.allow_other,
            passthrough: self.passthrough,
            cache_bytes: self.cache_size.unwrap_or(settings.cache_bytes),
            poll: self.poll.unwrap_or(settings.poll),
            timeout: self.timeout.unwrap_or(settings.timeout),
        };
        let mut reported = false;
        let report = |result| {
            if self.report {
                // Its reader may be gone, having waited too long; the mount is of use all the same.
                let _ = context.ui.json_line(&Report { result });
            }
        };
        let outcome = run::run(settings, request, |info| {
            reported = true;
            report(Ok(info.clone()));
        })
        .await;
        if let Err(failure) = &outcome
            && !reported
        {
            report(Err(failure.clone()));
        }
        outcome
    }
}
