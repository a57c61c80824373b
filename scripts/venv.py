#!/usr/bin/env python3
"""Makes the virtual environment of one pinned requirements file and prints its path.

Usage: venv.py REQUIREMENTS_FILE

The environment is `.venvs/<name of the file>` in the project's folder. It is made anew when the file or the
interpreter changed, and left alone otherwise, so that every caller (tests, demo, CI) may simply ask for it.
Two callers at once are safe: the second waits for the first.
"""
import fcntl
import hashlib
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def environment(requirements: pathlib.Path) -> pathlib.Path:
    venvs = ROOT / ".venvs"
    venvs.mkdir(exist_ok=True)
    target = venvs / requirements.stem
    stamp = target / ".stamp"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    with open(venvs / f"{requirements.stem}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(target, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", str(target)], check=True, stdout=sys.stderr)
            subprocess.run(
                [str(target / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements)],
                check=True,
                stdout=sys.stderr,
            )
            stamp.write_text(wanted)
    return target


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(environment(pathlib.Path(sys.argv[1]).resolve()))
