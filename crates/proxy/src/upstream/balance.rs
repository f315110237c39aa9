//! One worker's copy of the table, and which replica gets a request.

use crate::edge::filter::Filters;
use crate::edge::front::LocalSite;
use crate::table::Compiled;
use crate::upstream::pool::LocalEndpoint;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

/// The table as one worker uses it.
#[derive(Default)]
pub(crate) struct LocalTable {
    /// What all workers share.
    pub(crate) compiled: Arc<Compiled>,
    /// In the order of the compiled table's upstreams.
    pub(crate) upstreams: Vec<LocalUpstream>,
    /// In the order of the compiled table's filters.
    pub(crate) filters: Vec<Filters>,
    /// In the order of the compiled table's sites.
    pub(crate) sites: Vec<Rc<LocalSite>>,
}

/// A service's endpoints.
#[derive(Default)]
pub(crate) struct LocalUpstream {
    endpoints: Vec<Rc<LocalEndpoint>>,
    next: Cell<usize>,
}

impl LocalUpstream {
    pub(crate) fn new(endpoints: Vec<Rc<LocalEndpoint>>) -> Self {
        Self { endpoints, next: Cell::new(0) }
    }

    /// Some endpoint answers, as far as is known.
    pub(crate) fn is_ready(&self) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.state.is_healthy())
    }

    /// The endpoint that holds least, in turn among equals. Healthy ones first; one of `failed`, which this request could not reach, only if
    /// there is no other. Nothing if the service has no endpoint.
    pub(crate) fn pick(&self, failed: &[Rc<LocalEndpoint>]) -> Option<Rc<LocalEndpoint>> {
        let count = self.endpoints.len();
        if count < 2 {
            return self.endpoints.first().cloned();
        }
        let start = self.next.get();
        self.next.set((start + 1) % count);
        let rank = |endpoint: &Rc<LocalEndpoint>| {
            let tried = failed.iter().any(|f| Rc::ptr_eq(f, endpoint));
            (tried, !endpoint.state.is_healthy(), endpoint.load())
        };
        (0..count).map(|i| &self.endpoints[(start + i) % count]).min_by_key(|endpoint| rank(endpoint)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::endpoint::{Endpoints, Kind};
    use crate::upstream::reach::Reach;
    use landfall_model::route::Protocol;

    fn three() -> (LocalUpstream, Vec<Rc<LocalEndpoint>>) {
        let mut states = Endpoints::new(1);
        let address = "127.0.0.1:1".parse().unwrap();
        let endpoints: Vec<_> = ["a", "b", "c"]
            .iter()
            .map(|id| {
                let reach = Reach { address, interface: None };
                LocalEndpoint::new(states.state(id, &reach), (reach, Protocol::Http1), (0, &Arc::default()))
            })
            .collect();
        (LocalUpstream::new(endpoints.clone()), endpoints)
    }

    fn picked(upstream: &LocalUpstream, failed: &[Rc<LocalEndpoint>]) -> String {
        upstream.pick(failed).unwrap().state.id.clone()
    }

    #[test]
    fn equals_take_turns_and_the_least_loaded_wins() {
        let (upstream, endpoints) = three();
        assert_eq!([picked(&upstream, &[]), picked(&upstream, &[]), picked(&upstream, &[])], ["a", "b", "c"]);
        endpoints[0].state.add(0, Kind::Request);
        endpoints[1].state.add(0, Kind::Stream);
        assert_eq!([picked(&upstream, &[]), picked(&upstream, &[])], ["c", "c"]);
    }

    #[test]
    fn unhealthy_and_failed_ones_are_last_but_not_never() {
        let (upstream, endpoints) = three();
        endpoints[0].state.set_healthy(false);
        assert_ne!(picked(&upstream, &[]), "a");
        assert_eq!(picked(&upstream, &endpoints[1..]), "a");
        for endpoint in &endpoints {
            endpoint.state.set_healthy(false);
        }
        assert!(upstream.pick(&endpoints).is_some());
        assert!(LocalUpstream::default().pick(&[]).is_none());
    }
}
