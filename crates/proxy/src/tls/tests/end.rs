//! How a connection ends: announced by either side first, cut off, or spoiled.

use super::{configs, connected};
use std::io::ErrorKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn we_end_first_and_still_read() {
    let configs = configs();
    let (mut client, mut server) = connected(&configs).await;
    server.write_all(b"bye").await.unwrap();
    server.shutdown().await.unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(server.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "bye");
    client.write_all(b"and you").await.unwrap();
    client.shutdown().await.unwrap();
    let mut text = String::new();
    server.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "and you");
}

#[tokio::test]
async fn the_client_ends_first_and_still_reads() {
    let configs = configs();
    let (mut client, mut server) = connected(&configs).await;
    client.write_all(b"that is all").await.unwrap();
    client.shutdown().await.unwrap();
    let mut text = String::new();
    server.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "that is all");
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
    server.write_all(b"the answer").await.unwrap();
    server.shutdown().await.unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "the answer");
    assert_eq!(server.session.kept(), 0);
}

#[tokio::test]
async fn what_is_cut_off_is_not_taken_for_whole() {
    let configs = configs();
    let (mut client, mut server) = connected(&configs).await;
    client.write_all(b"half of").await.unwrap();
    client.get_mut().0.shutdown().await.unwrap();
    let mut text = String::new();
    assert_eq!(server.read_to_string(&mut text).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_spoiled_record_gets_an_alert_and_ends_it() {
    let configs = configs();
    let (mut client, mut server) = connected(&configs).await;
    client.get_mut().0.write_all(&[23, 3, 3, 0, 32]).await.unwrap();
    client.get_mut().0.write_all(&[7; 32]).await.unwrap();
    for _ in 0..2 {
        assert_eq!(server.read(&mut [0; 8]).await.unwrap_err().kind(), ErrorKind::InvalidData);
    }
    assert!(server.write(b"x").await.is_err());
    server.shutdown().await.unwrap();
    let told = client.read(&mut [0; 8]).await.unwrap_err().to_string();
    assert!(told.contains("BadRecordMac"), "{told}");
}
