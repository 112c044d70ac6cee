//! `meshfs guard`: the process that a daemon starts to be watched by.

use crate::daemon::failure::Failure;
use crate::daemon::guard;

/// Watch over a daemon; started by it, told what to do on stdin.
#[derive(Debug, clap::Args)]
pub struct Guard {
    /// The daemon, for whoever looks at the list of processes
    #[arg(long, value_name = "PID")]
    pub of: u32,
}

impl Guard {
    pub async fn run(self) -> Result<(), Failure> {
        let served = guard::serve().await;
        served.map_err(|error| Failure::failed(format!("watching over the daemon {}", self.of)).because(&error))
    }
}
