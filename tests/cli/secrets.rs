//! Secrets stay where they are: no answer, log, local file, control file or stored object has any in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::machine::Machine;
use crate::common::s3::{Fault, Server};
use crate::common::scratch::Scratch;

/// No two of them have a part in common that could hide which one leaked.
const TOKEN: &str = "session-token-zebra";
const SAS: &str = "sv=2026-01-01&sig=signature-walrus";
const PASSWORD: &str = "password-heron";
const WRONG_KEY: &str = "wrong-key-marmot";

/// Everything that must not appear, as a program may have it written.
fn secrets(server: &Server) -> Vec<String> {
    let environment = server.environment();
    let key = environment.into_iter().find(|(name, _)| name == "AWS_SECRET_ACCESS_KEY").expect("the server has one").1;
    [key.as_str(), TOKEN, "signature-walrus", PASSWORD, WRONG_KEY].map(str::to_owned).into()
}

/// What was seen so far, with where it was seen.
struct Seen {
    secrets: Vec<String>,
    places: usize,
}

impl Seen {
    fn check(&mut self, place: &str, bytes: &[u8]) {
        self.places += 1;
        for secret in &self.secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "`{secret}` stands in {place}: {}", String::from_utf8_lossy(bytes));
        }
    }

    fn answer(&mut self, line: &str, output: &Output) {
        self.check(&format!("the answer to {line}"), &output.stdout);
        self.check(&format!("the errors of {line}"), &output.stderr);
    }

    /// Every file below.
    fn folder(&mut self, folder: &Path) {
        for item in fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            if kind.is_dir() {
                self.folder(&path);
            } else if kind.is_file() {
                self.check(&path.display().to_string(), &fs::read(&path).unwrap());
            }
        }
    }
}

fn control_files(tree: &Path) -> Vec<PathBuf> {
    ["commit", "status", "head", "last-error"].iter().map(|name| tree.join(".meshfs").join(name)).collect()
}

/// Proves A5.
#[test]
fn a_session_on_s3_tells_no_key_anywhere() {
    let server = Server::start();
    let mut environment = server.environment();
    environment.push(("AWS_SESSION_TOKEN".into(), TOKEN.into()));
    // The most that anybody can have written down.
    environment.push(("MESHFS_LOG".into(), "trace".into()));
    let machine = Machine::with_environment(&server.url("bucket"), environment);
    let mut seen = Seen { secrets: secrets(&server), places: 0 };
    let mesh = machine.mesh().display().to_string();
    let call = |seen: &mut Seen, arguments: &[&str]| {
        let output = machine.try_meshfs(arguments);
        seen.answer(&arguments.join(" "), &output);
        output.status.success()
    };
    assert!(call(&mut seen, &["init"]));
    assert!(call(&mut seen, &["domain", "create", "sales"]));
    assert!(call(&mut seen, &["doctor"]));
    assert!(call(&mut seen, &["doctor", "--json"]));
    assert!(call(&mut seen, &["mount", &mesh, "--poll", "0.1"]));
    let tree = machine.mesh().join("sales/main");
    fs::write(tree.join("file"), "x").unwrap();
    fs::write(tree.join(".meshfs/commit"), "First").unwrap();
    for pid in machine.daemons() {
        seen.check("the daemon's command line", &fs::read(format!("/proc/{pid}/cmdline")).unwrap());
    }
    // Refused while the daemon works and from a command of its own.
    for fault in [Fault::Answer(403, "SignatureDoesNotMatch"), Fault::Answer(403, "AccessDenied")] {
        server.plan(None, "", fault, usize::MAX);
        fs::write(tree.join("file"), format!("{fault:?}")).unwrap();
        call(&mut seen, &["commit", "sales/main", "-m", "Refused"]);
        call(&mut seen, &["doctor", "--json"]);
        fs::create_dir(machine.mesh().join("sales/refused")).unwrap_err();
        for path in control_files(&tree) {
            seen.check(&path.display().to_string(), &fs::read(&path).unwrap());
        }
        server.calm();
    }
    call(&mut seen, &["commit", "sales/main", "-m", "Second"]);
    assert!(call(&mut seen, &["log", "sales", "--json"]));
    assert!(call(&mut seen, &["status", "sales/main", "--json"]));
    machine.unmount();
    while !machine.daemons().is_empty() {
        std::thread::yield_now();
    }
    seen.folder(&machine.home());
    for (key, _) in server.objects("bucket") {
        seen.check(&key, &server.object("bucket", &key).unwrap());
    }
    let log = fs::read_dir(machine.state_dir().join("meshfs/logs")).unwrap().next().unwrap().unwrap().path();
    assert!(fs::read_to_string(log).unwrap().contains("TRACE"), "the log was to tell everything");
    assert!(seen.places > 40, "looked at {} places", seen.places);
}

/// Proves A5.
#[test]
fn refused_keys_signatures_and_urls_are_not_repeated() {
    let server = Server::start();
    let mut seen = Seen { secrets: secrets(&server), places: 0 };
    let store = Scratch::new();
    let machine = Machine::new(store.join("store").to_str().unwrap());
    let endpoint = server.endpoint();
    let host = endpoint.trim_start_matches("http://");
    let with_password = format!("http://user:{PASSWORD}@{host}");
    let with_signature = format!("{endpoint}/?{SAS}");
    let s3 = |endpoint: &str| {
        vec![("AWS_ENDPOINT_URL", endpoint.to_owned()), ("AWS_ACCESS_KEY_ID", "test-access-key".into())]
    };
    let azure = |endpoint: &str| {
        vec![("AZURE_STORAGE_ENDPOINT", endpoint.to_owned()), ("AZURE_STORAGE_ACCOUNT_NAME", "account".into())]
    };
    let key = ("AWS_SECRET_ACCESS_KEY", WRONG_KEY.to_owned());
    let sas = ("AZURE_STORAGE_SAS_TOKEN", SAS.to_owned());
    let cases = [
        ("s3://bucket/x", [s3(&endpoint), vec![key.clone()]].concat()),
        ("s3://bucket/x", [s3(&with_password), vec![key.clone()]].concat()),
        ("s3://bucket/x", [s3(&with_signature), vec![key]].concat()),
        ("az://container/x", [azure(&endpoint), vec![sas.clone()]].concat()),
        ("az://container/x", [azure(&with_password), vec![sas]].concat()),
        ("s3://key:password-heron@bucket/x", Vec::new()),
        ("az://container/x?sv=2026-01-01&sig=signature-walrus", Vec::new()),
    ];
    for (url, environment) in cases {
        for arguments in [&["init"][..], &["doctor"], &["doctor", "--json"], &["domain", "list", "--json"]] {
            let mut command: Command = machine.command(env!("CARGO_BIN_EXE_meshfs"));
            command.args(arguments).arg("--store").arg(url).env("MESHFS_LOG", "trace");
            command.envs(environment.iter().map(|(name, value)| (*name, value)));
            let output = command.output().unwrap();
            assert!(!output.status.success(), "{url}: {output:?}");
            seen.answer(&format!("{} --store {url}", arguments.join(" ")), &output);
        }
    }
    seen.folder(&machine.home());
    assert!(seen.places >= 56, "looked at {} places", seen.places);
}
