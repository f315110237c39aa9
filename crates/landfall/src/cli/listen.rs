//! Where the proxy listens, as it is typed.

use clap::Args;
use landfall_model::filter::Network;

/// Where the proxy listens.
#[derive(Debug, Clone, Args)]
pub struct ListenArgs {
    /// Address for plain HTTP, or `off`
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub http: ListenAddress,
    /// Address for HTTPS, or `off`
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    pub https: ListenAddress,
    /// Load balancers, by address or network, that speak PROXY protocol (version 2) to both
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    pub proxy_protocol: Vec<Network>,
}

/// An address to listen on, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenAddress(pub Option<std::net::SocketAddr>);

impl std::str::FromStr for ListenAddress {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        // `:443` and `443` are what people type for "every address".
        let bare = text.strip_prefix(':').unwrap_or(text);
        if let Ok(port) = bare.parse::<u16>() {
            return Ok(Self(Some(std::net::SocketAddr::from(([0, 0, 0, 0], port)))));
        }
        let text = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
        text.parse().map(|address| Self(Some(address))).map_err(|_| "expected ADDRESS:PORT such as 127.0.0.1:8443, or `off`".to_owned())
    }
}

impl std::fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("off"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_type_them() {
        let read = |text: &str| text.parse::<ListenAddress>().map(|a| a.to_string());
        assert_eq!(read("443").unwrap(), "0.0.0.0:443");
        assert_eq!(read(":443").unwrap(), "0.0.0.0:443");
        assert_eq!(read("localhost:80").unwrap(), "127.0.0.1:80");
        assert_eq!(read("[::1]:80").unwrap(), "[::1]:80");
        assert_eq!(read("off").unwrap(), "off");
        assert!(read("example.com:80").is_err() && read("").is_err() && read("70000").is_err());
    }
}
