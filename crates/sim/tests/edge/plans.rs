//! The plans: what is asked, and where the two answer differently on purpose.

use crate::talk::Question;
use std::fs;
use std::path::Path;

pub(crate) struct Plan {
    /// Directory of the counterpart and of the plan's nginx.conf.
    pub(crate) example: &'static str,
    /// The app's domain first.
    pub(crate) hosts: &'static [&'static str],
    /// HTTPS stands in a file of its own.
    pub(crate) fragment: bool,
    /// What the plan's start script puts into the configuration.
    pub(crate) variables: &'static [(&'static str, &'static str)],
    pub(crate) upstreams: &'static [Upstream],
    pub(crate) questions: &'static [Question],
    pub(crate) differences: &'static [Difference],
}

/// An application: its service, its port, and where this test runs it.
pub(crate) struct Upstream {
    pub(crate) service: &'static str,
    pub(crate) port: u16,
    pub(crate) address: &'static str,
}

/// Where Landfall differs from nginx on purpose.
pub(crate) struct Difference {
    /// `status`, `body`, a header, `seen` and what the application sees; or `answer`, for all of it.
    pub(crate) what: &'static str,
    /// In the answers to these; to all when empty.
    pub(crate) questions: &'static [&'static str],
    /// What Landfall has; `*` for anything.
    pub(crate) ours: &'static str,
    pub(crate) why: &'static str,
}

