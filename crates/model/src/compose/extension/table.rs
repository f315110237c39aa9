//! The table itself, in the order a person writes the keys.

use super::env::{ENV, ENVIRONMENTS};
use super::route::{NETWORK, RATE, RATE_LIMIT, ROUTE, ROUTES};
use super::{Key, Shape};
use Shape::{Argv, Boolean, Duration, Integer, List, Map, Pattern, Text, Word};

const SHARE: Shape = Pattern("a share: `10%`", r"^[0-9]+(\.[0-9]+)?\s*%$");
const PORT: Shape = Integer(1, 65535);
pub(super) const DOMAIN: Shape =
    Pattern("a domain", r"^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$");
const PATH: Shape = Pattern("a path to ask for", r"^/[!-~]*$");

/// `x-landfall` at the top of the file.
pub const APP: &[Key] = &[
    Key {
        name: "runtime",
        shapes: &[Word(&["docker", "process"])],
        default: "docker",
        about: "Where services run: in containers, or as supervised programs of this machine, which need neither `image` nor `build`.",
        example: "docker",
        honoured: true,
    },
    Key {
        name: "domains",
        shapes: &[List(&[DOMAIN]), DOMAIN],
        default: "every address that is not another app's",
        about: "Names the app is reached by. The first is canonical, the others redirect to it.",
        example: "[tutor.example.com, www.tutor.example.com]",
        honoured: true,
    },
    Key {
        name: "tls",
        shapes: &[Map(TLS), Word(&["internal", "off", "acme"])],
        default: "acme, for public domains",
        about: "Who signs the certificates: a public authority by ACME, `internal`, this server's own authority, or nobody, `off`, which is plain \
                HTTP. See docs/guides/certificates.md.",
        example: "",
        honoured: true,
    },
    Key {
        name: "trusted_proxies",
        shapes: &[List(&[NETWORK]), NETWORK],
        default: "nobody",
        about: "Load balancers and CDNs before this server whose X-Forwarded-For, -Proto and -Host are believed. From others they are deleted.",
        example: "[10.0.0.0/8]",
        honoured: true,
    },
    Key {
        name: "access_log",
        shapes: &[Map(ACCESS_LOG), Word(&["errors", "all", "off"])],
        default: "errors",
        about: "Which requests get a line in the access log of the server: those that failed, all, none, or those that failed and a share of the others. \
                See docs/guides/edge.md.",
        example: "",
        honoured: true,
    },
    Key {
        name: "error_pages",
        shapes: &[Text],
        default: "one sentence, as HTML or text",
        about: "In place of all the proxy would say itself: a directory of the project with any of 400, 401, 403, 404, 408, 413, 429, 502, 503 and 504.html, at \
                most 64 KiB each. Programs, which do not ask for HTML, get one line of text.",
        example: "",
        honoured: true,
    },
    Key {
        name: "probe",
        shapes: &[PATH],
        default: "none",
        about: "For a load balancer or monitor that asks by address or without a host: at every host that no app serves, over HTTP and HTTPS, the \
                proxy answers this path with 200 while each service with a route has a ready replica, else with 503.",
        example: "/up",
        honoured: true,
    },
    Key {
        name: "maintenance",
        shapes: &[Map(MAINTENANCE), Boolean],
        default: "false",
        about: "Closes the app for everybody but a few: 503, and a page. A deploy with it replaces no replica.",
        example: "",
        honoured: true,
    },
    Key {
        name: "rate_limits",
        shapes: &[Map(BUCKETS)],
        default: "none",
        about: "Limits that several routes share: `rate_limit: { bucket: NAME }` puts a route under one.",
        example: "",
        honoured: true,
    },
    Key {
        name: "env",
        shapes: &[Map(ENV)],
        default: "no contract",
        about: "The contract of the environment: what each variable must be, checked before anything is touched. Values of secrets are never shown.",
        example: "",
        honoured: true,
    },
    Key {
        name: "rollout",
        shapes: &[Map(ROLLOUT)],
        default: "none",
        about: "How a new release is watched after the switch.",
        example: "",
        honoured: false,
    },
    Key {
        name: "alerts",
        shapes: &[Map(ALERTS)],
        default: "none",
        about: "Who is told when something is wrong.",
        example: "",
        honoured: false,
    },
    Key {
        name: "environments",
        shapes: &[Map(ENVIRONMENTS)],
        default: "one, without a name",
        about: "Named variants of the app with values of their own: `landfall deploy staging`. Each is an app of its own on its server, `<app>-<environment>`.",
        example: "",
        honoured: true,
    },
];

