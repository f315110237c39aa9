#!/usr/bin/env python3
"""The measuring half of bench/check: writes the file, compares the answers, takes the times by turns."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

SERVICES, LINES = 100, 2000


def project():
    """100 services in 2,000 lines: what a large company's file has, and nothing that a linter would not let pass."""
    out = ["name: large", "x-logging: &logging", "  driver: json-file", "  options: {max-size: 10m, max-file: '3'}", "services:"]
    for i in range(SERVICES):
        needs = [f"service-{i - 1:03}", f"service-{i // 2:03}"] if i > 1 else []
        out += [
            f"  service-{i:03}:",
            f"    image: registry.example.com/shop/service-{i:03}:${{TAG:-1.{i}}}",
            "    command: ['/bin/service', '--listen', ':8080', '--log', 'json']",
            "    environment:",
            f"      DATABASE_URL: postgres://shop:${{DB_PASSWORD}}@db-{i % 7}/shop_{i:03}",
            "      LOG_LEVEL: ${LOG_LEVEL:-info}",
            f"      WORKERS: {i % 8 + 1}",
            f"    ports: ['127.0.0.1:{20000 + i}:8080']",
            "    volumes:",
            f"      - data-{i:03}:/var/lib/service",
            f"      - ./config/service-{i:03}.toml:/etc/service.toml:ro",
            "    healthcheck:",
            "      test: ['CMD', '/bin/service', 'probe']",
            "      interval: 10s",
            "    deploy: {resources: {limits: {cpus: '0.5', memory: 256M}}}",
            f"    networks: [net-{i % 10}, default]",
            "    logging: *logging",
            f"    depends_on: [{', '.join(dict.fromkeys(needs))}]",
            "    restart: unless-stopped",
        ]
    out += ["volumes:"] + [f"  data-{i:03}:" for i in range(SERVICES - 1)] + [f"  data-{SERVICES - 1:03}: {{labels: {{last: 'true'}}}}"]
    out += ["networks:"] + [f"  net-{i}: {{}}" for i in range(10)]
    out += [f"# line {n}" for n in range(len(out) + 1, LINES + 1)]
    assert len(out) == LINES, len(out)
    return "\n".join(out) + "\n"


def run(command, directory):
    """Milliseconds from start to end, kilobytes at the most, and what was printed."""
    out = os.open(directory / "printed", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    start = time.perf_counter()
    pid = os.posix_spawn(command[0], command, {"HOME": str(directory), "PATH": os.environ["PATH"]},
                         file_actions=[(os.POSIX_SPAWN_DUP2, out, 1), (os.POSIX_SPAWN_DUP2, out, 2)])
    _, status, usage = os.wait4(pid, 0)
    took = (time.perf_counter() - start) * 1000
    os.close(out)
    return took, usage.ru_maxrss, (directory / "printed").read_text(), os.waitstatus_to_exitcode(status)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--project", type=Path, required=True)
    parser.add_argument("--landfall", required=True)
    parser.add_argument("--compose", nargs="+", required=True)
    options = parser.parse_args()
    directory = options.project
    (directory / "compose.yaml").write_text(project())
    (directory / ".env").write_text("DB_PASSWORD=a-long-enough-password-of-the-bench\n")
    for i in range(SERVICES):
        path = directory / f"config/service-{i:03}.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    os.chdir(directory)
    # A plugin of docker's is found by its path as the `docker` of these words is.
    found = subprocess.run(["which", options.compose[0]], capture_output=True, text=True, check=True).stdout.strip()
    commands = {
        "landfall check": [options.landfall, "check"],
        "landfall config": [options.landfall, "config", "--format", "json"],
        "docker compose config": [found, *options.compose[1:], "config", "--format", "json"],
    }
    printed = {}
    for name, command in commands.items():
        _, _, text, code = run(command, directory)
        if code not in (0, 2) or (code == 2 and name != "landfall check"):
            sys.exit(f"{name} ended with {code}:\n{text[:2000]}")
        printed[name] = text
    if json.loads(printed["landfall config"]) != json.loads(printed["docker compose config"]):
        sys.exit("the two print different models")
    times = {name: [] for name in commands}
    memory = dict.fromkeys(commands, 0)
    for _ in range(options.rounds):
        for name, command in commands.items():
            took, kilobytes, _, _ = run(command, directory)
            times[name].append(took)
            memory[name] = max(memory[name], kilobytes)
    base = statistics.median(times["docker compose config"])
    print(f"{SERVICES} services, {LINES} lines, {len(project())} bytes; {options.rounds} rounds; the same model printed\n")
    print("| | median | fastest | slowest | memory | Compose takes |\n|---|---|---|---|---|---|")
    for name, took in times.items():
        middle = statistics.median(took)
        ratio = "" if name.startswith("docker") else f"{base / middle:.1f} times as long"
        print(f"| `{name}` | {middle:.1f} ms | {min(took):.1f} ms | {max(took):.1f} ms | {memory[name] / 1024:.1f} MB | {ratio} |")


if __name__ == "__main__":
    main()
