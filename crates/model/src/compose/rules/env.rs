//! Rules about variables: what is right on a laptop and wrong on a server.

use super::super::node::Node;
use super::super::report::Place;
use super::secret::PUBLIC_PREFIXES;
use super::url::{Url, is_example_name, is_loopback};
use super::view::{Service, Var, View, text};
use super::{Check, Findings, Rule, error, warning};

pub(super) const RULES: &[Rule] = &[
    warning(
        "debug-mode",
        [
            "A program runs in debug mode",
            "Debug pages show settings and source to every visitor, some let them run code, and everything is slower.",
            "Set it to `false`, or take it from a variable that is only set in development.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      DEBUG: 'true'\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      DEBUG: 'false'\n",
        ],
        Check::Program(debug),
    ),
    warning(
        "development-mode",
        [
            "A program is told that this is development",
            "Frameworks then skip caches and checks, show stack traces, and reload code.",
            "Set it to `production`.",
            "services:\n  web:\n    image: acme/web:1.4\n    environment:\n      NODE_ENV: development\n",
            "services:\n  web:\n    image: acme/web:1.4\n    environment:\n      NODE_ENV: production\n",
        ],
        Check::Program(development),
    ),
    warning(
        "verbose-logs",
        [
            "A program logs everything",
            "At `debug` and `trace` programs write requests, queries and tokens into their logs, and the disk and the reader are both full.",
            "Set the level to `info` or `warn`.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      LOG_LEVEL: debug\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      LOG_LEVEL: info\n",
        ],
        Check::Program(verbose),
    ),
    warning(
        "public-url-localhost",
        [
            "A public URL points at localhost",
            "It is written into pages, mails and redirects: every visitor's browser then calls the visitor's own machine.",
            "Write the public address, such as `https://app.acme.com`.",
            "services:\n  web:\n    build:\n      context: .\n      args:\n        NEXT_PUBLIC_API_URL: http://localhost:8000\n",
            "services:\n  web:\n    build:\n      context: .\n      args:\n        NEXT_PUBLIC_API_URL: https://api.acme.com\n",
        ],
        Check::Program(public_localhost),
    ),
    warning(
        "public-url-http",
        [
            "A public URL is not https",
            "Pages are served over https, so browsers refuse what it names as mixed content, and logins that return to it lose their cookies.",
            "Write `https://` (`wss://` for WebSockets).",
            "services:\n  web:\n    image: acme/web:1.4\n    environment:\n      NEXTAUTH_URL: http://app.acme.com\n",
            "services:\n  web:\n    image: acme/web:1.4\n    environment:\n      NEXTAUTH_URL: https://app.acme.com\n",
        ],
        Check::Program(public_http),
    ),
    warning(
        "placeholder-url",
        [
            "A URL still names an example domain",
            "Mails, redirects and API calls go to somebody else's server, or nowhere.",
            "Write your own domain.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      FRONTEND_URL: https://yourdomain.com\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      FRONTEND_URL: https://app.acme.com\n",
        ],
        Check::Program(placeholder_url),
    ),
    warning(
        "cors-any-origin",
        [
            "Every website may call this API from its visitors' browsers",
            "`*` is for public data without a login; with one, any page can read what its visitor is allowed to see.",
            "List the origins of your own pages.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      CORS_ORIGINS: '*'\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      CORS_ORIGINS: https://app.acme.com\n",
        ],
        Check::Program(cors_any),
    ),
    error(
        "cors-any-with-credentials",
        [
            "Every website may call this API with its visitors' cookies",
            "Frameworks answer `*` with credentials by echoing the caller's origin: any page can act as whoever is logged in.",
            "List the origins of your own pages, or turn credentials off.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      CORS_ORIGINS: '*'\n      CORS_ALLOW_CREDENTIALS: 'true'\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      CORS_ORIGINS: https://app.acme.com\n      CORS_ALLOW_CREDENTIALS: 'true'\n",
        ],
        Check::Program(cors_credentials),
    ),
    warning(
        "any-host-allowed",
        [
            "A program answers to every host name",
            "Links in password mails are made from the Host header, so a forged one sends the token to its forger.",
            "List the domains of the app.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      ALLOWED_HOSTS: '*'\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      ALLOWED_HOSTS: app.acme.com\n",
        ],
        Check::Program(any_host),
    ),
    warning(
        "insecure-cookie",
        [
            "Cookies are sent without https too",
            "One request over http, such as a typed address, shows the session to everybody on the way.",
            "Set it to `true`; the app is served over https.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      AUTH_COOKIE_SECURE: 'false'\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      AUTH_COOKIE_SECURE: 'true'\n",
        ],
        Check::Program(cookie),
    ),
    error(
        "tls-verification-off",
        [
            "A program does not check the certificates of whom it talks to",
            "Every API key and every payment it sends can be read and changed by whoever stands in between.",
            "Remove the line; give the program the missing authority instead (`NODE_EXTRA_CA_CERTS`, `SSL_CERT_FILE`).",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      NODE_TLS_REJECT_UNAUTHORIZED: '0'\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      NODE_EXTRA_CA_CERTS: /etc/ssl/company.pem\n",
        ],
        Check::Program(unverified),
    ),
    warning(
        "database-tls-off",
        [
            "A database on another machine is reached without TLS",
            "The password and every row travel readable through networks that are not yours.",
            "Write `sslmode=verify-full` (or what your driver calls it).",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      DATABASE_URL: postgres://app:${DB_PASSWORD}@db.acme.com/app?sslmode=disable\n---- env\nDB_PASSWORD=6c1f0e9d8b7a5f4e3d2c\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      DATABASE_URL: postgres://app:${DB_PASSWORD}@db.acme.com/app?sslmode=verify-full\n---- env\nDB_PASSWORD=6c1f0e9d8b7a5f4e3d2c\n",
        ],
        Check::Program(database_tls),
    ),
    warning(
        "quotes-in-value",
        [
            "The quotes are part of the value",
            "In `- NAME=\"value\"` YAML leaves the quotes where they are, so the program gets them and finds no such host, no such user, no `false`.",
            "Write `- NAME=value`, or quote the whole item.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      - CACHE_ENABLED=\"false\"\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      - CACHE_ENABLED=false\n",
        ],
        Check::Service(quotes),
    ),
    warning(
        "blank-in-secret",
        [
            "A secret begins or ends with a blank",
            "Usually a copied line end: the other side compares every byte and says `wrong password`, and nobody sees why.",
            "Remove the blank where the value is set.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      STRIPE_API_KEY: ${STRIPE_API_KEY}\n---- env\nSTRIPE_API_KEY='mVq82hTz91kLx '\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      STRIPE_API_KEY: ${STRIPE_API_KEY}\n---- env\nSTRIPE_API_KEY=mVq82hTz91kLx\n",
        ],
        Check::Service(blank),
    ),
    warning(
        "provider-without-key",
        [
            "A provider is chosen and its key is not set",
            "The service starts and is healthy; the first request that needs the provider fails.",
            "Set the key, or state it in `x-landfall.env` with `required_if`.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      LLM_PROVIDER: anthropic\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      LLM_PROVIDER: anthropic\n      ANTHROPIC_API_KEY: ${ANTHROPIC_API_KEY}\n---- env\nANTHROPIC_API_KEY=mVq82hTz91kLx\n",
        ],
        Check::Program(provider),
    ),
];

