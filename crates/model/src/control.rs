//! What the agent and the proxy say to each other over the proxy's Unix socket.
//!
//! Each message is a frame: four bytes of length, big-endian, then that many bytes of JSON, at most [`MAX_FRAME`]. The agent asks, the
//! proxy answers each question once and in order.

use crate::metrics::Metrics;
use crate::name::InterfaceName;
#[cfg(doc)]
use crate::route::Endpoint;
use crate::route::{Protocol, RouteTable};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Longest frame either side accepts.
pub const MAX_FRAME: usize = 16 * 1024 * 1024;

/// The agent's questions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "ask")]
pub enum Ask {
    /// Carry requests by this table from now on. Answered when no worker will start a request by an older one.
    Swap {
        /// The whole table.
        table: RouteTable,
    },
    /// What is going on?
    Status,
    /// What was counted?
    Metrics,
    /// Is this replica ready? Asked and judged with the same reader that requests get their answers by, so that what passes here can be passed on.
    Probe(Probe),
    /// Close what these endpoints still hold: WebSockets with code 1001 and jitter, streams at a chunk boundary. Answered at once; the
    /// closing shows in `Status`.
    Close {
        /// Endpoint ids.
        endpoints: Vec<String>,
        /// Within which the connections are closed, spread evenly, milliseconds.
        jitter_ms: u64,
    },
}

/// The proxy's answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub enum Answer {
    /// The table with this generation is in use everywhere.
    Swapped {
        /// As asked.
        generation: u64,
    },
    /// What is going on.
    Status(ProxyStatus),
    /// What was counted.
    Metrics(Box<Metrics>),
    /// How a replica answered.
    Probed(Probed),
    /// It will be done.
    Closing,
    /// It was not done.
    Refused {
        /// Stable word, such as `port-taken`, `certificate-unreadable`.
        code: String,
        /// Why.
        message: String,
        /// The address that somebody else listens on, where that is why.
        #[serde(default)]
        taken: Option<SocketAddr>,
    },
}

/// A question to one replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Where it listens.
    pub address: SocketAddr,
    /// The bridge of its network; see [`Endpoint::interface`].
    #[serde(default)]
    pub interface: Option<InterfaceName>,
    /// What is asked for; a connection alone is enough when absent.
    #[serde(default)]
    pub http: Option<HttpProbe>,
}

/// What a probe asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpProbe {
    /// With query.
    pub path: String,
    /// Whom it is for.
    pub host: String,
    /// How it is asked.
    pub protocol: Protocol,
}

/// How a replica answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub enum Probed {
    /// As one that is ready: 2xx or 3xx, read to its end; or a connection, if no more was asked for.
    Ready,
    /// Nobody listens there.
    Refused {
        /// In words that fit after "answers".
        seen: String,
    },
    /// Nobody knows: the proxy has no descriptor or port left to ask by.
    Exhausted {
        /// In words that fit after "answers".
        seen: String,
    },
    /// Otherwise.
    Failed {
        /// In words that fit after "answers".
        seen: String,
    },
}

/// Why an endpoint's last failure was one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFault {
    /// The reason and what exactly, `malformed: it has two lengths`.
    pub words: String,
    /// How long ago, seconds.
    pub ago_s: u64,
}

/// What the proxy is doing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ProxyStatus {
    /// Of the table in use; 0 if it never got one.
    pub generation: u64,
    /// Process id.
    pub pid: u32,
    /// Every endpoint the table names, and every one left that still holds something.
    pub endpoints: BTreeMap<String, EndpointStatus>,
    /// Endpoints that gave no answer which could be passed on, a short while ago.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub faults: BTreeMap<String, LastFault>,
    /// Since start.
    pub requests: u64,
    /// Answers made by the proxy itself because no endpoint could be reached or answered, since start.
    pub failures: u64,
    /// Open client connections.
    pub connections: u64,
}

/// One endpoint, as the proxy sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EndpointStatus {
    /// It answers health checks.
    pub healthy: bool,
    /// Requests in flight, without the streams.
    pub requests: u64,
    /// WebSockets and event streams open.
    pub streams: u64,
}
