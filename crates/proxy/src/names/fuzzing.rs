//! Questions and answers for the fuzz targets.

use super::answer::{self, Reply};
use super::book::Found;
use super::relay;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// What is done about a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameReply {
    /// This is sent.
    Answer(Vec<u8>),
    /// The host's name servers are asked.
    Relay,
    /// Nothing.
    Drop,
}

/// Answers a question from an app's names.
pub fn reply(question: &[u8], scope: &BTreeMap<String, Vec<IpAddr>>, turn: usize, udp: bool) -> NameReply {
    let find = |name: &str| scope.get(name).cloned().map_or(Found::Outside, Found::Service);
    match answer::reply(question, find, turn, udp) {
        Reply::Answer(bytes) => NameReply::Answer(bytes),
        Reply::Relay => NameReply::Relay,
        // Whoever asks is known, and in the network.
        Reply::Drop | Reply::Wait | Reply::Refuse { .. } => NameReply::Drop,
    }
}

/// Says that no name server could be asked.
pub fn failure(question: &[u8]) -> Option<Vec<u8>> {
    answer::failure(question)
}

/// The name servers of a `resolv.conf`.
pub fn name_servers(text: &str) -> Vec<SocketAddr> {
    relay::parse(text)
}
