"""The first example of the README runs as it is printed."""

import os
import pathlib
import re
import subprocess
import sys

from tollkeeper_server import KEY

README = pathlib.Path(__file__).resolve().parents[1] / "README.md"


def test_the_first_example_runs(server):
    example = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[1]
    environment = {**os.environ, "TOLLKEEPER_URL": server.url, "TOLLKEEPER_KEY": KEY}
    done = subprocess.run([sys.executable, "-c", example], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "A shirt in blue: 0.20 USD, 9.80 USD are left\n"
