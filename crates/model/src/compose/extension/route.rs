//! Keys of a route.

use super::table::DOMAIN;
use super::{Key, Shape};
use Shape::{Boolean, Duration, Integer, List, Map, Pattern, Size, Text, Word};

/// Paths that route.
pub(super) const ROUTE: Shape = Pattern("a path that begins with `/`, or with `=/` for this path alone", r"^=?/[^*?#\s]*$");
const PATH: Shape = Pattern("a path that begins with `/`", r"^/[^*?#\s]*$");
const ROOT: Shape = Pattern("a directory", r"^[^\\]+$");
const TARGET: Shape = Pattern("a path, or an address with `https://`", r"^(/|https?://)[!-~]*$");
pub(super) const RATE: Shape = Pattern("a rate: `10/s`, `100/min`", r"^\s*[0-9]+\s*/\s*(s|sec|second|m|min|minute|h|hour|d|day)\s*$");
pub(super) const NETWORK: Shape = Pattern("an address or network", r"^[0-9a-fA-F.:]+(/[0-9]+)?$");
const ORIGIN: Shape = Pattern("an origin", r"^(\*|[Hh][Tt][Tt][Pp][Ss]?://(\*\.)?[A-Za-z0-9.-]+(:[0-9]+)?)$");
const HEADER: Shape = Pattern("the name of a header", r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$");
const PROTOCOL: Shape = Pattern("the name of a protocol", r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$");
const METHOD: Shape = Pattern("a method", r"^[A-Za-z]+$");

const fn key(name: &'static str, shapes: &'static [Shape], default: &'static str, about: &'static str, example: &'static str) -> Key {
    Key { name, shapes, default, about, example, honoured: true }
}

const NONE: &str = "none";

/// What may be said of a route.
pub(super) const ROUTES: &[Key] = &[
    key(
        "path",
        &[ROUTE],
        "it must be there",
        "The path. `/api` is for everything below it too; `=/api` is for this path alone and wins.",
        "/api",
    ),
    key(
        "host",
        &[DOMAIN],
        "the app's `domains`",
        "A host of its own, such as `api.example.com`, that only routes with this host are served at. It gets a certificate like a domain.",
        "api.tutor.example.com",
    ),
    key("timeout", &[Duration], "60s", "How long the service may take to begin its answer.", "120s"),
    key("idle_timeout", &[Duration], "1h", "How long a stream or WebSocket may be silent.", "1h"),
    key("max_body", &[Size], NONE, "Largest request body; more is refused (413).", "16m"),
    key(
        "rate_limit",
        &[Map(ROUTE_LIMIT), RATE],
        NONE,
        "How many requests one client may make; more are refused (429). An IPv6 /64 is one client.",
        "",
    ),
    key(
        "headers",
        &[Map(HEADERS)],
        "X-Content-Type-Options, X-Frame-Options, Referrer-Policy and, for domains over HTTPS, HSTS, unless the application sets them",
        "Headers of every answer. A value replaces what the application says; `false` takes a default back.",
        "{ Content-Security-Policy: \"default-src 'self'\", X-Frame-Options: false }",
    ),
    key("strip_prefix", &[Boolean], "false", "The service gets `/users` for `/api/users`. What was cut is in X-Forwarded-Prefix.", "false"),
    key("rewrite", &[PATH], NONE, "What stands in the path's place when the service gets it: here `/v2/users` for `/api/users`.", "/v2"),
    key(
        "encoded_slashes",
        &[Word(&["pass", "refuse"])],
        "refuse",
        "Paths with `%2F` or `%5C`, which one server reads as a slash and another does not, are refused (400). `pass` forwards them as they \
         were sent, for applications that put a whole name into one part of a path: GitLab, npm registries, Matrix, Collabora.",
        "refuse",
    ),
    key(
        "underscore_headers",
        &[List(&[HEADER]), HEADER],
        NONE,
        "Headers with `_` in their names that the service gets. All others are dropped and counted, because many applications read \
         `X_Forwarded_For` as `X-Forwarded-For`.",
        "[access_token]",
    ),
    key(
        "cors",
        &[Map(CORS), List(&[ORIGIN]), ORIGIN],
        "what the application says",
        "Which other origins' pages may call it, in place of the application's word.",
        "",
    ),
    key(
        "preflight",
        &[Word(&["pass", "refuse"])],
        "refuse",
        "Under `basic_auth` or `jwt`, the question a browser asks before it calls from another origin (OPTIONS) has no login and is refused \
         (401). `pass` lets the service answer it; `cors` answers it in the service's place.",
        "refuse",
    ),
    key(
        "upgrade",
        &[List(&[PROTOCOL]), PROTOCOL],
        "WebSocket alone",
        "Protocols that a connection of HTTP/1.1 may be switched to by `Upgrade`. All others are refused (501).",
        "[tcp]",
    ),
    key(
        "compression",
        &[Boolean],
        "true",
        "Answers that shrink are compressed with zstd, brotli or gzip. Event streams never are, nor answers with `Set-Cookie` to requests with a query or body.",
        "true",
    ),
    key(
        "allow",
        &[List(&[NETWORK]), NETWORK],
        "everybody",
        "Only clients of these addresses are served; others are refused (403).",
        "[10.0.0.0/8, \"2001:db8::/32\"]",
    ),
    key("deny", &[List(&[NETWORK]), NETWORK], "nobody", "Clients of these addresses are refused, even where allowed.", "[10.0.0.9]"),
    key(
        "basic_auth",
        &[Map(USERS)],
        "everybody",
        "Users and their passwords, for what is not meant for everybody yet. The service gets the name in X-Forwarded-User and no password.",
        "{ ada: \"${STAGING_PASSWORD:-open sesame}\" }",
    ),
    key(
        "jwt",
        &[Map(JWT)],
        "everybody",
        "Only who shows a valid token is served; others are refused (401). It must have `exp`. See docs/guides/edge.md.",
        "",
    ),
    key(
        "redirect",
        &[TARGET, Map(REDIRECT)],
        NONE,
        "In place of all that the service would answer: clients are sent to another address.",
        "",
    ),
    key("respond", &[Integer(200, 599), Map(RESPOND)], NONE, "In place of all that the service would answer: always the same.", ""),
    key(
        "static",
        &[ROOT, Map(STATIC)],
        NONE,
        "In place of all that the service would answer: files, served by the proxy. A service whose routes are all answered like this is not \
         run: its image only holds the files.",
        "",
    ),
];

const REDIRECT: &[Key] = &[
    key("to", &[TARGET], "it must be there", "Where to.", "https://docs.example.com/guide"),
    key("status", &[Integer(301, 308)], "308", "301, 302, 303, 307 or 308. After 301 to 303 browsers ask with GET.", "301"),
    key(
        "keep_rest",
        &[Boolean],
        "true, unless `to` has a query or fragment",
        "What follows the route's path, and the query, are added: `/old/a?b` leads to `/new/a?b`. With `false` everything leads to `to` itself.",
        "true",
    ),
];

const RESPOND: &[Key] = &[
    key("status", &[Integer(200, 599)], "200", "The status.", "200"),
    key("body", &[Text], "empty", "The content, at most 8 KiB.", "\"healthy\\n\""),
    key("content_type", &[Text], "text/plain; charset=utf-8", "What the content is.", "text/plain"),
];

const STATIC: &[Key] = &[
    key(
        "root",
        &[ROOT],
        "it must be there",
        "A directory of the project, `./dist`, or, absolute, of the service's image. A file is looked for by the whole path, or by what \
         `strip_prefix` and `rewrite` make of it.",
        "/usr/share/nginx/html",
    ),
    key(
        "spa",
        &[Boolean, PATH],
        "false",
        "A page that is not there is `/index.html`, or the file named here: the app in the browser knows all addresses. Scripts, styles and \
         pictures that are not there are not found.",
        "true",
    ),
    key(
        "immutable",
        &[List(&[PATH]), PATH],
        "files with a digest in their name",
        "Below these paths browsers keep every file for a year without asking again. All others are asked for again and answered from the \
         browser's copy while they are the same.",
        "[/assets]",
    ),
];

const ALGORITHM: Shape = Word(&["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384"]);
const WORD: Shape = Pattern("letters, digits, `_`, `-` and `.`", r"^[A-Za-z0-9_.-]+$");

const JWT: &[Key] = &[
    key(
        "secret",
        &[Text],
        "`keys` must be there",
        "In place of all `keys`: what your own services sign tokens with, 32 bytes or more.",
        "",
    ),
    key(
        "keys",
        &[Text],
        "`secret` must be there",
        "Public keys of who signs: the `https` URL of a JSON Web Key Set, fetched every five minutes by the agent, or a file with such a set or one key in PEM.",
        "https://id.example.com/.well-known/jwks.json",
    ),
    key("algorithms", &[List(&[ALGORITHM]), ALGORITHM], "HS… with `secret`, RS… and ES… with `keys`", "How they may be signed.", "[RS256]"),
    key("issuer", &[List(&[Text]), Text], "any", "Who must have issued them (`iss`).", "https://id.example.com"),
    key("audience", &[List(&[Text]), Text], "any", "Whom they must be for (`aud`).", "tutor"),
    key("leeway", &[Duration], "60s", "By how much clocks may differ; at most ten minutes.", "30s"),
    key("header", &[HEADER], "Authorization", "Where they are: `Authorization: Bearer …`, or another header.", "X-Token"),
    key("cookie", &[WORD], NONE, "A cookie that may carry them.", "session"),
    key(
        "query",
        &[WORD],
        NONE,
        "A parameter that may carry them, for WebSockets of browsers. It is cut off before the service and the log see it.",
        "token",
    ),
    key(
        "claims",
        &[Map(CLAIMS)],
        NONE,
        "Headers that tell the service what the token says. What clients send under these names is deleted.",
        "{ sub: X-User-Id }",
    ),
];

const CLAIMS: &[Key] = &[key("*", &[HEADER], NONE, "A header, by the claim's name.", "")];

const ROUTE_LIMIT: &[Key] = &[
    key("rate", &[RATE], "it must be there", "Requests of one client in a time.", "10/s"),
    key("burst", &[Integer(0, 1_000_000)], "as many as the rate says", "So many more at once.", "20"),
    key("bucket", &[Text], NONE, "In place of all these: the name of a limit of `rate_limits` that routes share.", ""),
];

pub(super) const RATE_LIMIT: &[Key] = &[
    key("rate", &[RATE], "it must be there", "Requests of one client in a time.", "10/s"),
    key("burst", &[Integer(0, 1_000_000)], "as many as the rate says", "So many more at once.", "20"),
];

const HEADERS: &[Key] = &[key("*", &[Text], NONE, "A header, by its name.", "")];

const USERS: &[Key] = &[key("*", &[Text], NONE, "A password, by its user's name.", "")];

const CORS: &[Key] = &[
    key(
        "origins",
        &[List(&[ORIGIN]), ORIGIN],
        "it must be there",
        "Whose pages. `*` is everybody's.",
        "[https://app.example.com, \"https://*.example.com\"]",
    ),
    key("methods", &[List(&[METHOD]), METHOD], "GET, HEAD, POST, PUT, PATCH, DELETE", "What they may do.", "[GET, POST]"),
    key("headers", &[List(&[HEADER]), HEADER], "those they ask for", "Headers they may send.", "[Content-Type]"),
    key("expose", &[List(&[HEADER]), HEADER], NONE, "Headers of the answer they may read.", "[X-Total-Count]"),
    key("credentials", &[Boolean], "false", "Cookies are sent along. Not with the origin `*`.", "true"),
    key("max_age", &[Duration], "10m", "How long a browser may remember that it may.", "1h"),
];
