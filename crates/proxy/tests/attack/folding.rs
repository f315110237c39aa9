//! Spellings of a guarded path, sent through the proxy to servers and routers that fold them, each in its own way. Whoever gets past the guard must
//! get something else than what it guards: what that is, only the server behind knows, so it is asked for the same spelling without the proxy.

use crate::backend::{Backend, FOLDING};
use crate::harness::{start, table, talk};
use crate::setting;
use crate::spell::Dice;
use landfall_model::filter::Filters;
use std::collections::BTreeSet;

const SPELLINGS: u64 = 300;
/// What every server of these tests says in place of a page that is for everybody.
const SECRET: &str = "secret";

fn ask(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n")
}

/// Different ones, in an order that is the same every time.
fn spellings(count: u64) -> BTreeSet<String> {
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let mut spellings: BTreeSet<String> = ["//admin", "/admin;x", "/Admin", "/admin/", "/admin.json", "/%61dmin"].map(str::to_owned).into();
    while spellings.len() < usize::try_from(count).unwrap() {
        let mut path = dice.pick(&["/admin", "/admin/users", "/admin/x/y"]).to_owned();
        for _ in 0..1 + dice.below(4) {
            dice.spell(&mut path);
        }
        spellings.insert(path);
    }
    spellings
}

#[tokio::test]
async fn no_server_behind_gives_away_what_a_guard_of_another_spelling_guards() {
    let mut wrong = Vec::new();
    for name in FOLDING {
        let behind = Backend::start(name).await;
        let proxy = start();
        let mut table = table(1, &[("/", "shop/web", behind.address), ("/admin", "shop/web", behind.address)]);
        let upstream = table.sites[0].routes[0].upstream.clone();
        table.sites[0].routes[1].upstream = upstream;
        table.sites[0].routes[0].filters.encoded_slashes = true;
        table.sites[0].routes[1].filters = Filters { allow: ["10.0.0.0/8".parse().unwrap()].into(), ..Filters::default() };
        proxy.swap(&table).await;
        assert!(talk(behind.address, &ask("/admin")).await.contains(SECRET), "{name} has nothing to hide");
        assert!(talk(proxy.http, &ask("/")).await.contains("public"), "{name} is not reached");
        let (mut guarded, mut other) = (0, 0);
        for path in spellings(setting("ATTACK_SPELLINGS", SPELLINGS)) {
            let given_away = talk(behind.address, &ask(&path)).await.contains(SECRET);
            let answer = talk(proxy.http, &ask(&path)).await;
            let stopped = answer.starts_with("HTTP/1.1 403 ") || answer.starts_with("HTTP/1.1 400 ");
            guarded += u32::from(given_away && stopped);
            other += u32::from(!given_away);
            if answer.contains(SECRET) || given_away && !stopped {
                wrong.push(format!("{name}: {path}: {answer}"));
            }
        }
        println!("{name}: {guarded} spellings of what is guarded were stopped, {other} are something else there");
        assert!(guarded > 5, "{name} folds nothing: {guarded}");
        proxy.handle.stop().unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
