"""Schemathesis against the API and its own description of itself (compat/README.md)."""

import os
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
URL, KEY = os.environ["COMPAT_API_URL"], os.environ["COMPAT_API_KEY"]

command = [str(Path(sys.executable).with_name("st")), "--config-file", str(FOLDER / "schemathesis.toml")]
command += ["run", f"{URL}/openapi.json", "--header", f"Authorization: Bearer {KEY}", "--header", "Ngrok-Version: 2"]
command += ["--checks", "all", "--continue-on-failure", "--warnings", "off", "--no-color"]
if seconds := os.environ.get("COMPAT_SECONDS"):
    command += ["--max-time", seconds]
else:
    # The same calls in every run.
    command += ["--max-examples", "5", "--seed", "1"]
os.execve(command[0], command, {**os.environ, "PYTHONPATH": str(FOLDER), "PYTHONDONTWRITEBYTECODE": "1"})
