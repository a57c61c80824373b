"""assets/autostop.py as a process, against an HTTP server that answers as told and an `aws` that records how it was called."""
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "assets" / "autostop.py"
KERNEL = {"id": "k1", "execution_state": "idle", "connections": 0, "last_activity": "2026-01-01T00:00:00.000000Z"}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        status, body = self.server.answers[self.path.split("?")[0].rsplit("/", 1)[1]]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

    def log_message(self, *_arguments):
        pass


class Autostop(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.asked = []
        self.server.answers = {"kernels": (200, [dict(KERNEL)]), "sessions": (200, []), "terminals": (200, [])}
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.metadata = self.folder / "metadata.json"
        self.metadata.write_text(json.dumps({"ResourceName": "mine", "ResourceArn": "arn:aws-cn:sagemaker:cn-north-1:111111111111:notebook-instance/mine"}))
        self.aws("exit 0")

    def aws(self, body):
        command = self.folder / "bin" / "aws"
        command.parent.mkdir(exist_ok=True)
        command.write_text(f'#!/bin/sh\necho "$@" >> "{self.folder}/calls"\n{body}\n')
        command.chmod(0o755)

    def calls(self):
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def tick(self, uptime, *flags, scheme="http", environment=None):
        (self.folder / "uptime").write_text(f"{uptime} 0\n")
        done = subprocess.run(
            [sys.executable, "-I", str(SCRIPT), "--time", "3600", "--jupyter-url", f"{scheme}://127.0.0.1:{self.server.server_port}",
             "--metadata", str(self.metadata), "--state-dir", str(self.folder / "state"), "--proc", str(self.folder), *(flags or ["--ignore-connections"])],
            capture_output=True, text=True, timeout=60, env={**os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}", **(environment or {})})
        self.assertNotIn("Traceback", done.stderr)
        return done.returncode, json.loads(done.stdout.splitlines()[-1]) if done.stdout else None

    def assertKept(self, answer, status=0):
        self.assertEqual((status, "keep"), (answer[0], answer[1]["verdict"]), answer)
        self.assertEqual([], self.calls())

    def assertError(self, answer, text):
        self.assertEqual((1, "keep"), (answer[0], answer[1]["verdict"]), answer)
        self.assertIn(text, answer[1]["reason"])

    def test_idle_for_the_whole_time_stops_itself_in_its_own_region(self):
        self.assertKept(self.tick(1000))
        self.assertKept(self.tick(4599))
        status, answer = self.tick(4600)
        self.assertEqual((0, "stop", 3600), (status, answer["verdict"], answer["idle_seconds"]))
        self.assertIn("stop-notebook-instance --notebook-instance-name mine --region cn-north-1", self.calls()[0])

    def test_dry_run_decides_and_stops_nothing(self):
        self.tick(1000)
        self.assertEqual("stop", self.tick(9000, "-c", "--dry-run")[1]["verdict"])
        self.assertEqual([], self.calls())

    def test_asking_is_no_activity(self):
        self.tick(1000)
        self.assertEqual([True] * 3, [path.endswith("?no_track_activity=1") for path in self.server.asked])

    def test_a_busy_kernel_keeps_and_gives_a_full_window_after(self):
        self.tick(0)
        self.server.answers["kernels"] = (200, [{**KERNEL, "execution_state": "busy"}, {**KERNEL, "id": "k2"}])
        self.assertKept(self.tick(10800))
        self.server.answers["kernels"] = (200, [KERNEL])
        self.assertKept(self.tick(11100))
        self.assertKept(self.tick(14699))
        self.assertEqual("stop", self.tick(14700)[1]["verdict"])

    def test_a_terminal_that_was_used_or_a_kernel_that_went_keeps(self):
        self.server.answers["terminals"] = (200, [{"name": "1", "last_activity": "2026-01-01T00:00:00Z"}])
        self.tick(0)
        self.server.answers["terminals"] = (200, [{"name": "1", "last_activity": "2026-01-01T01:00:00Z"}])
        self.assertKept(self.tick(7200))
        self.server.answers["kernels"] = (200, [])
        self.assertKept(self.tick(14400))

    def test_an_open_tab_keeps_unless_connections_are_ignored(self):
        self.server.answers["kernels"] = (200, [{**KERNEL, "connections": 1}])
        self.tick(0)
        self.assertKept(self.tick(7200, "-p", "8443"))
        self.assertKept(self.tick(7300))
        self.assertEqual("stop", self.tick(14400)[1]["verdict"])

    def test_a_kernel_that_hangs_in_starting_does_not_keep_for_ever(self):
        self.server.answers["kernels"] = (200, [{**KERNEL, "execution_state": "starting"}])
        self.assertKept(self.tick(120))
        self.assertEqual("stop", self.tick(172800)[1]["verdict"])

    def test_nobody_ever_came(self):
        self.server.answers["kernels"] = (200, [])
        self.server.answers["terminals"] = (404, [])
        self.assertKept(self.tick(600))
        self.assertEqual("stop", self.tick(18000)[1]["verdict"])

    def test_time_zone_and_wall_clock_do_not_matter(self):
        self.tick(0)
        self.assertKept(self.tick(60, environment={"TZ": "Asia/Tokyo"}))

    def test_a_reboot_begins_anew(self):
        self.tick(9000)
        self.assertKept(self.tick(60))

    def test_plain_http_where_tls_is_refused(self):
        self.assertKept(self.tick(60, scheme="https"))

    def test_doubt_keeps_and_names_the_cause(self):
        self.tick(0)
        for answers, text in [
            ({"kernels": (403, b"no")}, "token or password"),
            ({"kernels": (500, b"")}, "with 500"),
            ({"kernels": (200, b"<html>")}, "not JSON"),
            ({"kernels": (200, {"a": 1})}, "not a list"),
            ({"kernels": (200, [{**KERNEL, "execution_state": "?"}])}, "not known"),
            *(({"kernels": (200, [{**KERNEL, "last_activity": bad}])}, "last_activity") for bad in (None, "", "garbage", 5)),
            ({"terminals": (500, b"")}, "terminals"),
        ]:
            with self.subTest(text=text, answers=answers):
                before = dict(self.server.answers)
                self.server.answers.update(answers)
                self.assertError(self.tick(99999), text)
                self.server.answers = before
        self.assertEqual([], self.calls())

    def test_jupyter_is_down(self):
        self.tick(0)
        self.server.shutdown()
        self.server.server_close()
        self.assertError(self.tick(99999), "does not answer")

    def test_what_keeps_a_stop_from_happening_is_named(self):
        self.tick(0)
        self.aws("echo 'AccessDeniedException: not authorized' >&2; exit 255")
        self.assertError(self.tick(9000), "sagemaker:StopNotebookInstance")
        self.aws("echo 'Connect timeout on endpoint URL' >&2; exit 255")
        self.assertError(self.tick(9000), "endpoint sagemaker.api")
        self.aws("echo 'Status (Stopping) not in ([InService])' >&2; exit 255")
        self.assertEqual((0, "stop"), (lambda answer: (answer[0], answer[1]["verdict"]))(self.tick(9000)))
        for content in ("", "[]", '{"ResourceName": 1, "ResourceArn": "x"}'):
            self.metadata.write_text(content)
            self.assertError(self.tick(9000), "metadata.json")

    def test_state_that_is_garbage_begins_anew(self):
        self.tick(0)
        (self.folder / "state" / "state.json").write_text("{")
        self.assertKept(self.tick(9000))
        self.assertEqual("stop", self.tick(12600)[1]["verdict"])

    def test_a_time_in_the_state_that_cannot_be_begins_anew(self):
        self.tick(0)
        for impossible in ("NaN", "-1e9", "1e9"):
            file = self.folder / "state" / "state.json"
            file.write_text(json.dumps({**json.loads(file.read_text()), "last_activity": float(impossible)}))
            self.assertKept(self.tick(9000))

    def test_bad_usage_exits_2_and_stops_nothing(self):
        for bad in ("abc", "0", "-5"):
            self.assertEqual(2, self.tick(99999, f"--time={bad}")[0])
        self.assertEqual(2, subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, check=False).returncode)
        self.assertEqual([], self.calls())


if __name__ == "__main__":
    unittest.main()
