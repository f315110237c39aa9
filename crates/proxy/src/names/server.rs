//! The sockets questions arrive at, and the tasks that answer them.

use crate::names::answer::{Reply, failure, reply};
use crate::names::book::{Book, Question, Refusal};
use crate::names::relay::{NameServers, Servers, ask};
use landfall_model::route::NameScope;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, timeout, timeout_at};

/// Questions of one network that are waited for at the same time, elsewhere or for the next table; more are dropped, and the asker asks again. What one
/// network's containers ask in vain keeps no other network waiting.
const MAX_WAITING: usize = 64;
/// TCP connections of one network at the same time.
const MAX_TCP: usize = 16;
/// Of a TCP connection without a question.
const TCP_IDLE: Duration = Duration::from_secs(10);
/// Longest question; longer ones are no questions.
const MAX_QUESTION: usize = 4096;
/// How long a replica that was just started may take to be in the table. Resolvers ask again after four or five seconds.
const KNOWN_WITHIN: Duration = Duration::from_secs(2);
/// Between two lines in the log about the same.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Answers for every network that was opened.
pub(crate) struct Names {
    state: Rc<State>,
    tasks: HashMap<IpAddr, Vec<JoinHandle<()>>>,
}

struct State {
    book: RefCell<Book>,
    /// Grows with every table.
    tables: watch::Sender<u64>,
    servers: RefCell<Servers>,
    port: u16,
    turn: Cell<usize>,
    /// What was refused where: when it was told last, and how often since.
    refused: RefCell<HashMap<(IpAddr, Refusal), (Instant, u64)>>,
    /// How often each was, since the start.
    counted: RefCell<HashMap<Refusal, u64>>,
}

/// One network's share.
struct Place {
    state: Rc<State>,
    listen: IpAddr,
    waiting: Semaphore,
    tcp: Semaphore,
}

impl Names {
    /// Relays what is not about the app to `servers`; the app's names are asked for at `port`.
    pub(crate) fn new(servers: NameServers, port: u16) -> Self {
        let state = State {
            book: RefCell::default(),
            tables: watch::Sender::new(0),
            servers: RefCell::new(Servers::new(servers)),
            port,
            turn: Cell::new(0),
            refused: RefCell::default(),
            counted: RefCell::default(),
        };
        Self { state: Rc::new(state), tasks: HashMap::new() }
    }

    /// Answers from these from now on.
    pub(crate) fn set(&self, scopes: &[NameScope]) {
        *self.state.book.borrow_mut() = Book::new(scopes);
        self.state.tables.send_modify(|table| *table += 1);
    }

    /// Answers what arrives at these sockets, which are bound to `listen`.
    pub(crate) fn open(&mut self, listen: IpAddr, udp: std::net::UdpSocket, tcp: std::net::TcpListener) -> std::io::Result<()> {
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        let (waiting, connections) = (Semaphore::new(MAX_WAITING), Semaphore::new(MAX_TCP));
        let place = Rc::new(Place { state: Rc::clone(&self.state), listen, waiting, tcp: connections });
        let udp = spawn_local(serve_udp(Rc::clone(&place), Rc::new(UdpSocket::from_std(udp)?)));
        let tcp = spawn_local(serve_tcp(place, TcpListener::from_std(tcp)?));
        self.tasks.insert(listen, vec![udp, tcp]);
        Ok(())
    }

    /// Questions refused since the start, by reason.
    pub(crate) fn refused(&self) -> BTreeMap<String, u64> {
        let counted = self.state.counted.borrow();
        Refusal::ALL.iter().map(|why| (why.word().to_owned(), counted.get(why).copied().unwrap_or_default())).collect()
    }

    /// Answers there no more.
    pub(crate) fn close(&mut self, listen: IpAddr) {
        for task in self.tasks.remove(&listen).into_iter().flatten() {
            task.abort();
        }
        self.state.refused.borrow_mut().retain(|(at, _), _| *at != listen);
    }

    /// Answers nowhere any more.
    pub(crate) fn close_all(&mut self) {
        for task in self.tasks.drain().flat_map(|(_, tasks)| tasks) {
            task.abort();
        }
    }
}

