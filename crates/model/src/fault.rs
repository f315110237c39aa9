//! Why an application gave no answer that could be passed on: one word for each reason, the same in the access log, the metrics and `status`.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The kind of reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// No connection could be made.
    Unreachable,
    /// The bridge of its network is not there.
    NoNetwork,
    /// The connection ended, or broke, before there was an answer.
    Closed,
    /// What came back is not an answer of HTTP, or can be read in two ways.
    Malformed,
    /// Its head is larger than one may be.
    TooLarge,
    /// No answer in time.
    Timeout,
    /// It agreed to another protocol than the one it was asked for.
    Upgrade,
    /// The proxy has no descriptor or port left for a connection, which says nothing about the replica.
    Exhausted,
}

impl Fault {
    /// How many there are.
    pub const COUNT: usize = 8;
    /// All of them, in the order they are counted in.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Unreachable, Self::NoNetwork, Self::Closed, Self::Malformed, Self::TooLarge, Self::Timeout, Self::Upgrade, Self::Exhausted];

    /// Its stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::NoNetwork => "no-network",
            Self::Closed => "closed",
            Self::Malformed => "malformed",
            Self::TooLarge => "too-large",
            Self::Timeout => "timeout",
            Self::Upgrade => "upgrade",
            Self::Exhausted => "exhausted",
        }
    }

    /// Its place in [`Fault::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_place_and_the_word_it_is_sent_as() {
        for (place, fault) in Fault::ALL.into_iter().enumerate() {
            assert_eq!(fault.index(), place);
            assert_eq!(serde_json::to_value(fault).unwrap(), fault.word());
        }
    }
}
