# SPDX-License-Identifier: GPL-2.0-or-later
"""A browser: Chromium without a window, by WebDriver (w3.org/TR/webdriver2) and its CDP way in."""
import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Escape": "\ue00c", "Space": "\ue00d"}
DEADLINE_S = 15


class Browser:
    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="page-")
        # pylint: disable=consider-using-with
        self.driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env={"HOME": self.home, "PATH": "/usr/bin:/bin", "TMPDIR": self.home})
        self.session = ""
        self.port = 0
        for line in self.driver.stdout:
            if "successfully on port" in line:
                self.port = int(line.rstrip(".\n").split()[-1])
                break
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-gpu",
                            "--disable-dev-shm-usage", "--no-first-run",
                            "--disable-background-networking", "--disable-component-update",
                            f"--user-data-dir={self.home}/profile"]}
        answer = self.request("POST", "", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.session = "/" + answer["sessionId"]

    def close(self):
        try:
            if self.session:
                self.request("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()
            shutil.rmtree(self.home, ignore_errors=True)

    def request(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        req = urllib.request.Request(f"http://127.0.0.1:{self.port}/session{self.session}{path}",
                                     data=data, method=method)
        try:
            with urllib.request.urlopen(req, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"].split("\n")[0]) from None

    # --- the page

    def go(self, url):
        self.request("POST", "/url", {"url": url})

    def run(self, script, *args):
        """What a script returns; a function body."""
        return self.request("POST", "/execute/sync", {"script": script, "args": list(args)})

    def wait(self, script, what):
        """Until it returns something true."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            value = self.run("return " + script)
            if value:
                return value
            time.sleep(0.05)
        raise AssertionError(f"not so in {DEADLINE_S} s: {what}: {script}")

    def text(self, selector):
        """Of all that match, as it is seen."""
        return self.run("return [...document.querySelectorAll(arguments[0])]"
                        ".map(e => e.innerText).join('\\n')", selector)

    def seen(self, selector):
        return self.run("const e = document.querySelector(arguments[0]);"
                        "return !!e && e.checkVisibility({visibilityProperty: true})", selector)

    def click(self, selector):
        found = self.request("POST", "/element", {"using": "css selector", "value": selector})
        self.request("POST", f"/element/{found[ELEMENT]}/click", {})

    def press(self, *keys):
        """Names of KEYS, or text to be typed."""
        actions = []
        for key in keys:
            for c in KEYS.get(key) or key:
                actions += [{"type": "keyDown", "value": c}, {"type": "keyUp", "value": c}]
        self.request("POST", "/actions", {"actions": [
            {"type": "key", "id": "keyboard", "actions": actions}]})

    def log(self):
        """What the console was told since the last time: errors and what the policy forbade."""
        return self.request("POST", "/se/log", {"type": "browser"})

    # --- the window

    def cdp(self, command, **params):
        return self.request("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def size(self, width, height):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=1, mobile=False)

    def prefer(self, **features):
        self.cdp("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-" + k.replace("_", "-"), "value": v} for k, v in features.items()])

    def shot(self, path):
        height = self.run("return document.documentElement.scrollHeight")
        width = self.run("return innerWidth")
        self.size(width, height)
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.request("GET", "/screenshot")))
