#!/usr/bin/env python3
"""Reads generated YAML with Landfall and with Docker Compose, and says where the two differ.

    bench/yaml [--documents N] [--seed N] [--seconds N] [--refused SHARE]      fetches and builds what is needed, and starts this

A document is made by a grammar of values written in every style there is, or is a mutation of one, or of a file in cases/. Many of them are put below keys
`x-0`, `x-1` … of one Compose file, which both programs resolve; where their answers differ, the file is cut in halves until a single document is left.
Documents that Landfall refuses are asked about one by one, a share of them (`--refused`). Known differences, each with its reason, are in KNOWN. Exit 1 when there is another.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent

# What a document has that the two differ on, on purpose: a test of its text, and the reason. There is none at the moment.
KNOWN = []

WORDS = ["a", "bc", "x y", "é", "a:b", "a#b", "-", "a-b", "k", "0", "12", "1.5", "0x1f", "0o17", "true", "no", "null", "~", "1e3", ".inf", "2001-01-02",
         "a, b", "[x]", "{y}", "a]", "it's", 'q"q', "a: b", "- c", "#d", "*e", "&f", "!g", "|", ">", "%h", "@i", "`j", "?", "? k", ":l", "m:", "", " n", "o ",
         "1_000", "+1", "0b11", "1:30", "<<", "=", "\\", "a\\nb", "\t", "p\tq", "  ", "a\nb", "a\n\nb\n", "\na", "a\n b\nc", "...", "---", "--- x"]


class Maker:
    """Values, and YAML for them, chosen by a seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.anchors = 0

    def pick(self, *of):
        return self.random.choice(of)

    def maybe(self, chance):
        return self.random.random() < chance

    def document(self):
        self.anchors = 0
        self.names = []
        return self.block(2, 0)

    def gap(self):
        return self.pick("", "", "", "", " ", "  ", "\t") if self.maybe(0.3) else ""

    def remark(self):
        return self.pick(" # r", "  # 'x", "\t# y", " #") if self.maybe(0.08) else ""

    def lines(self):
        return self.pick("\n", "\n\n", "\n  \n", "\n# r\n", "\n      # r\n", "\n\t\n") if self.maybe(0.08) else "\n"

    def props(self, text):
        """An anchor before a value, or an alias in its place."""
        if self.names and self.maybe(0.06):
            return "*" + self.pick(*self.names)
        if self.maybe(0.05):
            self.anchors += 1
            name = "n%d" % self.anchors
            out = "&" + name + (text if text[:1] in "\n" else " " + text)
            self.names.append(name)
            return out
        if self.maybe(0.02):
            return "!!str " + text if text[:1] not in "\n[{" else text
        return text

    def plain(self):
        return self.pick("a", "bc", "x y", "é", "a:b", "a#b", "0", "12", "1.5", "true", "no", "~", "a-b", "1e3", "-x", ":y", "?z", "a,b", "<<", "a?b", "a:", "q'")

    def quoted(self, indent):
        text = self.pick(*WORDS)
        if self.maybe(0.5):
            out = "'" + text.replace("'", "''") + "'"
        else:
            out = json.dumps(text, ensure_ascii=self.maybe(0.5)).replace("\\n", self.pick("\\n", "\n", "\n\n", "\\\n"))
        if self.maybe(0.2):
            out = out.replace(" ", self.pick("\n", "\n ", "\n\t", "\n" + " " * indent, " \n\n "), 1)
        return out

    def folded(self, indent):
        """A block scalar."""
        step = self.random.randint(1, 3)
        head = self.pick("|", ">", "|-", ">-", "|+", ">+") + (self.pick(str(step), "") if self.maybe(0.15) else "") + self.remark()
        rows = [self.pick("a", "b c", " d", "", "  e", "# f", "g: h", "- i", "\tj", "k ", "'l") for _ in range(self.random.randint(0, 5))]
        pad = " " * (indent + step - 1)
        out = head
        for row in rows:
            out += "\n" + (pad + row if row or self.maybe(0.3) else "")
        return out + ("\n" * self.random.randint(0, 2) if self.maybe(0.3) else "")

    def scalar(self, indent, flow):
        kind = self.random.random()
        if kind < 0.45:
            text = self.plain()
            if self.maybe(0.1):
                text = text.replace(" ", self.pick("\n", "\n\n", " \n ", "\n\t") + " " * indent)
            return text
        if kind < 0.8 or flow:
            return self.quoted(indent)
        return self.folded(indent)

    def key(self):
        if self.maybe(0.04):
            return "? " + self.pick("k1", "'k 2'", '"k3"') + self.pick("\n", " ", "\n\n")
        self.keys = getattr(self, "keys", 0) + 1
        name = "k%d" % self.keys
        return self.pick(name, name, name, "'" + name + "'", '"' + name + '"', name + " x", name + "-é", name + ":y")

    def colon(self, indent):
        return self.pick(":", ":", ":", " :", ":\t"[:1])

    def flow(self, indent, depth):
        opened, closed = self.pick("[]", "{}")
        inner = lambda: self.pick("", "", "", " ", "\n", "\n" + " " * self.random.randint(0, indent + 2), "\n\t", " # r\n") if self.maybe(0.35) else ""
        parts = []
        for _ in range(self.random.randint(0, 4)):
            value = self.flow(indent, depth + 1) if depth < 4 and self.maybe(0.25) else self.scalar(indent, True)
            value = self.props(value)
            if opened == "{":
                key = self.key().replace("\n", " ")
                value = self.pick(key + ": " + value, key + ": " + value, key + ":" + self.gap() + value, key, key + ":", key + " : " + value)
            elif self.maybe(0.15):
                value = self.key().replace("\n", " ") + ": " + value
            parts.append(inner() + value + inner())
        return opened + ",".join(parts) + (self.pick(",", "", "") if parts else "") + inner() + closed

    def block(self, indent, depth):
        """A value that stands after `key:`, with what is before it."""
        kind = self.random.random()
        if depth > 4 or kind < 0.4:
            return " " + self.gap() + self.props(self.scalar(indent, False)) + self.remark()
        if kind < 0.6:
            return " " + self.gap() + self.props(self.flow(indent, depth)) + self.remark()
        step = self.random.randint(1, 4)
        if kind < 0.8:
            pad = " " * (indent + step - 1)
            out = self.props("") if self.maybe(0.1) else ""
            out = (" " + out) if out and not out.startswith("*") else ""
            for _ in range(self.random.randint(1, 4)):
                key = self.key()
                out += self.lines() + pad + key + (pad if key.endswith("\n") else "") + self.colon(indent) + self.block(len(pad) + 1, depth + 1)
            return out
        pad = " " * (indent + step - 2)
        out = ""
        for _ in range(self.random.randint(1, 4)):
            out += self.lines() + pad + "-" + self.item(len(pad) + 2, depth + 1)
        return out

    def item(self, indent, depth):
        if depth < 4 and self.maybe(0.2):
            key = self.key().replace("\n", " ")
            out = " " + key + ":" + self.block(indent + 1, depth + 1)
            if self.maybe(0.5):
                out += "\n" + " " * indent + self.key().replace("\n", " ") + ":" + self.block(indent + 1, depth + 1)
            return out
        if depth < 4 and self.maybe(0.15):
            return " -" + self.item(indent + 2, depth + 1)
        return self.block(indent, depth)

    def mutate(self, text):
        """One to three small changes."""
        for _ in range(self.random.randint(1, 3)):
            at = self.random.randint(0, len(text))
            what = self.random.random()
            if what < 0.3:
                text = text[:at] + text[at + self.random.randint(1, 3):]
            elif what < 0.7:
                text = text[:at] + self.pick(*" \t\n:,[]{}'\"#-?&*!|>%@a1é\\") + text[at:]
            elif what < 0.85:
                text = text[:at] + self.pick("\n  ", "\n", ": ", "- ", "\n\t", " #", "[\n", "\n]", "\r\n", "''", "\n---\n", "<<: ", "!!merge <<: ") + text[at:]
            else:
                other = self.random.randint(0, len(text))
                at, other = min(at, other), max(at, other)
                text = text[:at] + text[at:other][: 20] + text[at:]
        return text


