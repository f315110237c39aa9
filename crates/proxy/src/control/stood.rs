//! What stood in the last table. Where that cannot be had any more (another program took a port while the machine started, a file is spoilt), it is
//! no reason to refuse everybody else's part of the next table: it is missed, told, and tried again.

use crate::control::Control;
use crate::error::SwapError;
use landfall_model::route::RouteTable;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Between two tries to open what is missed.
const AGAIN: Duration = Duration::from_secs(5);

/// What it was.
#[derive(Debug, Default)]
pub(crate) struct Stood {
    internal: HashSet<SocketAddr>,
    names: HashSet<IpAddr>,
    certificates: HashSet<(String, String)>,
}

impl Stood {
    pub(crate) fn of(table: &RouteTable) -> Self {
        Self {
            internal: table.internal.iter().map(|listener| listener.address).collect(),
            names: table.names.iter().map(|scope| scope.listen).collect(),
            certificates: table.certificates.iter().map(|file| (file.chain.clone(), file.fingerprint.clone())).collect(),
        }
    }

    /// What is wrong concerns something of `table` that stood before.
    pub(crate) fn covers(&self, error: &SwapError, table: &RouteTable) -> bool {
        match error {
            SwapError::PortTaken { address, .. } => self.internal.contains(address) || self.names.contains(&address.ip()),
            SwapError::Certificate { chain, .. } => {
                let same = |fingerprint: &str| self.certificates.contains(&(chain.clone(), fingerprint.to_owned()));
                table.certificates.iter().any(|file| file.chain == *chain && same(&file.fingerprint))
            }
            SwapError::Stale { .. } | SwapError::NotLoopback { .. } | SwapError::WorkerGone => false,
        }
    }
}

impl Control {
    /// Opens what the table in use misses, as soon as that can be had, for ever.
    pub(crate) async fn open_missed(&self) {
        loop {
            tokio::time::sleep(AGAIN).await;
            let mut sockets = self.sockets.lock().await;
            let Some(table) = self.missed.take() else { continue };
            let opened = sockets.open_missing(&table, |_| Ok(()));
            let count = opened.as_ref().map_or(0, |opened| opened.internal.len() + opened.names.len());
            if let Ok(opened) = opened
                && let Err(error) = self.adopt(&mut sockets, opened).await
            {
                tracing::error!(%error, "a part of the table that can be used again is not");
            }
            if count > 0 {
                tracing::info!(count, "listens again where another program did");
            }
            if sockets.misses(&table) {
                *self.missed.borrow_mut() = Some(table);
            }
        }
    }
}
