//! A mount whose credentials expire: it takes up the next ones by itself.

use std::fs;
use std::path::PathBuf;

use super::common::machine::Machine;
use super::common::s3::Server;
use super::common::scratch::Scratch;
use super::support::noise;

/// A mesh with one file that nobody has read.
fn server_with_a_mesh() -> (Server, String) {
    let server = Server::start();
    let store = format!("{}/mesh", server.url("bucket"));
    let founder = Machine::with_environment(&store, server.environment());
    founder.meshfs(&["init"]);
    founder.meshfs(&["domain", "create", "sales"]);
    let files = founder.home().join("files");
    fs::create_dir(&files).unwrap();
    for (seed, name) in ["one", "two"].into_iter().enumerate() {
        fs::write(files.join(name), noise(seed, 3 << 20)).unwrap();
    }
    founder.meshfs(&["cp", files.to_str().unwrap(), "sales/main/data", "-m", "Data"]);
    (server, store)
}

fn write_profile(file: &PathBuf, (access_key, secret_key): &(String, String)) {
    let text = format!("[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n");
    fs::write(file, text).unwrap();
}

fn pair(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

#[test]
fn a_profile_written_anew_is_taken_up_by_the_mount() {
    let (server, store) = server_with_a_mesh();
    let scratch = Scratch::new();
    let profile = scratch.join("credentials");
    write_profile(&profile, &server.renew_keys());
    let environment = vec![
        pair("AWS_ENDPOINT_URL", server.endpoint()),
        pair("AWS_SHARED_CREDENTIALS_FILE", profile.to_str().unwrap()),
    ];
    let machine = Machine::with_environment(&store, environment);
    let tree = machine.mount(&["--poll", "0.1"]).join("sales/main");
    assert_eq!(fs::read(tree.join("data/one")).unwrap().len(), 3 << 20);

    let next = server.renew_keys();
    let error = fs::read(tree.join("data/two")).map(|bytes| bytes.len()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EACCES), "{error}");
    let told = fs::read_to_string(tree.join(".meshfs/last-error")).unwrap();
    assert!(told.contains("ExpiredToken") && told.contains("Renew them"), "{told}");
    assert!(!told.contains("secret-key"), "{told}");
    assert_eq!(fs::read(tree.join("data/one")).unwrap().len(), 3 << 20);
    fs::write(tree.join("data/staged"), b"goes on").unwrap();
    let refused = machine.try_meshfs(&["commit", "sales/main", "-m", "Too late"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("ExpiredToken"));

    write_profile(&profile, &next);
    assert_eq!(fs::read(tree.join("data/two")).unwrap().len(), 3 << 20);
    machine.meshfs(&["commit", "sales/main", "-m", "In time"]);
    assert_eq!(machine.meshfs(&["cat", "sales/@main/data/staged"]), "goes on");
}

#[test]
fn keys_that_an_endpoint_hands_out_may_expire_before_their_time_and_nobody_notices() {
    let (server, store) = server_with_a_mesh();
    let scratch = Scratch::new();
    let token = scratch.join("token");
    fs::write(&token, "token").unwrap();
    let environment = vec![
        pair("AWS_ENDPOINT_URL", server.endpoint()),
        pair("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.keys_url()),
        pair("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.to_str().unwrap()),
    ];
    let machine = Machine::with_environment(&store, environment);
    let tree = machine.mount(&["--poll", "0.1"]).join("sales/main");
    for name in ["one", "two"] {
        let before = server.keys_handed_out();
        server.renew_keys();
        assert_eq!(fs::read(tree.join("data").join(name)).unwrap().len(), 3 << 20);
        assert!(server.keys_handed_out() > before);
        server.renew_keys();
        fs::write(tree.join("data/staged"), name).unwrap();
        fs::write(tree.join(".meshfs/commit"), name).unwrap();
        assert_eq!(machine.meshfs(&["cat", "sales/@main/data/staged"]), name);
    }
}
