//! One spelling for each store, so that two ways to write it are seen to be one.

use crate::storage::url::StoreUrl;

/// A store as `meshfs` writes it; what is no store stays as it is, for whoever opens it to say why.
pub fn normal(store: &str) -> String {
    let Ok(url) = StoreUrl::parse(store) else { return store.to_owned() };
    let text = url.to_string();
    match text.trim_end_matches('/') {
        "" => text,
        trimmed => trimmed.to_owned(),
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
        assert!(same("/data/./store", "/data/store"));
        assert!(same("s3://bucket/p/", "s3://bucket/p"));
        assert!(!same("s3://bucket/p", "s3://bucket/q"));
        assert!(same("store", &std::env::current_dir().unwrap().join("store").to_string_lossy()));
    }
}
