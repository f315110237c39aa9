"""The measuring half of bench/rollout, which brings up what is measured and takes it down.

By turns a version is changed by Landfall and by Compose, each under a load of its own. landfall-load counts failures; asked for its report
many times a second, it also shows for how long no good answer came. Landfall's own work is told from waiting for containers by the events
of the deploy, which carry how long each step took.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time

# Between two looks at the load: the resolution of a gap. At 100 requests/s a good answer is due every 10 ms.
LOOK = 0.01
# Longest wait for the load to get good answers.
PATIENCE = 60

# First word of a step's line -> the part it belongs to. What is not here is Landfall's own.
CONTAINERS = {"migrate", "run", "start", "gate"}
PARTS = ["migrate", "run", "start", "gate", "drain", "serve", "switch", "commit", "stop", "remove", "other", "between", "client"]


class Load:
    """landfall-load, from its start until `stop`."""

    def __init__(self, words):
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.changed = threading.Condition()
        self.report = None
        self.gap_ms = 0
        self.gap_at_ms = 0
        self.ended = False
        threading.Thread(target=self.read, daemon=True).start()
        self.asking = threading.Thread(target=self.ask, daemon=True)
        self.asking.start()

    def ask(self):
        try:
            while not self.ended:
                self.say("report")
                time.sleep(LOOK)
        except (BrokenPipeError, ValueError):
            pass

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def read(self):
        lines, ok, since = [], 0, None
        for line in self.process.stdout:
            lines.append(line)
            if line != "}\n":
                continue
            report = json.loads("".join(lines))
            lines = []
            now, good = report["elapsed_ms"], report["requests"]["ok"]
            with self.changed:
                if since is not None and now - since > self.gap_ms:
                    self.gap_ms, self.gap_at_ms = now - since, since
                if good > ok:
                    ok, since = good, now
                self.report = report
                self.changed.notify_all()

    def good_answers(self, more):
        """Waits for so many more."""
        with self.changed:
            wanted = more + (self.report["requests"]["ok"] if self.report else 0)
            enough = lambda: self.report and self.report["requests"]["ok"] >= wanted
            if not self.changed.wait_for(enough, PATIENCE):
                sys.exit(f"the load gets no answers: {json.dumps(self.report)}")

    def stop(self):
        """Stops it and answers requests sent, failures by kind, the longest gap."""
        self.ended = True
        self.asking.join()
        self.say("stop")
        if self.process.wait(PATIENCE) not in (0, 1):
            sys.exit("landfall-load failed")
        with self.changed:
            requests = self.report["requests"]
            failed = {kind: tally["count"] for kind, tally in requests["failed"].items()}
            return {"sent": requests["sent"], "failed": failed, "gap_ms": self.gap_ms, "lag_ms": requests["start_lag_max_us"] / 1000}


def load(arguments, *where):
    # The same connections for both: kept ones and fresh ones. Nothing speaks HTTP/2 to a plain published port.
    common = ["--rate", str(arguments.rate), "--path", "/api/version", "--expect-version", "--mix", "8,0,2"]
    return Load([arguments.generator, *where, *common])


def changed(words, version):
    """Runs what changes the version. Answers its output and how long it took, milliseconds."""
    began = time.monotonic()
    done = subprocess.run(words, env={**os.environ, "TAG": version}, capture_output=True, text=True)
    took = (time.monotonic() - began) * 1000
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout, took


def parts(output, took):
    """Where the time of a deploy went, milliseconds by part."""
    lines, spent, ended = {}, dict.fromkeys(PARTS, 0), None
    for event in map(json.loads, output.splitlines()):
        what = event.get("what", {})
        if what.get("kind") == "planned":
            lines.clear()
        elif what.get("kind") == "step-started":
            lines[what["index"]] = what["line"]
        elif what.get("kind") == "step-done":
            word = lines[what["index"]].split()[0]
            spent[word if word in spent else "other"] += what["took_ms"]
        elif what.get("kind") == "rollout-ended":
            ended = what["took_ms"]
    if ended is None:
        sys.exit(f"the deploy changed nothing:\n{output}")
    spent["between"] = ended - sum(spent.values())
    spent["client"] = took - ended
    spent["total"] = took
    spent["own"] = took - spent["drain"] - sum(spent[part] for part in CONTAINERS)
    return spent


def row(cells, widths=(14,)):
    widths = [*widths] + [9] * (len(cells) - len(widths))
    print("".join(f"{cell:<{width}}" if i == 0 else f"{cell:>{width}}" for i, (cell, width) in enumerate(zip(cells, widths))))


def words(failed):
    return ", ".join(f"{count} {kind}" for kind, count in sorted(failed.items())) or "none"


def main():
    parser = argparse.ArgumentParser()
    for name in ["--generator", "--https", "--ca", "--port"]:
        parser.add_argument(name, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--rate", type=int, required=True)
    own, rest = split(sys.argv[1:])
    arguments = parser.parse_args(own)
    proxy = ["--connect", f"127.0.0.1:{arguments.https}", "--host", f"tutor.localhost:{arguments.https}", "--ca", arguments.ca]
    published = ["--connect", f"127.0.0.1:{arguments.port}"]

    deploys, seen = [], {"landfall": [], "compose": []}
    for number in range(arguments.rounds):
        version = "2" if number % 2 == 0 else "1"
        for name, where in [("landfall", proxy), ("compose", published)]:
            under = load(arguments, *where)
            under.good_answers(arguments.rate)
            output, took = changed(rest[name], version)
            under.good_answers(arguments.rate * 2)
            result = {**under.stop(), "took": took}
            seen[name].append(result)
            if name == "landfall":
                deploys.append(parts(output, took))
            print(f"round {number + 1} {name:<8} to {version}: {took:7.0f} ms, {result['sent']} requests, "
                  f"failed: {words(result['failed'])}, longest gap {result['gap_ms']} ms", flush=True)

    print("\nlandfall deploy, milliseconds by part")
    used = [part for part in PARTS if any(round(deploy[part]) for deploy in deploys)]
    row(["round", "total", *used, "own"])
    for number, deploy in enumerate(deploys):
        row([str(number + 1), *(f"{deploy[part]:.0f}" for part in ["total", *used, "own"])])
    row(["median", *(f"{statistics.median(deploy[part] for deploy in deploys):.0f}" for part in ["total", *used, "own"])])
    print("own = total - (migrate + run + start + gate) - drain; `between` is the journal, planning and observing; `client` is the command line")

    print(f"\n{arguments.rounds} rounds each, {arguments.rate} requests/s, median (worst)")
    row(["", "took ms", "requests", "failed", "gap ms"], (22, 18, 10, 18, 18))
    for name, title in [("landfall", "landfall deploy"), ("compose", "docker compose up -d")]:
        results = seen[name]
        both = lambda pick: f"{statistics.median(map(pick, results)):.0f} ({max(map(pick, results)):.0f})"
        failed = lambda result: sum(result["failed"].values())
        sent = sum(result["sent"] for result in results)
        row([title, both(lambda r: r["took"]), str(sent), both(failed), both(lambda r: r["gap_ms"])], (22, 18, 10, 18, 18))
    print(f"latest start of a request by the generator: {max(r['lag_ms'] for both in seen.values() for r in both):.0f} ms after it was due")
    middle = statistics.median(deploy["own"] for deploy in deploys)
    print(f"Landfall's own part of a deploy: {middle:.0f} ms (median), goal 500, {'met' if middle <= 500 else 'MISSED'}")


def split(words):
    """The commands of the two, after `--landfall` and `--compose`, hold options of their own."""
    first, second = words.index("--landfall"), words.index("--compose")
    return words[:first], {"landfall": words[first + 1:second], "compose": words[second + 1:]}


try:
    main()
except KeyboardInterrupt:
    sys.exit(130)
