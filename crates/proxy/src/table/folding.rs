//! Every spelling of a path gets the guard of the path: tried over generated routes and spellings, with the foldings of six servers and frameworks.
//!
//! A pair is a path as its owner writes it and a spelling that some server takes for the same. What the proxy forwards by the spelling's route must
//! have been guarded as well as by the path's own. `GUARD_PAIRS` says how many pairs are tried, otherwise a share of the million of
//! `bench/attack`.

use super::spell::Dice;
use super::*;
use crate::edge::target::Target;
use landfall_model::filter::{Filters, PasswordDigest, RateLimit, Respond};
use landfall_model::route::Upstream;
use std::collections::BTreeMap;

const HOST: &str = "shop.example";
const NAMES: [&str; 7] = ["admin", "api", "login", "v1", "users", "x.y", "a-b_c~d"];
const PAIRS: u64 = 20_000;
const PAIRS_OF_A_TABLE: u64 = 50;

impl Dice {
    fn path(&mut self, most: usize) -> String {
        (0..1 + self.below(most)).map(|_| format!("/{}", self.pick(&NAMES))).collect()
    }

    fn filters(&mut self) -> Filters {
        let limit = RateLimit { requests: 1, per_ms: 1000, burst: 1 };
        let user = |name: &str| (name.to_owned(), PasswordDigest::of(name, "secret"));
        let hidden = Respond { status: 404, body: String::new(), content_type: "text/plain".parse().unwrap() };
        let mut filters = match self.below(9) {
            0 => Filters { allow: ["10.0.0.0/8".parse().unwrap()].into(), ..Filters::default() },
            1 => Filters { deny: ["192.0.2.0/24".parse().unwrap()].into(), ..Filters::default() },
            2 => Filters { basic_auth: [user("ada")].into(), ..Filters::default() },
            3 => Filters { basic_auth: [user("ada"), user("bob")].into(), ..Filters::default() },
            4 => Filters { rate_limit: Some(limit), ..Filters::default() },
            5 => Filters { max_body: Some(10 + self.below(2) as u64), ..Filters::default() },
            6 => Filters { answer: Some(Answer::Respond(hidden)), ..Filters::default() },
            _ => Filters::default(),
        };
        filters.encoded_slashes = self.below(2) == 0;
        filters
    }

    fn table(&mut self) -> RouteTable {
        let mut routes = BTreeMap::new();
        for _ in 0..2 + self.below(5) {
            let path = if self.below(4) == 0 { "/".to_owned() } else { self.path(3) };
            routes.insert(if self.below(3) == 0 { format!("={path}") } else { path }, self.filters());
        }
        let routes = routes.into_iter().map(|(path, filters)| SiteRoute {
            path: path.parse().unwrap(),
            upstream: "shop/web".to_owned(),
            timeout_ms: 1,
            idle_timeout_ms: 1,
            filters,
        });
        let site = Site {
            app: "shop".to_owned(),
            hosts: vec![HOST.parse().unwrap()],
            redirect_hosts: Vec::new(),
            https: false,
            routes: routes.collect(),
            front: Front::default(),
        };
        let upstreams = [("shop/web".to_owned(), Upstream::default())].into();
        RouteTable { generation: 1, sites: vec![site], upstreams, ..RouteTable::default() }
    }
}

fn decoded(path: &str) -> String {
    let mut out = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        match after.get(..2).and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(code) => {
                out.push(char::from(code));
                rest = &after[2..];
            }
            None => {
                out.push('%');
                rest = after;
            }
        }
    }
    out + rest
}

fn merged(path: &str) -> String {
    path.split('/').filter(|segment| !segment.is_empty()).map(|segment| format!("/{segment}")).collect()
}

fn keeps_end(path: &str) -> String {
    if path.ends_with('/') { merged(path) + "/" } else { merged(path) }
}

/// What a server makes of a path before it looks for what is there.
type Folding = (&'static str, fn(&str) -> String);

const FOLDINGS: [Folding; 6] = [
    ("nginx", |path| keeps_end(&decoded(path))),
    ("Apache", |path| keeps_end(&decoded(path))),
    ("Tomcat", |path| {
        let bare: Vec<&str> = path.split('/').map(|segment| segment.split(';').next().unwrap()).collect();
        keeps_end(&decoded(&bare.join("/")))
    }),
    ("Express", |path| path.to_lowercase().strip_suffix('/').map_or(path.to_lowercase(), str::to_owned)),
    ("Rails", |path| {
        let path = merged(&decoded(path));
        let name = path.rfind('/').map_or(0, |slash| slash + 1);
        match path[name..].rfind('.') {
            Some(dot) if dot > 0 && !NAMES.contains(&&path[name..]) => path[..name + dot].to_owned(),
            _ => path,
        }
    }),
    ("Flask", |path| merged(&decoded(path))),
];

#[test]
fn every_spelling_of_a_path_gets_the_guard_of_the_path() {
    let pairs = std::env::var("GUARD_PAIRS").map_or(PAIRS, |text| text.parse().expect("a number of pairs"));
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut tried, mut refused, mut carried) = (0, 0, 0);
    while tried < pairs {
        let table = dice.table();
        let compiled = Compiled::new(&table, &mut Endpoints::new(1), &Compiled::default());
        let decide = |path: &str| {
            let target = Target::of(&path.parse().ok()?).ok()?;
            let Found::Route(_, route) = compiled.find(HOST, target.path()) else { return None };
            let asked = compiled.filters_of(route).unwrap();
            target.admit_encoded_slashes(asked.lets_encoded_slashes_pass()).ok().map(|()| asked)
        };
        for _ in 0..PAIRS_OF_A_TABLE {
            let path = match dice.below(2) {
                0 => dice.path(4),
                _ => table.sites[0].routes[dice.below(table.sites[0].routes.len())].path.path().to_owned() + &dice.path(1),
            };
            let path = if dice.below(2) == 0 { path } else { path.rsplit_once('/').map(|(above, _)| above.to_owned()).unwrap_or(path) };
            let mut spelling = path.clone();
            for _ in 0..1 + dice.below(4) {
                if spelling.is_empty() {
                    break;
                }
                dice.spell(&mut spelling);
            }
            let same = FOLDINGS.iter().find(|(_, fold)| fold(&path) == path && fold(&spelling) == path);
            let (Some((server, _)), Some(guard)) = (same, decide(&path)) else { continue };
            tried += 1;
            let Some(asked) = decide(&spelling) else {
                refused += 1;
                continue;
            };
            carried += 1;
            assert!(
                std::ptr::eq(asked, guard) || !asked.lets_more_pass_than(guard),
                "{server} takes {spelling} for {path}, whose guard it walks round: {:#?}",
                table.sites[0].routes.iter().map(|route| (&route.path, &route.filters)).collect::<Vec<_>>()
            );
        }
    }
    assert!(refused > tried / 100 && carried > tried / 100, "both must be met: {refused} {carried} of {tried}");
}
