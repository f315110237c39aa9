//! Much, both ways at once, and clients that do not take it.

use super::{configs, configs_for, connected, noise};
use crate::tls::buffers::{AHEAD, CONTENT, RECORD};
use proptest::prelude::*;
use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::Poll;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, split};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn twenty_mebibytes_both_ways_at_once() {
    let configs = configs();
    let (client, server) = connected(&configs).await;
    let (mut client_read, mut client_write) = split(client);
    let (mut server_read, mut server_write) = split(server);
    let (up, down) = (noise(20 * MIB), noise(20 * MIB + 1));
    let (mut arrived_up, mut arrived_down) = (Vec::new(), Vec::new());
    let send_up = async {
        client_write.write_all(&up).await.unwrap();
        client_write.shutdown().await.unwrap();
    };
    let send_down = async {
        server_write.write_all(&down).await.unwrap();
        server_write.shutdown().await.unwrap();
    };
    let read_up = async { server_read.read_to_end(&mut arrived_up).await.unwrap() };
    let read_down = async { client_read.read_to_end(&mut arrived_down).await.unwrap() };
    tokio::join!(send_up, send_down, read_up, read_down);
    assert!(arrived_up == up && arrived_down == down);
}

#[tokio::test]
async fn a_client_that_stops_reading_costs_one_batch_and_loses_nothing() {
    let configs = configs();
    let (mut client, mut server) = connected(&configs).await;
    let piece = noise(100_000);
    let mut written = Vec::new();
    poll_fn(|cx| {
        loop {
            match Pin::new(&mut server).poll_write(cx, &piece) {
                Poll::Ready(count) => written.extend_from_slice(&piece[..count.unwrap()]),
                Poll::Pending => return Poll::Ready(()),
            }
        }
    })
    .await;
    assert!((1..=AHEAD + 4 * RECORD).contains(&server.session.unsent().rest().len()));
    let mut arrived = vec![0; written.len()];
    let (flushed, read) = tokio::join!(server.flush(), client.read_exact(&mut arrived));
    flushed.unwrap();
    read.unwrap();
    assert!(arrived == written);
    assert_eq!(server.session.kept(), 0);
}

#[tokio::test]
async fn an_answer_of_small_pieces_is_one_record() {
    let configs = configs();
    let (mut client, mut server) = connected(&configs).await;
    let pieces = [&b"HTTP/1.1 200 OK\r\n\r\n"[..], b"", &[b'x'; 3000], b"end"];
    let slices = pieces.map(IoSlice::new);
    let length = pieces.concat().len();
    assert_eq!(server.write_vectored(&slices).await.unwrap(), length);
    // One read of a client gets what one record had.
    let mut space = vec![0; 2 * CONTENT];
    assert_eq!(client.read(&mut space).await.unwrap(), length);
    assert_eq!(space[..length], pieces.concat());
    assert_eq!(server.session.kept(), 0);
}

#[tokio::test]
async fn what_a_small_read_leaves_is_kept_until_it_is_taken() {
    let configs = configs();
    let (mut client, mut server) = connected(&configs).await;
    let sent = noise(3 * CONTENT);
    let write = async {
        client.write_all(&sent).await.unwrap();
        client.flush().await.unwrap();
    };
    let read = async {
        let mut arrived = vec![0; sent.len()];
        for byte in arrived.chunks_mut(100) {
            server.read_exact(byte).await.unwrap();
            assert!(server.session.kept() <= 4 * RECORD);
        }
        arrived
    };
    let ((), arrived) = tokio::join!(write, read);
    assert!(arrived == sent);
    assert_eq!(server.session.kept(), 0);
}

/// Sizes of reads and writes.
fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1usize..100, 1usize..40_000, Just(CONTENT), 60_000usize..150_000], 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn sizes_of_reads_and_writes_do_not_matter(writes in sizes(), reads in sizes(), vectored: bool, new: bool) {
        let version = if new { &rustls::version::TLS13 } else { &rustls::version::TLS12 };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let configs = configs_for(&[version]);
            let (client, server) = connected(&configs).await;
            let (mut client_read, mut client_write) = split(client);
            let (mut server_read, mut server_write) = split(server);
            let sent = noise(writes.iter().sum());
            let down = async {
                let mut at = 0;
                for size in &writes {
                    let end = at + size;
                    while at < end {
                        let (one, two) = sent[at..end].split_at((end - at) / 3);
                        let slices = [IoSlice::new(one), IoSlice::new(two)];
                        at += if vectored { server_write.write_vectored(&slices).await } else { server_write.write(&sent[at..end]).await }.unwrap();
                    }
                }
                server_write.shutdown().await.unwrap();
            };
            let back = async {
                let mut sizes = reads.iter().cycle();
                let mut echoed = 0;
                loop {
                    let mut space = vec![0; *sizes.next().unwrap()];
                    let count = client_read.read(&mut space).await.unwrap();
                    client_write.write_all(&space[..count]).await.unwrap();
                    echoed += count;
                    if count == 0 {
                        break;
                    }
                }
                client_write.shutdown().await.unwrap();
                echoed
            };
            let up = async {
                let (mut sizes, mut arrived) = (reads.iter().cycle(), Vec::new());
                loop {
                    let mut space = vec![0; *sizes.next().unwrap()];
                    let count = server_read.read(&mut space).await.unwrap();
                    arrived.extend_from_slice(&space[..count]);
                    if count == 0 {
                        break arrived;
                    }
                }
            };
            let ((), echoed, arrived) = tokio::join!(down, back, up);
            assert!(echoed == sent.len() && arrived == sent);
        });
    }
}
