"""Opens the page of `wgflow watch` in headless Chromium: curves of two runs, without a word in the console.

    python check.py path/to/wgflow path/to/chromium

Needs `websocket-client` (requirements.txt of tests/cross_check).
"""

import html.parser
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

import websocket

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


class Browser:
    """Headless Chromium, spoken to by the protocol of its own developer tools: time runs in it as anywhere."""

    def __init__(self, chromium, place):
        profile = place / "profile"
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        command += [f"--user-data-dir={profile}", "--disable-extensions", "--disable-background-networking"]
        command += ["--remote-debugging-port=0", "--remote-allow-origins=*", "about:blank"]
        errors = open(place / "errors", "w")
        self.process = subprocess.Popen(command, stdout=errors, stderr=errors, start_new_session=True)
        port = self.until(lambda: (profile / "DevToolsActivePort").exists() and (profile / "DevToolsActivePort").read_text())
        with urllib.request.urlopen(f"http://127.0.0.1:{port.split()[0]}/json/list", timeout=60) as answer:
            pages = [page for page in json.load(answer) if page["type"] == "page"]
        self.socket = websocket.create_connection(pages[0]["webSocketDebuggerUrl"], timeout=60)
        self.sent, self.console = 0, []
        for domain in ("Runtime", "Log", "Page"):
            self.ask(f"{domain}.enable")

    def until(self, found):
        """What `found` comes to, once it comes to anything."""
        begun = time.monotonic()
        while not (result := found()):
            if time.monotonic() - begun > 60:
                sys.exit("error: the browser has not come to it within a minute")
            time.sleep(0.1)
        return result

    def ask(self, method, **parameters):
        self.sent += 1
        self.socket.send(json.dumps({"id": self.sent, "method": method, "params": parameters}))
        while (message := json.loads(self.socket.recv())).get("id") != self.sent:
            # Warnings of the page and errors that nobody caught; resources that were not found.
            if message.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
                self.console.append(json.dumps(message["params"]))
        return message["result"]

    def open(self, address):
        self.console = []
        self.ask("Page.navigate", url=address)

    def document(self):
        found = self.ask("Runtime.evaluate", expression="document.documentElement.outerHTML", returnByValue=True)
        return found["result"].get("value", "")

    def close(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def main(wgflow, chromium):
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        place = pathlib.Path(place)
        (place / "small.toml").write_text(EXPERIMENT)
        for seed, run in enumerate(RUNS):
            command = [wgflow, "train", place / "small.toml", "--seed", str(seed), "--out", place / "runs" / run]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        browser = Browser(chromium, place)
        try:
            # A console that says nothing must be one that would have said something.
            browser.open("data:text/html,<script>throw new Error('on purpose')</script>")
            browser.until(lambda: browser.document() and any("on purpose" in line for line in browser.console))
            command = [wgflow, "watch", place / "runs", "--port", "0"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:
                try:
                    browser.open(re.search(r"http://\S+", watch.stdout.readline())[0])
                    browser.until(lambda: "samples.png" in browser.document() and "data-run" in browser.document())
                    document, console = browser.document(), browser.console
                finally:
                    watch.send_signal(signal.SIGINT)
        finally:
            browser.close()
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
