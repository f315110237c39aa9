//! A proxy that carries nothing and remembers the table it was told. It lives on a thread of its own, so no crash of the agent touches it.

use landfall_model::control::{Answer, Ask, Probe, Probed, ProxyStatus};
use landfall_model::route::RouteTable;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What is known of it from outside.
#[derive(Clone, Default)]
pub(crate) struct FakeProxy {
    tables: Arc<Mutex<Vec<RouteTable>>>,
}

impl FakeProxy {
    /// Answers on a socket for as long as the test process lives.
    pub(crate) fn start(socket: &Path) -> std::io::Result<Self> {
        let listener = UnixListener::bind(socket)?;
        let proxy = Self::default();
        let tables = Arc::clone(&proxy.tables);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that was crashed in the middle of a question is no reason to end.
                let _ = answer(stream, &tables);
            }
        });
        Ok(proxy)
    }

    /// Every table it was told, the newest last.
    pub(crate) fn tables(&self) -> Vec<RouteTable> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Somebody listens there.
fn probe(asked: &Probe) -> Probed {
    match TcpStream::connect_timeout(&asked.address, Duration::from_secs(1)) {
        Ok(_) => Probed::Ready,
        Err(error) => Probed::Refused { seen: format!("port {} cannot be reached ({error})", asked.address.port()) },
    }
}

fn answer(mut stream: UnixStream, tables: &Mutex<Vec<RouteTable>>) -> std::io::Result<()> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame)?;
    let mut tables = tables.lock().unwrap_or_else(PoisonError::into_inner);
    let answer = match serde_json::from_slice(&frame)? {
        Ask::Swap { table } => {
            let generation = table.generation;
            tables.push(table);
            Answer::Swapped { generation }
        }
        Ask::Status => Answer::Status(ProxyStatus { generation: tables.last().map_or(0, |t| t.generation), ..ProxyStatus::default() }),
        Ask::Metrics => Answer::Metrics(Box::default()),
        Ask::Probe(asked) => Answer::Probed(probe(&asked)),
        Ask::Close { .. } => Answer::Closing,
    };
    let body = serde_json::to_vec(&answer)?;
    stream.write_all(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes())?;
    stream.write_all(&body)
}
