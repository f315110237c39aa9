//! WebSockets through HTTP/1.1 and through HTTP/2: byte for byte, frame after frame, each direction to its own end.

use crate::harness::{Running, raw, read_head, read_until, soon, start, table, until};
use crate::tls::{Authority, secured};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::ext::Protocol;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use landfall_model::control::{Answer, Ask};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::{Message, protocol::Role};

/// An application that switches to `tcp` and sends back what it gets.
async fn echoing() -> SocketAddr {
    raw(|mut stream| async move {
        let head = read_until(&mut stream, "\r\n\r\n").await;
        if !head.contains("upgrade: tcp/1\r\n") || !head.contains("connection: upgrade\r\n") {
            let _ = stream
                .write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{head}", head.len()).as_bytes())
                .await;
            return;
        }
        let _ = stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: TCP/1\r\n\r\nfirst ").await;
        let mut buffer = [0; 1000];
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            let _ = stream.write_all(&buffer[..read]).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_route_may_name_other_protocols() {
    let proxy = start();
    let mut table = table(1, &[("/", "shop/web", echoing().await)]);
    proxy.swap(&table).await;
    let ask = "POST /attach HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: tcp/1\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(first_line(&proxy, ask).await, "HTTP/1.1 501 Not Implemented");
    table.generation = 2;
    table.sites[0].routes[0].filters.upgrade = ["tcp".parse().unwrap()].into();
    proxy.swap(&table).await;
    let mut stream = TcpStream::connect(proxy.http).await.unwrap();
    stream.write_all(format!("{ask}early ").as_bytes()).await.unwrap();
    let head = read_until(&mut stream, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101 ") && head.to_ascii_lowercase().contains("upgrade: tcp/1\r\n"), "{head}");
    stream.write_all(b"\x89\xffmore").await.unwrap();
    let mut got = [0; 18];
    soon(stream.read_exact(&mut got)).await.unwrap();
    assert_eq!(&got, b"first early \x89\xffmore");
    // A replica that leaves says nothing on it that the client could take for the protocol's.
    proxy.close("shop/web").await;
    assert_eq!(soon(stream.read(&mut got)).await.unwrap_or(0), 0);

    for other in ["Upgrade: udp\r\n", "Upgrade: tcp\r\nUpgrade: udp\r\n", "Upgrade: udp, tcp\r\n"] {
        let line = first_line(&proxy, &ask.replace("Upgrade: tcp/1\r\n", other)).await;
        assert_eq!(line, "HTTP/1.1 501 Not Implemented", "{other}");
    }
    let body = ask.replace("Content-Length: 0\r\n\r\n", "Content-Length: 1\r\n\r\nx");
    assert_eq!(first_line(&proxy, &body).await, "HTTP/1.1 501 Not Implemented");
    let Answer::Metrics(metrics) = proxy.ask(&Ask::Metrics).await else { panic!("no metrics") };
    assert_eq!(metrics.refused.get("protocol"), Some(&5));
}

async fn first_line(proxy: &Running, text: &str) -> String {
    let mut stream = TcpStream::connect(proxy.http).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    read_until(&mut stream, "\r\n").await.trim().to_owned()
}

/// An application of HTTP/2 alone that takes WebSockets at `/ws` (RFC 8441) and sends back what it gets; or takes none.
async fn echoing_http2(takes: bool) -> (SocketAddr, mpsc::UnboundedReceiver<HeaderMap>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (send, seen) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let stream = listener.accept().await.unwrap().0;
            let send = send.clone();
            let service = service_fn(move |mut request: Request<Incoming>| {
                let send = send.clone();
                async move {
                    let mut response = Response::new(Empty::<Bytes>::new());
                    let protocol = request.extensions().get::<Protocol>().map(|protocol| protocol.as_str().to_owned());
                    let is_socket = request.method() == Method::CONNECT && protocol.as_deref() == Some("websocket");
                    if !is_socket || request.uri().path() != "/ws" {
                        *response.status_mut() = StatusCode::FORBIDDEN;
                        return Ok::<_, std::convert::Infallible>(response);
                    }
                    send.send(request.headers().clone()).unwrap();
                    let upgrade = hyper::upgrade::on(&mut request);
                    tokio::spawn(async move {
                        let mut stream = TokioIo::new(upgrade.await.unwrap());
                        let mut buffer = [0; 1000];
                        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                            stream.write_all(&buffer[..read]).await.unwrap();
                        }
                    });
                    response.headers_mut().insert("sec-websocket-protocol", "chat".parse().unwrap());
                    Ok(response)
                }
            });
            let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            if takes {
                builder.enable_connect_protocol();
            }
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
        }
    });
    (address, seen)
}

