//! Where things lie and how they are set: options, environment, the configuration file, defaults, in that order.

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::failure::Failure;
use crate::sys::process;

/// Most bytes that the cache folder of one mesh holds unless told otherwise.
pub const CACHE_BYTES_DEFAULT: u64 = 10 << 30;

/// Between two looks for other machines' commits.
pub const POLL_DEFAULT: Duration = Duration::from_secs(1);

/// Longest that a file operation waits for the store.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);

/// A slow link needs this much for a single answer.
const TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// Whoever waits in a file operation cannot be killed meanwhile.
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// Shorter would ask the store more than any tool could use.
const POLL_MIN: Duration = Duration::from_millis(50);

/// Longer would pass the grace in which readers must notice that their snapshot expires.
const POLL_MAX: Duration = Duration::from_secs(3600);

/// `config.toml` in the user's configuration folder; every field may be left out.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// Who commits, such as `Ada <ada@example.com>`.
    pub author: Option<String>,
    /// URL of the store.
    pub store: Option<String>,
    /// Bytes, also with K, M, G, T.
    pub cache_size: Option<Size>,
    /// Seconds between looks for other machines' commits.
    pub poll: Option<f64>,
    /// Longest that a file operation waits for the store, in seconds.
    pub timeout: Option<f64>,
}

/// A number of bytes, written as a number or as text with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(bytes) => Ok(Size(bytes)),
            Written::Text(text) => parse_size(&text).map(Size).map_err(serde::de::Error::custom),
        }
    }
}

/// `20G`, `512M`, `1048576`: bytes; units are powers of 1024.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let error = || format!("`{text}` is not a size: a whole number of bytes, or one with K, M, G or T, such as 20G");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        "T" | "TB" | "TIB" => 40,
        _ => return Err(error()),
    };
    let number: u64 = digits.parse().map_err(|_| error())?;
    number.checked_mul(1 << shift).ok_or_else(error)
}

/// `1`, `0.2`: seconds between polls.
pub fn parse_poll(text: &str) -> Result<Duration, String> {
    number(text).and_then(|seconds| within(seconds, POLL_MIN..=POLL_MAX))
}

/// `60`, `2.5`: seconds that a file operation waits for the store.
pub fn parse_timeout(text: &str) -> Result<Duration, String> {
    number(text).and_then(|seconds| within(seconds, TIMEOUT_MIN..=TIMEOUT_MAX))
}

fn number(text: &str) -> Result<f64, String> {
    text.parse::<f64>().map_err(|_| format!("`{text}` is not a number of seconds"))
}

fn within(seconds: f64, bounds: RangeInclusive<Duration>) -> Result<Duration, String> {
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if bounds.contains(&duration) => Ok(duration),
        _ => Err(format!(
            "{seconds} seconds, and it may be from {} to {}",
            bounds.start().as_secs_f64(),
            bounds.end().as_secs_f64()
        )),
    }
}

/// What a command line and its environment ask for.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    pub store: Option<String>,
    pub state_dir: Option<PathBuf>,
    pub cache_dir: Option<PathBuf>,
}

/// Everything settled but the store, which also depends on the mount that an address lies in.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What was asked for by option or environment.
    pub asked_store: Option<String>,
    /// What is taken when nothing was asked for and no mount decides.
    pub fallback_store: String,
    /// Below it lies a folder for each mesh.
    pub state_root: PathBuf,
    /// Was it asked for by option or environment?
    pub state_root_asked: bool,
    /// Where running mounts are registered, whatever their state root.
    pub registry: PathBuf,
    pub cache_root: PathBuf,
    pub cache_bytes: u64,
    pub poll: Duration,
    pub timeout: Duration,
    /// Who commits.
    pub author: String,
    pub host: String,
}

