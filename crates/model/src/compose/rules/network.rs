//! Rules about who reaches whom: ports of the host, names of services, and addresses that lead nowhere.

use super::super::path::base_name;
use super::super::suggest::nearest;
use super::engine;
use super::url::Url;
use super::view::{Kind, Service, Var, View};
use super::{Check, Findings, Rule, error, warning};

/// Services that publish more are not asked which of them is meant.
const MAX_PORTS: usize = 100;

pub(super) const RULES: &[Rule] = &[
    warning(
        "admin-tool-public",
        [
            "A tool for operators is open to everybody",
            "Its login page is all that stands before the data, and such tools have holes that are found by scanning.",
            "Publish it on `127.0.0.1` and use an SSH tunnel.",
            "services:\n  admin:\n    image: adminer:4.8.1\n    ports: ['8080:8080']\n",
            "services:\n  admin:\n    image: adminer:4.8.1\n    ports: ['127.0.0.1:8080:8080']\n",
        ],
        Check::Container(admin_tool),
    ),
    error(
        "debug-port-published",
        [
            "The port of a debugger is published",
            "Debuggers run any code they are sent, without a password.",
            "Remove the port; use an SSH tunnel to a copy of the app.",
            "services:\n  api:\n    image: acme/api:1.4\n    ports: ['9229:9229']\n",
            "services:\n  api:\n    image: acme/api:1.4\n    ports: ['127.0.0.1:9229:9229']\n",
        ],
        Check::Container(debug_port),
    ),
    error(
        "engine-over-tcp",
        [
            "A program reaches the engine over TCP without TLS",
            "Whoever reaches that port is root on the host.",
            "Remove `DOCKER_HOST`; run what needs the engine outside of the app.",
            "services:\n  ci:\n    image: acme/ci:1.4\n    environment: { DOCKER_HOST: 'tcp://172.17.0.1:2375' }\n",
            "services:\n  ci:\n    image: acme/ci:1.4\n",
        ],
        Check::Service(engine_tcp),
    ),
    warning(
        "fixed-port",
        [
            "A service publishes a fixed port of the host",
            "Old and new release cannot both have it, so each release is a gap; and the port is open past the proxy, without https and its limits.",
            "If it speaks HTTP, give the service `x-landfall: { routes: [/] }` and remove `ports`.",
            "services:\n  api:\n    image: acme/api:1.4\n    ports: ['8000:8000']\n",
            "services:\n  api:\n    image: acme/api:1.4\n    expose: [8000]\n    x-landfall: { routes: [/], health: { path: /health } }\n",
        ],
        Check::Container(fixed_port),
    ),
    warning(
        "ssh-port-published",
        [
            "A container publishes port 22",
            "The server's own SSH has it; one of the two does not start, and it may be the one you need.",
            "Publish another port, or remove it.",
            "services:\n  sftp:\n    image: acme/sftp:1.4\n    ports: ['22:2022']\n",
            "services:\n  sftp:\n    image: acme/sftp:1.4\n    ports: ['2222:2022']\n",
        ],
        Check::Container(ssh_port),
    ),
    warning(
        "localhost-in-container",
        [
            "A service looks for its database in its own container",
            "Inside a container `localhost` is the container, where no database is.",
            "Write the name of the database's service as the host.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment: { REDIS_URL: 'redis://localhost:6379' }\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment: { REDIS_URL: 'redis://cache:6379' }\n  cache:\n    image: redis:7\n",
        ],
        Check::Container(localhost),
    ),
    warning(
        "unknown-host",
        [
            "A service connects to a name that nobody has",
            "The name is no service of this file, so the program starts and fails at its first query.",
            "Write the name of the service.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment: { REDIS_URL: 'redis://cahce:6379' }\n  cache:\n    image: redis:7\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment: { REDIS_URL: 'redis://cache:6379' }\n  cache:\n    image: redis:7\n",
        ],
        Check::Container(unknown_host),
    ),
    warning(
        "host-port-between-services",
        [
            "A service connects to a port that exists on the host only",
            "In `5433:5432` the first number is for the host; between services the second one counts, and the first is closed.",
            "Write the port on the right.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment: { REDIS_URL: 'redis://cache:6380' }\n  cache:\n    image: redis:7\n    ports: ['127.0.0.1:6380:6379']\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment: { REDIS_URL: 'redis://cache:6379' }\n  cache:\n    image: redis:7\n    ports: ['127.0.0.1:6380:6379']\n",
        ],
        Check::Container(host_port),
    ),
    warning(
        "no-common-network",
        [
            "A service connects to one it shares no network with",
            "The name is not answered, and the program fails at its first query.",
            "Put both into one network.",
            "services:\n  api:\n    image: acme/api:1.4\n    networks: [front]\n    environment: { REDIS_URL: 'redis://cache:6379' }\n  cache:\n    image: redis:7\n    networks: [back]\nnetworks: { front: , back: }\n",
            "services:\n  api:\n    image: acme/api:1.4\n    networks: [front, back]\n    environment: { REDIS_URL: 'redis://cache:6379' }\n  cache:\n    image: redis:7\n    networks: [back]\nnetworks: { front: , back: }\n",
        ],
        Check::Container(no_network),
    ),
    warning(
        "underscore-in-host",
        [
            "A URL's host has an underscore",
            "Host names have none: Java, Django, nginx and many HTTP clients refuse such a URL or such a Host header.",
            "Rename the service, with `-` in place of `_`.",
            "services:\n  web:\n    image: acme/web:1.4\n    environment: { API_URL: 'http://my_api:8000' }\n  my_api:\n    image: acme/api:1.4\n",
            "services:\n  web:\n    image: acme/web:1.4\n    environment: { API_URL: 'http://my-api:8000' }\n  my-api:\n    image: acme/api:1.4\n",
        ],
        Check::Container(underscore),
    ),
    warning(
        "engine-socket",
        [
            "A service gets the socket of the container engine",
            "Whoever reaches it starts a container with the host's disk in it and is root on the host; `:ro` protects the file, not the engine.",
            "Run what needs it outside of the app; Landfall itself restarts, watches and logs.",
            "services:\n  logs:\n    image: acme/logs:1.4\n    volumes: ['/var/run/docker.sock:/var/run/docker.sock:ro']\n",
            "services:\n  logs:\n    image: acme/logs:1.4\n",
        ],
        Check::Container(engine_socket),
    ),
];

