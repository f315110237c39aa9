//! What a server must have before anything is changed on it. Each refusal names what is in the way and what to do about it.

use super::facts::Facts;
use landfall_model::api::Failure;

/// Bytes an engine, a few images and the store want below `/var/lib`.
const ROOM_WITH_ENGINE: u64 = 2 * GIB;
/// Bytes the store and programs of the process runtime want there.
const ROOM: u64 = GIB / 2;
/// Bytes that generations of the binary want below `/usr/local`.
const ROOM_FOR_BINARIES: u64 = GIB / 2;
const GIB: u64 = 1 << 30;

/// Oldest release of a distribution that is known to work.
const DISTRIBUTIONS: [(&str, f32); 2] = [("debian", 11.0), ("ubuntu", 20.04)];

/// Everything that is in the way.
pub(super) fn refusals(facts: &Facts) -> Vec<Failure> {
    distribution(facts).into_iter().chain(ports(facts)).chain(room(facts)).collect()
}

pub(super) fn refusal(code: &str, message: String, hints: Vec<String>) -> Failure {
    Failure { code: code.to_owned(), message, causes: Vec::new(), hints, log: Vec::new() }
}

fn distribution(facts: &Facts) -> Option<Failure> {
    let supported = DISTRIBUTIONS.iter().find(|(id, _)| *id == facts.os.id);
    match (supported, facts.os.version.parse::<f32>()) {
        (Some((_, oldest)), Ok(version)) if version >= *oldest => None,
        // A testing release has no number yet; it is newer than all that have one.
        (Some(_), Err(_)) if facts.os.version.is_empty() => None,
        _ => Some(refusal(
            "unsupported-server",
            format!("{} is not a distribution that `server setup` knows", facts.os.pretty),
            vec![
                "it knows Debian from version 11 and Ubuntu from 20.04".to_owned(),
                "or prepare the server by hand: docs/guides/server.md says which files and units that takes".to_owned(),
            ],
        )),
    }
}

fn ports(facts: &Facts) -> impl Iterator<Item = Failure> {
    facts.holders.iter().map(|(port, holder)| {
        let remedy = match holder.as_str() {
            "nginx" | "apache2" | "caddy" | "lighttpd" | "haproxy" => {
                format!(
                    "if nothing needs it any more: `systemctl disable --now {holder}`; what its configuration did belongs in `x-landfall`"
                )
            }
            "docker-proxy" => {
                "a container publishes it: `docker ps` shows which one; take the port out of its `ports` and start it again".to_owned()
            }
            "landfall" => "a Landfall that was started by hand: end it with `landfall down` where it was started".to_owned(),
            _ => format!("find out what it is with `ss -ltnp sport = :{port}` and stop it"),
        };
        refusal("port-taken", format!("port {port} of the server is taken by `{holder}`"), vec![remedy])
    })
}

fn room(facts: &Facts) -> impl Iterator<Item = Failure> {
    let state = if facts.systemd && !facts.engine { ROOM_WITH_ENGINE } else { ROOM };
    [("/var/lib", state), ("/usr/local", ROOM_FOR_BINARIES)].into_iter().filter_map(|(path, wanted)| {
        let free = *facts.free.get(path)?;
        (free < wanted).then(|| {
            let (free, wanted) = (free >> 20, wanted >> 20);
            let hints = vec![format!(
                "`du -xh --max-depth=2 {path}` shows what fills it; `apt-get clean` and `journalctl --vacuum-size=200M` give some back"
            )];
            refusal("no-room", format!("the disk of {path} has {free} MB left; {wanted} MB are needed"), hints)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::facts::Os;
    use super::*;
    use std::collections::BTreeMap;

    fn os(id: &str, version: &str) -> Facts {
        Facts { os: Os { id: id.into(), version: version.into(), pretty: format!("{id} {version}") }, ..Facts::default() }
    }

    fn codes(facts: &Facts) -> Vec<String> {
        refusals(facts).into_iter().map(|failure| failure.code).collect()
    }

    #[test]
    fn distributions_are_known_by_name_and_age() {
        for (id, version) in
            [("debian", "11"), ("debian", "12"), ("debian", "13"), ("debian", ""), ("ubuntu", "20.04"), ("ubuntu", "24.04")]
        {
            assert_eq!(codes(&os(id, version)), [""; 0], "{id} {version}");
        }
        for (id, version) in [("debian", "10"), ("ubuntu", "18.04"), ("alpine", "3.20"), ("fedora", "41"), ("", ""), ("ubuntu", "x")] {
            assert_eq!(codes(&os(id, version)), ["unsupported-server"], "{id} {version}");
        }
    }

    #[test]
    fn who_holds_a_port_is_named_with_a_remedy() {
        let facts = Facts { holders: BTreeMap::from([(80, "nginx".into()), (443, "python3".into())]), ..os("debian", "12") };
        let told: Vec<String> = refusals(&facts).into_iter().map(|f| format!("{}: {}", f.message, f.hints.concat())).collect();
        assert!(
            told[0].starts_with("port 80 of the server is taken by `nginx`: ") && told[0].contains("systemctl disable --now nginx"),
            "{told:?}"
        );
        assert!(told[1].contains("ss -ltnp sport = :443"), "{told:?}");
    }

    #[test]
    fn a_full_disk_is_refused_before_it_is_fuller() {
        let facts =
            Facts { systemd: true, free: BTreeMap::from([("/var/lib".into(), GIB), ("/usr/local".into(), GIB)]), ..os("debian", "12") };
        assert_eq!(codes(&facts), ["no-room"]);
        assert_eq!(codes(&Facts { engine: true, ..facts }), [""; 0]);
    }
}
