//! Names of services, asked for as containers ask for them.

use crate::harness::{Options, soon, start_with};
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use landfall_model::route::{NameScope, RouteTable};
use landfall_proxy::NameServers;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

fn question(name: &str) -> Vec<u8> {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
    message.to_vec().unwrap()
}

async fn over_udp(server: SocketAddr, name: &str) -> Message {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
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

fn table(generation: u64, listen: &[Ipv4Addr], replicas: &[&str]) -> RouteTable {
    let addresses: Vec<IpAddr> = replicas.iter().map(|ip| ip.parse().unwrap()).collect();
    let scope = |listen: &Ipv4Addr| NameScope { listen: IpAddr::V4(*listen), names: [("api".to_owned(), addresses.clone())].into() };
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