fn is_on(text: &str) -> bool {
    matches!(text.trim().to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "on")
}

fn is_off(text: &str) -> bool {
    matches!(text.trim().to_ascii_lowercase().as_str(), "false" | "0" | "no" | "off")
}

fn debug(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    const NAMES: [&str; 10] = [
        "DEBUG",
        "APP_DEBUG",
        "FLASK_DEBUG",
        "DJANGO_DEBUG",
        "WP_DEBUG",
        "API_DEBUG",
        "DEBUG_MODE",
        "FASTAPI_DEBUG",
        "NEXTAUTH_DEBUG",
        "GRADIO_DEBUG",
    ];
    for var in service.vars.iter().filter(|v| NAMES.contains(&v.name) && is_on(v.text)) {
        out.var(var, format!("`{}` of `{}` is on", var.name, service.name));
    }
}

fn development(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    const NAMES: [&str; 12] = [
        "NODE_ENV",
        "FLASK_ENV",
        "RAILS_ENV",
        "RACK_ENV",
        "APP_ENV",
        "APP_ENVIRONMENT",
        "ENVIRONMENT",
        "MIX_ENV",
        "SYMFONY_ENV",
        "ASPNETCORE_ENVIRONMENT",
        "DOTNET_ENVIRONMENT",
        "DJANGO_ENV",
    ];
    for var in service.vars.iter().filter(|v| NAMES.contains(&v.name)) {
        if matches!(var.text.to_ascii_lowercase().as_str(), "development" | "dev" | "local" | "debug") {
            out.var(var, format!("`{}` of `{}` says that this is development", var.name, service.name));
        }
    }
}

