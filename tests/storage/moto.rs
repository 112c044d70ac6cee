//! The same contract on a foreign server: moto, whose word for the protocol is not ours.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use meshfs::storage::probe::probe;
use meshfs::storage::settings::Environment;
use meshfs::storage::{self, Store, StoreSettings};
use meshfs::sys::random::OsRandom;

use crate::conformance::CHECKS;

/// A moto of this test; killed when dropped.
struct Moto {
    child: Child,
    endpoint: String,
}

impl Moto {
    fn start() -> Moto {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-env/venv/bin/moto_server");
        assert!(program.exists(), "{} is missing: run scripts/test-env", program.display());
        // Port 0 lets the kernel choose; the server then says which one it was.
        let mut child = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", "0"])
            .env("PYTHONUNBUFFERED", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let endpoint = lines
            .by_ref()
            .map(|line| line.unwrap())
            .find_map(|line| Some(format!("http://127.0.0.1:{}", line.split_once("http://127.0.0.1:")?.1.trim())))
            .expect("moto says where it listens");
        // Its log has to be read on, or it stands still when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        Moto { child, endpoint }
    }

    async fn store(&self, bucket: &str) -> Arc<dyn Store> {
        let address = self.endpoint.strip_prefix("http://").unwrap();
        let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let request =
            format!("PUT /{bucket} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut socket, request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut socket, &mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let pairs = [
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", "us-east-1"),
        ];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = StoreSettings { environment: Environment::from_iter(pairs), ..StoreSettings::new() };
        storage::open(&format!("s3://{bucket}/mesh"), &settings).unwrap()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It has nothing to save.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_server_meets_the_contract() {
    let moto = Moto::start();
    for (number, (name, check)) in CHECKS.iter().enumerate() {
        let store = moto.store(&format!("bucket-{number}")).await;
        let checked = tokio::spawn(check(store)).await;
        assert!(checked.is_ok(), "moto and `{name}`: {checked:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_server_passes_the_probe() {
    let moto = Moto::start();
    let report = probe(&*moto.store("bucket").await, &OsRandom).await;
    assert_eq!(report.failure(), None, "{report:#?}");
}