const BUCKETS: &[Key] =
    &[Key { name: "*", shapes: &[Map(RATE_LIMIT), RATE], default: "none", about: "A limit, by its name.", example: "", honoured: true }];

const MAINTENANCE: &[Key] = &[
    Key { name: "on", shapes: &[Boolean], default: "true", about: "So that a variable can say it.", example: "false", honoured: true },
    Key {
        name: "page",
        shapes: &[Text],
        default: "that of `error_pages` for 503",
        about: "In place of all others: an HTML file of the project.",
        example: "",
        honoured: true,
    },
    Key {
        name: "allow",
        shapes: &[List(&[NETWORK]), NETWORK],
        default: "nobody",
        about: "Clients of these addresses come in.",
        example: "[192.0.2.0/24]",
        honoured: true,
    },
    Key {
        name: "key",
        shapes: &[Text],
        default: "none",
        about: "Who sends it in the header X-Maintenance-Key or the cookie maintenance_key comes in.",
        example: "\"${MAINTENANCE_KEY:-open sesame}\"",
        honoured: true,
    },
    Key { name: "retry_after", shapes: &[Duration], default: "5m", about: "When to come back.", example: "10m", honoured: true },
];

const ACCESS_LOG: &[Key] = &[
    Key {
        name: "sample",
        shapes: &[SHARE],
        default: "0%",
        about: "How many of the requests that did not fail.",
        example: "10%",
        honoured: true,
    },
    Key {
        name: "query",
        shapes: &[Boolean],
        default: "false",
        about: "With what is behind the `?`, where people are often named.",
        example: "false",
        honoured: true,
    },
];

const TLS: &[Key] = &[
    Key {
        name: "email",
        shapes: &[Pattern("an e-mail address", r"^[^@]+@[^@]+$")],
        default: "none",
        about: "Where the authority of public certificates writes to.",
        example: "ops@example.com",
        honoured: true,
    },
    Key {
        name: "ca",
        shapes: &[Pattern("the address of an ACME directory", r"^https://[^\s#]+$")],
        default: "Let's Encrypt",
        about: "Another authority that speaks ACME (RFC 8555).",
        example: "\"https://acme-staging-v02.api.letsencrypt.org/directory\"",
        honoured: true,
    },
    Key {
        name: "challenge",
        shapes: &[Word(&["http", "tls-alpn", "dns"])],
        default: "`dns` with a `hook`, otherwise `http` and `tls-alpn` in turn",
        about: "How the authority is shown that a name is yours.",
        example: "dns",
        honoured: true,
    },
    Key {
        name: "hook",
        shapes: &[Argv],
        default: "none",
        about: "A program on the server that puts a record into your DNS. It gets `present` or `cleanup`, the record's name and its value as \
                further arguments. The server's owner must grant it.",
        example: "[/usr/local/bin/dns-record, zone-1]",
        honoured: true,
    },
    Key {
        name: "names",
        shapes: &[List(&[Text])],
        default: "none",
        about: "Wildcards to have certificates for, in place of one for each domain they cover.",
        example: "[\"*.example.com\"]",
        honoured: true,
    },
    Key {
        name: "cert",
        shapes: &[Text],
        default: "none",
        about: "In place of all these: the file of a certificate of your own with its chain, PEM, below the project directory.",
        example: "",
        honoured: true,
    },
    Key {
        name: "key",
        shapes: &[Text],
        default: "none",
        about: "In place of all these: the file of its private key.",
        example: "",
        honoured: true,
    },
];

const ROLLOUT: &[Key] = &[
    Key {
        name: "bake",
        shapes: &[Duration],
        default: "none",
        about: "How long a new release is watched before it counts.",
        example: "5m",
        honoured: false,
    },
    Key {
        name: "max_error_rate",
        shapes: &[Text],
        default: "none",
        about: "Share of requests that may fail before it is rolled back.",
        example: "10%",
        honoured: false,
    },
    Key {
        name: "canary",
        shapes: &[List(&[Text])],
        default: "none",
        about: "Shares of the requests it gets on the way to all of them.",
        example: "[5%, 25%]",
        honoured: false,
    },
];

