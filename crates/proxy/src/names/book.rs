//! Who asks, and what the name stands for then. Pure: no socket and no clock.
//!
//! Several apps may have replicas in one network, so the gateway a question arrives at does not say whose names are meant. The asker's address does:
//! it is a replica of one app. Its own services come first, wherever it meets them; then names that other apps have in its networks; a name that two
//! of them have is nobody's. A service keeps its name while it has no replica: asked for elsewhere, it might be answered there.

use landfall_model::filter::Network;
use landfall_model::route::NameScope;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// A service with these replicas, which may be none.
    Service(Vec<IpAddr>),
    /// A service's name where it cannot be reached, or with a search suffix behind it. There is no such name, here or elsewhere.
    Nowhere,
    /// Not for this asker, and why.
    Refused(Refusal),
    /// Nothing of ours: the host's name servers are asked.
    Outside,
    /// It is not known yet who asks. A replica that was just started is in the next table.
    Wait,
}

/// Why a question gets no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Refusal {
    /// The asker is not in the network.
    Stranger,
    /// Its networks are internal, so nothing is asked outside for it.
    Internal,
    /// Several apps have the name, and none of them is its own.
    Ambiguous,
}

impl Refusal {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Stranger, Self::Internal, Self::Ambiguous];

    /// Its word in the metrics.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Stranger => "stranger",
            Self::Internal => "internal",
            Self::Ambiguous => "ambiguous",
        }
    }
}

/// Every network's names, as the table has them.
#[derive(Debug, Default)]
pub(crate) struct Book {
    scopes: HashMap<IpAddr, Vec<NameScope>>,
}

/// One question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    /// Where it arrived.
    pub(crate) listen: IpAddr,
    /// Who asks.
    pub(crate) asker: IpAddr,
    /// Lower case, without the last dot.
    pub(crate) name: &'a str,
    /// It is worth waiting for a table that knows the asker.
    pub(crate) patient: bool,
}

impl Book {
    pub(crate) fn new(scopes: &[NameScope]) -> Self {
        let mut book = Self::default();
        for scope in scopes {
            book.scopes.entry(scope.listen).or_default().push(scope.clone());
        }
        book
    }

    /// What the name stands for. `search` are the suffixes that containers inherit from the host.
    pub(crate) fn find(&self, question: Question<'_>, search: &[String]) -> Found {
        let here = self.at(question.listen);
        if !here.iter().any(|scope| is_in(scope, question.asker)) {
            return Found::Refused(Refusal::Stranger);
        }
        let known = here.iter().find_map(|scope| Some((scope, scope.askers.get(&question.asker)?)));
        // Alone in its network, an app is who asks there. A container that Landfall did not start may be among them.
        let own = known.map(|(scope, _)| scope).or(if here.len() == 1 { here.first() } else { None });
        let networks = known.map_or(std::slice::from_ref(&question.listen), |(_, networks)| networks.as_slice());
        let found = self.look_up(own, networks, question.name);
        let unsure = known.is_none() && question.patient && here.iter().all(|scope| !scope.app.is_empty());
        match found {
            // What is surely its own is answered at once.
            Some(Found::Service(addresses)) if own.is_some() && !addresses.is_empty() => return Found::Service(addresses),
            _ if unsure => return Found::Wait,
            Some(found) => return found,
            None => {}
        }
        let mine = own.map_or_else(|| networks.to_vec(), |own| self.networks_of(&own.app));
        if self.is_expanded(question.name, &mine, search) {
            return Found::Nowhere;
        }
        let outside = networks.iter().flat_map(|listen| self.at(*listen)).any(|scope| !scope.internal);
        if outside { Found::Outside } else { Found::Refused(Refusal::Internal) }
    }

    fn at(&self, listen: IpAddr) -> &[NameScope] {
        self.scopes.get(&listen).map_or(&[], Vec::as_slice)
    }

    fn networks_of(&self, app: &str) -> Vec<IpAddr> {
        self.scopes.values().flatten().filter(|scope| scope.app == app).map(|scope| scope.listen).collect()
    }

