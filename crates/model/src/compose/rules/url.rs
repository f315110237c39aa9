//! The few parts of a URL the rules ask for, found by text. It is no checker: what does not look like `scheme://host…` is no URL.

/// Parts of `scheme://user:password@host:port/path`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Url<'a> {
    pub(super) scheme: &'a str,
    pub(super) user: &'a str,
    pub(super) password: &'a str,
    pub(super) host: &'a str,
    pub(super) port: Option<u16>,
    /// From the first `/`, `?` or `#` on.
    pub(super) rest: &'a str,
}

/// Longest text looked at.
const MAX_URL: usize = 4096;

impl<'a> Url<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let (scheme, after) = text.split_once("://").filter(|_| text.len() <= MAX_URL)?;
        let scheme = scheme.rsplit(':').next().unwrap_or(scheme);
        if scheme.is_empty() || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')) {
            return None;
        }
        let end = after.find(['/', '?', '#']).unwrap_or(after.len());
        // A password may hold a `/` somebody forgot to escape; the `@` after it still belongs to the authority.
        let end = after
            .rfind('@')
            .filter(|at| *at > end && !after.contains('?'))
            .map_or(end, |at| after[at..].find(['/', '?', '#']).map_or(after.len(), |e| at + e));
        let (authority, rest) = after.split_at(end);
        let (userinfo, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        let first = hosts.split(',').next().unwrap_or("");
        let (host, port) = match first.strip_prefix('[').and_then(|h| h.split_once(']')) {
            Some((host, port)) => (host, port.trim_start_matches(':')),
            None => first.split_once(':').unwrap_or((first, "")),
        };
        Some(Self { scheme, user, password, host, port: port.parse().ok(), rest })
    }

    /// The scheme without a driver: `postgresql+asyncpg` is `postgresql`.
    pub(super) fn kind(&self) -> &'a str {
        self.scheme.split('+').next().unwrap_or(self.scheme)
    }

    /// True for what programs connect to and browsers do not.
    pub(super) fn is_backing(&self) -> bool {
        const SCHEMES: [&str; 19] = [
            "amqp",
            "amqps",
            "bolt",
            "clickhouse",
            "cockroachdb",
            "kafka",
            "mariadb",
            "memcached",
            "mongodb",
            "mssql",
            "mysql",
            "mysql2",
            "nats",
            "neo4j",
            "postgis",
            "postgres",
            "postgresql",
            "redis",
            "sqlserver",
        ];
        SCHEMES.contains(&self.kind()) || self.kind() == "rediss"
    }

    pub(super) fn is_web(&self) -> bool {
        matches!(self.scheme, "http" | "https" | "ws" | "wss")
    }

    /// True when the host is this very machine (or container).
    pub(super) fn is_local(&self) -> bool {
        is_loopback(self.host)
    }
}

/// `localhost` and its addresses.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost") || host == "::1" || (host.starts_with("127.") && host.parse::<std::net::Ipv4Addr>().is_ok())
}

/// Names that no public certificate authority and no visitor elsewhere can resolve.
pub(super) fn is_private_name(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let ends = ["localhost", "local", "internal", "lan", "home.arpa", "test", "intranet", "corp", "home"];
    is_loopback(&host) || ends.iter().any(|e| host == *e || host.strip_suffix(e).is_some_and(|h| h.ends_with('.'))) || !host.contains('.')
}

/// Names people leave in example files.
pub(super) fn is_example_name(host: &str) -> bool {
    const NAMES: [&str; 9] =
        ["yourdomain", "your-domain", "your_domain", "mydomain", "my-domain", "yoursite", "your-site", "domain", "changeme"];
    let host = host.to_ascii_lowercase();
    let labels: Vec<&str> = host.split('.').collect();
    let registered = labels.len().checked_sub(2).and_then(|i| labels.get(i)).copied().unwrap_or("");
    let last = labels.last().copied().unwrap_or("");
    last == "example" || matches!(registered, "example") && matches!(last, "com" | "org" | "net") || NAMES.contains(&registered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_url_are_found() {
        let url = Url::parse("postgresql+asyncpg://app:p@ss:w@db:5432/app?sslmode=disable").unwrap();
        assert_eq!((url.kind(), url.user, url.password, url.host, url.port), ("postgresql", "app", "p@ss:w", "db", Some(5432)));
        assert_eq!(url.rest, "/app?sslmode=disable");
        let url = Url::parse("mongodb://a:b@one:1,two:2/x").unwrap();
        assert_eq!((url.host, url.port), ("one", Some(1)));
        assert_eq!(Url::parse("redis://:secret@cache").map(|u| (u.user.len(), u.password)), Some((0, "secret")));
        assert_eq!(Url::parse("http://[::1]:80/").map(|u| u.is_local()), Some(true));
        assert_eq!(Url::parse("jdbc:postgresql://db/x").map(|u| u.is_backing()), Some(true));
        assert!(Url::parse("no url").is_none() && Url::parse("a b://c").is_none());
    }

    #[test]
    fn example_names_are_known() {
        for name in ["example.com", "www.example.org", "yourdomain.com", "tutor.example", "api.your-domain.com"] {
            assert!(is_example_name(name), "{name}");
        }
        for name in ["acme.com", "example.acme.com", "domains.com", "com"] {
            assert!(!is_example_name(name), "{name}");
        }
        assert!(is_private_name("db") && is_private_name("x.local") && !is_private_name("local.com"));
    }
}
