//! Contents outside the mesh: read as they were imported, or not at all.

use std::path::Path;

use meshfs::format::content::external_id;
use meshfs::model::content::ExternalContent;
use meshfs::model::id::ContentId;
use meshfs::repo::error::RepoError;
use meshfs::storage::{StoreError, StoreSettings, open};

use crate::lab::{Lab, random_bytes};

/// The content of a file as an import would note it down.
async fn imported(folder: &Path, name: &str) -> ExternalContent {
    let store = open(&folder.display().to_string(), &StoreSettings::new()).unwrap();
    let (_, version) = store.get_range_versioned(name, 0..1).await.unwrap();
    let url = format!("file://{}/{name}", folder.display());
    let unnamed = ExternalContent {
        url,
        size: version.size,
        etag: version.etag,
        version: version.version,
        id: ContentId([0; 32]),
    };
    ExternalContent { id: external_id(&unnamed).unwrap(), ..unnamed }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_read_where_it_lies_until_it_changes() {
    let lab = Lab::local();
    let folder = lab.folder("elsewhere");
    let path = folder.join("data.csv");
    let bytes = random_bytes(1, 10_000);
    std::fs::write(&path, &bytes).unwrap();
    let content = imported(&folder, "data.csv").await;
    assert!(content.etag.is_some());
    let machine = lab.machine();
    for (offset, len) in [(0, 10_000), (5000, 100), (9990, 100), (10_000, 1), (20_000, 5)] {
        let read = machine.read_external(&content, offset, len).await.unwrap();
        let end = bytes.len().min((offset + len) as usize);
        assert_eq!(read, bytes[end.min(offset as usize)..end]);
    }
    // The same length, so that only the tag tells.
    std::fs::write(&path, random_bytes(2, 10_000)).unwrap();
    let times = std::fs::FileTimes::new().set_modified(std::time::SystemTime::UNIX_EPOCH);
    std::fs::File::options().write(true).open(&path).unwrap().set_times(times).unwrap();
    assert_changed(machine.read_external(&content, 0, 10).await, &content.url);
    std::fs::remove_file(&path).unwrap();
    assert_changed(machine.read_external(&content, 0, 10).await, &content.url);
}

fn assert_changed<T: std::fmt::Debug>(read: Result<T, RepoError>, url: &str) {
    match read {
        Err(error @ RepoError::SourceChanged { .. }) => assert!(error.to_string().contains(url), "{error}"),
        other => panic!("{other:?}"),
    }
}

/// Whoever can write to a bucket could have every machine's files read otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_names_no_file_of_the_machine_that_reads_it() {
    let lab = Lab::remote();
    let folder = lab.folder("elsewhere");
    std::fs::write(folder.join("secret"), "secret").unwrap();
    let content = imported(&folder, "secret").await;
    let error = lab.machine().read_external(&content, 0, 6).await.unwrap_err();
    assert!(matches!(error, RepoError::Store(StoreError::Url { .. })), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_no_store_holds_is_an_error_that_says_so() {
    let machine = Lab::remote().machine();
    for (url, said) in [("ftp://host/x", "ftp://host"), ("plain", "`plain`"), ("file:///", "file:///")] {
        let content =
            ExternalContent { url: url.to_owned(), size: 1, etag: None, version: None, id: ContentId([0; 32]) };
        let error = machine.read_external(&content, 0, 1).await.unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}
