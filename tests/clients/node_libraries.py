"""`make node-test`: IMAP libraries of Node.js against a real server. They come from npm, by the lock beside the scripts, into a
directory of their own that goes with the test; nothing of them is run at installation. Not in `make test`: Debian's npm is 300 packages."""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.server import PASSWORD, Pillarbox, new_data, pillarbox

SCRIPTS = Path(__file__).with_name("node")
TRIED = ("imap.cjs", "imapflow.mjs")
SCRIPT_S = 60


def main() -> None:
    with TemporaryDirectory() as directory:
        place = Path(directory)
        shutil.copytree(SCRIPTS, place / "node")
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], cwd=place / "node", check=True)
        data = new_data(place / "data", "ada", "ben")
        with Pillarbox(data) as server:
            authority = place / "authority.pem"
            pillarbox("certificate", "export", "--out", str(authority), data=data)
            words = ["localhost", str(server.ports["imaps"]), str(authority), "ada@home.example", "ben@home.example", PASSWORD]
            for script in TRIED:
                done = subprocess.run(["node", script, *words], cwd=place / "node", timeout=SCRIPT_S, check=False)
                if done.returncode:
                    sys.exit(f"{script} failed.")
                print(f"{script}: fine")


if __name__ == "__main__":
    main()