#[tokio::test]
async fn a_service_of_http2_takes_websockets_of_either_version() {
    let (application, mut seen) = echoing_http2(true).await;
    let (proxy, authority) = (start(), Authority::new());
    let mut table = secured(&proxy, &authority, application).await;
    table.generation = 2;
    table.upstreams.values_mut().for_each(|upstream| upstream.protocol = landfall_model::route::Protocol::H2c);
    proxy.swap(&table).await;
    for http2 in [true, false] {
        let mut socket = open(&proxy, &authority, http2).await;
        let headers = soon(seen.recv()).await.unwrap();
        assert_eq!(headers["sec-websocket-version"], "13");
        assert_eq!(
            (&headers["origin"], &headers["x-forwarded-for"]),
            (&"https://shop.example".parse().unwrap(), &"127.0.0.1".parse().unwrap())
        );
        assert!(["upgrade", "connection", "sec-websocket-key"].iter().all(|name| !headers.contains_key(*name)), "{headers:?}");
        let text = vec![b'x'; 100_000];
        let (mut read, mut write) = tokio::io::split(&mut socket);
        let sent = async { write.write_all(&text).await.unwrap() };
        let mut got = vec![0; text.len()];
        soon(async { tokio::join!(sent, async { read.read_exact(&mut got).await.unwrap() }) }).await;
        assert_eq!(got, text);
        assert_eq!(proxy.endpoint("shop/web").await.unwrap().streams, 1, "{http2}");
        drop(socket);
        until("it is over", async || proxy.endpoint("shop/web").await.unwrap().streams == 0).await;
    }
    let upgrade =
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut stream = authority.connect(&proxy, "shop.example", "http/1.1").await.unwrap();
    stream.write_all(format!("GET /no HTTP/1.1\r\nHost: shop.example\r\n{upgrade}\r\n").as_bytes()).await.unwrap();
    assert!(read_until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 403 "), "a refusal is told");

    let (application, _seen) = echoing_http2(false).await;
    table.generation = 3;
    table.upstreams.values_mut().for_each(|upstream| upstream.endpoints[0].address = application);
    proxy.swap(&table).await;
    assert_eq!(connect(&proxy, &authority).await.status(), StatusCode::NOT_IMPLEMENTED);
}

const FRAMES: usize = 10_000;

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}
type Socket = Box<dyn Io>;

/// A proxy in front of `application`, for HTTP/1.1 and HTTP/2.
async fn proxy(application: SocketAddr) -> (Running, Authority) {
    let (proxy, authority) = (start(), Authority::new());
    secured(&proxy, &authority, application).await;
    (proxy, authority)
}

const OWN: [(&str, &str); 4] =
    [("cookie", "a=1"), ("origin", "https://shop.example"), ("x-forwarded-for", "6.6.6.6"), ("sec-websocket-protocol", "chat")];