const fn differ(what: &'static str, questions: &'static [&'static str], ours: &'static str, why: &'static str) -> Difference {
    Difference { what, questions, ours, why }
}

const PROTECTED: &str = "browsers are protected by default";
const KEPT: &str = "names with a digest are kept, all else is asked for again";
const UTF8: &str = "text is UTF-8 and says so; scripts are text/javascript (RFC 9239)";
const SMALL: &str = "what may be compressed says so to caches, what is too small for it does not";
const TOLD: &str = "the application learns who asks for what, which the plan forgets";
const REDIRECTED: &str = "308 keeps the method, with 301 a POST becomes a GET";

/// In every plan.
pub(crate) const COMMON: &[Difference] = &[
    differ("x-content-type-options", &[], "nosniff", PROTECTED),
    differ("x-frame-options", &[], "SAMEORIGIN", PROTECTED),
    differ("referrer-policy", &[], "strict-origin-when-cross-origin", PROTECTED),
    differ("strict-transport-security", &[], "max-age=31536000", PROTECTED),
    differ("cache-control", &[], "no-cache", KEPT),
    differ("cache-control", &[], "public, max-age=31536000, immutable", KEPT),
    differ("content-type", &[], "text/html; charset=utf-8", UTF8),
    differ("content-type", &[], "text/css; charset=utf-8", UTF8),
    differ("content-type", &[], "text/javascript; charset=utf-8", UTF8),
    differ("vary", &[], "accept-encoding", SMALL),
    differ("vary", &[], "absent", SMALL),
    differ("seen x-forwarded-host", &[], "*", TOLD),
];

const fn get(name: &'static str, path: &'static str) -> Question {
    Question { name, path, ..Question::GET }
}

const fn page(name: &'static str, path: &'static str) -> Question {
    Question { headers: &[("accept", "text/html,*/*;q=0.8")], ..get(name, path) }
}

const WEBSOCKET: &[(&str, &str)] = &[
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];
const GZIP: &[(&str, &str)] = &[("accept-encoding", "gzip")];

pub(crate) const PLANS: [Plan; 3] = [
    Plan {
        example: "portfolio",
        hosts: &["your-domain.com", "www.your-domain.com", "api.your-domain.com"],
        fragment: false,
        variables: &[],
        upstreams: &[
            Upstream { service: "frontend", port: 3000, address: "127.77.1.1" },
            Upstream { service: "backend", port: 4000, address: "127.77.1.2" },
        ],
        questions: &[
            page("home", "/"),
            get("query", "/a/b?c=d%20e&f=/g"),
            Question { method: "POST", body: 1000, ..get("form", "/form") },
            Question { method: "HEAD", ..get("head", "/") },
            Question { method: "DELETE", host: "api.your-domain.com", ..get("delete", "/portfolios/7") },
            Question { host: "api.your-domain.com", ..get("api", "/portfolios?x=y") },
            Question { host: "api.your-domain.com", headers: GZIP, ..get("json", "/large.json") },
            get("missing", "/api/status/404"),
            get("broken", "/api/status/500"),
            Question { headers: &[("x-forwarded-for", "6.6.6.6"), ("x-real-ip", "6.6.6.6"), ("x-test", "kept")], ..get("forged", "/") },
            Question { headers: WEBSOCKET, ..get("websocket", "/ws/live") },
            Question { method: "POST", body: 2_000_000, ..get("upload", "/upload") },
            Question { host: "www.your-domain.com", ..get("www", "/a?b") },
            Question { plain: true, ..get("plain", "/a?b") },
            Question { plain: true, host: "api.your-domain.com", ..get("plain api", "/a?b") },
            Question { plain: true, host: "stranger.example", ..get("stranger", "/") },
        ],
        differences: &[
            differ("answer", &["www"], "*", "other domains redirect to the first: one address for one page"),
            differ("answer", &["upload"], "*", "no limit that nobody asked for; nginx has 1 MiB"),
            differ("answer", &["stranger"], "*", "a name that nobody configured is served by nobody"),
            differ("status", &["plain", "plain api"], "308", REDIRECTED),
            differ("content-length", &["head"], "*", "the application is told one header more, and says so"),
            differ("seen x-forwarded-for", &["forged"], "127.0.0.1", "who the client is, is not for the client to say"),
        ],
    },
    Plan {
        example: "glossary",
        hosts: &["yourdomain.com"],
        fragment: true,
        variables: &[],
        upstreams: &[Upstream { service: "backend", port: 8000, address: "127.77.2.1" }],
        questions: &[
            page("home", "/"),
            page("address of the app", "/terms/42?tab=1"),
            get("script", "/assets/main.8d3db5e3.js"),
            Question { headers: GZIP, ..get("script, small", "/assets/main.8d3db5e3.js") },
            Question { method: "HEAD", ..get("head", "/style.css") },
            get("missing script", "/assets/gone.js"),
            get("directory", "/about"),
            get("page of a directory", "/about/"),
            Question { headers: &[("if-none-match", "*")], ..get("known", "/style.css") },
            Question { headers: &[("range", "bytes=2-5")], ..get("part", "/style.css") },
            Question { headers: &[("range", "bytes=99999-")], ..get("part behind the end", "/style.css") },
            Question { method: "POST", body: 10, ..get("post to a file", "/style.css") },
            get("hidden", "/.env"),
            get("health", "/health"),
            get("api", "/api/terms?q=a%2Bb"),
            get("api itself", "/api"),
            get("looks like api", "/apix"),
            Question { headers: GZIP, ..get("json", "/api/large.json") },
            Question { method: "POST", body: 1000, ..get("form", "/api/terms") },
            Question { headers: WEBSOCKET, ..get("websocket elsewhere", "/api/live") },
            Question { plain: true, ..get("plain", "/terms/42?tab=1") },
        ],
        differences: &[
            differ("answer", &["missing script"], "*", "a page in a script's place would be taken for a broken script"),
            differ("answer", &["hidden"], "*", "names that begin with a dot are not served"),
            differ("answer", &["looks like api"], "*", "`/api` is for `/api` and what is below it, not for what begins alike"),
            differ("status", &["plain"], "308", REDIRECTED),
            differ("allow", &["post to a file"], "GET, HEAD", "RFC 9110 wants it with 405"),
            differ("accept-ranges", &["part"], "bytes", "it is true of parts too"),
            differ("content-type", &["health"], "text/plain", "nginx sends two"),
        ],
    },
    Plan {
        example: "classroom",
        hosts: &["classroom.example"],
        fragment: false,
        variables: &[
            ("${SERVER_NAME}", "classroom.example"),
            ("${CLIENT_MAX_BODY_SIZE}", "16m"),
            ("${BACKEND_UPSTREAM}", "backend:8000"),
            ("${TLS_CERT_PATH}", "chain"),
            ("${TLS_KEY_PATH}", "key"),
        ],
        upstreams: &[Upstream { service: "backend", port: 8000, address: "127.77.3.1" }],
        questions: &[
            page("home", "/"),
            page("address of the app", "/courses/7"),
            get("script", "/assets/main.8d3db5e3.js"),
            get("health", "/health"),
            page("below health", "/health/x"),
            get("api", "/api/courses?x=y"),
            get("api itself", "/api"),
            Question { method: "POST", body: 1000, ..get("answer", "/api/answers") },
            Question { method: "POST", body: 17 << 20, ..get("too large", "/api/files") },
            Question { headers: WEBSOCKET, ..get("websocket", "/ws/live") },
            get("lab", "/jupyterlite/"),
            get("lab without slash", "/jupyterlite"),
            get("lab's program", "/jupyterlite/pyodide.wasm"),
            page("missing in the lab", "/jupyterlite/gone"),
            Question { plain: true, ..get("plain", "/courses/7") },
            Question { plain: true, ..get("plain health", "/health") },
        ],
        differences: &[
            differ("answer", &["plain health"], "*", "all of the app is HTTPS, and a monitor follows redirects"),
            differ("answer", &["api itself"], "*", "`/api` is for `/api` itself too"),
            differ("status", &["plain"], "308", REDIRECTED),
            differ("seen host", &[], "classroom.example", TOLD),
            differ("seen x-forwarded-for", &[], "127.0.0.1", TOLD),
            differ("seen x-forwarded-proto", &[], "https", TOLD),
            differ("seen x-real-ip", &[], "127.0.0.1", TOLD),
            differ("cross-origin-opener-policy", &["lab without slash"], "same-origin", "headers are for every answer of a route"),
            differ("cross-origin-embedder-policy", &["lab without slash"], "require-corp", "headers are for every answer of a route"),
        ],
    },
];

/// The files of a site.
pub(crate) fn write_site(stage: &Path) {
    let write = |name: &str, bytes: &[u8]| {
        let path = stage.join("html").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    write("index.html", b"<!doctype html><title>home</title>\n");
    write("about/index.html", b"<!doctype html><title>about</title>\n");
    write("style.css", b"body { color: black }\n");
    write("assets/main.8d3db5e3.js", "console.log('a line that repeats itself');\n".repeat(100).as_bytes());
    write("jupyterlite/index.html", b"<!doctype html><title>lab</title>\n");
    write("jupyterlite/pyodide.wasm", b"\0asm\x01\0\0\0");
    write(".env", b"SECRET=1\n");
}
