"""`make jmapc-test`: jmapc of PyPI against a real server. It comes by the lock beside its script into an environment of its own that goes
with the test. Not in `make test`: it is seventeen packages."""

import os
import subprocess
import sys
import venv
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.clients.jmap_served import ADA, BEN, served_to_libraries
from tests.support.server import PASSWORD

SCRIPTS = Path(__file__).with_name("jmapc")
SCRIPT_S = 60


def main() -> None:
    with TemporaryDirectory() as directory:
        place = Path(directory)
        venv.create(place / "python", with_pip=True)
        python = str(place / "python/bin/python")
        pip = [python, "-m", "pip", "-q", "--disable-pip-version-check", "install", "--no-deps", "--require-hashes"]
        subprocess.run([*pip, "-r", str(SCRIPTS / "requirements.lock")], check=True)
        with served_to_libraries(place) as served:
            environment = {**os.environ, "REQUESTS_CA_BUNDLE": str(served.authority)}
            words = [served.host, ADA, BEN, PASSWORD, served.token(BEN), str(place)]
            done = subprocess.run([python, str(SCRIPTS / "journey.py"), *words], env=environment, timeout=SCRIPT_S, check=False)
            if done.returncode:
                sys.exit("jmapc failed.")
            print("jmapc: fine")


if __name__ == "__main__":
    main()
