//! From the bytes of a question to the bytes of an answer, without any socket.

use crate::names::book::{Found, Refusal};
use hickory_proto::op::{Message, MessageType, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA};
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};
use std::net::IpAddr;

/// Longest answer over UDP to someone who did not ask for more (RFC 1035 §4.2.1).
const UDP_LIMIT: usize = 512;

/// What to do about a question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Send this.
    Answer(Vec<u8>),
    /// It is about a name outside the app: ask the host's name servers.
    Relay,
    /// Who asks may be known in a moment.
    Wait,
    /// No answer to who is not in the network, else this one.
    Refuse { why: Refusal, answer: Option<Vec<u8>> },
    /// It is no question. No answer, lest two servers talk to each other for ever.
    Drop,
}

/// Answers `question` by what `find` says of its name. `turn` grows with every question, so that the first address is another one each time; `udp` limits
/// the size.
pub(crate) fn reply(question: &[u8], find: impl FnOnce(&str) -> Found, turn: usize, udp: bool) -> Reply {
    let Ok(message) = Message::from_vec(question) else { return Reply::Drop };
    if message.metadata.message_type != MessageType::Query {
        return Reply::Drop;
    }
    let [query] = message.queries.as_slice() else { return Reply::Drop };
    let name = query.name().to_ascii().trim_end_matches('.').to_ascii_lowercase();
    let mut answer = empty_answer(&message);
    let addresses = match find(&name) {
        Found::Service(addresses) => addresses,
        Found::Outside => return Reply::Relay,
        Found::Wait => return Reply::Wait,
        Found::Refused(Refusal::Stranger) => return Reply::Refuse { why: Refusal::Stranger, answer: None },
        Found::Refused(why) => {
            answer.metadata.response_code = ResponseCode::Refused;
            return Reply::Refuse { why, answer: answer.to_vec().ok() };
        }
        Found::Nowhere => {
            answer.metadata.response_code = ResponseCode::NXDomain;
            Vec::new()
        }
    };
    if message.metadata.op_code == OpCode::Query && query.query_class() == DNSClass::IN {
        let count = addresses.len().max(1);
        let rotated = addresses.iter().cycle().skip(turn % count).take(addresses.len());
        // Lives for no time at all: a replica that left must not be found a second later.
        let records =
            rotated.filter_map(|ip| record_data(*ip, query.query_type())).map(|data| Record::from_rdata(query.name().clone(), 0, data));
        answer.add_answers(records);
    }
    let limit = if udp { usize::from(message.max_payload()).max(UDP_LIMIT) } else { usize::from(u16::MAX) };
    encode(&answer, limit)
}

/// Says that no name server could be asked.
pub(crate) fn failure(question: &[u8]) -> Option<Vec<u8>> {
    let message = Message::from_vec(question).ok()?;
    let mut answer = empty_answer(&message);
    answer.metadata.response_code = ResponseCode::ServFail;
    answer.to_vec().ok()
}

fn empty_answer(question: &Message) -> Message {
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata = Metadata::response_from_request(&question.metadata);
    answer.metadata.authoritative = true;
    answer.metadata.recursion_available = true;
    answer.add_queries(question.queries.iter().cloned());
    answer
}

fn record_data(ip: IpAddr, wanted: RecordType) -> Option<RData> {
    match (ip, wanted) {
        (IpAddr::V4(ip), RecordType::A) => Some(RData::A(A(ip))),
        (IpAddr::V6(ip), RecordType::AAAA) => Some(RData::AAAA(AAAA(ip))),
        // No error: the name exists, it has no such record. An error would make a resolver give up on the other family too.
        _ => None,
    }
}