fn verbose(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for var in &service.vars {
        let level = ["LOG_LEVEL", "LOGLEVEL", "LOGGING_LEVEL", "RUST_LOG"].iter().any(|n| var.name.ends_with(n));
        if level && matches!(var.text.to_ascii_lowercase().as_str(), "debug" | "trace" | "silly" | "all" | "verbose") {
            out.var(var, format!("`{}` of `{}` writes everything down", var.name, service.name));
        }
    }
}

/// Variables whose URL leaves the server: built into pages, sent in mails, given to browsers as a place to return to.
fn is_public_name(name: &str) -> bool {
    const NAMES: [&str; 20] = [
        "APP_URL",
        "AUTH_URL",
        "BASE_URL",
        "EXTERNAL_URL",
        "FRONTEND_URL",
        "GF_SERVER_ROOT_URL",
        "KC_HOSTNAME_URL",
        "NEXTAUTH_URL",
        "NC_PUBLIC_URL",
        "OAUTH_CALLBACK_URL",
        "OAUTH_REDIRECT_URI",
        "PUBLIC_API_URL",
        "PUBLIC_URL",
        "REDIRECT_URI",
        "ROOT_URL",
        "SERVER_URL",
        "SITE_URL",
        "WEBSITE_URL",
        "WEBHOOK_URL",
        "WP_HOME",
    ];
    NAMES.contains(&name) || is_built_in(name)
}

fn is_built_in(name: &str) -> bool {
    PUBLIC_PREFIXES.iter().any(|p| name.starts_with(p))
}

/// Public variables and build arguments that are URLs of the web.
fn public_urls<'s>(service: &'s Service<'_>) -> Vec<(&'s str, Url<'s>, Place)> {
    let args = service.at(&["build", "args"]).map(Node::entries).unwrap_or_default();
    let args = args.iter().filter_map(|e| Some((e.key.as_str(), Url::parse(&e.value.scalar()?.text)?, e.value.place)));
    let vars = service.vars.iter().filter_map(|v| Some((v.name, v.url?, v.place)));
    vars.chain(args).filter(|(name, url, _)| is_public_name(name) && url.is_web()).collect()
}

fn public_localhost(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for (name, _, place) in public_urls(service).into_iter().filter(|(_, url, _)| url.is_local() || url.host == "0.0.0.0") {
        let baked = if is_built_in(name) { ", and is built into what browsers download" } else { "" };
        out.at(place, format!("`{name}` of `{}` points at localhost{baked}", service.name));
    }
}