fn admin_tool(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let (base, _) = service.base_image();
    if let Some((tool, _)) = engine::admin_tool(base) {
        for port in service.ports.iter().filter(|p| !p.is_loopback() && service.routes.is_empty()) {
            out.at(port.place, format!("{tool} in `{}` is open to everybody", service.name));
        }
        // Grafana has accounts and is often meant to be seen.
        if let Some(route) = service.routes.first().filter(|_| base != "grafana") {
            out.at(route.place, format!("{tool} in `{}` is open to everybody", service.name));
        }
    }
}

fn debug_port(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    const PORTS: [(u16, &str); 5] = [(9229, "Node"), (5678, "Python"), (5005, "Java"), (2345, "Go"), (9003, "PHP")];
    for port in service.ports.iter().filter(|p| !p.is_loopback() && !p.udp) {
        // Other programs have these ports too; n8n, for one, serves its pages on 5678.
        let own = matches!(service.base_image().0, "n8n") || !service.routes.is_empty();
        if let Some((_, what)) = PORTS.iter().find(|(n, _)| *n == port.target && !own) {
            out.at(port.place, format!("port {} of `{}` is that of the {what} debugger", port.target, service.name));
        }
    }
}

fn engine_tcp(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    if let Some(var) = service.var("DOCKER_HOST").filter(|v| v.text.starts_with("tcp://") && !service.set("DOCKER_TLS_VERIFY")) {
        out.var(&var, format!("`{}` reaches the engine over TCP without TLS", service.name));
    }
}

