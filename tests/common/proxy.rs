//! A TCP proxy in this process: what networks do to connections, on command, also to those that are open already.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use meshfs::sys::clock::{Clock, SystemClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;

/// What a connection is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Sound,
    /// What either side sends waits so long.
    Slow(Duration),
    /// Answers come by one byte at a time, with this pause between two.
    Trickling(Duration),
    /// Each connection breaks after so many bytes of answers.
    CutAfter(usize),
    /// Nobody listens, and open connections break.
    Refusing,
    /// Connections are taken, and nothing passes through them any more.
    Silent,
}

/// Bytes passed on at a time.
const BUFFER_BYTES: usize = 64 << 10;

/// Stands between clients and a server; it ends when dropped.
pub struct Proxy {
    address: SocketAddr,
    link: watch::Sender<Link>,
    connections: Arc<AtomicUsize>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Proxy {
    /// Listens on a free port of this machine, for the server at `target`.
    pub fn start(target: SocketAddr) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("the port that was given");
        let link = watch::Sender::new(Link::Sound);
        let connections = Arc::<AtomicUsize>::default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("proxy")
            .enable_all()
            .build()
            .expect("a runtime of its own");
        runtime.spawn(serve(listener, target, link.clone(), connections.clone()));
        Proxy { address, link, connections, runtime: Some(runtime) }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on connections are like this.
    pub fn set(&self, link: Link) {
        self.link.send_replace(link);
    }

    /// Connections taken so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(listener: TcpListener, target: SocketAddr, link: watch::Sender<Link>, connections: Arc<AtomicUsize>) {
    let address = listener.local_addr().expect("it listens");
    let mut listener = Some(listener);
    let mut state = link.subscribe();
    loop {
        let bound = listener.take().map_or_else(|| TcpListener::bind(address), Ok).expect("the same port again");
        bound.set_nonblocking(true).expect("a socket for tokio");
        let bound = tokio::net::TcpListener::from_std(bound).expect("a listener for tokio");
        loop {
            tokio::select! {
                _ = state.wait_for(|link| *link == Link::Refusing) => break,
                Ok((client, _)) = bound.accept() => {
                    connections.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(connect(client, target, link.subscribe()));
                }
            }
        }
        drop(bound);
        if state.wait_for(|link| *link != Link::Refusing).await.is_err() {
            return;
        }
    }
}

async fn connect(client: TcpStream, target: SocketAddr, link: watch::Receiver<Link>) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let mut refusing = link.clone();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Whichever way ends first takes the other with it: a connection breaks as a whole.
    tokio::select! {
        () = pass(from_client, to_server, link.clone(), false) => {}
        () = pass(from_server, to_client, link, true) => {}
        _ = refusing.wait_for(|link| *link == Link::Refusing) => {}
    }
}

/// Passes bytes on in one direction until its end, or until the connection is to break.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut link: watch::Receiver<Link>, answers: bool) {
    let clock = SystemClock::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut passed = 0;
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else { return };
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            let now = *link.borrow_and_update();
            let (step, pause) = match now {
                Link::Silent => {
                    if link.changed().await.is_err() {
                        return;
                    }
                    continue;
                }
                Link::Refusing => return,
                Link::CutAfter(most) if answers => match most.saturating_sub(passed).min(rest.len()) {
                    0 => return,
                    step => (step, Duration::ZERO),
                },
                Link::Trickling(pause) if answers => (1, pause),
                Link::Slow(pause) => (rest.len(), pause),
                Link::Sound | Link::CutAfter(_) | Link::Trickling(_) => (rest.len(), Duration::ZERO),
            };
            if pause > Duration::ZERO {
                clock.sleep(pause).await;
            }
            if to.write_all(&rest[..step]).await.is_err() {
                return;
            }
            passed += step;
            rest = &rest[step..];
        }
    }
}
