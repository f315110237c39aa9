//! Takes a table into use: everything that can fail first, then everywhere at once.

use crate::certificate::Certificates;
use crate::control::sockets::{Opened, Sockets, internal_name, names_tcp_name, names_udp_name};
use crate::control::{Control, Stood};
use crate::edge::connection::Origin;
use crate::error::SwapError;
use crate::table::Compiled;
use crate::worker::WorkerAsk;
use landfall_model::route::RouteTable;
use std::collections::{BTreeSet, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::sync::Arc;
use tokio::sync::oneshot;

/// What to do about a part of a table that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// Refuse the table: the agent wants to know.
    Strict,
    /// Use the rest: after a restart most requests carried are better than none.
    Tolerant,
    /// The same, and no address in it is believed: it was told in another life of the machine.
    Unconfirmed,
}

impl Strictness {
    fn about(self, error: SwapError) -> Result<(), SwapError> {
        match self {
            Strictness::Strict => Err(error),
            Strictness::Tolerant | Strictness::Unconfirmed => {
                tracing::error!(%error, "a part of the last table cannot be used");
                Ok(())
            }
        }
    }
}

/// Whoever has these addresses now may be a stranger. What is answered without them is still answered: files, redirects, challenges.
fn withhold_addresses(table: &mut RouteTable) {
    // As if there were none: the agent tells its own, whatever its number.
    table.generation = 0;
    for upstream in table.upstreams.values_mut() {
        upstream.endpoints.clear();
    }
    // Without sockets nobody is told anything: a container asks again, as it does when its name server starts after it.
    table.names.clear();
}

impl Control {
    /// Takes `table` into use. When this returns, no worker starts a request by an older one.
    pub(crate) async fn swap(&self, mut table: RouteTable, strictness: Strictness) -> Result<(), SwapError> {
        let mut sockets = self.sockets.lock().await;
        let current = self.current.borrow().generation;
        if table.generation < current {
            return Err(SwapError::Stale { asked: table.generation, current });
        }
        if strictness == Strictness::Unconfirmed {
            withhold_addresses(&mut table);
        }
        let about = |error: SwapError| {
            let known = self.stood.borrow().covers(&error, &table);
            if known { Strictness::Tolerant.about(error) } else { strictness.about(error) }
        };
        let certificates = Certificates::read(&table, &self.certificates.current(), about)?;
        let opened = sockets.open_missing(&table, about)?;

        let compiled = Arc::new(Compiled::new(&table, &mut self.endpoints.borrow_mut(), &self.current.borrow()));
        self.certificates.set(certificates);
        self.hand_out(&compiled).await?;
        *self.current.borrow_mut() = compiled;
        self.use_names(&table);
        self.adopt(&mut sockets, opened).await?;
        *self.missed.borrow_mut() = sockets.misses(&table).then(|| table.clone());
        if strictness == Strictness::Strict {
            *self.stood.borrow_mut() = Stood::of(&table);
            self.close_unneeded(&mut sockets, &table);
            // One that came from disk is there; the proxy that is still in use may have written a newer one since.
            self.save(table).await;
        }
        Ok(())
    }

    /// Gives every worker the table and waits until each uses it.
    async fn hand_out(&self, compiled: &Arc<Compiled>) -> Result<(), SwapError> {
        let mut waits = Vec::new();
        for worker in &self.workers {
            let (done, wait) = oneshot::channel();
            worker.send(WorkerAsk::Swap { compiled: Arc::clone(compiled), done }).map_err(|_| SwapError::WorkerGone)?;
            waits.push(wait);
        }
        for wait in waits {
            wait.await.map_err(|_| SwapError::WorkerGone)?;
        }
        Ok(())
    }

    fn use_names(&self, table: &RouteTable) {
        self.names.borrow().set(&table.names);
    }

    /// Uses newly opened sockets and has the supervisor keep them.
    pub(crate) async fn adopt(&self, sockets: &mut Sockets, opened: Opened) -> Result<(), SwapError> {
        let keep = |name: String, socket: &dyn AsFd| {
            if opened.unknown.contains(&name) {
                self.notifier.store(&name, socket.as_fd());
            }
        };
        let mut listeners: Vec<(SocketAddr, TcpListener)> = Vec::new();
        for (address, socket) in opened.internal {
            keep(internal_name(address), &socket);
            listeners.push((address, socket));
        }
        for (listen, pair) in opened.names {
            keep(names_udp_name(listen), &pair.udp);
            keep(names_tcp_name(listen), &pair.tcp);
            let copies = pair.udp.try_clone().and_then(|udp| Ok((udp, pair.tcp.try_clone()?)));
            if let Err(error) = copies.and_then(|(udp, tcp)| self.names.borrow_mut().open(listen, udp, tcp)) {
                tracing::error!(%error, %listen, "names cannot be answered");
            }
            sockets.names.insert(listen, pair);
        }
        for (address, socket) in &listeners {
            let share = |_| Ok(vec![(socket.try_clone()?, Origin::Internal(*address))]);
            let shares: io::Result<Vec<_>> = (0..self.workers.len()).map(share).collect();
            match shares {
                Ok(shares) => self.listen(shares).await?,
                Err(error) => tracing::error!(%error, %address, "calls between services cannot be accepted"),
            }
        }
        sockets.internal.extend(listeners);
        Ok(())
    }

    /// Has workers accept from these sockets, one list per worker, and waits until they do.
    pub(crate) async fn listen(&self, shares: Vec<Vec<(TcpListener, Origin)>>) -> Result<(), SwapError> {
        for (worker, listeners) in self.workers.iter().zip(shares) {
            let (done, wait) = oneshot::channel();
            worker.send(WorkerAsk::Listen { listeners, done }).map_err(|_| SwapError::WorkerGone)?;
            wait.await.map_err(|_| SwapError::WorkerGone)?;
        }
        Ok(())
    }

    /// Closes what the table does not need any more.
    fn close_unneeded(&self, sockets: &mut Sockets, table: &RouteTable) {
        let internal: BTreeSet<SocketAddr> = table.internal.iter().map(|listener| listener.address).collect();
        let names: BTreeSet<IpAddr> = table.names.iter().map(|scope| scope.listen).collect();
        let gone: HashSet<SocketAddr> = sockets.internal.keys().filter(|address| !internal.contains(address)).copied().collect();
        for worker in self.workers.iter().filter(|_| !gone.is_empty()) {
            let _ = worker.send(WorkerAsk::Unlisten { addresses: gone.clone() });
        }
        let mut forgotten = sockets.drop_inherited();
        for address in gone {
            sockets.internal.remove(&address);
            forgotten.push(internal_name(address));
        }
        let silent: Vec<IpAddr> = sockets.names.keys().filter(|listen| !names.contains(listen)).copied().collect();
        for listen in silent {
            self.names.borrow_mut().close(listen);
            sockets.names.remove(&listen);
            forgotten.extend([names_udp_name(listen), names_tcp_name(listen)]);
        }
        for name in forgotten {
            self.notifier.forget(&name);
        }
    }

    /// Keeps the table for the next proxy. Without that it would start with an older one until the agent comes, so it is worth an error line, but
    /// not worth refusing a table that is already in use.
    async fn save(&self, table: RouteTable) {
        let Some(file) = self.file.clone() else { return };
        let saved = tokio::task::spawn_blocking(move || file.save(&table)).await;
        match saved {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the table could not be saved"),
            Err(error) => tracing::error!(%error, "the table could not be saved"),
        }
    }
}