    /// A name of the own app, else of another that is met in these networks.
    fn look_up(&self, own: Option<&NameScope>, networks: &[IpAddr], name: &str) -> Option<Found> {
        let met = || networks.iter().flat_map(|listen| self.at(*listen));
        let is_own = |scope: &&NameScope| own.is_some_and(|own| own.app == scope.app);
        let mine: Vec<&Vec<IpAddr>> = met().filter(is_own).filter_map(|scope| scope.names.get(name)).collect();
        if let Some(addresses) = mine.iter().find(|addresses| !addresses.is_empty()).or(mine.first()) {
            return Some(Found::Service((**addresses).clone()));
        }
        if own.is_some_and(|own| self.scopes.values().flatten().any(|scope| scope.app == own.app && scope.names.contains_key(name))) {
            return Some(Found::Nowhere);
        }
        let others: Vec<&NameScope> = met().filter(|scope| !is_own(scope) && scope.names.contains_key(name)).collect();
        let apps: BTreeSet<&str> = others.iter().map(|scope| scope.app.as_str()).collect();
        match apps.len() {
            0 => None,
            1 => {
                let all = others.iter().filter_map(|scope| scope.names.get(name));
                Some(Found::Service(all.clone().find(|a| !a.is_empty()).or(all.clone().next()).cloned().unwrap_or_default()))
            }
            _ => Some(Found::Refused(Refusal::Ambiguous)),
        }
    }

    /// `db.corp.example`: a service's name to which a resolver put a suffix of its search list.
    fn is_expanded(&self, name: &str, networks: &[IpAddr], search: &[String]) -> bool {
        let scopes = || networks.iter().flat_map(|listen| self.at(*listen));
        let own = scopes().flat_map(|scope| &scope.search);
        let suffixes: BTreeSet<&str> = search.iter().chain(own).map(String::as_str).collect();
        suffixes.into_iter().any(|suffix| {
            let service = name.strip_suffix(suffix).and_then(|rest| rest.strip_suffix('.'));
            service.is_some_and(|service| scopes().any(|scope| scope.names.contains_key(service)))
        })
    }
}