fn encode(answer: &Message, limit: usize) -> Reply {
    let bytes = answer.to_vec().ok().and_then(|bytes| if bytes.len() <= limit { Some(bytes) } else { answer.truncate().to_vec().ok() });
    bytes.map_or(Reply::Drop, Reply::Answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::Query;
    use hickory_proto::rr::Name;
    use proptest::prelude::*;

    fn find(name: &str) -> Found {
        let addresses = |list: &[&str]| Found::Service(list.iter().map(|ip| ip.parse().unwrap()).collect());
        match name {
            "api" => addresses(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
            "down" => addresses(&[]),
            "my_db.v2-a" => addresses(&["10.0.0.9"]),
            "many" => Found::Service((0..200).map(|i| IpAddr::from([10, 0, 1, i])).collect()),
            "down.corp.test" => Found::Nowhere,
            "stranger" => Found::Refused(Refusal::Stranger),
            "inner" => Found::Refused(Refusal::Internal),
            _ => Found::Outside,
        }
    }

    #[test]
    fn what_is_refused_says_so_and_a_stranger_hears_nothing() {
        let message = answered("down.corp.test.", RecordType::A, 0, true);
        assert_eq!((message.metadata.response_code, message.answers.len()), (ResponseCode::NXDomain, 0));
        let refused = |name| reply(&question(name, RecordType::A), find, 0, true);
        assert_eq!(refused("stranger."), Reply::Refuse { why: Refusal::Stranger, answer: None });
        let Reply::Refuse { why: Refusal::Internal, answer: Some(answer) } = refused("inner.") else { panic!() };
        assert_eq!(Message::from_vec(&answer).unwrap().metadata.response_code, ResponseCode::Refused);
    }

    fn question(name: &str, kind: RecordType) -> Vec<u8> {
        let mut message = Message::query();
        message.metadata.id = 77;
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        message.to_vec().unwrap()
    }

    fn answered(name: &str, kind: RecordType, turn: usize, udp: bool) -> Message {
        match reply(&question(name, kind), find, turn, udp) {
            Reply::Answer(bytes) => Message::from_vec(&bytes).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn addresses(message: &Message) -> Vec<String> {
        message.answers.iter().map(|record| record.data.to_string()).collect()
    }

    #[test]
    fn a_service_is_its_ready_replicas_in_turn() {
        let first = answered("api.", RecordType::A, 0, true);
        assert_eq!((first.metadata.id, first.metadata.response_code), (77, ResponseCode::NoError));
        assert_eq!(addresses(&first), ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
        assert!(first.answers.iter().all(|record| record.ttl == 0));
        assert_eq!(addresses(&answered("API", RecordType::A, 4, true)), ["10.0.0.2", "10.0.0.3", "10.0.0.1"]);
        assert_eq!(addresses(&answered("My_db.v2-a.", RecordType::A, 0, true)), ["10.0.0.9"]);
    }

    #[test]
    fn other_records_of_a_known_name_are_none_not_an_error() {
        for (name, kind) in [("api.", RecordType::AAAA), ("api.", RecordType::TXT), ("down.", RecordType::A)] {
            let message = answered(name, kind, 0, true);
            assert_eq!((message.metadata.response_code, message.answers.len()), (ResponseCode::NoError, 0));
        }
    }

    #[test]
    fn unknown_names_are_relayed_and_answers_dropped() {
        assert_eq!(reply(&question("example.com.", RecordType::A), find, 0, true), Reply::Relay);
        assert_eq!(reply(&question("api.example.com.", RecordType::A), find, 0, true), Reply::Relay);
        let Reply::Answer(bytes) = reply(&question("api.", RecordType::A), find, 0, true) else { panic!() };
        assert_eq!(reply(&bytes, find, 0, true), Reply::Drop);
        assert_eq!(reply(b"", find, 0, true), Reply::Drop);
    }

    #[test]
    fn an_answer_too_long_for_udp_says_so() {
        let short = answered("many.", RecordType::A, 0, true);
        assert!(short.metadata.truncation && short.answers.is_empty());
        assert_eq!(answered("many.", RecordType::A, 0, false).answers.len(), 200);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = reply(&bytes, find, 1, true);
            let _ = failure(&bytes);
        }
    }
}
