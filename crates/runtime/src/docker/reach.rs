//! A question for a name, asked as a container would ask it: from its network namespace, whatever is in its image.

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::oneshot;

/// The question is asked so often, since a datagram may be lost, and a proxy that does not know the asker yet waits for two seconds.
const TIMES: u32 = 3;
/// How long an answer is waited for, each time.
const WAIT: Duration = Duration::from_secs(1);
/// Longest message over UDP that everybody takes (RFC 1035, 4.2.1).
const LONGEST: usize = 512;

/// Whether anything is answered by a name server, as the process sees it; nothing where that cannot be tried, which needs root.
pub(super) async fn is_answered(pid: i64, (server, name): (SocketAddr, &str)) -> Option<bool> {
    let namespace = PathBuf::from(format!("/proc/{pid}/ns/net"));
    let question = question(name);
    let (done, answer) = oneshot::channel();
    // A thread of its own, which ends with the answer: one that has moved is of no use to anybody else.
    let asks = move || {
        let _ = done.send(move_to(&namespace).and_then(|()| asked(server, &question)));
    };
    std::thread::Builder::new().name("reach".to_owned()).spawn(asks).ok()?;
    answer.await.ok()?.ok()
}

fn move_to(namespace: &Path) -> io::Result<()> {
    Ok(move_into_link_name_space(File::open(namespace)?.as_fd(), Some(LinkNameSpaceType::Network))?)
}

fn asked(server: SocketAddr, question: &[u8]) -> io::Result<bool> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(WAIT))?;
    let mut answer = [0; LONGEST];
    for _ in 0..TIMES {
        // A firewall that refuses instead of dropping is an error of either call.
        if socket.send(question).is_ok() && socket.recv(&mut answer).is_ok() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A question for the address of a name (RFC 1035, 4.1). Whatever is answered, somebody answers.
fn question(name: &str) -> Vec<u8> {
    // Number, recursion desired, one question.
    let mut message = vec![0x4c, 0x46, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let label = label.as_bytes().get(..63).unwrap_or(label.as_bytes());
        message.extend(u8::try_from(label.len()));
        message.extend(label);
    }
    // The root, type A, class IN.
    message.extend([0, 0, 1, 0, 1]);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_heard_and_silence_and_refusal_are_told_from_it() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = server.local_addr().unwrap();
        let answers = std::thread::spawn(move || {
            let mut question = [0; LONGEST];
            let (length, from) = server.recv_from(&mut question).unwrap();
            server.send_to(&question[..length], from).unwrap();
            question[..length].to_vec()
        });
        assert!(asked(at, &question("db.shop")).unwrap());
        assert_eq!(answers.join().unwrap()[12..], *b"\x02db\x04shop\0\0\x01\0\x01");
        assert!(!asked(at, &question("db")).unwrap(), "nobody is there any more");
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(!asked(silent.local_addr().unwrap(), &question("db")).unwrap());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_cannot_be_tried_is_not_known() {
        assert_eq!(is_answered(0, (([127, 0, 0, 1], 53).into(), "db")).await, None);
    }
}
