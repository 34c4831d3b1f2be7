#!/usr/bin/env bash
# Runs Schemathesis, in an environment of its own in target/, against target/debug/action-service.
#
#   scripts/schemathesis.sh [options of `st run`]      for instance -n 200
set -euo pipefail
cd "$(dirname "$0")/.."

requirements=tests/schemathesis/requirements.txt
environment=target/schemathesis
if ! cmp --silent "$requirements" "$environment/requirements.txt"; then
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$requirements"
    cp "$requirements" "$environment/requirements.txt"
fi
exec "$environment/bin/python" tests/schemathesis/run.py "$@"