impl Settings {
    /// Reads the environment and the configuration file.
    pub fn load(wishes: Wishes) -> Result<Settings, Failure> {
        let home = Home::of_this_user()?;
        let config_file = home.config.join("config.toml");
        let file = read_config_file(&config_file)?;
        let absolute = |dir: PathBuf| std::path::absolute(&dir).unwrap_or(dir);
        let host = process::host_name();
        let seconds = |name: &str, set: Option<f64>, bounds| {
            set.map(|seconds| within(seconds, bounds)).transpose().map_err(|why| {
                Failure::failed(format!("the configuration {} sets {name} to {why}", config_file.display()))
            })
        };
        let poll = seconds("poll", file.poll, POLL_MIN..=POLL_MAX)?;
        let timeout = seconds("timeout", file.timeout, TIMEOUT_MIN..=TIMEOUT_MAX)?;
        Ok(Settings {
            asked_store: wishes.store.filter(|store| !store.is_empty()),
            fallback_store: file.store.unwrap_or_else(|| home.data.join("store").to_string_lossy().into_owned()),
            state_root_asked: wishes.state_dir.is_some(),
            state_root: wishes.state_dir.map_or_else(|| home.state.clone(), absolute),
            registry: home.state.join("mounts"),
            cache_root: wishes.cache_dir.map_or(home.cache, absolute),
            cache_bytes: file.cache_size.map_or(CACHE_BYTES_DEFAULT, |size| size.0),
            poll: poll.unwrap_or(POLL_DEFAULT),
            timeout: timeout.unwrap_or(TIMEOUT_DEFAULT),
            author: environment("MESHFS_AUTHOR").or(file.author).unwrap_or_else(|| format!("{}@{host}", this_user())),
            host,
        })
    }

    /// The store to use where no mount decides.
    pub fn store(&self) -> &str {
        self.asked_store.as_deref().unwrap_or(&self.fallback_store)
    }
}

/// The name of whoever runs this.
pub fn this_user() -> String {
    let uid = process::effective_uid();
    process::user_name(uid).unwrap_or_else(|| uid.to_string())
}

/// Empty is as good as unset: that is how scripts unset things.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The XDG folders, each with `meshfs` at its end.
struct Home {
    config: PathBuf,
    data: PathBuf,
    state: PathBuf,
    cache: PathBuf,
}

impl Home {
    fn of_this_user() -> Result<Home, Failure> {
        let home = std::env::home_dir().filter(|home| home.is_absolute());
        let place = |variable: &str, below_home: &str| {
            // The XDG rules: a relative path there is to be ignored.
            let set = environment(variable).map(PathBuf::from).filter(|dir| dir.is_absolute());
            set.or_else(|| home.as_ref().map(|home| home.join(below_home)))
                .map(|dir| dir.join("meshfs"))
                .ok_or_else(|| Failure::failed("this user has no home folder").hint(format!("set HOME, or {variable}")))
        };
        Ok(Home {
            config: place("XDG_CONFIG_HOME", ".config")?,
            data: place("XDG_DATA_HOME", ".local/share")?,
            state: place("XDG_STATE_HOME", ".local/state")?,
            cache: place("XDG_CACHE_HOME", ".cache")?,
        })
    }
}

fn read_config_file(path: &Path) -> Result<ConfigFile, Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ConfigFile::default()),
        Err(error) => return Err(Failure::failed(format!("cannot read {}", path.display())).because(&error)),
    };
    toml::from_str(&text).map_err(|error| {
        Failure::failed(format!("{} is not a configuration of meshfs", path.display()))
            .because(&error)
            .hint("it may set author, store, cache_size, poll and timeout")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_units_of_1024() {
        assert_eq!(parse_size("20G"), Ok(20 << 30));
        assert_eq!(parse_size("512m"), Ok(512 << 20));
        assert_eq!(parse_size("7"), Ok(7));
        for wrong in ["", "G", "1.5G", "-1", "1X", "99999999999T", "1 G"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn polls_and_timeouts_are_bounded_on_both_sides() {
        assert_eq!(parse_poll("0.2"), Ok(Duration::from_millis(200)));
        assert_eq!(parse_timeout("2.5"), Ok(Duration::from_millis(2500)));
        for wrong in ["0", "-1", "nan", "inf", "1h", "90000"] {
            assert!(parse_poll(wrong).is_err(), "{wrong}");
            assert!(parse_timeout(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_configuration_may_set_every_field_and_no_other() {
        let file: ConfigFile =
            toml::from_str("author = 'Ada'\nstore = 's3://b/p'\ncache_size = '2G'\npoll = 5.0\ntimeout = 9").unwrap();
        assert_eq!(file.cache_size, Some(Size(2 << 30)));
        assert_eq!(file.author.as_deref(), Some("Ada"));
        assert!(toml::from_str::<ConfigFile>("autor = 'Ada'").is_err());
    }
}
