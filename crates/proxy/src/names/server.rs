//! The sockets questions arrive at, and the tasks that answer them.

use crate::names::Scope;
use crate::names::answer::{Reply, failure, reply};
use crate::names::relay::{NameServers, Servers, ask};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, spawn_local};

/// Questions being relayed at the same time; more are dropped, and the asker asks again.
const MAX_RELAYED: usize = 256;
/// TCP connections at the same time.
const MAX_TCP: usize = 64;
/// Of a TCP connection without a question.
const TCP_IDLE: Duration = Duration::from_secs(10);
/// Longest question; longer ones are no questions.
const MAX_QUESTION: usize = 4096;

/// Answers for every network that was opened.
pub(crate) struct Names {
    state: Rc<State>,
    tasks: HashMap<IpAddr, Vec<JoinHandle<()>>>,
}

struct State {
    scopes: RefCell<HashMap<IpAddr, Scope>>,
    servers: RefCell<Servers>,
    port: u16,
    turn: Cell<usize>,
    relayed: Semaphore,
    tcp: Semaphore,
}

impl Names {
    /// Relays what is not about the app to `servers`; the app's names are asked for at `port`.
    pub(crate) fn new(servers: NameServers, port: u16) -> Self {
        let state = State {
            scopes: RefCell::default(),
            servers: RefCell::new(Servers::new(servers)),
            port,
            turn: Cell::new(0),
            relayed: Semaphore::new(MAX_RELAYED),
            tcp: Semaphore::new(MAX_TCP),
        };
        Self { state: Rc::new(state), tasks: HashMap::new() }
    }

    /// Answers from these from now on.
    pub(crate) fn set(&self, scopes: HashMap<IpAddr, Scope>) {
        *self.state.scopes.borrow_mut() = scopes;
    }

    /// Answers what arrives at these sockets, which are bound to `listen`.
    pub(crate) fn open(&mut self, listen: IpAddr, udp: std::net::UdpSocket, tcp: std::net::TcpListener) -> std::io::Result<()> {
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        let udp = spawn_local(serve_udp(Rc::clone(&self.state), listen, Rc::new(UdpSocket::from_std(udp)?)));
        let tcp = spawn_local(serve_tcp(Rc::clone(&self.state), listen, TcpListener::from_std(tcp)?));
        self.tasks.insert(listen, vec![udp, tcp]);
        Ok(())
    }

    /// Answers there no more.
    pub(crate) fn close(&mut self, listen: IpAddr) {
        for task in self.tasks.remove(&listen).into_iter().flatten() {
            task.abort();
        }
    }

    /// Answers nowhere any more.
    pub(crate) fn close_all(&mut self) {
        for task in self.tasks.drain().flat_map(|(_, tasks)| tasks) {
            task.abort();
        }
    }
}

impl State {
    fn reply(&self, question: &[u8], listen: IpAddr, udp: bool) -> Reply {
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        let scopes = self.scopes.borrow();
        reply(question, scopes.get(&listen).unwrap_or(&Scope::new()), turn, udp)
    }

    /// Somebody else's answer; nothing if too many are being waited for.
    async fn relay(&self, question: &[u8], listen: IpAddr, tcp: bool) -> Option<Vec<u8>> {
        let _permit = self.relayed.try_acquire().ok()?;
        let servers = self.servers.borrow_mut().list(SocketAddr::new(listen, self.port));
        ask(servers, question, tcp).await.ok().or_else(|| failure(question))
    }
}

async fn serve_udp(state: Rc<State>, listen: IpAddr, socket: Rc<UdpSocket>) {
    let mut buffer = vec![0; MAX_QUESTION];
    loop {
        // Errors here are those of earlier answers (an asker that is gone); there is nothing to do about them.
        let Ok((length, asker)) = socket.recv_from(&mut buffer).await else { continue };
        let question = &buffer[..length];
        match state.reply(question, listen, true) {
            Reply::Answer(answer) => drop(socket.send_to(&answer, asker).await),
            Reply::Relay => drop(spawn_local(relay_udp(Rc::clone(&state), listen, Rc::clone(&socket), question.to_vec(), asker))),
            Reply::Drop => {}
        }
    }
}

async fn relay_udp(state: Rc<State>, listen: IpAddr, socket: Rc<UdpSocket>, question: Vec<u8>, asker: SocketAddr) {
    if let Some(answer) = state.relay(&question, listen, false).await {
        let _ = socket.send_to(&answer, asker).await;
    }
}

async fn serve_tcp(state: Rc<State>, listen: IpAddr, listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let state = Rc::clone(&state);
        spawn_local(async move {
            if let Ok(_permit) = state.tcp.try_acquire() {
                answer_tcp(&state, listen, stream).await;
            }
        });
    }
}

async fn answer_tcp(state: &State, listen: IpAddr, mut stream: TcpStream) {
    loop {
        let read = async {
            let length = usize::from(stream.read_u16().await?);
            let mut question = vec![0; length.min(MAX_QUESTION)];
            stream.read_exact(&mut question).await.map(|_| question)
        };
        let Ok(Ok(question)) = tokio::time::timeout(TCP_IDLE, read).await else { return };
        let answer = match state.reply(&question, listen, false) {
            Reply::Answer(answer) => answer,
            Reply::Relay => match state.relay(&question, listen, true).await {
                Some(answer) => answer,
                None => return,
            },
            Reply::Drop => return,
        };
        let Ok(length) = u16::try_from(answer.len()) else { return };
        let framed = [&length.to_be_bytes()[..], &answer].concat();
        if !matches!(tokio::time::timeout(TCP_IDLE, stream.write_all(&framed)).await, Ok(Ok(()))) {
            return;
        }
    }
}
