#!/usr/bin/env python3
"""Stops this SageMaker notebook instance when it has been idle long enough.

Looks at kernels, sessions and terminals of the local Jupyter server, decides once, and exits. A scheduler calls it every few
minutes. When it cannot tell, it keeps the notebook running, says why, and exits 1.

The last line on stdout is one JSON object: {"verdict": "keep" | "stop", "reason": "...", "idle_seconds": N, "signals": {...}}.
Exit status: 0 decided and acted, 1 kept because of a named error, 2 bad usage.

Time is the machine's uptime (DIR/uptime under --proc), never the wall clock: what counts is when a look last saw something
change, which no clock correction can move. Requires Python 3.9 or newer and, to stop, the `aws` command on PATH.
"""
import argparse
import http.client
import json
import os
import pathlib
import ssl
import subprocess
import sys
import tempfile
import urllib.parse
from datetime import datetime, timezone

CONNECT_SECONDS = 5
MAX_ANSWER_BYTES = 8 * 1024 * 1024
STUCK_STATES = ("starting", "restarting", "dead", "unknown")


class Doubt(Exception):
    """Something that keeps us from telling whether the notebook is idle; the text says what and what to check."""


def positive_seconds(text):
    value = int(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"must be a positive number of seconds, got {text}")
    return value


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(description="Stop this notebook instance when it has been idle long enough.")
    parser.add_argument("-t", "--time", type=positive_seconds, required=True, metavar="SECONDS", help="idle for so long means stop")
    parser.add_argument("-p", "--port", type=int, default=8443, help="port of Jupyter (default: 8443)")
    parser.add_argument("-c", "--ignore-connections", action="store_true", help="an open browser tab does not keep the notebook")
    parser.add_argument("--dry-run", action="store_true", help="decide, but do not stop")
    parser.add_argument("--jupyter-url", metavar="URL", help="default: https://localhost:PORT")
    parser.add_argument("--metadata", metavar="FILE", default="/opt/ml/metadata/resource-metadata.json")
    parser.add_argument("--state-dir", metavar="DIR", default="/run/idle-autostop")
    parser.add_argument("--proc", metavar="DIR", default="/proc", help="its file uptime is the clock")
    return parser.parse_args(arguments)


