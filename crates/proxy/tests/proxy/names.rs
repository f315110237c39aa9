//! Names of services, asked for as containers ask for them.

use crate::harness::{Options, soon, start_with};
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use landfall_model::control::{Answer, Ask};
use landfall_model::route::{NameScope, RouteTable};
use landfall_proxy::NameServers;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

pub(crate) fn question(name: &str) -> Vec<u8> {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
    message.to_vec().unwrap()
}

async fn over_udp(server: SocketAddr, name: &str) -> Message {
    over_udp_from("127.0.0.1", server, name).await
}

async fn over_udp_from(asker: &str, server: SocketAddr, name: &str) -> Message {
    let socket = UdpSocket::bind((asker, 0)).await.unwrap();
    socket.send_to(&question(name), server).await.unwrap();
    let mut answer = [0; 4096];
    let length = soon(socket.recv(&mut answer)).await.unwrap();
    Message::from_vec(&answer[..length]).unwrap()
}

async fn over_tcp(server: SocketAddr, name: &str) -> Message {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let question = question(name);
    stream.write_u16(question.len() as u16).await.unwrap();
    stream.write_all(&question).await.unwrap();
    let mut answer = vec![0; soon(stream.read_u16()).await.unwrap().into()];
    soon(stream.read_exact(&mut answer)).await.unwrap();
    Message::from_vec(&answer).unwrap()
}

fn addresses(message: &Message) -> Vec<String> {
    message.answers.iter().map(|record| record.data.to_string()).collect()
}

/// A name server that says every name does not exist.
async fn elsewhere() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        loop {
            let (length, asker) = socket.recv_from(&mut buffer).await.unwrap();
            let mut answer = Message::from_vec(&buffer[..length]).unwrap().into_response();
            answer.metadata.response_code = ResponseCode::NXDomain;
            socket.send_to(&answer.to_vec().unwrap(), asker).await.unwrap();
        }
    });
    address
}

/// The names of an app, as a table without a word about askers has them.
pub(crate) fn scope(app: &str, listen: IpAddr, name: &str, addresses: &[IpAddr]) -> NameScope {
    NameScope {
        listen,
        names: [(name.to_owned(), addresses.to_vec())].into(),
        app: app.to_owned(),
        subnet: None,
        askers: BTreeMap::new(),
        internal: false,
        search: BTreeSet::new(),
    }
}

fn table(generation: u64, listen: &[Ipv4Addr], replicas: &[&str]) -> RouteTable {
    let addresses: Vec<IpAddr> = replicas.iter().map(|ip| ip.parse().unwrap()).collect();
    let scope = |listen: &Ipv4Addr| scope("", IpAddr::V4(*listen), "api", &addresses);
    RouteTable { generation, names: listen.iter().map(scope).collect(), ..RouteTable::default() }
}

#[tokio::test]
async fn services_are_their_ready_replicas_and_other_names_are_asked_for_elsewhere() {
    let port = crate::harness::listener().local_addr().unwrap().port();
    let options = Options { names_port: port, name_servers: NameServers::List(vec![elsewhere().await]), ..Options::default() };
    let proxy = start_with(tempfile::tempdir().unwrap(), options);
    let listen = Ipv4Addr::new(127, 0, 0, 77);
    let server = SocketAddr::from((listen, port));
    proxy.swap(&table(1, &[listen], &["10.9.0.1", "10.9.0.2"])).await;
    let mut both = addresses(&over_udp(server, "api.").await);
    let turned = addresses(&over_tcp(server, "API.").await);
    assert_ne!(both[0], turned[0], "in turn");
    both.sort();
    assert_eq!(both, ["10.9.0.1", "10.9.0.2"]);
    assert_eq!(over_udp(server, "example.com.").await.metadata.response_code, ResponseCode::NXDomain);
    // The server elsewhere speaks no TCP.
    assert_eq!(over_tcp(server, "example.com.").await.metadata.response_code, ResponseCode::ServFail);

    proxy.swap(&table(2, &[listen], &["10.9.0.3"])).await;
    assert_eq!(addresses(&over_udp(server, "api.").await), ["10.9.0.3"]);

    // A network that does not exist yet is no reason to refuse, one whose port is taken is.
    let absent = Ipv4Addr::new(198, 51, 100, 1);
    proxy.swap(&table(3, &[listen, absent], &["10.9.0.3"])).await;
    let taken = Ipv4Addr::new(127, 0, 0, 78);
    let _holder = std::net::UdpSocket::bind((taken, port)).unwrap();
    assert_eq!(proxy.refused(&table(4, &[taken], &["10.9.0.3"])).await, "port-taken");
    assert_eq!(addresses(&over_udp(server, "api.").await), ["10.9.0.3"]);

    proxy.swap(&table(5, &[], &[])).await;
    crate::harness::until("the port is free", async || std::net::UdpSocket::bind(server).is_ok()).await;
}

