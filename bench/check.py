"""The measuring half of `bench/check`: check.py LANDFALL DOCKER_COMPOSE ROUNDS DIRECTORY"""
import os, statistics, subprocess, sys, time

SERVICES, LINES = 100, 2000


def service(n):
    """Twenty lines less those that only some have; every tenth is a database."""
    image = "postgres:16.4" if n % 10 == 0 else f"registry.example.com/acme/part-{n}:${{TAG:-1.{n}.0}}"
    lines = [f"  part-{n}:", f"    image: {image}", "    <<: *usual", "    environment:", f"      NAME: part-{n}",
             f"      DATABASE_URL: postgres://app:${{PASSWORD}}@part-{n // 10 * 10}:5432/app", f"      LEVEL: ${{LEVEL_{n % 7}:-info}}",
             f"      NEXT: \"http://part-{(n + 1) % SERVICES}:8000\"", "    healthcheck:",
             f"      test: [CMD, /app/healthy, \"--port\", \"{8000 + n}\"]", "      interval: 10s", "      timeout: 3s",
             "    expose: [\"8000\"]", "    networks: [inside]", "    deploy:", "      resources:", f"        limits: {{ memory: {64 + n}M, cpus: \"0.5\" }}"]
    if n % 10:
        lines += ["    depends_on:", f"      part-{n // 10 * 10}: {{ condition: service_healthy }}"]
    else:
        lines += ["    volumes:", f"      - data-{n}:/var/lib/postgresql/data"]
    return lines


def text():
    lines = ["name: large", "x-usual: &usual", "  restart: unless-stopped", "  stop_grace_period: 30s", "  logging: { driver: json-file, options: { max-size: 10m, max-file: \"3\" } }",
             "services:"]
    for n in range(SERVICES):
        lines += service(n)
    lines += ["networks:", "  inside: {}", "volumes:"] + [f"  data-{n}:" for n in range(0, SERVICES, 10)]
    lines += [f"# {n}" for n in range(len(lines) + 1, LINES + 1)]
    assert len(lines) == LINES, len(lines)
    return "\n".join(lines) + "\n"


def main(landfall, compose, rounds, folder):
    with open(os.path.join(folder, "compose.yaml"), "w") as file:
        file.write(text())
    environment = {"PATH": os.environ["PATH"], "HOME": folder, "PASSWORD": "a-long-enough-password", "LANDFALL_HOME": folder + "/home"}
    commands = {"landfall check": [landfall, "check"], "landfall config": [landfall, "config"], "docker compose config": [compose, "config"]}
    times = {name: [] for name in commands}
    for _ in range(rounds + 3):
        for name, argv in commands.items():
            begin = time.perf_counter()
            done = subprocess.run(argv, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True)
            times[name].append((time.perf_counter() - begin) * 1000)
            if done.returncode != 0:
                sys.exit(f"{name} ended with {done.returncode}: {done.stderr.decode()[-2000:]}{done.stdout.decode()[-2000:]}")
    print(f"\n{SERVICES} services, {LINES} lines, {rounds} rounds, ms (whole process)\n")
    print("| | min | median | max | Compose is slower by |\n|---|---|---|---|---|")
    peer = statistics.median(times["docker compose config"][3:])
    for name, all_times in times.items():
        kept = sorted(all_times[3:])
        middle = statistics.median(kept)
        print(f"| `{name}` | {kept[0]:.1f} | {middle:.1f} | {kept[-1]:.1f} | {peer / middle:.1f} × |")


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
