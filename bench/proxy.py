#!/usr/bin/env python3
"""The measuring half of bench/proxy: starts an upstream and the proxies, lets them take turns, prints tables."""

import argparse, json, os, re, shutil, signal, socket, statistics, subprocess, sys, time

BROWSER = [
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept: text/html,application/json;q=0.9,*/*;q=0.8",
    "Accept-Language: en-US,en;q=0.5",
    "Accept-Encoding: gzip, deflate, br",
    "Cookie: session=0123456789abcdef0123456789abcdef",
]
TLS_HOST, PLAIN_HOST = "bench.localhost", "plain.localhost"
# What nginx needs so as not to give its buffers back to the system after each large answer.
KEEP_HEAP = {"MALLOC_TRIM_THRESHOLD_": "268435456", "MALLOC_TOP_PAD_": "16777216", "MALLOC_MMAP_THRESHOLD_": "268435456"}

UPSTREAM = """worker_processes 1; daemon off; pid @W@/upstream.pid; error_log @W@/upstream.err;
events { worker_connections 8192; }
http { access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; tcp_nodelay on; sendfile on; default_type application/octet-stream;
 server { listen 127.0.0.1:@PORT@ backlog=4096; root @W@/root; location = /1k { return 200 "@K@"; } } }
"""
NGINX = """worker_processes 2; daemon off; pid @W@/@NAME@.pid; error_log @W@/@NAME@.err; worker_rlimit_nofile 20000;
events { worker_connections 10000; }
http { access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; tcp_nodelay on;
 ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:S:4m; ssl_certificate @W@/chain.pem; ssl_certificate_key @W@/key.pem;
 map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
 upstream u { server 127.0.0.1:@UP@; keepalive 256; keepalive_requests 1000000000; keepalive_timeout 600s; }
 server { listen 127.0.0.1:@HTTP@ reuseport backlog=4096; listen 127.0.0.1:@HTTPS@ ssl http2 reuseport backlog=4096;
  server_name bench.localhost plain.localhost; http2_max_requests 1000000000; @BUFFERS@
  location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Host $host; proxy_set_header Connection $connection_upgrade;
   proxy_set_header Upgrade $http_upgrade; proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;
   proxy_set_header X-Forwarded-Host $host; proxy_max_temp_file_size 0; } } }
"""
LARGE_BUFFERS = "ssl_buffer_size 16k; proxy_buffer_size 16k; proxy_buffers 16 64k; proxy_busy_buffers_size 128k;"
HAPROXY = """global
  nbthread 2
  maxconn 9500
  ssl-default-bind-options ssl-min-ver TLSv1.2
  tune.ssl.default-dh-param 2048
defaults
  mode http
  timeout client 600s
  timeout server 600s
  timeout connect 5s
  timeout http-keep-alive 600s
  option http-keep-alive
  http-reuse always
frontend f
  bind 127.0.0.1:@HTTP@
  bind 127.0.0.1:@HTTPS@ ssl crt @W@/both.pem alpn h2,http/1.1
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto https if { ssl_fc }
  http-request set-header X-Forwarded-Proto http if !{ ssl_fc }
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  acl known hdr(host),field(1,:) -i bench.localhost plain.localhost
  use_backend b if known
backend b
  server s1 127.0.0.1:@UP@ pool-max-conn 1024
"""
CADDYFILE = """{
  admin off
  auto_https off
  persist_config off
  default_sni bench.localhost
  fallback_sni bench.localhost
}
http://bench.localhost:@HTTP@, http://plain.localhost:@HTTP@ {
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:@UP@
}
https://bench.localhost:@HTTPS@ {
  bind 127.0.0.1
  tls @W@/chain.pem @W@/key.pem
  reverse_proxy 127.0.0.1:@UP@
}
"""
# Landfall gives a service its port; both apps' upstreams are the same program, and the others use the first one's.
SERVE = """#!/bin/sh
sed "s/@PORT@/$PORT/; s/upstream\\.pid/upstream-$PORT.pid/" @W@/upstream.conf >@W@/upstream-$PORT.conf
exec nginx -p @W@ -c @W@/upstream-$PORT.conf
"""
COMPOSE = """name: @NAME@
x-landfall: { runtime: process, domains: [@HOST@], tls: @TLS@ }
services:
  web:
    command: [@W@/serve]
    x-landfall: { routes: [/], health: { path: /1k } }
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def family(pid):
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                todo += [int(p) for p in open(f"/proc/{one}/task/{task}/children").read().split()]
        except FileNotFoundError:
            pass
    return found


def cpu(pid):
    """Seconds of processor, user and system, of the process, its threads and its children, to the nanosecond."""
    total = 0
    for one in family(pid):
        for task in os.listdir(f"/proc/{one}/task"):
            total += int(open(f"/proc/{one}/task/{task}/schedstat").read().split()[0])
    return total / 1e9


def pss(pid):
    total = 0
    for one in family(pid):
        total += int(re.search(r"^Pss:\s+(\d+)", open(f"/proc/{one}/smaps_rollup").read(), re.M)[1])
    return total


def microseconds(text):
    number, unit = re.match(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1, "ms": 1e3, "s": 1e6, "m": 6e7}[unit]


class Bench:
    def __init__(self, a):
        self.a, self.work, self.children = a, a.work, []
        self.landfall = f"{a.release}/landfall"

    def path(self, name):
        return f"{self.work}/{name}"

    def write(self, name, text, mode=0o600, **values):
        for key, value in {"W": self.work, **values}.items():
            text = text.replace(f"@{key}@", str(value))
        with open(self.path(name), "w") as file:
            file.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def start(self, name, *argv, **env):
        log = open(self.path(f"{name}.log"), "w")
        child = subprocess.Popen(argv, stdout=log, stderr=log, env={**os.environ, **env}, start_new_session=True)
        self.children.append(child)
        return child.pid

    def set_up(self):
        os.mkdir(self.path("root"))
        for name, size in (("64k", 65536), ("1m", 1048576)):
            with open(self.path(f"root/{name}"), "wb") as file:
                file.write(os.urandom(size))
        for name in ("", "root"):
            os.chmod(self.path(name), 0o755)
        self.write("upstream.conf", UPSTREAM, mode=0o644, K="a" * 1024)
        self.write("serve", SERVE, mode=0o755)
        self.start_landfall()
        self.start_others()
        for name, proxy in self.proxies.items():
            self.ready(name, proxy)

    def start_landfall(self):
        http, https = free_port(), free_port()
        env = {"LANDFALL_HOME": self.path("home"), "W": self.work}
        os.environ["LANDFALL_HOME"] = env["LANDFALL_HOME"]
        for name, host, tls in (("secure", TLS_HOST, "internal"), ("plain", PLAIN_HOST, "off")):
            os.mkdir(self.path(name))
            self.write(f"{name}/compose.yaml", COMPOSE, NAME=name, HOST=host, TLS=tls)
            self.run(self.landfall, "up", "--detach", "--http", f"127.0.0.1:{http}", "--https", f"127.0.0.1:{https}", self.path(name))
        supervisor = json.load(open(self.path("home/run/supervisor.json")))["pid"]
        pid = next(p for p in family(supervisor) if b"landfall\0proxy" in open(f"/proc/{p}/cmdline", "rb").read())
        self.proxies = {"landfall": dict(http=http, https=https, pid=pid)}
        self.ca = self.path("home/certs/ca.pem")
        # The others serve the very certificate that Landfall made, so that a handshake signs and sends the same.
        found = json.load(open(self.path("home/proxy/table.json")))["certificates"]
        mine = next(c for c in found if TLS_HOST in c["hosts"])
        shutil.copy(mine["chain"], self.path("chain.pem"))
        shutil.copy(mine["key"], self.path("key.pem"))
        self.write("both.pem", open(mine["chain"]).read() + open(mine["key"]).read())
        ports = [int(re.search(r"upstream-(\d+)\.conf", f)[1]) for f in os.listdir(self.work) if re.match(r"upstream-\d+\.conf", f)]
        self.upstream = max(ports)

    def start_others(self):
        def ports():
            return dict(UP=self.upstream, HTTP=free_port(), HTTPS=free_port())

        def add(name, p, *argv, **env):
            self.proxies[name] = dict(http=p["HTTP"], https=p["HTTPS"], pid=self.start(name, *argv, **env))

        p = ports()
        conf = self.write("nginx.conf", NGINX, mode=0o644, NAME="nginx", BUFFERS="", **p)
        add("nginx", p, "nginx", "-p", self.work, "-c", conf)
        p = ports()
        conf = self.write("nginx-large.conf", NGINX, mode=0o644, NAME="nginx-large", BUFFERS=LARGE_BUFFERS, **p)
        add("nginx-large", p, "nginx", "-p", self.work, "-c", conf, **KEEP_HEAP)
        p = ports()
        add("haproxy", p, "haproxy", "-db", "-f", self.write("haproxy.cfg", HAPROXY, **p))
        p = ports()
        add("caddy", p, self.a.caddy, "run", "--adapter", "caddyfile", "--config", self.write("Caddyfile", CADDYFILE, **p))

    def run(self, *argv):
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(argv)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def ready(self, name, proxy):
        for _ in range(100):
            try:
                return self.same(name, proxy)
            except SystemExit as failure:
                last = failure
                time.sleep(0.1)
        raise last

    def same(self, name, proxy):
        """Every proxy must answer the same bytes before it is measured."""
        for path in ("1k", "64k", "1m"):
            for scheme, host, port in (("http", PLAIN_HOST, proxy["http"]), ("https", TLS_HOST, proxy["https"])):
                url = f"{scheme}://{host}:{port}/{path}"
                body = subprocess.run(["curl", "-sS", "--fail", "--cacert", self.ca, url], capture_output=True)
                want = b"a" * 1024 if path == "1k" else open(self.path(f"root/{path}"), "rb").read()
                if body.stdout != want:
                    raise SystemExit(f"{name}: {url}: {len(body.stdout)} bytes, not the right ones {body.stderr}")

    def connect(self, proxy, *what):
        argv = [f"{self.a.release}/landfall-connect", "--connect", f"127.0.0.1:{proxy['https']}", "--host", TLS_HOST, "--ca", self.ca, *what]
        return json.loads(self.run(*argv))

    def wrk(self, url, host, connections):
        headers = [part for line in [f"Host: {host}", *BROWSER] for part in ("-H", line)]
        out = self.run("wrk", "-t1", f"-c{connections}", f"-d{self.a.seconds}s", "--latency", "--timeout", "10s", *headers, url)
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
        lost = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
        errors = (int(bad[1]) if bad else 0) + (sum(map(int, lost.groups())) if lost else 0)
        quantile = lambda part: microseconds(re.search(rf"^\s+{part}%\s+(\S+)", out, re.M)[1])
        return dict(n=int(re.search(r"(\d+) requests in", out)[1]), rate=float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]), p50=quantile(50), p99=quantile(99), errors=errors)

    def h2load(self, url, host, connections, streams):
        log = self.path("h2load.log")
        if os.path.exists(log):
            os.unlink(log)
        headers = [part for line in [f":authority: {host}", *BROWSER] for part in ("-H", line)]
        out = self.run("h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-D{self.a.seconds}", "--log-file", log, *headers, url)
        done, failed, errored = map(int, re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", out).groups())
        took = sorted(int(line.split("\t")[2]) for line in open(log)) or [0]
        rate = float(re.search(r"finished in [^,]+, ([\d.]+) req/s", out)[1])
        return dict(n=done, rate=rate, p50=took[len(took) // 2], p99=took[int(len(took) * 0.99)], errors=failed + errored)

    def handshakes(self, proxy):
        r = self.connect(proxy, "handshakes", "--seconds", str(self.a.seconds))
        return dict(n=r["requests"], rate=r["requests"] / r["seconds"], p50=r["p50_us"], p99=r["p99_us"], errors=r["errors"])

    def ask(self, scenario, proxy):
        # The load generators know no names but those of the system.
        plain, tls = f"http://127.0.0.1:{proxy['http']}", f"https://127.0.0.1:{proxy['https']}"
        return {
            "https 1k": lambda: self.wrk(f"{tls}/1k", TLS_HOST, 64),
            "http 1k": lambda: self.wrk(f"{plain}/1k", PLAIN_HOST, 64),
            "h2 1k": lambda: self.h2load(f"{tls}/1k", TLS_HOST, 8, 16),
            "handshake": lambda: self.handshakes(proxy),
            "https 64k": lambda: self.wrk(f"{tls}/64k", TLS_HOST, 32),
            "https 1m": lambda: self.wrk(f"{tls}/1m", TLS_HOST, 8),
            "http 1m": lambda: self.wrk(f"{plain}/1m", PLAIN_HOST, 8),
        }[scenario]()

    def measure(self):
        names, samples = list(self.proxies), []
        for number in range(-1, self.a.rounds):
            for scenario in self.a.only:
                for name in names if number % 2 == 0 else names[::-1]:
                    proxy = self.proxies[name]
                    before = cpu(proxy["pid"])
                    sample = self.ask(scenario, proxy)
                    used = cpu(proxy["pid"]) - before
                    sample |= dict(name=name, scenario=scenario, round=number, cpu=used * 1e6 / max(sample["n"], 1), pss=pss(proxy["pid"]))
                    # The round before the first warms everyone alike and is not counted.
                    if number >= 0:
                        samples.append(sample)
                    if self.a.verbose:
                        print(json.dumps(sample), file=sys.stderr, flush=True)
        return samples

    def idle(self, connections):
        """Memory of fresh processes before, with, and after so many idle TLS connections."""
        lines = []
        for name, proxy in self.proxies.items():
            before = pss(proxy["pid"])
            argv = [f"{self.a.release}/landfall-connect", "--connect", f"127.0.0.1:{proxy['https']}", "--host", TLS_HOST, "--ca", self.ca, "idle", "--connections", str(connections)]
            holder = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            said = holder.stdout.readline()
            time.sleep(1)
            held = pss(proxy["pid"])
            holder.stdin.close()
            holder.wait()
            time.sleep(2)
            after = pss(proxy["pid"])
            if not said:
                lines.append(f"| {name} | {before / 1024:.1f} | not reached | | |")
                continue
            lines.append(f"| {name} | {before / 1024:.1f} | {held / 1024:.1f} | {(held - before) / connections:.1f} | {after / 1024:.1f} |")
        print(f"\n| | idle, MiB | with {connections} idle TLS connections, MiB | KiB each | after, MiB |\n|---|---|---|---|---|")
        print("\n".join(lines), flush=True)

    def take_down(self):
        for app in ("secure", "plain"):
            if os.path.exists(self.path("home")):
                subprocess.run([self.landfall, "down", app, "--volumes", "--confirm", "RESET_ALL_VOLUMES"], capture_output=True)
        for child in self.children:
            child.send_signal(signal.SIGTERM)
        for child in self.children:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
        shutil.rmtree(self.work, ignore_errors=True)


def report(samples, proxies, scenarios):
    def median(scenario, name, key):
        return statistics.median(s[key] for s in samples if s["scenario"] == scenario and s["name"] == name)

    def table(title, key, form, base=None):
        print(f"\n{title}\n\n| | " + " | ".join(scenarios) + " |\n|---" * 1 + "|---" * len(scenarios) + "|")
        for name in proxies:
            cells = []
            for scenario in scenarios:
                value = median(scenario, name, key)
                if base:
                    other = base if not (scenario.endswith("1m") and "nginx-large" in proxies) else "nginx-large"
                    ratios = [
                        next(s[key] for s in samples if s["scenario"] == scenario and s["name"] == name and s["round"] == r)
                        / max(next(s[key] for s in samples if s["scenario"] == scenario and s["name"] == other and s["round"] == r), 1e-9)
                        for r in sorted({s["round"] for s in samples})
                    ]
                    cells.append(f"{value / median(scenario, other, key):.2f} ({min(ratios):.2f}–{max(ratios):.2f})")
                else:
                    cells.append(form.format(value))
            print(f"| {name} | " + " | ".join(cells) + " |")

    table("Processor time of a request, as a ratio to nginx (1m: to nginx-large); in brackets the rounds' least and most", "cpu", "", "nginx")
    table("Processor time of a request, µs", "cpu", "{:.1f}")
    table("Requests a second, as a ratio to nginx", "rate", "", "nginx")
    table("99 of 100 requests, as a ratio to nginx", "p99", "", "nginx")
    table("99 of 100 requests, ms", "p99", "{:.0f}")
    table("PSS after the scenario, KiB", "pss", "{:.0f}")
    print("\nerrors: " + ", ".join(f"{n} {sum(s['errors'] for s in samples if s['name'] == n)}" for n in proxies))


def main():
    scenarios = ["https 1k", "http 1k", "h2 1k", "handshake", "https 64k", "https 1m", "http 1m"]
    parser = argparse.ArgumentParser()
    for name in ("work", "caddy", "release"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--only", type=lambda text: text.split(","), default=scenarios)
    parser.add_argument("--proxies", type=lambda text: text.split(","))
    parser.add_argument("--idle", type=int, action="append")
    parser.add_argument("--json")
    parser.add_argument("--verbose", action="store_true")
    a = parser.parse_args()
    bench = Bench(a)
    try:
        bench.set_up()
        if a.proxies:
            bench.proxies = {name: bench.proxies[name] for name in a.proxies}
        for connections in [1000, 10000] if a.idle is None else [n for n in a.idle if n]:
            bench.idle(connections)
        if a.rounds:
            samples = bench.measure()
            if a.json:
                json.dump(samples, open(a.json, "w"))
            report(samples, list(bench.proxies), a.only)
    finally:
        bench.take_down()


main()
