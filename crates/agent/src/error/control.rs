//! What can go wrong between the agent and the proxy.

use super::chain;
use landfall_model::api::Failure;
use landfall_runtime::listener::{Holder, holder_of};
use std::net::SocketAddr;

/// Where containers ask for names: their engine asks nowhere else.
const NAMES: u16 = 53;

/// The proxy did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// It cannot be spoken to.
    #[error("the proxy does not answer on {socket}")]
    Unreachable {
        /// Path of its socket.
        socket: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It said no.
    #[error("the proxy refused: {message}")]
    Refused {
        /// Its stable word.
        code: String,
        /// Its reason.
        message: String,
    },
    /// Somebody else listens where it must.
    #[error("cannot listen on {address}{}: {}", purpose(*address), held(holder.as_ref()))]
    Taken {
        /// Where.
        address: SocketAddr,
        /// Who, as far as /proc tells.
        holder: Option<Holder>,
    },
    /// Another app could not be looked at since the agent's start, so that the whole table is not known.
    #[error("another app on this server cannot be looked at, so the proxy's table is not known as a whole")]
    Incomplete,
    /// It said something else.
    #[error("the proxy answered something else than it was asked")]
    Unexpected,
}

fn purpose(address: SocketAddr) -> &'static str {
    if address.port() == NAMES { " to answer the names of services" } else { "" }
}

fn held(holder: Option<&Holder>) -> String {
    holder.map_or_else(|| "the port is taken".to_owned(), |holder| format!("{holder} has the port"))
}

impl ControlError {
    /// With whoever has the port now.
    pub(crate) fn taken(address: SocketAddr) -> Self {
        Self::Taken { address, holder: holder_of(address, true).or_else(|| holder_of(address, false)) }
    }

    pub(super) fn failure(&self) -> Failure {
        match self {
            Self::Taken { address, holder } => chain("port-taken", self, remedies(*address, holder.as_ref()), Vec::new()),
            Self::Refused { code, .. } => chain(code, self, Vec::new(), Vec::new()),
            Self::Incomplete => chain("table-incomplete", self, vec!["is Docker running? `systemctl status docker`".into()], Vec::new()),
            _ => chain(
                "proxy-unreachable",
                self,
                vec!["is the proxy running? its log is logs/proxy.log in Landfall's home".into()],
                Vec::new(),
            ),
        }
    }
}

/// What to do about a port that somebody else has. Programs that answer DNS usually listen on every address there is, the bridges of containers
/// included, unless they are told where.
fn remedies(address: SocketAddr, holder: Option<&Holder>) -> Vec<String> {
    let Some(holder) = holder else {
        return vec![format!("see who listens there: `ss -lnptu 'sport = :{}'`", address.port())];
    };
    if address.port() != NAMES {
        return vec![format!("stop {holder}, or have it listen elsewhere, and deploy again")];
    }
    let how = match holder.name.as_str() {
        "dnsmasq" => "write `bind-interfaces` and `listen-address=127.0.0.1` into /etc/dnsmasq.conf, then `systemctl restart dnsmasq`",
        "named" => "write `listen-on { 127.0.0.1; };` into the options of named.conf, then `systemctl restart named`",
        "unbound" => "write `interface: 127.0.0.1` into unbound.conf, then `systemctl restart unbound`",
        "systemd-resolve" => "remove `DNSStubListenerExtra` from /etc/systemd/resolved.conf, then `systemctl restart systemd-resolved`",
        "docker-proxy" => "publish port 53 of that container at one address only, as in `ports: [\"192.0.2.1:53:53/udp\"]`",
        _ => "have it listen on the addresses it is for, such as 127.0.0.1, and not on every one",
    };
    vec![
        format!("containers ask for names at {address} and nowhere else: {how}; then deploy again"),
        format!("or stop {holder}, if nothing needs it"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn who_has_the_port_and_what_to_do_are_said() {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], socket.local_addr().unwrap().port()));
        let failure = ControlError::taken(address).failure();
        assert!(failure.message.contains(&format!("(process {}) has the port", std::process::id())), "{failure:?}");
        assert_eq!(failure.code, "port-taken");

        let address = SocketAddr::from(([10, 120, 29, 1], 53));
        let holder = Some(Holder { name: "dnsmasq".into(), pid: 812 });
        let failure = ControlError::Taken { address, holder }.failure();
        let said = "cannot listen on 10.120.29.1:53 to answer the names of services: `dnsmasq` (process 812) has the port";
        assert_eq!(failure.message, said);
        assert!(failure.hints[0].contains("`bind-interfaces` and `listen-address=127.0.0.1`"), "{failure:?}");
        let nobody = ControlError::Taken { address, holder: None }.failure();
        assert!(nobody.hints[0].contains("ss -lnptu 'sport = :53'"), "{nobody:?}");
    }
}
