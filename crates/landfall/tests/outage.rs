//! What a server goes through: everything stopped at once, programs that end, programs that cannot start before others, and two apps in one network.
//!
//! The real binary on the real engine. Needs root, dockerd and the image `landfall-debian:bookworm`, which `./test` makes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(clippy::print_stdout, reason = "the log of a failed run")]

#[path = "outage/server.rs"]
mod server;

use serde_json::{Value, json};
use server::{Server, docker, until};
use std::net::UdpSocket;

/// Answers with its first argument, and with what the service named by the second says; ends at once where that one does not answer, and with 0 on
/// SIGTERM. It begins to listen after `SLOW` seconds.
const PROGRAM: &str = r#"
use strict; use Socket; use IO::Socket::INET; $| = 1;
my ($says, $needs) = @ARGV;
$SIG{TERM} = sub { exit 0 };
$SIG{PIPE} = "IGNORE";
sub ask {
    my $other = IO::Socket::INET->new(PeerAddr => $needs, PeerPort => 8080, Timeout => 5) or return;
    print $other "GET / HTTP/1.0\r\n\r\n";
    my $answer = join "", <$other>;
    $answer =~ s/.*?\r\n\r\n//s;
    return $answer;
}
if ($ENV{ONCE}) { $needs = inet_ntoa(inet_aton($needs) || die "there is no $needs") }
if ($needs && !defined ask()) { print "cannot reach $needs: $@\n"; exit 1 }
sleep($ENV{SLOW} || 0);
my $listener = IO::Socket::INET->new(LocalPort => 8080, Listen => 50, ReuseAddr => 1) or die "listen: $!";
while (1) {
    my $client = $listener->accept or next;
    while (defined(my $line = <$client>)) { last if $line =~ /^\r?\n/ }
    my $body = $says . ($needs ? " of " . (ask() // "nobody") : "");
    print $client "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: " . length($body) . "\r\n\r\n$body";
    close $client;
}
"#;

/// A service of that program. JSON is YAML.
fn service(says: &str, needs: &str) -> Value {
    // The file's own `$` is written twice.
    json!({
        "image": "landfall-debian:bookworm",
        "command": ["perl", "-e", PROGRAM.replace('$', "$$"), says, needs],
        "stop_grace_period": "1s",
        "x-landfall": { "port": 8080 },
    })
}

fn routed(mut service: Value) -> Value {
    service["x-landfall"]["routes"] = json!(["/"]);
    service
}

fn app(name: &str, services: Value) -> Value {
    json!({
        "name": name,
        "x-landfall": { "tls": "off", "domains": [format!("{name}.localhost")] },
        "services": services,
    })
}

/// All at once, as a power cut does.
fn kill(containers: &[String]) {
    let names: Vec<&str> = containers.iter().map(String::as_str).collect();
    docker(&[&["kill"], names.as_slice()].concat());
}

#[test]
fn an_app_whose_containers_were_all_stopped_comes_back() {
    let server = Server::new();
    let web = routed(service("web", "db"));
    let mut db = service("db", "");
    db["environment"] = json!({ "SLOW": "2" });
    server.write("outage-all", &app("outage-all", json!({ "web": web, "db": db })));
    server.good("outage-all", &["up", "--detach"]);
    assert_eq!(server.answer("outage-all"), "web of db");

    // By the monitor.
    let before = server.containers("outage-all");
    kill(&before);
    until("the monitor has brought it back", || (server.try_answer("outage-all").as_deref() == Some("web of db")).then_some(()));
    until("none of the dead is left", || server.containers("outage-all").iter().all(|id| !before.contains(id)).then_some(()));
    server.is_whole("outage-all", 2);

    // By a person who is quicker, with another release.
    let before = server.containers("outage-all");
    kill(&before);
    let web = routed(service("web 2", "db"));
    server.write("outage-all", &app("outage-all", json!({ "web": web, "db": service("db 2", "") })));
    server.good("outage-all", &["deploy"]);
    assert_eq!(server.answer("outage-all"), "web 2 of db 2");
    server.is_whole("outage-all", 2);
}

#[test]
fn a_service_that_people_reach_comes_back_though_it_ended_as_if_it_was_done() {
    let server = Server::new();
    let mut web = routed(service("web", ""));
    web["restart"] = json!("on-failure");
    server.write("outage-end", &app("outage-end", json!({ "web": web })));
    server.good("outage-end", &["up", "--detach"]);
    let before = server.containers("outage-end");
    docker(&["stop", &before[0]]);
    assert_eq!(docker(&["inspect", "-f", "{{.State.ExitCode}} {{.State.Running}}", &before[0]]), "0 false");
    until("it is back", || (server.try_answer("outage-end").as_deref() == Some("web")).then_some(()));
    server.is_whole("outage-end", 1);
}

#[test]
fn a_program_that_ends_until_its_database_answers_comes_up_within_the_deadline() {
    let server = Server::new();
    // Where the gate of the database is passed before its program listens: nothing is asked of it.
    let mut db = service("db", "");
    db["environment"] = json!({ "SLOW": "8" });
    db["x-landfall"] = json!({});
    let file = app("outage-wait", json!({ "web": routed(service("web", "db")), "db": db }));
    // With a subnet and no gateway: the engine does not say where its bridge is, and names are answered all the same.
    server.write("outage-wait", &at(file, "10.214.11.0/24"));
    server.good("outage-wait", &["up", "--detach"]);
    assert_eq!(server.answer("outage-wait"), "web of db");
    let web = docker(&["ps", "-q", "--filter", "label=landfall.app=outage-wait", "--filter", "label=landfall.service=web"]);
    let starts: u32 = docker(&["inspect", "-f", "{{.RestartCount}}", &web]).parse().unwrap();
    assert!(starts > 3, "it was started again {starts} times");
}

#[test]
fn two_apps_in_one_network_have_a_database_each() {
    let network = server::Outside::network("outage-shared");
    let server = Server::new();
    let file = |name: &str, networks: [&[&str]; 2]| {
        let joined = |mut service: Value, networks: &[&str]| {
            service["networks"] = json!(networks);
            service
        };
        let web = joined(routed(service("web", "db")), networks[0]);
        let db = joined(service(&format!("db of {name}"), ""), networks[1]);
        let mut file = app(name, json!({ (format!("web-of-{name}")): web, "db": db }));
        file["networks"] = json!({ "shared": { "external": true, "name": network.name } });
        file
    };
    // The first meets the second's database in the network they share, and has its own elsewhere.
    server.write("outage-one", &file("outage-one", [&["default", "shared"], &["default"]]));
    server.good("outage-one", &["up", "--detach"]);
    server.write("outage-two", &file("outage-two", [&["shared"], &["shared"]]));
    server.good("outage-two", &["deploy"]);
    for name in ["outage-one", "outage-two", "outage-one"] {
        assert_eq!(server.answer(name), format!("web of db of {name}"));
    }
    // Also when the first is made anew while the second runs.
    kill(&server.containers("outage-one"));
    until("it is back", || (server.try_answer("outage-one").as_deref() == Some("web of db of outage-one")).then_some(()));
    assert_eq!(server.answer("outage-two"), "web of db of outage-two");
    // Where a third app could not say which of both it means, the later one is refused.
    server.write("outage-one", &file("outage-one", [&["default", "shared"], &["default", "shared"]]));
    let refused = server.bad("outage-one", &["deploy"]);
    assert!(refused.contains("`db` is already a service of app outage-two in network `outage-shared` [name-taken]"), "{refused}");
    assert_eq!(server.answer("outage-one"), "web of db of outage-one");
}

/// A network with addresses of its own, whose bridge can be named before it is there.
fn at(mut file: Value, subnet: &str) -> Value {
    file["networks"]["default"]["ipam"] = json!({ "config": [{ "subnet": subnet }] });
    file
}

#[test]
fn a_name_server_that_somebody_else_keeps_away_is_told_with_its_holder_and_leaves_nothing() {
    let network = server::Outside::network("outage-port");
    let server = Server::new();
    let gateway = docker(&["network", "inspect", "-f", "{{range .IPAM.Config}}{{.Gateway}}{{end}}", network.name]);
    let resolver = UdpSocket::bind((gateway.as_str(), 53)).unwrap();
    let mut web = routed(service("web", ""));
    web["networks"] = json!(["default", "shared"]);
    let mut file = app("outage-port", json!({ "web": web }));
    file["networks"] = json!({ "shared": { "external": true, "name": network.name } });
    server.write("outage-port", &file);
    let failed = server.bad("outage-port", &["up", "--detach"]);
    let said = format!("cannot listen on {gateway}:53 to answer the names of services: `");
    assert!(failed.contains(&said) && failed.contains(&format!("(process {}) has the port [port-taken]", std::process::id())), "{failed}");
    assert!(failed.contains(&format!("containers ask for names at {gateway}:53 and nowhere else")), "{failed}");
    assert_eq!(server.containers("outage-port"), Vec::<String>::new());
    assert_eq!(docker(&["network", "ls", "-q", "--filter", "label=landfall.app=outage-port"]), "", "its own network is left");

    drop(resolver);
    server.good("outage-port", &["up", "--detach"]);
    assert_eq!(server.answer("outage-port"), "web");
}

#[test]
fn a_firewall_that_keeps_containers_from_the_name_server_is_told_everywhere() {
    let server = Server::new();
    let file = |web: Value| at(app("outage-wall", json!({ "web": web, "db": service("db", "") })), "10.214.12.0/24");
    server.write("outage-wall", &file(routed(service("web", ""))));
    server.good("outage-wall", &["up", "--detach"]);

    let wall = server::Wall::around("10.214.12.1");
    let told = "containers of outage-wall get no answer from the name server at 10.214.12.1:53: this machine's firewall drops";
    let status = server.good("outage-wall", &["status"]);
    assert!(status.contains(told) && status.contains("ufw allow in on br-"), "{status}");
    // Of the machine around this test more may be told, and more may be wrong.
    let doctor = server.bad("outage-wall", &["server", "doctor", "--home", &server.home()]);
    assert!(doctor.contains("name-server") && doctor.contains("get no answer from the name server at 10.214.12.1:53"), "{doctor}");
    let mut web = routed(service("web", "db"));
    web["x-landfall"]["health"] = json!({ "deadline": "5s" });
    server.write("outage-wall", &file(web));
    let failed = server.bad("outage-wall", &["deploy"]);
    assert!(failed.contains("[gate-failed]") && failed.contains(told), "{failed}");
    server.write("outage-wall", &file(routed(service("web 2", ""))));
    let passed = server.good("outage-wall", &["deploy"]);
    assert!(passed.contains("warning: ") && passed.contains(told), "{passed}");
    drop(wall);
    assert!(!server.good("outage-wall", &["status"]).contains(told));
}

#[test]
fn a_server_that_looks_a_name_up_once_never_reaches_another_service() {
    let server = Server::new();
    let file = |release: u32| {
        let mut edge = routed(service("edge", "api"));
        edge["environment"] = json!({ "ONCE": "1" });
        edge["depends_on"] = json!(["api"]);
        // Both listen on the same port, so that an address of the one that the other was given would be answered.
        let api = service(&format!("api {release}"), "");
        app("outage-once", json!({ "edge": edge, "api": api, "worker": service(&format!("worker {release}"), "") }))
    };
    server.write("outage-once", &file(1));
    server.good("outage-once", &["up", "--detach"]);
    assert_eq!(server.answer("outage-once"), "edge of api 1");
    let mut heard = Vec::new();
    for release in 2..=5 {
        server.write("outage-once", &file(release));
        server.good("outage-once", &["deploy"]);
        heard.push(server.answer("outage-once"));
    }
    // An address is the service's own: while the new one is not there yet the old one has it, and the one after that has it again.
    assert_eq!(heard, ["edge of nobody", "edge of api 3", "edge of nobody", "edge of api 5"]);
}
