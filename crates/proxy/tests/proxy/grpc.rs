//! gRPC as its own clients and servers speak it, through the proxy: HTTP/2 on both sides, trailers, streams in both directions.

use crate::harness::{Running, soon, start, talk, until};
use crate::tls::{Authority, secured};
use bytes::{Buf, BufMut, Bytes};
use futures_util::{Stream, StreamExt, stream};
use http::uri::PathAndQuery;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use landfall_model::route::Protocol;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Barrier, mpsc};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status, Streaming};

/// Messages as they are: what is in them is none of the proxy's business.
#[derive(Default, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(bytes.copy_to_bytes(bytes.remaining())))
    }
}

type Answers = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

/// What the application saw.
#[derive(Clone)]
struct Seen {
    /// Connections that carried calls.
    connections: Arc<Mutex<HashSet<usize>>>,
    together: Arc<Barrier>,
    ended: mpsc::UnboundedSender<bool>,
}

async fn unary(seen: Seen, request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
    if request.get_ref() == "together" {
        seen.together.wait().await;
    }
    if request.get_ref() == "fail" {
        return Err(Status::with_details(Code::NotFound, "nothing of \u{fc}se", Bytes::from_static(b"\x00\xff")));
    }
    let timeout = request.metadata().get("grpc-timeout").cloned();
    let own = request.metadata().get_bin("x-own-bin").cloned();
    let mut response = Response::new(request.into_inner());
    if let Some(timeout) = timeout {
        response.metadata_mut().insert("x-timeout", timeout);
    }
    if let Some(own) = own {
        response.metadata_mut().insert_bin("x-own-bin", own);
    }
    Ok(response)
}

/// Says each message again; `fail` ends it with an error, and after `stay` it ends only when nobody listens any more. Its end is told.
async fn conversation(seen: Seen, request: Request<Streaming<Bytes>>) -> Result<Response<Answers>, Status> {
    let mut incoming = request.into_inner();
    let (send, answers) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut stays = false;
        let whole = loop {
            let message = incoming.message().await;
            stays |= matches!(&message, Ok(Some(message)) if message == "stay");
            match message {
                Ok(Some(message)) if message == "fail" => drop(send.send(Err(Status::resource_exhausted("enough")))),
                Ok(Some(message)) => drop(send.send(Ok(message))),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        if stays {
            send.closed().await;
        }
        let _ = seen.ended.send(whole && !stays);
    });
    Ok(Response::new(Box::pin(stream::unfold(answers, |mut answers| async { answers.recv().await.map(|answer| (answer, answers)) }))))
}

/// A gRPC server without TLS.
async fn server(seen: Seen) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = AtomicUsize::new(0);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (number, seen) = (count.fetch_add(1, Ordering::Relaxed), seen.clone());
            let service = service_fn(move |request: http::Request<Incoming>| {
                seen.connections.lock().unwrap().insert(number);
                let (seen, mut grpc) = (seen.clone(), tonic::server::Grpc::new(Raw));
                async move {
                    assert_eq!(request.headers()["te"], "trailers");
                    Ok::<_, std::convert::Infallible>(if request.uri().path() == "/test.Talk/Conversation" {
                        grpc.streaming(tower::service_fn(move |call| conversation(seen.clone(), call)), request).await
                    } else {
                        grpc.unary(tower::service_fn(move |call| unary(seen.clone(), call)), request).await
                    })
                }
            });
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    address
}

struct Talk {
    proxy: Running,
    client: tonic::client::Grpc<Channel>,
    seen: Seen,
    ended: mpsc::UnboundedReceiver<bool>,
}