fn engine_socket(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    const SOCKETS: [&str; 4] = ["docker.sock", "podman.sock", "containerd.sock", "crio.sock"];
    for mount in service.mounts.iter().filter(|m| m.kind == Kind::Bind && SOCKETS.contains(&base_name(m.source))) {
        out.at(mount.place, format!("`{}` gets the engine's socket, and with it the host", service.name));
    }
}

fn fixed_port(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    if service.engine.is_some() || !service.routes.is_empty() || service.job || engine::admin_tool(service.base_image().0).is_some() {
        return;
    }
    for port in service.ports.iter().filter(|p| !p.published.is_empty() && !p.is_loopback() && !p.udp) {
        // The proxy's own ports are spoken of elsewhere.
        if !port.at_host(80) && !port.at_host(443) && !port.at_host(22) && !port.at_host(0) {
            out.at(port.place, format!("`{}` publishes port {} of the host", service.name, port.published));
        }
    }
}

fn ssh_port(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for port in service.ports.iter().filter(|p| p.at_host(22) && !p.udp && !p.is_loopback()) {
        out.at(port.place, format!("`{}` publishes port 22, which the server's SSH has", service.name));
    }
}

/// URLs of a service's variables that programs connect to: databases, and http between services.
fn targets<'s>(service: &'s Service<'_>) -> impl Iterator<Item = (&'s Var<'s>, Url<'s>)> {
    service.vars.iter().filter_map(|v| Some((v, v.url?)))
}

fn localhost(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let shares = service.node.get("network_mode").is_some_and(|n| !n.is_null());
    for (var, _) in targets(service).filter(|(_, url)| url.is_backing() && url.is_local() && !shares) {
        out.var(var, format!("`{}` of `{}` looks for its database in its own container", var.name, service.name));
    }
}

fn unknown_host(view: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let external = |name: &&str| {
        view.root
            .get("networks")
            .and_then(|n| n.get(name))
            .and_then(|n| n.get("external"))
            .and_then(|n| n.scalar())
            .is_some_and(|s| s.text == "true")
    };
    // What other apps, the host's file or links put there is not known here.
    let known = service.networks.iter().any(external)
        || ["extra_hosts", "links", "external_links", "network_mode", "dns", "dns_search"]
            .iter()
            .any(|k| service.node.get(k).is_some_and(|n| !n.is_null()));
    if known {
        return;
    }
    for (var, url) in
        targets(service).filter(|(_, u)| u.is_backing() && !u.is_local() && !u.host.contains(['.', '$', '%']) && !u.host.is_empty())
    {
        if view.names.contains(url.host) {
            continue;
        }
        let message = format!("`{}` of `{}` connects to a host that is no service of this file", var.name, service.name);
        match nearest(url.host, view.names.iter().copied()) {
            Some(near) => out.var_hinted(var, message, format!("did you mean `{near}`?")),
            None => out.var(var, message),
        }
    }
}

fn host_port(view: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for (var, url) in targets(service) {
        let (Some(other), Some(port)) = (view.service(url.host), url.port) else { continue };
        if other.ports.len() > MAX_PORTS {
            continue;
        }
        let inside = other.ports.iter().find(|p| p.at_host(port)).filter(|_| other.ports.iter().all(|p| p.target != port));
        if let Some(inside) = inside {
            out.var_hinted(
                var,
                format!("`{}` of `{}` uses port {port} of `{}`, which exists on the host only", var.name, service.name, other.name),
                format!("between services the port is {}", inside.target),
            );
        }
    }
}

fn no_network(view: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for (var, url) in targets(service) {
        let Some(other) = view.service(url.host).filter(|o| o.name != service.name) else { continue };
        let apart = !service.networks.is_empty() && !other.networks.is_empty() && service.networks.is_disjoint(&other.networks);
        if apart {
            out.var(var, format!("`{}` connects to `{}` and shares no network with it", service.name, other.name));
        }
    }
}

fn underscore(view: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for (var, url) in targets(service).filter(|(_, u)| u.is_web() && u.host.contains('_')) {
        if view.service(url.host).is_some() {
            out.var(var, format!("`{}` of `{}` names a host with an underscore", var.name, service.name));
        }
    }
}