fn public_http(view: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    if view.landfall.is_some_and(|l| text(l, "tls") == "off") {
        return;
    }
    for (name, url, place) in public_urls(service) {
        let plain = matches!(url.scheme, "http" | "ws");
        // A name without a dot is a service of the app; one of a private network may have no certificate.
        if plain && !super::url::is_private_name(url.host) && url.host.parse::<std::net::IpAddr>().is_err() {
            out.at(place, format!("`{name}` of `{}` is not https", service.name));
        }
    }
}

fn placeholder_url(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for var in &service.vars {
        let first = var.text.split(',').map(str::trim).filter_map(Url::parse).find(|u| is_example_name(u.host));
        if first.is_some() {
            out.var(var, format!("`{}` of `{}` names an example domain", var.name, service.name));
        }
    }
}

fn is_cors_origin(name: &str) -> bool {
    let cors = name.contains("CORS") || name.contains("ALLOWED_ORIGIN") || name.contains("ALLOW_ORIGIN");
    cors && (name.contains("ORIGIN") || name.ends_with("CORS")) && !name.contains("REGEX")
}

fn any_origin<'s>(service: &'s Service<'_>) -> impl Iterator<Item = &'s Var<'s>> {
    let any = |text: &str| text.split(',').any(|o| o.trim().trim_matches(['[', ']', '"', '\'']) == "*");
    service.vars.iter().filter(move |v| is_cors_origin(v.name) && any(v.text))
}

fn has_credentials(service: &Service<'_>) -> bool {
    service.vars.iter().any(|v| v.name.contains("CORS") && v.name.contains("CREDENTIALS") && is_on(v.text))
}

fn cors_any(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for var in any_origin(service).filter(|_| !has_credentials(service)) {
        out.var(var, format!("`{}` of `{}` lets every website in", var.name, service.name));
    }
}

fn cors_credentials(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for var in any_origin(service).filter(|_| has_credentials(service)) {
        out.var(var, format!("`{}` of `{}` lets every website in, with cookies", var.name, service.name));
    }
}

fn any_host(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let any = |v: &&Var<'_>| v.name.ends_with("ALLOWED_HOSTS") && v.text.split([',', ' ']).any(|h| h.trim() == "*");
    for var in service.vars.iter().filter(any) {
        out.var(var, format!("`{}` of `{}` takes every host name", var.name, service.name));
    }
}

fn cookie(view: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    if view.landfall.is_some_and(|l| text(l, "tls") == "off") {
        return;
    }
    let named = |n: &str| n.contains("COOKIE") && (n.ends_with("SECURE") || n.ends_with("SECURE_ONLY") || n.ends_with("HTTPS_ONLY"));
    for var in service.vars.iter().filter(|v| named(v.name) && is_off(v.text)) {
        out.var(var, format!("`{}` of `{}` is off", var.name, service.name));
    }
}

fn unverified(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    const OFF: [&str; 8] = [
        "NODE_TLS_REJECT_UNAUTHORIZED",
        "PYTHONHTTPSVERIFY",
        "SSL_VERIFY",
        "TLS_VERIFY",
        "VERIFY_SSL",
        "REQUESTS_VERIFY",
        "HTTPS_VERIFY",
        "VERIFY_TLS",
    ];
    const ON: [&str; 5] = ["GIT_SSL_NO_VERIFY", "SSL_NO_VERIFY", "TLS_INSECURE", "TLS_SKIP_VERIFY", "INSECURE_SKIP_VERIFY"];
    let wrong = |v: &&Var<'_>| OFF.contains(&v.name) && is_off(v.text) || ON.iter().any(|n| v.name.ends_with(n)) && is_on(v.text);
    for var in service.vars.iter().filter(wrong) {
        out.var(var, format!("`{}` of `{}` turns the check of certificates off", var.name, service.name));
    }
}

fn database_tls(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for var in &service.vars {
        let Some(url) = var.url.filter(Url::is_backing) else { continue };
        let off = ["sslmode=disable", "ssl=false", "tls=false", "useSSL=false", "encrypt=false", "sslmode=DISABLED"];
        if !super::url::is_private_name(url.host) && off.iter().any(|o| url.rest.contains(o)) {
            out.var(var, format!("`{}` of `{}` turns TLS off to a host outside of the app", var.name, service.name));
        }
    }
}

