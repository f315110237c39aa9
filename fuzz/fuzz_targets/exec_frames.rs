//! Frames of a client that runs a command: however they arrive, the command gets the same, and a size of its terminal is four bytes.

#![no_main]

#[path = "../../crates/agent/src/api/frames.rs"]
mod frames;

use frames::read_frames;
use landfall_fuzz::pieces::ways;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| tokio::runtime::Builder::new_current_thread().build().expect("a runtime"));

/// What a command was given, and whether it was told that this is all.
type Given = (Vec<u8>, bool);

struct Stdin(Arc<Mutex<Given>>);

impl AsyncWrite for Stdin {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut given = self.0.lock().expect("nobody else");
        assert!(!given.1, "something follows its end");
        given.0.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().expect("nobody else").1 = true;
        Poll::Ready(Ok(()))
    }
}

fn carried(parts: &[&[u8]], total: usize) -> (Given, Vec<(u16, u16)>) {
    use tokio::io::AsyncReadExt as _;
    let given = Arc::new(Mutex::new(Given::default()));
    let (resize, mut sizes) = mpsc::channel(total / 9 + 1);
    let stdin = Box::new(Stdin(Arc::clone(&given)));
    RUNTIME.block_on(async {
        let mut reader: Box<dyn tokio::io::AsyncRead + Unpin> = Box::new(tokio::io::empty());
        // As many reads as there are parts, up to where that would be deeper than a stack.
        if parts.len() <= 64 {
            for part in parts.iter().rev() {
                reader = Box::new(part.chain(reader));
            }
        } else {
            reader = Box::new(Slowly(parts.concat()));
        }
        read_frames(reader, stdin, resize).await;
    });
    let given = given.lock().expect("nobody else").clone();
    (given, std::iter::from_fn(|| sizes.try_recv().ok()).collect())
}

/// One byte at a time.
struct Slowly(Vec<u8>);

impl tokio::io::AsyncRead for Slowly {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut tokio::io::ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.0.is_empty() && into.remaining() > 0 {
            let byte = self.0.remove(0);
            into.put_slice(&[byte]);
        }
        Poll::Ready(Ok(()))
    }
}

fn slowly(mut bytes: &[u8]) -> (Given, Vec<(u16, u16)>) {
    let (mut given, mut sizes) = (Given::default(), Vec::new());
    while let Some((head, rest)) = bytes.split_at_checked(5) {
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let Some((text, rest)) = rest.split_at_checked(length).filter(|_| length <= 64 * 1024) else { break };
        match (head[0], text) {
            (0, []) => given.1 = true,
            (0, text) if !given.1 => given.0.extend_from_slice(text),
            (4, [a, b, c, d]) => sizes.push((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]))),
            _ => {}
        }
        bytes = rest;
    }
    (given, sizes)
}

landfall_fuzz::fuzz!(|bytes: &[u8]| {
    for parts in ways(bytes) {
        assert_eq!(carried(&parts, bytes.len()), slowly(bytes));
    }
});
