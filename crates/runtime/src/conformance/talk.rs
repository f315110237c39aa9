//! Logs, commands inside, ports.

use super::{Kit, Shape, until};
use crate::fake::Act;
use crate::{Runtime, RuntimeError, Session};
use futures_util::StreamExt as _;
use landfall_model::spec::Restart;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Lines come in order, the tail is the end, and following goes on until the replica is removed.
pub async fn logs_are_in_order_and_can_be_followed(rt: &dyn Runtime, kit: &Kit) {
    kit.prepare(rt).await;
    let out: Vec<String> = (0..50).map(|i| format!("line {i}")).chain([String::new(), "the end".into()]).collect();
    let launch = kit.launch("web-4-1", &Act::Say { out: out.clone(), err: "oh".into() }, &Shape::default());
    rt.start(&launch).await.expect("start");
    kit.wait_for_line(rt, &launch.id, "the end").await;
    until("standard error is there", async || kit.lines(rt, &launch.id, 1000).await.iter().any(|(e, l)| *e && l == "oh")).await;
    let lines = kit.lines(rt, &launch.id, 1000).await;
    assert_eq!(lines.iter().filter(|(e, _)| !e).map(|(_, l)| l.clone()).collect::<Vec<_>>(), out);
    assert_eq!(kit.lines(rt, &launch.id, 2).await, lines[lines.len() - 2..]);

    let mut follow = rt.logs(&kit.app, &launch.id, 3, true).await.expect("follow");
    for (stderr, line) in &lines[lines.len() - 3..] {
        let entry = follow.next().await.expect("a line").expect("no error");
        assert_eq!((&entry.stderr, &entry.line), (stderr, line));
        assert!(entry.at_ms > 1_500_000_000_000, "{entry:?}");
    }
    rt.remove(&kit.app, &launch.id).await.expect("remove");
    let rest = tokio::time::timeout(Duration::from_secs(60), follow.next()).await.expect("following ends with the replica");
    assert!(rest.is_none(), "{rest:?}");
}

/// A follower sees a program's second life.
pub async fn logs_go_on_over_a_restart(rt: &dyn Runtime, kit: &Kit) {
    kit.clear(rt).await;
    kit.prepare(rt).await;
    if (kit.command)(&Act::CrashOnce) == Act::CrashOnce.command() {
        // The fake's programs write nothing when they crash.
        return;
    }
    let shape = Shape { restart: Some(Restart::Always), ..Shape::default() };
    let launch = kit.launch("web-4-2", &Act::CrashOnce, &shape);
    rt.start(&launch).await.expect("start");
    let follow = rt.logs(&kit.app, &launch.id, 10, true).await.expect("follow");
    let lines = follow.take(2).map(|l| l.expect("no error").line).collect::<Vec<_>>();
    let lines = tokio::time::timeout(Duration::from_secs(60), lines).await.expect("two lines in time");
    assert_eq!(lines, ["first", "again"]);
    rt.remove(&kit.app, &launch.id).await.expect("remove");
    kit.clear(rt).await;
}

/// A command inside gets its input, both its outputs are told apart, and its code comes back.
pub async fn exec_carries_input_output_and_code(rt: &dyn Runtime, kit: &Kit) {
    kit.prepare(rt).await;
    let launch = kit.launch("web-4-3", &Act::Stay, &Shape { environment: vec![("GREETING", "he llo")], ..Shape::default() });
    rt.start(&launch).await.expect("start");
    let exec = async |act: &Act| rt.exec(&kit.app, &launch.id, &(kit.command)(act), false).await.expect("exec");

    let (out, err, code) = drained(exec(&Act::Answer { out: "o\n\nut".into(), err: "err\n".into(), code: 9 }).await, b"").await;
    assert_eq!((out.as_str(), err.as_str(), code), ("o\n\nut", "err\n", 9));
    let show = Act::Show { arguments: vec!["$(id)".into(), String::new()], variables: vec!["GREETING".into()] };
    let (out, _, code) = drained(exec(&show).await, b"").await;
    assert_eq!((out.as_str(), code), ("JChpZCk=\n\naGUgbGxv\n", 0));

    let big: Vec<u8> = (0..500_000_u32).flat_map(|i| i.to_le_bytes()).map(|b| b % 26 + b'a').collect();
    let (out, _, code) = drained(exec(&Act::Echo).await, &big).await;
    assert_eq!((out.len(), code), (big.len(), 0));
    assert!(out.as_bytes() == big, "what came back is not what was sent");

    rt.stop(&kit.app, &launch.id, None, Duration::from_secs(20)).await.expect("stop");
    let refused = rt.exec(&kit.app, &launch.id, &(kit.command)(&Act::Stay), false).await.map(drop);
    assert!(matches!(refused, Err(RuntimeError::Failed { .. })), "{refused:?}");
    rt.remove(&kit.app, &launch.id).await.expect("remove");
}

/// Writes the input, closes it, and reads both outputs to their ends.
async fn drained(mut session: Session, input: &[u8]) -> (String, String, i32) {
    let (mut out, mut err) = (String::new(), String::new());
    let mut stdin = session.stdin;
    let write = async {
        // A command may end without reading.
        let _ = stdin.write_all(input).await;
        let _ = stdin.shutdown().await;
        drop(stdin);
    };
    let (_, o, e) = tokio::join!(write, session.stdout.read_to_string(&mut out), session.stderr.read_to_string(&mut err));
    o.and(e).expect("read the outputs");
    let exit = session.control.wait().await.expect("wait for a command");
    (out, err, exit.code)
}

/// A gate can say which ports a replica does listen on.
pub async fn listening_tells_the_port(rt: &dyn Runtime, kit: &Kit) {
    kit.prepare(rt).await;
    let launch = kit.launch("web-4-4", &Act::Listen { port: kit.port }, &Shape::default());
    let silent = kit.launch("web-4-5", &Act::Stay, &Shape::default());
    rt.start(&launch).await.expect("start");
    rt.start(&silent).await.expect("start");
    until("it listens", async || rt.listening(&kit.app, &launch.id).await == BTreeSet::from([kit.port])).await;
    assert_eq!(rt.listening(&kit.app, &silent.id).await, BTreeSet::new(), "another replica's port is not its own");
    for id in [&launch.id, &silent.id] {
        rt.remove(&kit.app, id).await.expect("remove");
    }
}
