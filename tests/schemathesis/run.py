"""Schemathesis against the real binary: every operation of the OpenAPI document, on both listeners.

    make schemathesis                       what is tried is the same each time
    make schemathesis ARGS="-n 200"         more of each

It starts the service in a temporary folder on free ports, puts one of each thing there that a path can
name, and lets Schemathesis try what it finds in the document. Nothing but the loopback can be reached.
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TOKEN = "tok_for_schemathesis_0123456789abcdef"
PUBLIC = ["/v1/actions/{id}/execute", "/v1/executions/{id}", "/healthz"]


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
    binary = ROOT / "target" / "debug" / "action-service"
    log = (folder / "service.log").open("wb")
    child = subprocess.Popen(
        [binary, "serve", "--json"], env=os.environ | settings, stdout=subprocess.PIPE, stderr=log, text=True
    )
    for line in child.stdout:
        said = json.loads(line)
        if said.get("event") == "ready":
            return child, said
    raise SystemExit((folder / "service.log").read_text())


def call(base: str, method: str, path: str, body: object) -> dict:
    request = urllib.request.Request(base + path, method=method, data=json.dumps(body).encode())
    request.add_header("Authorization", f"Bearer {TOKEN}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"{}")


def put_there(base: str) -> dict[str, str]:
    """One of each thing that a path names; nobody answers where the action calls."""
    call(base, "PUT", "/v1/secrets/seeded", {"value": "a value of some length"})
    action = {
        "name": "seeded",
        "protocol": "http",
        "config": {"url": "http://127.0.0.1:1/", "method": "POST", "idempotency": "keyed"},
        "grants": {"private_networks": True},
        "delivery": {"max_attempts": 1},
    }
    made = call(base, "POST", "/v1/actions", action)
    execution = call(base, "POST", "/v1/actions/seeded/execute", {"order": 1})
    return {"action": made["id"], "execution": execution["id"]}


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
            config = settings_of(put_there(ready["private"]), folder)
            failed = 0
            for listener in ("private", "public"):
                paths = [word for path in PUBLIC for word in ("--include-path", path)] if listener == "public" else []
                print(f"=== the {listener} listener", flush=True)
                words = [
                    *(Path(sys.executable).parent / "st", "--config-file", config, "run"),
                    *(f"{ready['private']}/openapi.json", "--url", ready[listener]),
                    *("--header", f"Authorization: Bearer {TOKEN}", *paths, *sys.argv[1:]),
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
