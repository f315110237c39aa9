//! What the plans' nginx does, Landfall does: the same requests to a real nginx with the plan's own configuration and to a real proxy with the
//! counterpart from `examples/`, compared in status, the headers that matter, and body.
//!
//! From the Compose file on everything is real but the containers: the compiler, the agent, its table, the proxy. Where the two differ on
//! purpose, [`plans`] has a row with the reason; a difference without a row fails, and so does a row without a difference.

use crate::plans::{COMMON, Difference, PLANS, Plan};
use crate::server::Server;
use crate::talk::{Answer, Question};
use crate::{backend, nginx, plans, talk};
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinSet;

/// Both, and the applications behind them.
struct Stage {
    plan: &'static Plan,
    nginx: nginx::Nginx,
    landfall: Server,
    _backends: JoinSet<()>,
    _dir: TempDir,
}

impl Stage {
    async fn start(plan: &'static Plan) -> Self {
        let dir = tempfile::tempdir().unwrap();
        plans::write_site(dir.path());
        let backends = backend::start(plan).await;
        let (nginx, landfall) = tokio::join!(nginx::start(plan, dir.path()), Server::of_plan(plan, dir.path()));
        Self { plan, nginx, landfall, _backends: backends, _dir: dir }
    }

    /// Asks both the same and compares.
    async fn compare(&self) {
        let mut used: BTreeSet<usize> = BTreeSet::new();
        let mut wrong = Vec::new();
        for question in self.plan.questions {
            let theirs = talk::ask(self.nginx.front(), self.plan, question).await;
            let ours = talk::ask(self.landfall.front(), self.plan, question).await;
            let found = differences(&theirs, &ours);
            let of = |d: &Difference| d.questions.is_empty() || d.questions.contains(&question.name);
            if let Some(i) = self.plan.differences.iter().position(|d| d.what == "answer" && of(d)).filter(|_| !found.is_empty()) {
                used.insert(i);
                continue;
            }
            for (what, theirs, ours) in found {
                let row = |d: &Difference| d.what == what && of(d) && (d.ours == "*" || d.ours == ours);
                match self.plan.differences.iter().position(row) {
                    Some(i) => drop(used.insert(i)),
                    None if COMMON.iter().any(row) => {}
                    None => wrong.push(format!("{}: {what}\n   nginx:    {theirs}\n   landfall: {ours}", question.name)),
                }
            }
        }
        for (i, row) in self.plan.differences.iter().enumerate().filter(|(i, _)| !used.contains(i)) {
            wrong.push(format!("row {i} explains no difference: {} ({})", row.what, row.why));
        }
        assert!(wrong.is_empty(), "{}:\n{}", self.plan.example, wrong.join("\n"));
    }

    /// One client that asks as fast as it can is stopped by both, in their own words.
    async fn flood(&self, host: &'static str) {
        let question = Question { name: "flood", host, path: "/", ..Question::GET };
        // The questions before took from the same burst; at the plan's ten a second its twenty are whole again after two seconds.
        tokio::time::sleep(Duration::from_millis(2500)).await;
        for (front, refused) in [(self.nginx.front(), 503), (self.landfall.front(), 429)] {
            let asked: Vec<Answer> = join_all((0..100).map(|_| talk::ask(front, self.plan, &question))).await;
            let statuses: BTreeSet<u16> = asked.iter().map(|a| a.status).collect();
            assert_eq!(statuses, BTreeSet::from([200, refused]));
            let served = asked.iter().filter(|a| a.status == 200).count();
            assert!(served >= 20, "the burst is served: {served}");
        }
    }
}

/// Headers of a page of nginx's own that are not about the page.
const NOT_OF_THE_PAGE: [&str; 5] = ["allow", "cross-origin-embedder-policy", "cross-origin-opener-policy", "location", "set-cookie"];

/// What differs: its name, and how each has it.
fn differences(theirs: &Answer, ours: &Answer) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let mut note = |what: &str, theirs: &str, ours: &str| {
        if theirs != ours {
            found.push((what.to_owned(), theirs.to_owned(), ours.to_owned()));
        }
    };
    note("status", &theirs.status.to_string(), &ours.status.to_string());
    // Each has its own words for an error or a redirect, and sends different headers with them.
    let own_page = theirs.body.contains("<center>nginx/");
    let echoed = theirs.body.starts_with("seen: ") && ours.body.starts_with("seen: ");
    let names: BTreeSet<&String> = theirs.headers.keys().chain(ours.headers.keys()).collect();
    for name in names {
        let of = |answer: &'_ Answer| answer.headers.get(name).cloned().unwrap_or_else(|| "absent".into());
        let matters = if own_page { NOT_OF_THE_PAGE.contains(&name.as_str()) } else { !(echoed && name == "content-length") };
        if matters {
            note(name, &of(theirs), &of(ours));
        }
    }
    if echoed {
        let (theirs, ours) = (lines(&theirs.body), lines(&ours.body));
        let names: BTreeSet<&str> = theirs.keys().chain(ours.keys()).copied().collect();
        for name in names {
            let of = |lines: &BTreeMap<&str, &'_ str>| (*lines.get(name).unwrap_or(&"absent")).to_owned();
            note(&format!("seen {name}"), &of(&theirs), &of(&ours));
        }
    } else if !own_page {
        note("body", &theirs.body, &ours.body);
    }
    found
}

/// What an application says it was asked.
fn lines(body: &str) -> BTreeMap<&str, &str> {
    body.lines().filter_map(|line| line.split_once(": ")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_portfolio_is_served_as_its_nginx_serves_it() {
    let stage = Stage::start(&PLANS[0]).await;
    stage.compare().await;
    stage.flood("api.your-domain.com").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_glossary_is_served_as_its_nginx_serves_it() {
    Stage::start(&PLANS[1]).await.compare().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_classroom_is_served_as_its_nginx_serves_it() {
    Stage::start(&PLANS[2]).await.compare().await;
}
