//! Questions for names. An answer is one for hickory too, answers what was asked, and says nothing but the app's own addresses; what a second reader finds
//! to be a question for a known name is answered, and for another one is sent on.

#![no_main]

use hickory_proto::op::{Message, MessageType};
use landfall_proxy::fuzzing::{NameReply, failure, reply};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::LazyLock;

static SCOPE: LazyLock<BTreeMap<String, Vec<IpAddr>>> = LazyLock::new(|| {
    let of = |list: &[&str]| list.iter().map(|ip| ip.parse().expect("an address")).collect();
    let many = (0..200).map(|i| IpAddr::from([10, 0, 1, i])).collect();
    BTreeMap::from([
        ("api".into(), of(&["10.0.0.1", "10.0.0.2", "fd00::1"])),
        ("down".into(), vec![]),
        ("my_db.v2-a".into(), of(&["10.0.0.9"])),
        ("many".into(), many),
    ])
});

/// The name of a plain question: one, of class IN, without anything behind it.
fn plain(bytes: &[u8]) -> Option<String> {
    let head = bytes.get(..12)?;
    if head[2] & 0xf8 != 0 || head[4..12] != [0, 1, 0, 0, 0, 0, 0, 0] {
        return None;
    }
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let length = usize::from(*bytes.get(at)?);
        if length == 0 {
            break;
        }
        let label = bytes.get(at + 1..at + 1 + length).filter(|_| length < 64)?;
        let simple = label.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_' || (*b == b'-' && !label.starts_with(b"-")));
        labels.push(String::from_utf8(label.to_vec()).ok().filter(|_| simple)?.to_ascii_lowercase());
        at += 1 + length;
    }
    let name = labels.join(".");
    (bytes.len() == at + 5 && bytes[at + 3..] == [0, 1] && !name.is_empty() && name.len() < 250).then_some(name)
}

landfall_fuzz::fuzz!(|bytes: &[u8]| {
    let found = reply(bytes, &SCOPE, 1, true);
    if let Some(name) = plain(bytes) {
        let answered = matches!(found, NameReply::Answer(_));
        assert!(answered == SCOPE.contains_key(&name) && found != NameReply::Drop, "{name}: {found:?}");
    }
    if let Some(failed) = failure(bytes) {
        let message = Message::from_vec(&failed).expect("a failure is a message");
        assert!(message.answers.is_empty() && message.metadata.message_type == MessageType::Response);
        assert!(failed.len() <= bytes.len() * 8 + 512, "it is many times the question");
    }
    for (udp, found) in [(true, found), (false, reply(bytes, &SCOPE, 7, false))] {
        let NameReply::Answer(answer) = found else { continue };
        let message = Message::from_vec(&answer).expect("an answer is a message");
        let question = Message::from_vec(bytes).expect("what is answered is a message");
        assert_eq!(message.metadata.message_type, MessageType::Response);
        assert_eq!(question.metadata.message_type, MessageType::Query, "two servers would talk for ever");
        assert_eq!((answer.get(..2), &message.queries), (bytes.get(..2), &question.queries));
        let most = if udp { usize::from(question.max_payload()).max(512) } else { 65_535 };
        assert!(answer.len() <= most, "{} bytes for {most}", answer.len());
        let name = question.queries[0].name().to_ascii().trim_end_matches('.').to_ascii_lowercase();
        let known = &SCOPE[&name];
        assert!(message.answers.len() <= known.len());
        for record in &message.answers {
            let ip = record.data.to_string().parse::<IpAddr>().expect("an address");
            assert!(known.contains(&ip) && record.ttl == 0);
        }
    }
});
