"""`make node-test`: IMAP and JMAP libraries of Node.js against a real server. They come from npm, by the lock beside the scripts, into a
directory of their own that goes with the test; nothing of them is run at installation. Not in `make test`: Debian's npm is 300 packages."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.clients.jmap_served import ADA, BEN, served_to_libraries
from tests.support.server import PASSWORD

SCRIPTS = Path(__file__).with_name("node")
SCRIPT_S = 60


def main() -> None:
    with TemporaryDirectory() as directory:
        place = Path(directory)
        shutil.copytree(SCRIPTS, place / "node")
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], cwd=place / "node", check=True)
        with served_to_libraries(place) as served:
            imap = ["localhost", str(served.server.ports["imaps"]), str(served.authority), ADA, BEN, PASSWORD]
            jmap = [f"https://{served.host}/.well-known/jmap", BEN, served.token(ADA), served.token(BEN)]
            environment = {**os.environ, "NODE_EXTRA_CA_CERTS": str(served.authority)}
            for script, words in (("imap.cjs", imap), ("imapflow.mjs", imap), ("jam.mjs", jmap)):
                done = subprocess.run(["node", script, *words], cwd=place / "node", env=environment, timeout=SCRIPT_S, check=False)
                if done.returncode:
                    sys.exit(f"{script} failed.")
                print(f"{script}: fine")


if __name__ == "__main__":
    main()
