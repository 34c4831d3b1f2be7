"""Schemathesis against the real binary: every operation of the OpenAPI document, on both listeners.

    make schemathesis                       what is tried is the same each time
    make schemathesis ARGS="-n 200"         more of each

It starts the service in a temporary folder on free ports, puts one of each thing there that a path can
name, and lets Schemathesis try what it finds in the document. Nothing but the loopback can be reached.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TOKEN = "tok_for_schemathesis_0123456789abcdef"
# The debug binary compiles the large ones for minutes, on two cores and beside others.
PREPARED_WITHIN_S = 1800
# What each listener has. On the private one things are deleted, so the other goes first.
DOCUMENTS = {"public": "openapi.public.json", "private": "openapi.json"}
FEED = b"""<rss version="2.0"><channel><title>Seeded</title>
<item><guid>1</guid><title>One</title></item></channel></rss>"""


def start(folder: Path) -> tuple[subprocess.Popen, dict]:
    """The service, and what it says when it is ready."""
    settings = {
        "ACTION_SERVICE_DATA_DIR": str(folder / "data"),
        "ACTION_SERVICE_PRIVATE_ADDR": "127.0.0.1:0",
        "ACTION_SERVICE_PUBLIC_ADDR": "127.0.0.1:0",
        "ACTION_SERVICE_ADMIN_TOKEN": TOKEN,
        "ACTION_SERVICE_EGRESS_PRIVATE": "allow",
        "ACTION_SERVICE_EGRESS_ALLOW": "127.0.0.1",
        "ACTION_SERVICE_LOG": "warn",
    }
    # A copy: it starts itself again to compile, and somebody may build another one meanwhile.
    binary = shutil.copy2(ROOT / "target" / "debug" / "action-service", folder)
    log = (folder / "service.log").open("wb")
    child = subprocess.Popen(
        [binary, "serve", "--json"], env=os.environ | settings, stdout=subprocess.PIPE, stderr=log, text=True
    )
    for line in child.stdout:
        said = json.loads(line)
        if said.get("event") == "ready":
            return child, said
    raise SystemExit((folder / "service.log").read_text())


def call(base: str, method: str, path: str, body: object = None) -> dict:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, method=method, data=data)
    request.add_header("Authorization", f"Bearer {TOKEN}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"{}")


def wait_until_prepared(base: str) -> None:
    """Until no protocol of the service's own is on its way: whoever names one before waits for the compiler."""
    end = time.monotonic() + PREPARED_WITHIN_S
    while True:
        missing = call(base, "GET", "/v1/protocols?limit=1")["missing"]
        coming = [one["name"] for one in missing if one["state"] in ("waiting", "preparing")]
        if not coming:
            break
        if time.monotonic() > end:
            raise SystemExit(f"not prepared within {PREPARED_WITHIN_S} s: {', '.join(coming)}")
        time.sleep(1)
    for one in missing:
        print(f"{one['name']} is not there: {one['state']} {one['reason'] or ''}", flush=True)


class Remote(BaseHTTPRequestHandler):
    """What the actions call: whatever they ask for, they get a feed."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Type", "application/rss+xml")
        self.send_header("Content-Length", str(len(FEED)))
        self.end_headers()
        self.wfile.write(FEED)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


def put_there(base: str, remote: str) -> dict[str, str]:
    """One of each thing that a path names."""
    call(base, "PUT", "/v1/secrets/seeded", {"value": "a value of some length"})
    call(base, "PUT", "/v1/consumers/seeded", {"after": 0})
    action = {
        "protocol": "http",
        "config": {"url": remote, "method": "POST", "idempotency": "keyed"},
        "grants": {"private_networks": True},
        "delivery": {"max_attempts": 1},
    }
    # One to change, and one that stays as it is, to execute.
    made = call(base, "POST", "/v1/actions", action | {"name": "seeded"})
    hook = {"type": "webhook", "path": "seeded", "verify": {"scheme": "none"}}
    call(base, "POST", "/v1/actions", action | {"name": "called", "triggers": [{"type": "call"}, hook]})
    there = {"action": made["id"], "execution": executed(base, "called")["id"]}
    # Without the tools for it the binary has no `feed`, and nothing captures.
    if call(base, "GET", "/v1/protocols?limit=500")["missing"]:
        return there | {"item": "1"}
    reader = {"name": "reader", "protocol": "feed", "config": {"url": remote}, "grants": action["grants"]}
    call(base, "POST", "/v1/actions", reader)
    executed(base, "reader")
    [item] = call(base, "GET", "/v1/items")["items"]
    return there | {"item": str(item["position"])}


def executed(base: str, action: str) -> dict:
    execution = call(base, "POST", f"/v1/actions/{action}/execute", {"order": 1})
    if execution["status"] != "succeeded":
        raise SystemExit(f"{action} did not succeed: {execution}")
    return execution


def settings_of(there: dict[str, str], folder: Path) -> Path:
    """Schemathesis's own settings: this folder's, with the ids that are there."""
    text = (HERE / "schemathesis.toml").read_text()
    for name, found in {"hooks": str(HERE / "hooks.py"), **there}.items():
        text = text.replace(f"@{name}@", found)
    file = folder / "schemathesis.toml"
    file.write_text(text)
    return file


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        child, ready = start(folder)
        try:
            wait_until_prepared(ready["private"])
            remote = ThreadingHTTPServer(("127.0.0.1", 0), Remote)
            threading.Thread(target=remote.serve_forever, daemon=True).start()
            there = put_there(ready["private"], f"http://127.0.0.1:{remote.server_port}/")
            config = settings_of(there, folder)
            failed = 0
            for listener in DOCUMENTS:
                print(f"=== the {listener} listener", flush=True)
                words = [
                    *(Path(sys.executable).parent / "st", "--config-file", config, "run"),
                    *(f"{ready['private']}/{DOCUMENTS[listener]}", "--url", ready[listener]),
                    *("--header", f"Authorization: Bearer {TOKEN}", *sys.argv[1:]),
                ]
                failed |= subprocess.run(words, cwd=folder).returncode
                if child.poll() is not None:
                    print("the service ended meanwhile:", (folder / "service.log").read_text())
                    return 1
            log = (folder / "service.log").read_text()
            if "panicked" in log:
                print(log)
                return 1
            return failed
        finally:
            child.terminate()
            child.wait(30)


sys.exit(main())
