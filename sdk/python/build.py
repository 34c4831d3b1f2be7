"""Builds a protocol: `python build.py FOLDER MODULE -o FILE.wasm`.

`FOLDER` is where the module is imported from; the module assigns `ProtocolApi`, and `Reconciler` if
it can reconcile. `componentize-py` has to be installed (`requirements.txt` pins it).

    python build.py --test FOLDER

runs the tests of `FOLDER/tests` on this machine, with `action_protocol.testing` in the place of the service.

    python build.py --bindings FOLDER

writes the contract as Python modules, for editors.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SDK = Path(__file__).resolve().parent
WIT = SDK.parent.parent / "wit" / "v0.1"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python build.py", description="Builds a protocol.")
    parser.add_argument("folder", type=Path, help="where the module is imported from")
    parser.add_argument("module", nargs="?", help="the module that assigns ProtocolApi")
    parser.add_argument("-o", "--output", type=Path, help="the component to write")
    parser.add_argument("--wit", type=Path, default=WIT, help="the folder of the contract")
    parser.add_argument("--test", action="store_true", help="run the tests in the folder")
    parser.add_argument("--bindings", action="store_true", help="only write the contract's modules into the folder")
    options = parser.parse_args()
    tool = shutil.which("componentize-py", path=str(Path(sys.executable).parent)) or shutil.which("componentize-py")
    if tool is None:
        print("componentize-py is missing: pip install -r requirements.txt", file=sys.stderr)
        return 2
    if options.bindings:
        return run(tool, options.wit, "action-protocol-reconciling", "bindings", options.folder)
    if options.test:
        return test(tool, options.wit, options.folder.resolve())
    if not options.module or not options.output:
        parser.error("a module and --output are needed")
    with tempfile.TemporaryDirectory() as temporary:
        folders = [Path(temporary) / "bindings", SDK, options.folder.resolve()]
        world = world_of(options.folder, options.module)
        paths = [word for folder in folders for word in ("-p", str(folder))]
        built = Path(temporary) / "component.wasm"
        failed = run(tool, options.wit, world, "bindings", folders[0]) or run(
            tool, options.wit, world, "componentize", options.module, *paths, "-o", str(built)
        )
        if failed:
            return failed
        # Whoever looks for it finds all of it or nothing.
        options.output.parent.mkdir(parents=True, exist_ok=True)
        part = options.output.with_suffix(".part")
        shutil.copyfile(built, part)
        part.replace(options.output)
    print(f"{options.output}: {options.output.stat().st_size:,} bytes")
    return 0


def test(tool: str, wit: Path, folder: Path) -> int:
    """Runs a folder's tests with the SDK and the contract beside it."""
    with tempfile.TemporaryDirectory() as bindings:
        failed = run(tool, wit, "action-protocol-reconciling", "bindings", bindings)
        if failed:
            return failed
        path = os.pathsep.join([bindings, str(SDK), str(folder)])
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "unittest", "discover", "-s", str(folder / "tests")]
        return subprocess.run(command, env=environment).returncode


def world_of(folder: Path, module: str) -> str:
    """The world to target. One that exports a reconciler needs a class for it."""
    path = folder.joinpath(*module.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    reconciles = re.search(r"^Reconciler\s*=", source.read_text(encoding="utf-8"), re.MULTILINE)
    return "action-protocol-reconciling" if reconciles else "action-protocol"


def run(tool: str, wit: Path, world: str, *words: object) -> int:
    """Runs the tool. What it prints is shown where it fails."""
    command = [tool, "-q", "-d", str(wit), "-w", world, *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        # The stack of the tool itself tells nothing about the protocol.
        print(done.stdout.split("\nStack backtrace:")[0], file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