impl Place {
    fn reply(&self, question: &[u8], asker: IpAddr, (udp, patient): (bool, bool)) -> Reply {
        let turn = self.state.turn.get();
        self.state.turn.set(turn.wrapping_add(1));
        let (book, mut servers) = (self.state.book.borrow(), self.state.servers.borrow_mut());
        let find = |name: &str| book.find(Question { listen: self.listen, asker, name, patient }, servers.search());
        let reply = reply(question, find, turn, udp);
        if let Reply::Refuse { why, .. } = &reply {
            self.tell(*why, asker);
        }
        reply
    }

    /// Leaves a trace of what is refused, and no flood of it.
    fn tell(&self, why: Refusal, asker: IpAddr) {
        *self.state.counted.borrow_mut().entry(why).or_default() += 1;
        let mut refused = self.state.refused.borrow_mut();
        let now = Instant::now();
        let (told, since) = refused.entry((self.listen, why)).or_insert((now, 0));
        *since += 1;
        if *since > 1 && now.duration_since(*told) < TOLD_EVERY {
            return;
        }
        let reason = match why {
            Refusal::Stranger => "the asker is not in that network",
            Refusal::Internal => "a container that is only in internal networks asked for a name outside",
            Refusal::Ambiguous => "several apps have that name in a shared network, and the asker belongs to none of them",
        };
        tracing::warn!(gateway = %self.listen, %asker, questions = *since, "a question for a name was refused: {reason}");
        (*told, *since) = (now, 0);
    }

    /// What takes a while: an answer from elsewhere, or one that the next table may have. Nothing if too many are being waited for.
    async fn later(&self, question: &[u8], asker: IpAddr, udp: bool) -> Option<Vec<u8>> {
        let _permit = self.waiting.try_acquire().ok()?;
        let until = Instant::now() + KNOWN_WITHIN;
        let mut tables = self.state.tables.subscribe();
        let mut patient = true;
        loop {
            match self.reply(question, asker, (udp, patient)) {
                Reply::Answer(answer) => return Some(answer),
                Reply::Refuse { answer, .. } => return answer,
                Reply::Drop => return None,
                Reply::Wait => patient = matches!(timeout_at(until, tables.changed()).await, Ok(Ok(()))),
                Reply::Relay => {
                    let servers = self.state.servers.borrow_mut().list(SocketAddr::new(self.listen, self.state.port));
                    return ask(servers, question, !udp).await.ok().or_else(|| failure(question));
                }
            }
        }
    }
}

async fn serve_udp(place: Rc<Place>, socket: Rc<UdpSocket>) {
    let mut buffer = vec![0; MAX_QUESTION];
    loop {
        // Errors here are those of earlier answers (an asker that is gone); there is nothing to do about them.
        let Ok((length, asker)) = socket.recv_from(&mut buffer).await else { continue };
        let question = &buffer[..length];
        match place.reply(question, asker.ip(), (true, true)) {
            Reply::Answer(answer) | Reply::Refuse { answer: Some(answer), .. } => drop(socket.send_to(&answer, asker).await),
            Reply::Relay | Reply::Wait => {
                drop(spawn_local(later_udp(Rc::clone(&place), Rc::clone(&socket), question.to_vec(), asker)));
            }
            Reply::Drop | Reply::Refuse { answer: None, .. } => {}
        }
    }
}

async fn later_udp(place: Rc<Place>, socket: Rc<UdpSocket>, question: Vec<u8>, asker: SocketAddr) {
    if let Some(answer) = place.later(&question, asker.ip(), true).await {
        let _ = socket.send_to(&answer, asker).await;
    }
}

async fn serve_tcp(place: Rc<Place>, listener: TcpListener) {
    loop {
        let Ok((stream, asker)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let place = Rc::clone(&place);
        spawn_local(async move {
            if let Ok(_permit) = place.tcp.try_acquire() {
                answer_tcp(&place, stream, asker.ip()).await;
            }
        });
    }
}

async fn answer_tcp(place: &Place, mut stream: TcpStream, asker: IpAddr) {
    loop {
        let read = async {
            let length = usize::from(stream.read_u16().await?);
            let mut question = vec![0; length.min(MAX_QUESTION)];
            stream.read_exact(&mut question).await.map(|_| question)
        };
        let Ok(Ok(question)) = timeout(TCP_IDLE, read).await else { return };
        let Some(answer) = place.later(&question, asker, false).await else { return };
        let Ok(length) = u16::try_from(answer.len()) else { return };
        let framed = [&length.to_be_bytes()[..], &answer].concat();
        if !matches!(timeout(TCP_IDLE, stream.write_all(&framed)).await, Ok(Ok(()))) {
            return;
        }
    }
}
