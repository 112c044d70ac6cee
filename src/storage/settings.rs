//! How a store is opened: its limits, and the environment that its credentials come from.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::sys::Sys;
use crate::telemetry::counters::Counters;

/// Requests under way at once: enough to fill a fast link with multi-MiB ranges, few enough for any store's limits.
const CONCURRENCY: usize = 64;

/// One call with all its repeats: longer than a store's restart or a changed network, short enough to wait for.
const DEADLINE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
pub struct StoreSettings {
    pub sys: Sys,
    /// Where requests are counted.
    pub counters: Arc<Counters>,
    /// Requests under way at once.
    pub concurrency: usize,
    /// Longest time for one call with all its repeats.
    pub deadline: Duration,
    /// Whether the folder of a local store is made when it is missing.
    pub create_folder: bool,
    pub environment: Environment,
}

impl StoreSettings {
    /// The process's environment, the machine's clock, new counters.
    pub fn new() -> StoreSettings {
        StoreSettings {
            sys: Sys::real(),
            counters: Arc::new(Counters::default()),
            concurrency: CONCURRENCY,
            deadline: DEADLINE,
            create_folder: false,
            environment: Environment::of_process(),
        }
    }
}

impl Default for StoreSettings {
    fn default() -> StoreSettings {
        StoreSettings::new()
    }
}

/// The variables that stores are configured with (`AWS_*`, `GOOGLE_*`, `AZURE_*`, `HOME`); its values stay out of `Debug`.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    pub fn of_process() -> Environment {
        let text = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Environment::from_iter(text)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Names and values whose names start with `prefix`, empty values left out.
    pub fn starting_with<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let pairs = self.variables.range(prefix.to_owned()..).take_while(move |(name, _)| name.starts_with(prefix));
        pairs.map(|(name, value)| (name.as_str(), value.as_str())).filter(|(_, value)| !value.is_empty())
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Environment {
        let relevant =
            |name: &str| name == "HOME" || ["AWS_", "GOOGLE_", "AZURE_"].iter().any(|prefix| name.starts_with(prefix));
        Environment { variables: pairs.into_iter().filter(|(name, _)| relevant(name)).collect() }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}