def corpus():
    """Values of the files in cases/: what stands below each service."""
    found = []
    for path in sorted((ROOT / "cases/compose").rglob("*.case")):
        for section in path.read_text(errors="ignore").split("\n---- ")[1:]:
            head, _, body = section.partition("\n")
            if head.startswith("file") and head.endswith((".yaml", ".yml")) and len(body) < 1500 and "escaped" not in head and "\n---" not in body:
                found.append("\n" + "\n".join("  " + line if line else line for line in body.splitlines()))
    return found


class Both:
    """The two programs. Landfall's compiler reads one document after the other in one process; Compose is started for each question."""

    def __init__(self, compose, reader, directory):
        self.compose = compose
        self.reader = subprocess.Popen([reader], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.file = pathlib.Path(directory, "compose.yaml")
        self.asked = 0

    def text(self, documents):
        text = "name: p\nservices: {s: {image: i}}\n" + "".join("x-%d:%s\n" % (n, d) for n, d in enumerate(documents))
        return text.encode("utf-8", "surrogatepass")

    def ours(self, documents):
        self.reader.stdin.write(self.text(documents).replace(b"\0", b"") + b"\0")
        self.reader.stdin.flush()
        line = self.reader.stdout.readline()
        if not line:
            sys.exit("Landfall died of:\n" + self.text(documents).decode(errors="replace"))
        return json.loads(line)

    def theirs(self, documents):
        self.asked += 1
        self.file.write_bytes(self.text(documents).replace(b"\0", b""))
        run = subprocess.run([self.compose, "-f", "compose.yaml", "config", "--format", "json"], capture_output=True, cwd=self.file.parent,
                             stdin=subprocess.DEVNULL, env={"HOME": "/nonexistent", "PATH": "/usr/bin:/bin"})
        if run.returncode != 0:
            return None
        return {key: value for key, value in json.loads(run.stdout).items() if key.startswith("x-")}

    def differ(self, documents):
        """Those the two read differently, each with both answers."""
        theirs, ours = self.theirs(documents), self.ours(documents)
        if theirs == ours and (theirs is not None or len(documents) == 1):
            return []
        if len(documents) == 1:
            return [(documents[0], theirs, ours)]
        half = len(documents) // 2
        return self.differ(documents[:half]) + self.differ(documents[half:])


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--compose", required=True)
    options.add_argument("--reader", required=True)
    options.add_argument("--documents", type=int, default=2000)
    options.add_argument("--seconds", type=float, default=0)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--batch", type=int, default=100)
    options.add_argument("--refused", type=float, default=0.1)
    options.add_argument("--show", type=int, default=20)
    given = options.parse_args()
    maker, seeds = Maker(given.seed), corpus()
    begun, done, refused, found, excused = time.monotonic(), 0, 0, [], {}
    with tempfile.TemporaryDirectory() as directory:
        both = Both(given.compose, given.reader, directory)
        taken = []
        while done < given.documents and (not given.seconds or time.monotonic() - begun < given.seconds):
            kind = maker.random.random()
            text = maker.document() if kind < 0.8 else maker.pick(*seeds)
            text = (text if kind < 0.6 else maker.mutate(text)).replace("$", "S").replace("\0", "")
            # Those that Landfall takes go together; of the others, which cost a start of Compose each, a share is asked about.
            if both.ours([text]) is None:
                if maker.random.random() > given.refused:
                    continue
                refused += 1
                asked = [text]
            else:
                taken.append(text)
                if len(taken) < given.batch:
                    done += 1
                    continue
                asked, taken = taken, []
            done += 1
            for text, theirs, ours in both.differ(asked):
                why = next((why for known, why in KNOWN if known(text)), None)
                if why:
                    excused[why] = excused.get(why, 0) + 1
                    continue
                found.append(text)
                if len(found) <= given.show:
                    print("---- differs\nx-0:%s\n-- Compose: %s\n-- Landfall: %s" % (text, short(theirs), short(ours)), flush=True)
    print("%d documents, %d of them refused, in %.0f s with %d runs of Compose: %d read differently; excused: %s"
          % (done, refused, time.monotonic() - begun, both.asked, len(found), excused or "none"))
    sys.exit(1 if found else 0)


def short(answer):
    if answer is None:
        return "refused"
    return json.dumps(answer, ensure_ascii=False)[:600]


if __name__ == "__main__":
    main()
