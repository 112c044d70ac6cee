//! The files that `aws configure` writes: static keys and a region by profile.

use super::super::settings::Environment;

const DEFAULT_PROFILE: &str = "default";

/// What a profile gives where the environment is silent.
#[derive(Default, PartialEq, Eq)]
pub struct Profile {
    pub access_key: Option<String>,
    pub secret_key: Option<String>,
    pub session_token: Option<String>,
    pub region: Option<String>,
}

impl Profile {
    /// Reads the profile that the environment names, or the default one; files that are missing say nothing.
    pub fn read(environment: &Environment) -> Profile {
        let name = environment.get("AWS_PROFILE").unwrap_or(DEFAULT_PROFILE);
        let text = |variable: &str, file: &str| {
            let path = match (environment.get(variable), environment.get("HOME")) {
                (Some(path), _) => path.to_owned(),
                (None, Some(home)) => format!("{home}/.aws/{file}"),
                (None, None) => return String::new(),
            };
            std::fs::read_to_string(path).unwrap_or_default()
        };
        Profile::parse(name, &text("AWS_SHARED_CREDENTIALS_FILE", "credentials"), &text("AWS_CONFIG_FILE", "config"))
    }

    fn parse(name: &str, credentials: &str, config: &str) -> Profile {
        // In the second file every section but the default one has a word before its name.
        let config_name = if name == DEFAULT_PROFILE { name.to_owned() } else { format!("profile {name}") };
        let key = |key: &str| value(credentials, name, key).or_else(|| value(config, &config_name, key));
        Profile {
            access_key: key("aws_access_key_id"),
            secret_key: key("aws_secret_access_key"),
            session_token: key("aws_session_token"),
            region: key("region"),
        }
    }
}

/// The value of `key` in `[section]`.
fn value(text: &str, section: &str, key: &str) -> Option<String> {
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = name.split_whitespace().eq(section.split_whitespace());
        } else if let Some((name, value)) = line.split_once('=')
            && inside
            && name.trim() == key
        {
            return Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS: &str = "[default]\naws_access_key_id = one\naws_secret_access_key=first\n\n\
        [work]\n# a comment = here\naws_access_key_id = two\naws_secret_access_key = sec=ond\naws_session_token = token\n";
    const CONFIG: &str = "[default]\nregion = eu-west-1\n[profile work]\nregion=us-east-2\n";

    fn parsed(name: &str) -> [Option<String>; 4] {
        let profile = Profile::parse(name, CREDENTIALS, CONFIG);
        [profile.access_key, profile.secret_key, profile.session_token, profile.region]
    }

    #[test]
    fn each_profile_has_its_own_keys_and_region() {
        let text = |value: &str| Some(value.to_owned());
        assert_eq!(parsed("default"), [text("one"), text("first"), None, text("eu-west-1")]);
        assert_eq!(parsed("work"), [text("two"), text("sec=ond"), text("token"), text("us-east-2")]);
        assert_eq!(parsed("other"), [None, None, None, None]);
    }

    #[test]
    fn files_are_found_by_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".aws")).unwrap();
        std::fs::write(folder.path().join(".aws/credentials"), CREDENTIALS).unwrap();
        let home = ("HOME".to_owned(), folder.path().display().to_string());
        let environment = Environment::from_iter([home, ("AWS_PROFILE".to_owned(), "work".to_owned())]);
        assert_eq!(Profile::read(&environment).access_key.as_deref(), Some("two"));
        assert!(Profile::read(&Environment::default()) == Profile::default());
    }
}
