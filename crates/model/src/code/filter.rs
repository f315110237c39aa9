//! Codes of what is done to requests and answers on their way.

use super::Code;
use crate::diagnostic::Severity::Error;

pub(super) const CODES: &[Code] = &[
    Code {
        code: "bad-files",
        severity: Error,
        title: "this is no directory of files to serve",
        reason: "A whole project or image holds more than anybody means to show: sources, settings, passwords.",
        remedy: "Write a directory below the project, `./dist`, or an absolute one of the service's image, `/usr/share/nginx/html`.",
        bad: "services:\n  web:\n    image: nginx:1.27\n    x-landfall: { routes: [{ path: /, static: ../site }] }\n",
        good: "services:\n  web:\n    image: nginx:1.27\n    x-landfall: { routes: [{ path: /, static: /usr/share/nginx/html }] }\n",
    },
    Code {
        code: "bad-header",
        severity: Error,
        title: "this is no header that can be set",
        reason: "A line break in a header would be a second header, and headers that frame a message are the proxy's business.",
        remedy: "Write a name of letters, digits and `-`, and a value of one line of ASCII.",
        bad: "services:\n  web:\n    image: nginx:1.27\n    x-landfall: { port: 80, routes: [{ path: /, headers: { Content-Length: 3 } }] }\n",
        good: "services:\n  web:\n    image: nginx:1.27\n    x-landfall: { port: 80, routes: [{ path: /, headers: { X-Robots-Tag: noindex } }] }\n",
    },
    Code {
        code: "bad-network",
        severity: Error,
        title: "this is no address or network",
        reason: "A client's address would never match it, so what it should keep out would be open, or what it should let in closed.",
        remedy: "Write an address, `192.0.2.1`, or a network, `10.0.0.0/8` or `2001:db8::/32`.",
        bad: "services:\n  web:\n    image: nginx:1.27\n    x-landfall: { port: 80, routes: [{ path: /, allow: [office] }] }\n",
        good: "services:\n  web:\n    image: nginx:1.27\n    x-landfall: { port: 80, routes: [{ path: /, allow: [192.0.2.0/24] }] }\n",
    },
    Code {
        code: "bad-origin",
        severity: Error,
        title: "this is no origin",
        reason: "Browsers name a page's origin as scheme, host and port; anything else would never match.",
        remedy: "Write `https://app.example.com` without a path, `https://*.example.com`, or `*`.",
        bad: "services:\n  web:\n    image: nginx:1.27\n    x-landfall: { port: 80, routes: [{ path: /, cors: app.example.com }] }\n",
        good: "services:\n  web:\n    image: nginx:1.27\n    x-landfall: { port: 80, routes: [{ path: /, cors: \"https://app.example.com\" }] }\n",
    },
    Code {
        code: "bad-page",
        severity: Error,
        title: "this page cannot be shown",
        reason: "Pages are read when the file is, so that they are there when everything else is not; one that is missing then would be missed when it is needed.",
        remedy: "Give a directory of the project with pages such as 404.html and 503.html, each one HTML file of at most 64 KiB with its styles in it.",
        bad: "x-landfall: { error_pages: nowhere }\nservices:\n  web:\n    image: nginx:1.27\n    x-landfall: { port: 80, routes: [/] }\n",
        good: "services:\n  web:\n    image: nginx:1.27\n    x-landfall: { port: 80, routes: [/] }\n",
    },
    Code {
        code: "bad-redirect",
        severity: Error,
        title: "this is no address to redirect to",
        reason: "Clients would be sent to where nothing is, or to a site of somebody else's: browsers read `//name` and `/\\name` as another host.",
        remedy: "Write a path of the same site, `/new`, or an address with its scheme, `https://www.example.com/new`.",
        bad: "services:\n  web:\n    image: nginx:1.27\n    x-landfall: { port: 80, routes: [/, { path: /old, redirect: new }] }\n",
        good: "services:\n  web:\n    image: nginx:1.27\n    x-landfall: { port: 80, routes: [/, { path: /old, redirect: /new }] }\n",
    },
    Code {
        code: "bad-token-key",
        severity: Error,
        title: "this cannot check a token",
        reason: "A short secret is found by trying, and whoever finds it signs tokens for everybody. A key fetched without HTTPS is whoever's the network likes.",
        remedy: "Give `secret` 32 bytes or more from a generator, or `keys` an `https://` URL or a file.",
        bad: "services:\n  web:\n    image: nginx:1.27\n    x-landfall: { port: 80, routes: [{ path: /, jwt: { secret: hunter2 } }] }\n",
        good: "services:\n  web:\n    image: nginx:1.27\n    x-landfall: { port: 80, routes: [{ path: /, jwt: { keys: \"https://id.acme.com/jwks.json\" } }] }\n",
    },
    Code {
        code: "unknown-limit",
        severity: Error,
        title: "a route names a limit that is not there",
        reason: "The route would be under no limit at all.",
        remedy: "Give the limit its name under `x-landfall.rate_limits`, at the top of the file.",
        bad: "services:\n  web:\n    image: nginx:1.27\n    x-landfall: { port: 80, routes: [{ path: /, rate_limit: { bucket: api } }] }\n",
        good: "x-landfall: { rate_limits: { api: 100/min } }\nservices:\n  web:\n    image: nginx:1.27\n    x-landfall: { port: 80, routes: [{ path: /, rate_limit: { bucket: api } }] }\n",
    },
];
