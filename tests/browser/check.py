"""Opens the page of `wgflow watch` in headless Chromium: curves of two runs, without a word in the console.

    python check.py path/to/wgflow path/to/chromium

Needs nothing beyond Python's standard library.
"""

import html.parser
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

EXPERIMENT = """
target = { kind = "ising", side = 3, coupling = 0.3 }
policy = { hidden = [16] }
training = { iterations = 40, batch = 32, log_every = 2 }
evaluation = { samples = 4096, every = 10 }
engine = { kind = "cpu" }
"""
RUNS = ["first run", "second"]


class Drawn(html.parser.HTMLParser):
    """What a document shows: for each chart its curves by run, with how many points each has; names of runs; pictures."""

    def __init__(self, document):
        super().__init__()
        self.charts, self.labels, self.pictures, self.inside, self.title = {}, [], [], [], None
        self.feed(document)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        # Those that end with their beginning hold nothing.
        if tag not in ("input", "img", "link", "meta"):
            self.inside.append(tag)
        if tag == "svg" and attributes.get("role") == "img":
            self.title = attributes["aria-label"].split(" over ")[0]
            self.charts[self.title] = {}
        if tag == "path" and "data-run" in attributes:
            coordinates = re.findall(r"[ML](\S+) ([^ML]+)", attributes["d"])
            finite = all(0 <= float(x) <= 420 and 0 <= float(y) <= 230 for x, y in coordinates)
            if not finite or len(coordinates) != int(attributes["data-points"]):
                sys.exit(f"error: the curve of {attributes['data-run']} in {self.title} is {attributes['d']}")
            self.charts[self.title][attributes["data-run"]] = len(coordinates)
        if tag == "img":
            self.pictures.append(attributes["src"])

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data):
        if self.inside[-1:] == ["label"]:
            self.labels.append(data)


def browse(chromium, place, address):
    """The document at an address once its scripts have run for some seconds, and what came to the console."""
    for _ in range(3):
        profile = tempfile.mkdtemp(dir=place)
        with open(place / "document", "w") as document, open(place / "errors", "w") as errors:
            command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
            command += [f"--user-data-dir={profile}", "--disable-extensions", "--disable-background-networking"]
            command += ["--enable-logging=stderr", "--virtual-time-budget=3000", "--dump-dom", address]
            browser = subprocess.Popen(command, stdout=document, stderr=errors, start_new_session=True)
            try:
                browser.wait(timeout=30)
            except subprocess.TimeoutExpired:
                # Seen on a busy machine: the browser's own clock stands still. All of its processes go.
                print("browser: no answer within 30 s, starting it again", flush=True)
                os.killpg(browser.pid, signal.SIGKILL)
                browser.wait()
                continue
            console = [line for line in (place / "errors").read_text().splitlines() if "CONSOLE" in line]
            return (place / "document").read_text(), console
    sys.exit("error: the browser did not answer three times")


def main(wgflow, chromium):
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        place = pathlib.Path(place)
        (place / "small.toml").write_text(EXPERIMENT)
        for seed, run in enumerate(RUNS):
            command = [wgflow, "train", place / "small.toml", "--seed", str(seed), "--out", place / "runs" / run]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # A console that says nothing must be one that would have said something.
        _, console = browse(chromium, place, "data:text/html,<script>throw new Error('on purpose')</script>")
        if not any("on purpose" in line for line in console):
            sys.exit("error: an error in a script does not come to the console of this browser")
        command = [wgflow, "watch", place / "runs", "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:
            try:
                address = re.search(r"http://\S+", watch.stdout.readline())[0]
                document, console = browse(chromium, place, address)
            finally:
                watch.send_signal(signal.SIGINT)
        if watch.returncode != 0:
            sys.exit(f"error: wgflow watch ended with {watch.returncode}")
        if console:
            sys.exit("error: the page says in the console:\n" + "\n".join(console))
        drawn = Drawn(document)
        points = {"train/elbo": 21, "train/loss": 21, "evaluation/elbo": 4}
        for tag, count in points.items():
            if drawn.charts.get(tag) != dict.fromkeys(RUNS, count):
                sys.exit(f"error: the chart of {tag} has {drawn.charts.get(tag)}, not {count} points for each of {RUNS}:\n{document}")
        if not set(RUNS) <= set(drawn.labels):
            sys.exit(f"error: the legend has {drawn.labels}, not {RUNS}")
        if not any("second/samples.png" in picture for picture in drawn.pictures):
            sys.exit(f"error: the samples are not among the pictures {drawn.pictures}")
        print(f"browser: {len(drawn.charts)} charts of {len(RUNS)} runs, {len(drawn.pictures)} pictures, nothing in the console")


if __name__ == "__main__":
    main(*sys.argv[1:])