/// Asks for a WebSocket by extended CONNECT.
async fn connect(proxy: &Running, authority: &Authority) -> Response<Incoming> {
    let stream = authority.connect(proxy, "shop.example", "h2").await.unwrap();
    let (mut sender, mut connection) =
        soon(hyper::client::conn::http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), TokioIo::new(stream))).await.unwrap();
    // The server's settings say whether it may be asked (RFC 8441 §3).
    let allowed = async {
        while !connection.is_extended_connect_protocol_enabled() {
            poll_fn(|cx| {
                assert!(Pin::new(&mut connection).poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            tokio::task::yield_now().await;
        }
    };
    soon(allowed).await;
    tokio::spawn(connection);
    let mut request =
        Request::builder().method(Method::CONNECT).uri("https://shop.example/ws?q=1").extension(Protocol::from_static("websocket"));
    for (name, value) in OWN {
        request = request.header(name, value);
    }
    soon(sender.send_request(request.body(Empty::new()).unwrap())).await.unwrap()
}

async fn open(proxy: &Running, authority: &Authority, http2: bool) -> Socket {
    if http2 {
        let response = connect(proxy, authority).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(["connection", "upgrade", "sec-websocket-accept"].iter().all(|name| !response.headers().contains_key(*name)));
        return Box::new(TokioIo::new(soon(hyper::upgrade::on(response)).await.unwrap()));
    }
    let mut stream = authority.connect(proxy, "shop.example", "http/1.1").await.unwrap();
    let own: String = OWN.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let upgrade =
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    stream.write_all(format!("GET /ws?q=1 HTTP/1.1\r\nHost: shop.example\r\n{own}{upgrade}\r\n").as_bytes()).await.unwrap();
    let head = read_until(&mut stream, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
    Box::new(stream)
}

/// An application that accepts as it should and then does `with` its side; heads are told.
async fn accepting<F, R>(heads: mpsc::UnboundedSender<String>, with: F) -> SocketAddr
where
    F: Fn(TcpStream) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    raw(move |mut stream| {
        let (heads, with) = (heads.clone(), with.clone());
        async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => return,
                }
            }
            let head = String::from_utf8(head).unwrap();
            let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap();
            let accept = derive_accept_key(key.as_bytes());
            let agreed = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            heads.send(head).unwrap();
            stream.write_all(agreed.as_bytes()).await.unwrap();
            with(stream).await;
        }
    })
    .await
}

async fn echo(stream: TcpStream) {
    let (mut read, mut write) = stream.into_split();
    let _ = tokio::io::copy(&mut read, &mut write).await;
}

/// Numbers without a pattern, the same in every run.
struct Chance(u64);