async fn talk_over_tls() -> Talk {
    let (send, ended) = mpsc::unbounded_channel();
    let seen = Seen { connections: Arc::default(), together: Arc::new(Barrier::new(100)), ended: send };
    let (proxy, authority) = (start(), Arc::new(Authority::new()));
    let mut table = secured(&proxy, &authority, server(seen.clone()).await).await;
    table.generation += 1;
    table.upstreams.values_mut().for_each(|upstream| upstream.protocol = Protocol::H2c);
    proxy.swap(&table).await;
    let https = proxy.https;
    let connector = tower::service_fn(move |_| {
        let authority = Arc::clone(&authority);
        async move { authority.connect_to(https, "shop.example", "h2").await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://shop.example").origin("https://shop.example".parse().unwrap());
    let channel = endpoint.connect_with_connector(connector).await.unwrap();
    Talk { proxy, client: tonic::client::Grpc::new(channel), seen, ended }
}

fn to(path: &'static str) -> PathAndQuery {
    PathAndQuery::from_static(path)
}

async fn say(client: &tonic::client::Grpc<Channel>, request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
    let mut client = client.clone();
    client.ready().await.unwrap();
    soon(client.unary(request, to("/test.Talk/Say"), Raw)).await
}

#[tokio::test]
async fn calls_are_answered_with_metadata_and_status() {
    let talk = talk_over_tls().await;
    let mut request = Request::new(Bytes::from(vec![7; 1_000_000]));
    request.metadata_mut().insert_bin("x-own-bin", tonic::metadata::MetadataValue::from_bytes(b"\x00\x01\xfe"));
    request.set_timeout(Duration::from_secs(20));
    let response = say(&talk.client, request).await.unwrap();
    assert_eq!(response.get_ref().len(), 1_000_000);
    assert_eq!(response.metadata().get_bin("x-own-bin").unwrap().to_bytes().unwrap().as_ref(), b"\x00\x01\xfe");
    assert_eq!(response.metadata().get("x-timeout").unwrap(), "20000000u", "the deadline reaches the application");

    let status = say(&talk.client, Request::new(Bytes::from_static(b"fail"))).await.unwrap_err();
    assert_eq!((status.code(), status.message(), status.details()), (Code::NotFound, "nothing of \u{fc}se", &b"\x00\xff"[..]));
    assert_eq!(talk.proxy.status().await.failures, 0);
}

#[tokio::test]
async fn a_conversation_goes_to_and_fro_message_by_message() {
    let mut talk = talk_over_tls().await;
    let (send, messages) = mpsc::unbounded_channel::<Bytes>();
    let messages = stream::unfold(messages, |mut messages| async { messages.recv().await.map(|message| (message, messages)) });
    let mut client = talk.client.clone();
    client.ready().await.unwrap();
    let answer = soon(client.streaming(Request::new(messages), to("/test.Talk/Conversation"), Raw)).await.unwrap();
    let mut answers = answer.into_inner();
    for round in 0..200usize {
        let message = Bytes::from(vec![round as u8; 1 + round * 37]);
        send.send(message.clone()).unwrap();
        assert_eq!(soon(answers.message()).await.unwrap(), Some(message));
    }
    // The error comes in trailers, after messages that arrived.
    send.send(Bytes::from_static(b"fail")).unwrap();
    let status = soon(answers.message()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "enough"));
    drop(send);
    soon(talk.ended.recv()).await.unwrap();
}

#[tokio::test]
async fn what_the_client_ends_ends_whole_and_what_it_gives_up_is_given_up_behind_the_proxy() {
    let mut talk = talk_over_tls().await;
    let messages = stream::iter((0..50).map(|i| Bytes::from(format!("message {i}"))));
    let mut client = talk.client.clone();
    client.ready().await.unwrap();
    let answer = soon(client.streaming(Request::new(messages), to("/test.Talk/Conversation"), Raw)).await.unwrap();
    let answers: Vec<_> = soon(answer.into_inner().collect::<Vec<_>>()).await;
    assert_eq!(answers.len(), 50);
    assert_eq!(soon(talk.ended.recv()).await, Some(true));

    client.ready().await.unwrap();
    let stay = stream::iter([Bytes::from_static(b"stay")]);
    let answer = soon(client.streaming(Request::new(stay), to("/test.Talk/Conversation"), Raw)).await.unwrap();
    let mut answers = answer.into_inner();
    assert_eq!(soon(answers.message()).await.unwrap().as_deref(), Some(&b"stay"[..]));
    drop(answers);
    assert_eq!(soon(talk.ended.recv()).await, Some(false));
    until("nothing is held", async || talk.proxy.status().await.endpoints.values().all(|e| e.requests + e.streams == 0)).await;
}

#[tokio::test]
async fn many_calls_share_few_connections() {
    let talk = talk_over_tls().await;
    // None is answered before all have arrived.
    let calls = (0..100).map(|_| say(&talk.client, Request::new(Bytes::from_static(b"together"))));
    let answers = futures_util::future::join_all(calls).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(talk.seen.connections.lock().unwrap().len(), 2, "64 calls on one, the rest on another");
    for _ in 0..50 {
        say(&talk.client, Request::new(Bytes::from_static(b"again"))).await.unwrap();
    }
    assert_eq!(talk.seen.connections.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_and_one_of_http1_is_no_success() {
    let talk = talk_over_tls().await;
    let mut table = crate::harness::table(3, &[("/", "shop/away", crate::harness::listener().local_addr().unwrap())]);
    table.upstreams.values_mut().for_each(|upstream| upstream.protocol = Protocol::H2c);
    table.sites[0].https = true;
    talk.proxy.swap(&table).await;
    let status = say(&talk.client, Request::new(Bytes::from_static(b"hello"))).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    table.generation += 1;
    table.sites[0].https = false;
    let http1 = crate::harness::named("web").await;
    table.upstreams.values_mut().flat_map(|upstream| &mut upstream.endpoints).for_each(|endpoint| endpoint.address = http1);
    talk.proxy.swap(&table).await;
    let answer = talk_plainly(&talk.proxy).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
}

async fn talk_plainly(proxy: &Running) -> String {
    talk(proxy.http, "GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n").await
}
