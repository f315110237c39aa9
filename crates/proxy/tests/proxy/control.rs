//! What the agent can ask, what is refused, and what survives a restart.

use crate::harness::{Options, listener, named, start, start_with, table};
use landfall_model::control::{Answer, MAX_FRAME};
use landfall_model::route::{CertificateFiles, InternalListener};
use landfall_proxy::Listeners;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

#[tokio::test]
async fn a_table_that_cannot_be_used_changes_nothing() {
    let proxy = start();
    let web = named("web").await;
    proxy.swap(&table(5, &[("/", "shop/web", web)])).await;

    let taken = listener();
    let free = listener().local_addr().unwrap();
    let mut bad = table(6, &[("/", "shop/other", web)]);
    bad.internal.push(InternalListener { address: free, upstream: "shop/".into() });
    bad.internal.push(InternalListener { address: taken.local_addr().unwrap(), upstream: "shop/".into() });
    assert_eq!(proxy.refused(&bad).await, "port-taken");
    drop(std::net::TcpListener::bind(free).expect("what was opened for a refused table is closed"));

    bad.internal = vec![InternalListener { address: "192.0.2.1:1".parse().unwrap(), upstream: "shop/".into() }];
    assert_eq!(proxy.refused(&bad).await, "not-loopback");

    bad.internal.clear();
    let nowhere = || "/nonexistent/file.pem".to_owned();
    bad.certificates.push(CertificateFiles { hosts: vec![], chain: nowhere(), key: nowhere(), fingerprint: "x".into() });
    assert_eq!(proxy.refused(&bad).await, "certificate-unreadable");

    assert_eq!(proxy.refused(&table(4, &[])).await, "stale-generation");

    let status = proxy.status().await;
    assert_eq!(status.generation, 5);
    assert_eq!(status.endpoints.keys().collect::<Vec<_>>(), ["shop/web"]);
    assert!(proxy.get("shop.example", "/").await.1.ends_with("web /"));
}

#[tokio::test]
async fn only_the_owner_may_ask_and_nonsense_is_answered() {
    let proxy = start();
    let path = proxy.home.path().join("run/proxy.sock");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(&[0, 0, 0, 2, b'{', b'}']).await.unwrap();
    let mut frame = vec![0; stream.read_u32().await.unwrap() as usize];
    stream.read_exact(&mut frame).await.unwrap();
    assert!(matches!(serde_json::from_slice(&frame).unwrap(), Answer::Refused { code, .. } if code == "not-understood"));
    stream.write_all(&(MAX_FRAME as u32 + 1).to_be_bytes()).await.unwrap();
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0, "too long a frame ends the conversation");
}

#[tokio::test]
async fn a_new_proxy_carries_requests_before_the_agent_comes() {
    let supervisor = tempfile::tempdir().unwrap();
    let path = supervisor.path().join("notify.sock");
    let notified = UnixDatagram::bind(&path).unwrap();
    let heard = || {
        let mut text = [0; 200];
        let length = notified.recv(&mut text).unwrap();
        String::from_utf8(text[..length].to_vec()).unwrap()
    };
    let first = start_with(tempfile::tempdir().unwrap(), Options { notify: Some(path.clone().into()), ..Options::default() });
    assert_eq!(heard(), "READY=1");
    let address = listener().local_addr().unwrap();
    let mut table = table(3, &[("/", "shop/web", named("web").await)]);
    table.internal.push(InternalListener { address, upstream: "shop/".into() });
    first.swap(&table).await;
    assert_eq!(heard(), format!("FDSTORE=1\nFDNAME=internal-127.0.0.1-{}", address.port()));
    let home = first.home;
    first.handle.stop().unwrap();
    assert_eq!(heard(), "STOPPING=1");

    // The supervisor hands over what it kept; a listener nobody asks for any more comes along.
    let (kept, unwanted) = (std::net::TcpListener::bind(address).unwrap(), listener());
    let unwanted_port = unwanted.local_addr().unwrap().port();
    let listeners = Listeners { internal: vec![kept, unwanted], ..Listeners::default() };
    let second = start_with(home, Options { listeners, notify: Some(path.into()), ..Options::default() });
    assert_eq!(heard(), "READY=1", "nothing is stored twice");
    assert!(second.get("shop.example", "/").await.1.ends_with("web /"));
    let answer = crate::harness::talk(address, "GET /x HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n").await;
    assert!(answer.ends_with("web /x"), "{answer}");
    assert_eq!(second.status().await.generation, 3);
    table.generation = 4;
    second.swap(&table).await;
    assert_eq!(heard(), format!("FDSTOREREMOVE=1\nFDNAME=internal-127.0.0.1-{unwanted_port}"));
}
