"""assets/on-start.sh run for real in a folder of its own; `aws` and `crontab` are stand-ins, the shell and all else are real."""
import hashlib
import os
import pathlib
import subprocess
import tempfile
import unittest

ASSETS = pathlib.Path(__file__).resolve().parents[2] / "assets"
SCRIPT = b"print('the idle script')\n"


class OnStart(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "object").write_bytes(SCRIPT)
        self.command("aws", f'echo "$@" >> "{self.folder}/calls"; for file; do :; done; cp "{self.folder}/object" "$file"')
        # As cron's: without a table, -l fails.
        self.command("crontab", f'if [ "$1" = -l ]; then cat "{self.folder}/table" 2>/dev/null; else cat > "{self.folder}/table.new" && mv "{self.folder}/table.new" "{self.folder}/table"; fi')
        self.command("sleep", "exit 0")

    def command(self, name, body):
        file = self.folder / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/bash\n{body}\n")
        file.chmod(0o755)

    def run_script(self, commands="", **settings):
        values = {"SCRIPT_BUCKET": "bucket", "SCRIPT_KEY": "a key/autostop.py", "SCRIPT_SHA256": hashlib.sha256(SCRIPT).hexdigest(), "SCRIPT_REGION": "us-east-1",
                  "AUTOSTOP_FLAGS": "--time 3600 --ignore-connections", "CHECK_INTERVAL_MINUTES": "5", "ON_FETCH_FAILURE": "fail", **settings}
        text = (ASSETS / "on-start.sh").read_text()
        text = text.replace("# @settings@\n", "".join(f"{name}='{value}'\n" for name, value in values.items())).replace("# @user-commands@\n", commands)
        environment = {"PATH": "/usr/bin:/bin", "IDLE_AUTOSTOP_PATH": f"{self.folder}/bin:{os.environ['PATH']}", "IDLE_AUTOSTOP_DIR": f"{self.folder}/install",
                       "IDLE_AUTOSTOP_STATE_DIR": f"{self.folder}/state", "IDLE_AUTOSTOP_LOG": f"{self.folder}/log", "IDLE_AUTOSTOP_SCHEDULER": "cron", "HOME": str(self.folder)}
        return subprocess.run(["bash", "-c", text], capture_output=True, text=True, env=environment, cwd="/", timeout=60, check=False)

    def table(self):
        file = self.folder / "table"
        return file.read_text().splitlines() if file.exists() else []

    def test_fetches_verifies_and_schedules_once_however_often_it_runs(self):
        for _ in range(2):
            done = self.run_script()
            self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertEqual(1, len(self.table()))
        self.assertTrue(self.table()[0].startswith("*/5 * * * * "))
        self.assertEqual(0o600, (self.folder / "install" / "autostop.py").stat().st_mode & 0o777)
        self.assertIn("get-object --region us-east-1 --bucket bucket --key a key/autostop.py", (self.folder / "calls").read_text())

    def test_the_scheduled_line_runs_the_script(self):
        self.run_script()
        line = self.table()[0].split(" ", 5)[5].replace("\\%", "%")
        subprocess.run(["/bin/sh", "-c", line], check=True, cwd="/")
        self.assertIn("the idle script", (self.folder / "log").read_text())

    def test_other_lines_of_the_table_stay(self):
        (self.folder / "table").write_text("0 0 * * * backup\n")
        self.run_script()
        self.assertEqual(["0 0 * * * backup"], self.table()[:1])
        self.assertEqual(2, len(self.table()))

    def test_another_content_is_not_installed(self):
        (self.folder / "object").write_bytes(b"evil")
        done = self.run_script()
        self.assertEqual(1, done.returncode)
        self.assertIn("is not the script that was deployed", done.stdout)
        self.assertEqual([], self.table())
        self.assertFalse((self.folder / "install" / "autostop.py").exists())
        self.assertEqual(0, self.run_script(ON_FETCH_FAILURE="start-without-autostop").returncode)
        self.assertEqual([], self.table())

    def test_two_failures_then_well(self):
        self.command("aws", f'echo x >> "{self.folder}/tries"; [ "$(wc -l < "{self.folder}/tries")" -gt 2 ] || {{ echo "503 Slow Down" >&2; exit 255; }}; for file; do :; done; cp "{self.folder}/object" "$file"')
        self.assertEqual(0, self.run_script().returncode)
        self.assertEqual(1, len(self.table()))

    def test_a_refusal_names_the_permission(self):
        self.command("aws", 'echo "An error occurred (AccessDenied)" >&2; exit 255')
        done = self.run_script()
        self.assertEqual(1, done.returncode)
        self.assertIn("s3:GetObject", done.stdout)

    def test_no_scheduler_is_said(self):
        self.command("crontab", "exit 127")
        self.assertEqual(1, self.run_script().returncode)

    def test_failing_commands_of_the_user_are_called_theirs(self):
        done = self.run_script(commands="false\n")
        self.assertEqual(1, done.returncode)
        self.assertIn("your own on-start commands failed with status 1", done.stdout)
        self.assertEqual(1, len(self.table()))

    def test_a_script_of_the_users_gets_the_flags_of_the_aws_sample_only(self):
        self.run_script(SCRIPT_SHA256="")
        self.assertNotIn("--state-dir", self.table()[0])


if __name__ == "__main__":
    unittest.main()