#[tokio::test]
async fn two_apps_in_one_network_each_get_their_own_and_who_is_in_neither_gets_nothing() {
    let port = crate::harness::listener().local_addr().unwrap().port();
    let options = Options { names_port: port, name_servers: NameServers::List(vec![elsewhere().await]), ..Options::default() };
    let proxy = start_with(tempfile::tempdir().unwrap(), options);
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let gateway = ip("127.0.1.1");
    let server = SocketAddr::from((gateway, port));
    let app = |name: &str, asker: &str, db: &str| NameScope {
        subnet: Some("127.0.1.0/24".into()),
        askers: [(ip(asker), vec![gateway])].into(),
        ..scope(name, gateway, "db", &[ip(db)])
    };
    let names = vec![app("a", "127.0.1.2", "10.9.0.1"), app("b", "127.0.1.3", "10.9.0.2")];
    proxy.swap(&RouteTable { generation: 1, names, ..RouteTable::default() }).await;
    assert_eq!(addresses(&over_udp_from("127.0.1.2", server, "db.").await), ["10.9.0.1"]);
    assert_eq!(addresses(&over_udp_from("127.0.1.3", server, "db.").await), ["10.9.0.2"]);

    // One that was just started is waited for until the next table knows it.
    let early = tokio::spawn(async move { addresses(&over_udp_from("127.0.1.4", server, "db.").await) });
    let names = vec![app("a", "127.0.1.4", "10.9.0.1"), app("b", "127.0.1.3", "10.9.0.2")];
    proxy.swap(&RouteTable { generation: 2, names, ..RouteTable::default() }).await;
    assert_eq!(early.await.unwrap(), ["10.9.0.1"]);

    // The question of a stranger is read before that of a neighbour, and only that one is answered.
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    stranger.send_to(&question("db."), server).await.unwrap();
    assert_eq!(addresses(&over_udp_from("127.0.1.3", server, "db.").await), ["10.9.0.2"]);
    assert_eq!(stranger.try_recv(&mut [0; 512]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(over_udp_from("127.0.1.3", server, "example.org.").await.metadata.response_code, ResponseCode::NXDomain);

    // In a network without a way out nothing is asked elsewhere.
    let inner = NameScope { internal: true, ..app("a", "127.0.1.2", "10.9.0.1") };
    proxy.swap(&RouteTable { generation: 3, names: vec![inner], ..RouteTable::default() }).await;
    assert_eq!(over_udp_from("127.0.1.2", server, "example.org.").await.metadata.response_code, ResponseCode::Refused);
    assert_eq!(addresses(&over_udp_from("127.0.1.2", server, "db.").await), ["10.9.0.1"]);

    let Answer::Metrics(metrics) = proxy.ask(&Ask::Metrics).await else { panic!("no metrics") };
    assert_eq!(
        metrics.names_refused,
        [("ambiguous", 0), ("internal", 1), ("stranger", 1)].map(|(why, count)| (why.to_owned(), count)).into()
    );
}
