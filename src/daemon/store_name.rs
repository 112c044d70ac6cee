//! One spelling for each store, so that two ways to write it are seen to be one.

use std::path::Path;

use super::mounts::lexically_absolute;

/// A URL without slashes at its end; a local store as an absolute path, whether written as a path or as `file://`.
pub fn normal(store: &str) -> String {
    let local = match store.split_once("://") {
        Some(("file", path)) => Some(path),
        Some(_) => None,
        None => Some(store),
    };
    let trimmed = |text: &str| text.trim_end_matches('/').to_owned();
    match local {
        Some(path) if Path::new(path).is_absolute() || !store.starts_with("file:") => {
            let absolute = lexically_absolute(Path::new(path)).map(|path| path.to_string_lossy().into_owned());
            absolute.unwrap_or_else(|| trimmed(store))
        }
        _ => trimmed(store),
    }
}

/// Do both name one store?
pub fn same(a: &str, b: &str) -> bool {
    normal(a) == normal(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_has_one_spelling() {
        assert!(same("/data/store", "file:///data/store/"));
        assert!(same("/data/./x/../store", "/data/store"));
        assert!(same("s3://bucket/p/", "s3://bucket/p"));
        assert!(!same("s3://bucket/p", "s3://bucket/q"));
        assert!(same("store", &std::env::current_dir().unwrap().join("store").to_string_lossy()));
    }
}