def uptime(proc):
    try:
        return float(pathlib.Path(proc, "uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError) as error:
        raise Doubt(f"cannot read the uptime from {proc}/uptime: {error}") from None


def ask(scheme, host, port, path):
    if scheme == "https":
        # Jupyter's certificate is self-signed, and the connection does not leave the machine.
        connection = http.client.HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=ssl._create_unverified_context())
    else:
        connection = http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read(MAX_ANSWER_BYTES)
    finally:
        connection.close()


def jupyter_list(url, resource, absent_is_empty=False):
    """The list at /api/RESOURCE. `no_track_activity` keeps Jupyter from taking the question for activity."""
    parts = urllib.parse.urlsplit(url)
    host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    path = f"{parts.path.rstrip('/')}/api/{resource}?no_track_activity=1"
    try:
        try:
            status, body = ask(parts.scheme, host, port, path)
        except ssl.SSLError:
            status, body = ask("http", host, port, path)
    except (OSError, http.client.HTTPException) as error:
        raise Doubt(f"Jupyter does not answer at {url}: {error or type(error).__name__}; check that it runs") from None
    if status == 404 and absent_is_empty:
        return []
    if status in (401, 403):
        raise Doubt(f"Jupyter refuses /api/{resource} with {status}: a token or password is set; remove it")
    if status != 200:
        raise Doubt(f"Jupyter answers /api/{resource} with {status}")
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise Doubt(f"Jupyter answers /api/{resource} with something that is not JSON") from None
    if not isinstance(answer, list) or not all(isinstance(item, dict) for item in answer):
        raise Doubt(f"Jupyter answers /api/{resource} with JSON that is not a list of objects")
    return answer


def timestamp(text):
    """An ISO 8601 time in UTC, with or without microseconds; anything else is doubt."""
    for form in ("%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%dT%H:%M:%S%z"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=timezone.utc).isoformat()
        except (TypeError, ValueError):
            continue
    raise Doubt(f"Jupyter gives a last_activity that cannot be read: {text!r:.80}")


def look(url, ignore_connections):
    """What Jupyter shows now: (why it is busy or None, a fingerprint that changes with every activity, counts)."""
    kernels = jupyter_list(url, "kernels")
    sessions = jupyter_list(url, "sessions")
    terminals = jupyter_list(url, "terminals", absent_is_empty=True)
    busy = None
    marks = []
    for kernel in kernels:
        state = kernel.get("execution_state")
        if state == "busy":
            busy = "a kernel is busy"
        elif state not in ("idle",) + STUCK_STATES:
            raise Doubt(f"Jupyter gives a kernel the state {state!r:.80}, which is not known")
        if not ignore_connections:
            connections = kernel.get("connections")
            if not isinstance(connections, int):
                raise Doubt("Jupyter does not say how many connections a kernel has")
            if connections > 0:
                busy = busy or "a browser is connected to a kernel"
        marks.append(["kernel", str(kernel.get("id")), state, timestamp(kernel.get("last_activity"))])
    marks += [["session", str(session.get("id")), str(session.get("path"))] for session in sessions]
    for terminal in terminals:
        # Old servers do not say when a terminal was used; then only its presence counts.
        used = timestamp(terminal["last_activity"]) if "last_activity" in terminal else None
        marks.append(["terminal", str(terminal.get("name")), used])
    counts = {"kernels": len(kernels), "sessions": len(sessions), "terminals": len(terminals)}
    return busy, sorted(marks, key=json.dumps), counts


def read_state(folder):
    try:
        state = json.loads(pathlib.Path(folder, "state.json").read_text())
        return float(state["last_activity"]), state["marks"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_state(folder, last_activity, marks):
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "w") as file:
            json.dump({"last_activity": last_activity, "marks": marks}, file)
        os.replace(name, os.path.join(folder, "state.json"))
    except OSError as error:
        raise Doubt(f"cannot keep the state in {folder}: {error}; free space there") from None


def identity(file):
    """Name and region of this notebook instance, from the ARN in the metadata file."""
    try:
        metadata = json.loads(pathlib.Path(file).read_text())
        name, region = metadata["ResourceName"], metadata["ResourceArn"].split(":")[3]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise Doubt(f"cannot read this notebook's name and ARN from {file}: {error!r}") from None
    if not isinstance(name, str) or not name or not region:
        raise Doubt(f"no name or region of this notebook in {file}")
    return name, region


def stop(name, region):
    command = ["aws", "sagemaker", "stop-notebook-instance", "--notebook-instance-name", name, "--region", region,
               "--cli-connect-timeout", "5", "--cli-read-timeout", "10"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=40, env={**os.environ, "AWS_MAX_ATTEMPTS": "1", "AWS_PAGER": ""})
    except FileNotFoundError:
        raise Doubt("the aws command is not on PATH, so the notebook cannot stop itself") from None
    except subprocess.TimeoutExpired:
        raise Doubt(f"the SageMaker API of {region} does not answer; check the interface endpoint sagemaker.api and its security groups") from None
    if done.returncode == 0 or "Stopping" in done.stderr or "Stopped" in done.stderr:
        return
    if "AccessDenied" in done.stderr:
        raise Doubt(f"not allowed to stop {name}: the role and the policy of the endpoint sagemaker.api need sagemaker:StopNotebookInstance on it")
    raise Doubt(f"stopping {name} failed; check the interface endpoint sagemaker.api and its private DNS: {done.stderr.strip()[-300:]}")


def decide(options, now):
    """(verdict, reason, idle seconds, signals); remembers what it saw for the next look."""
    url = options.jupyter_url or f"https://localhost:{options.port}"
    busy, marks, counts = look(url, options.ignore_connections)
    before = read_state(options.state_dir)
    # A state from before a reboot lies in the future of the uptime, and a damaged one may hold anything: neither says when.
    if before is None or not 0 <= before[0] <= now or busy or before[1] != marks:
        write_state(options.state_dir, now, marks)
        reason = busy or ("first look since the start" if before is None else "kernels, sessions or terminals changed since the last look")
        return "keep", reason, 0, counts
    idle = now - before[0]
    if idle < options.time:
        return "keep", f"idle for {idle:.0f} s, stops at {options.time} s", idle, counts
    return "stop", f"idle for {idle:.0f} s, which is {options.time} s or more", idle, counts


def report(verdict, reason, idle=0, signals=None):
    print(json.dumps({"verdict": verdict, "reason": reason, "idle_seconds": int(idle), "signals": signals or {}}), flush=True)


def main(arguments):
    options = parse_arguments(arguments)
    try:
        verdict, reason, idle, signals = decide(options, uptime(options.proc))
        if verdict == "stop" and not options.dry_run:
            stop(*identity(options.metadata))
        report(verdict, reason, idle, signals)
        return 0
    except Doubt as doubt:
        report("keep", f"ERROR: {doubt}")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