/// Whether an address may ask there. A network whose addresses are not known keeps nobody out.
fn is_in(scope: &NameScope, asker: IpAddr) -> bool {
    let subnet = scope.subnet.as_deref().and_then(|subnet| subnet.parse::<Network>().ok());
    subnet.is_none_or(|subnet| subnet.contains(asker)) || scope.askers.contains_key(&asker)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// `app`, its gateway, its names, its replicas there with all of their gateways.
    fn scope(app: &str, listen: &str, names: &[(&str, &[&str])], askers: &[(&str, &[&str])]) -> NameScope {
        let list = |ips: &[&str]| ips.iter().map(|a| ip(a)).collect::<Vec<_>>();
        NameScope {
            listen: ip(listen),
            names: names.iter().map(|(name, ips)| ((*name).to_owned(), list(ips))).collect(),
            app: app.to_owned(),
            subnet: Some(format!("{}.0/24", listen.rsplit_once('.').unwrap().0)),
            askers: askers.iter().map(|(asker, gateways)| (ip(asker), list(gateways))).collect(),
            internal: false,
            search: BTreeSet::new(),
        }
    }

    fn ask(book: &Book, listen: &str, asker: &str, name: &str) -> Found {
        book.find(Question { listen: ip(listen), asker: ip(asker), name, patient: false }, &["corp.test".to_owned()])
    }

    fn service(ips: &[&str]) -> Found {
        Found::Service(ips.iter().map(|a| ip(a)).collect())
    }

    /// Two apps that meet in 10.0.9.0/24: `a` has a network of its own as well.
    fn two() -> Book {
        Book::new(&[
            scope("a", "10.0.1.1", &[("db", &["10.0.1.5"]), ("web", &["10.0.1.4"])], &[("10.0.1.4", &["10.0.1.1", "10.0.9.1"])]),
            scope("a", "10.0.9.1", &[("web", &["10.0.9.4"])], &[("10.0.9.4", &["10.0.1.1", "10.0.9.1"])]),
            scope(
                "b",
                "10.0.9.1",
                &[("db", &["10.0.9.7"]), ("web", &["10.0.9.8"]), ("api", &["10.0.9.6"])],
                &[("10.0.9.8", &["10.0.9.1"])],
            ),
        ])
    }

    #[test]
    fn who_asks_decides_and_what_is_its_own_comes_first() {
        let book = two();
        for (listen, asker, name, found) in [
            // At whichever gateway a replica of `a` asks, its own services are meant.
            ("10.0.9.1", "10.0.9.4", "db", service(&["10.0.1.5"])),
            ("10.0.1.1", "10.0.1.4", "db", service(&["10.0.1.5"])),
            ("10.0.1.1", "10.0.1.4", "web", service(&["10.0.1.4"])),
            ("10.0.9.1", "10.0.9.8", "db", service(&["10.0.9.7"])),
            ("10.0.9.1", "10.0.9.8", "web", service(&["10.0.9.8"])),
            // What only the other has is met in the shared network, asked for anywhere.
            ("10.0.1.1", "10.0.1.4", "api", service(&["10.0.9.6"])),
            // A stranger in the shared network gets what is one app's alone.
            ("10.0.9.1", "10.0.9.99", "api", service(&["10.0.9.6"])),
            ("10.0.9.1", "10.0.9.99", "web", Found::Refused(Refusal::Ambiguous)),
            ("10.0.9.1", "10.0.9.4", "example.org", Found::Outside),
            // Nobody from elsewhere is answered, not even from a network of the same app.
            ("10.0.9.1", "10.0.1.4", "db", Found::Refused(Refusal::Stranger)),
            ("10.0.1.1", "192.0.2.1", "example.org", Found::Refused(Refusal::Stranger)),
            ("10.0.7.1", "10.0.7.2", "db", Found::Refused(Refusal::Stranger)),
        ] {
            assert_eq!(ask(&book, listen, asker, name), found, "{asker} asks {listen} for {name}");
        }
    }

    #[test]
    fn a_service_without_replicas_keeps_its_name_and_never_leaves() {
        let book = Book::new(&[
            scope("a", "10.0.9.1", &[("db", &[]), ("web", &["10.0.9.4"])], &[("10.0.9.4", &["10.0.9.1"])]),
            scope("a", "10.0.2.1", &[("cache", &["10.0.2.3"])], &[]),
            scope("b", "10.0.9.1", &[("db", &["10.0.9.7"])], &[]),
        ]);
        assert_eq!(ask(&book, "10.0.9.1", "10.0.9.4", "db"), service(&[]), "not the other app's");
        for nowhere in ["db.corp.test", "web.corp.test", "cache", "cache.corp.test"] {
            assert_eq!(ask(&book, "10.0.9.1", "10.0.9.4", nowhere), Found::Nowhere, "{nowhere}");
        }
        for outside in ["corp.test", "nas.corp.test", "db.example.org", "nas", "xdb.corp.test"] {
            assert_eq!(ask(&book, "10.0.9.1", "10.0.9.4", outside), Found::Outside, "{outside}");
        }
    }

    #[test]
    fn who_is_only_in_internal_networks_gets_nothing_from_outside() {
        let mut inner =
            scope("a", "10.0.2.1", &[("db", &["10.0.2.3"])], &[("10.0.2.3", &["10.0.2.1"]), ("10.0.2.4", &["10.0.1.1", "10.0.2.1"])]);
        inner.internal = true;
        let book = Book::new(&[inner, scope("a", "10.0.1.1", &[("web", &["10.0.1.4"])], &[("10.0.1.4", &["10.0.1.1", "10.0.2.1"])])]);
        assert_eq!(ask(&book, "10.0.2.1", "10.0.2.3", "example.org"), Found::Refused(Refusal::Internal));
        assert_eq!(ask(&book, "10.0.2.1", "10.0.2.9", "example.org"), Found::Refused(Refusal::Internal));
        assert_eq!(ask(&book, "10.0.2.1", "10.0.2.4", "example.org"), Found::Outside, "it has a way out by its other network");
        assert_eq!(ask(&book, "10.0.2.1", "10.0.2.3", "db"), service(&["10.0.2.3"]));
    }

    #[test]
    fn one_that_was_just_started_is_waited_for_unless_its_answer_is_sure() {
        let patient = |book: &Book, listen: &str, asker: &str, name| {
            book.find(Question { listen: ip(listen), asker: ip(asker), name, patient: true }, &[])
        };
        let book = two();
        assert_eq!(patient(&book, "10.0.1.1", "10.0.1.50", "db"), service(&["10.0.1.5"]), "alone in its network");
        assert_eq!(patient(&book, "10.0.1.1", "10.0.1.50", "api"), Found::Wait);
        assert_eq!(patient(&book, "10.0.9.1", "10.0.9.50", "api"), Found::Wait);
        assert_eq!(patient(&book, "10.0.9.1", "192.0.2.1", "api"), Found::Refused(Refusal::Stranger));
        // A table of an earlier version does not say who asks, and never will.
        let mut old = scope("", "10.0.3.1", &[("db", &["10.0.3.2"])], &[]);
        old.subnet = None;
        assert_eq!(patient(&Book::new(&[old]), "10.0.3.1", "10.0.3.9", "example.org"), Found::Outside);
    }
}