impl Chance {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// Masked frames of every size class, with every opcode that means something or is reserved, whole and in fragments.
fn frames(chance: &mut Chance, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for i in 0..count {
        let length = match chance.next(1000) {
            0 => 65_536 + chance.next(100_000),
            1..=10 => 126 + chance.next(65_410),
            11..=300 => 126 + chance.next(2_000),
            301..=310 => [0, 125, 126, 65_535, 65_536][i % 5],
            _ => chance.next(126),
        };
        // Close is not among them: it has a meaning for who carries.
        let opcode = [0, 1, 2, 9, 10, 3, 7, 11, 15][chance.next(9) as usize];
        let whole = if chance.next(3) > 0 { 0x80 } else { 0 };
        bytes.push(whole | opcode);
        match length {
            0..126 => bytes.push(0x80 | length as u8),
            126..65_536 => {
                bytes.push(0x80 | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(0x80 | 127);
                bytes.extend(length.to_be_bytes());
            }
        }
        bytes.extend((0..4 + length).map(|_| chance.next(256) as u8));
    }
    bytes
}

async fn ten_thousand_frames(http2: bool) {
    let (heads, _heads) = mpsc::unbounded_channel();
    let (proxy, authority) = proxy(accepting(heads, echo).await).await;
    let socket = open(&proxy, &authority, http2).await;
    let mut chance = Chance(0x5eed);
    let sent = frames(&mut chance, FRAMES);
    let (mut read, mut write) = tokio::io::split(socket);
    let pieces = sent.clone();
    let writing = tokio::spawn(async move {
        let mut rest = &pieces[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(1 + chance.next(40_000) as usize));
            write.write_all(now).await.unwrap();
            write.flush().await.unwrap();
            rest = later;
        }
        // The end travels too: the application ends when it has read it, and then so does this side.
        write.shutdown().await.unwrap();
        write
    });
    let mut back = Vec::with_capacity(sent.len());
    soon(read.read_to_end(&mut back)).await.unwrap();
    drop(writing.await.unwrap());
    assert!(back == sent, "{} of {} bytes came back", back.len(), sent.len());
}

#[tokio::test]
async fn ten_thousand_frames_through_http1() {
    ten_thousand_frames(false).await;
}

#[tokio::test]
async fn ten_thousand_frames_through_http2() {
    ten_thousand_frames(true).await;
}

#[tokio::test]
async fn each_direction_ends_by_itself() {
    for http2 in [false, true] {
        // The application says its last word first, and hears all of the client's.
        let (heads, _heads) = mpsc::unbounded_channel();
        let (heard, mut told) = mpsc::unbounded_channel();
        let application = accepting(heads, move |mut stream: TcpStream| {
            let heard = heard.clone();
            async move {
                stream.write_all(b"\x81\x04last").await.unwrap();
                stream.shutdown().await.unwrap();
                let mut all = Vec::new();
                stream.read_to_end(&mut all).await.unwrap();
                heard.send(all).unwrap();
            }
        })
        .await;
        let (proxy, authority) = proxy(application).await;
        let mut socket = open(&proxy, &authority, http2).await;
        let mut last = Vec::new();
        soon(socket.read_to_end(&mut last)).await.unwrap();
        assert_eq!(last, b"\x81\x04last");
        let mine = frames(&mut Chance(7), 100);
        socket.write_all(&mine).await.unwrap();
        socket.shutdown().await.unwrap();
        assert!(soon(told.recv()).await.unwrap() == mine, "http2: {http2}");
    }
}

#[tokio::test]
async fn the_application_sees_the_same_request_either_way() {
    let (heads, mut told) = mpsc::unbounded_channel();
    let (proxy, authority) = proxy(accepting(heads, echo).await).await;
    let mut seen = Vec::new();
    for http2 in [false, true] {
        drop(open(&proxy, &authority, http2).await);
        let head = soon(told.recv()).await.unwrap();
        let mut lines: Vec<String> = head.lines().map(str::to_owned).collect();
        lines.retain(|line| !line.starts_with("x-request-id: ") && !line.starts_with("sec-websocket-key: "));
        lines[1..].sort();
        seen.push(lines);
    }
    assert_eq!(seen[0], seen[1]);
    for line in
        ["GET /ws?q=1 HTTP/1.1", "cookie: a=1", "x-forwarded-for: 127.0.0.1", "x-forwarded-proto: https", "sec-websocket-version: 13"]
    {
        assert!(seen[1].iter().any(|seen| seen == line), "{line} in {:?}", seen[1]);
    }
}

#[tokio::test]
async fn real_clients_and_servers_understand_each_other() {
    let address = raw(|stream| async move {
        let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() || message.is_binary() {
                socket.send(message).await.unwrap();
            }
        }
    })
    .await;
    let (proxy, authority) = proxy(address).await;
    for http2 in [false, true] {
        let mut socket = if http2 {
            let response = connect(&proxy, &authority).await;
            let io: Socket = Box::new(TokioIo::new(soon(hyper::upgrade::on(response)).await.unwrap()));
            WebSocketStream::from_raw_socket(io, Role::Client, None).await
        } else {
            let io: Socket = Box::new(authority.connect(&proxy, "shop.example", "http/1.1").await.unwrap());
            soon(tokio_tungstenite::client_async("wss://shop.example/ws", io)).await.unwrap().0
        };
        for message in [Message::text("h\u{e9}llo"), Message::binary(vec![0; 300_000]), Message::text("")] {
            socket.send(message.clone()).await.unwrap();
            assert_eq!(soon(socket.next()).await.unwrap().unwrap(), message);
        }
        socket.send(Message::Ping(Bytes::from_static(b"there?"))).await.unwrap();
        assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::Pong(Bytes::from_static(b"there?")));
        soon(socket.close(None)).await.unwrap();
        while let Some(Ok(_)) = soon(socket.next()).await {}
    }
}

#[tokio::test]
async fn through_http2_only_an_agreement_is_a_success() {
    const ANSWERS: [(&str, u16); 6] = [
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 403),
        ("HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n", 302),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 502),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: bm8=\r\n\r\n", 502),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 502),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", 502),
    ];
    // One after the other.
    let turn = Arc::new(AtomicUsize::new(0));
    let application = raw(move |mut stream| {
        let turn = Arc::clone(&turn);
        async move {
            if read_head(&mut stream).await {
                let (answer, _) = ANSWERS[turn.fetch_add(1, Ordering::SeqCst)];
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let (proxy, authority) = proxy(application).await;
    for (answer, status) in ANSWERS {
        assert_eq!(connect(&proxy, &authority).await.status(), status, "{answer}");
    }
}