fn quotes(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    // A mapping's value with quotes inside of quotes is meant; in the form `NAME="value"` it is a slip.
    for var in service.vars.iter().filter(|v| v.written && v.text.len() >= 2) {
        let inner = |q: char| var.text.strip_prefix(q).and_then(|t| t.strip_suffix(q)).is_some_and(|t| !t.contains(q));
        if inner('"') || inner('\'') {
            out.var(var, format!("the value of `{}` of `{}` has quotes around it", var.name, service.name));
        }
    }
}

fn blank(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for var in &service.vars {
        if super::secret::class(var.name).is_some() && !var.text.trim().is_empty() && var.text.trim() != var.text {
            out.var(var, format!("`{}` of `{}` begins or ends with a blank", var.name, service.name));
        }
    }
}

/// What a provider's key may be called.
const PROVIDERS: [(&str, &[&str]); 17] = [
    ("anthropic", &["ANTHROPIC_API_KEY"]),
    ("azure", &["AZURE_OPENAI_API_KEY", "AZURE_API_KEY", "AZURE_OPENAI_KEY"]),
    ("cohere", &["COHERE_API_KEY", "CO_API_KEY"]),
    ("deepl", &["DEEPL_API_KEY", "DEEPL_AUTH_KEY"]),
    ("deepseek", &["DEEPSEEK_API_KEY"]),
    ("gemini", &["GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS"]),
    ("google", &["GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_GENERATIVE_AI_API_KEY"]),
    ("groq", &["GROQ_API_KEY"]),
    ("mailgun", &["MAILGUN_API_KEY"]),
    ("mistral", &["MISTRAL_API_KEY"]),
    ("openai", &["OPENAI_API_KEY", "OPENAI_KEY"]),
    ("postmark", &["POSTMARK_API_TOKEN", "POSTMARK_SERVER_TOKEN"]),
    ("resend", &["RESEND_API_KEY"]),
    ("sendgrid", &["SENDGRID_API_KEY"]),
    ("stripe", &["STRIPE_SECRET_KEY", "STRIPE_API_KEY"]),
    ("vertex", &["GOOGLE_APPLICATION_CREDENTIALS"]),
    ("voyageai", &["VOYAGEAI_API_KEY", "VOYAGE_API_KEY"]),
];

fn provider(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for var in service.vars.iter().filter(|v| v.name.ends_with("PROVIDER")) {
        let chosen = var.text.trim().to_ascii_lowercase();
        let Some((_, keys)) = PROVIDERS.iter().find(|(name, _)| *name == chosen) else { continue };
        let given = keys.iter().any(|k| service.set(k) || service.set(&format!("{k}_FILE")));
        if let (false, Some(key)) = (given, keys.first()) {
            out.var_hinted(
                var,
                format!("`{}` of `{}` chooses `{chosen}`, and `{key}` is not set", var.name, service.name),
                format!("set `{key}`, or state it in the contract: `{key}: {{ secret: true, required_if: \"{}={chosen}\" }}`", var.name),
            );
        }
    }
}

/// `HOST=127.0.0.1`: a program that listens for itself only.
pub(super) fn listens_for_itself<'s>(service: &'s Service<'_>) -> Option<&'s Var<'s>> {
    const NAMES: [&str; 10] =
        ["HOST", "BIND", "BIND_ADDR", "BIND_ADDRESS", "LISTEN", "LISTEN_ADDR", "LISTEN_ADDRESS", "HOSTNAME", "API_HOST", "SERVER_HOST"];
    service.vars.iter().find(|v| {
        let host = v.text.rsplit_once(':').filter(|(_, p)| p.parse::<u16>().is_ok()).map_or(v.text, |(h, _)| h);
        NAMES.contains(&v.name) && is_loopback(host)
    })
}