const ALERTS: &[Key] = &[Key {
    name: "channels",
    shapes: &[Map(&[Key {
        name: "*",
        shapes: &[Map(&[
            Key {
                name: "slack",
                shapes: &[Text],
                default: "none",
                about: "Address of an incoming webhook.",
                example: "\"${SLACK_WEBHOOK_URL:-}\"",
                honoured: false,
            },
            Key {
                name: "email",
                shapes: &[List(&[Text])],
                default: "none",
                about: "Addresses that are written to.",
                example: "[ops@example.com]",
                honoured: false,
            },
        ])],
        default: "none",
        about: "A channel, by a name of its own.",
        example: "",
        honoured: false,
    }])],
    default: "none",
    about: "Where messages go.",
    example: "",
    honoured: false,
}];

/// `x-landfall` of a service.
pub const SERVICE: &[Key] = &[
    Key {
        name: "port",
        shapes: &[PORT],
        default: "the only port of `expose` or `ports`",
        about: "The port the program listens on. Routes lead to it, and the gate of a release knocks at it.",
        example: "8000",
        honoured: true,
    },
    Key {
        name: "protocol",
        shapes: &[Word(&["http1", "h2c"])],
        default: "http1",
        about: "What the program speaks on that port: HTTP/1.1, or `h2c`, HTTP/2 without TLS, which gRPC needs. Clients speak what they like.",
        example: "http1",
        honoured: true,
    },
    Key {
        name: "routes",
        shapes: &[List(&[ROUTE, Map(ROUTES)]), ROUTE],
        default: "none: not reached from outside",
        about: "Paths of the app's domains that lead to this service. The longest path that matches wins; `/api` matches everything below it.",
        example: "",
        honoured: true,
    },
    Key {
        name: "health",
        shapes: &[Map(HEALTH), PATH],
        default: "the Compose `healthcheck`, else a TCP connect",
        about: "How a replica is asked whether it can serve. A release switches only to replicas that answer.",
        example: "",
        honoured: true,
    },
    Key {
        name: "migrate",
        shapes: &[Argv],
        default: "none",
        about: "Runs once per release in the new image, before any new replica serves. If it fails, the old release stays.",
        example: "[alembic, upgrade, head]",
        honoured: true,
    },
    Key {
        name: "drain",
        shapes: &[Duration],
        default: "30s",
        about: "How long requests and streams of the old release may go on after the switch.",
        example: "30s",
        honoured: true,
    },
    Key {
        name: "build",
        shapes: &[Argv],
        default: "none",
        about: "Runs in the project directory before a deploy from it. Only under `runtime: process`, where the program may have to be made first.",
        example: "[cargo, build, --release]",
        honoured: true,
    },
    Key {
        name: "backup",
        shapes: &[Map(BACKUP)],
        default: "none",
        about: "How the data of this service is copied. No backup is made yet.",
        example: "",
        honoured: false,
    },
];

const HEALTH: &[Key] = &[
    Key {
        name: "path",
        shapes: &[PATH],
        default: "none: a TCP connect is enough",
        about: "Asked for with GET; any answer from 200 to 399 is healthy.",
        example: "/health",
        honoured: true,
    },
    Key {
        name: "port",
        shapes: &[PORT],
        default: "the service's `port`",
        about: "Where it is asked for.",
        example: "8001",
        honoured: true,
    },
    Key {
        name: "deadline",
        shapes: &[Duration],
        default: "60s",
        about: "How long a new replica may take to become healthy before the release is undone.",
        example: "90s",
        honoured: true,
    },
];

const BACKUP: &[Key] = &[
    Key {
        name: "engine",
        shapes: &[Word(&["postgres"])],
        default: "it must be there",
        about: "What is copied.",
        example: "postgres",
        honoured: false,
    },
    Key { name: "schedule", shapes: &[Text], default: "none", about: "When, as in crontab(5).", example: "\"0 3 * * *\"", honoured: false },
    Key {
        name: "keep",
        shapes: &[Map(&[
            Key { name: "daily", shapes: &[Integer(0, 10_000)], default: "0", about: "Days.", example: "7", honoured: false },
            Key { name: "weekly", shapes: &[Integer(0, 10_000)], default: "0", about: "Weeks.", example: "4", honoured: false },
            Key { name: "monthly", shapes: &[Integer(0, 10_000)], default: "0", about: "Months.", example: "6", honoured: false },
        ])],
        default: "all",
        about: "How many are kept: the last one of so many days, weeks and months.",
        example: "",
        honoured: false,
    },
    Key {
        name: "before_deploy",
        shapes: &[Boolean],
        default: "false",
        about: "One more before every release.",
        example: "true",
        honoured: false,
    },
    Key {
        name: "drill",
        shapes: &[Word(&["daily", "weekly", "monthly"])],
        default: "none",
        about: "How often the last one is restored into a throw-away database and compared.",
        example: "weekly",
        honoured: false,
    },
];
