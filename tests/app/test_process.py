"""The server's process, and those it starts: they load the code that was compiled beforehand."""

from pathlib import Path

from appliance.app.process import LEAN
from tests.support.server import Pillarbox


def test_children_of_the_server_look_for_the_compiled_code_there_is(tmp_path: Path) -> None:
    """They inherit its environment: the folder has code without docstrings only, so both variables are needed."""
    with Pillarbox(tmp_path / "data") as server:
        assert server.process
        environ = Path(f"/proc/{server.process.pid}/environ").read_text().split("\0")
    folder = next(one for one in environ if one.startswith("PYTHONPYCACHEPREFIX="))
    assert folder.endswith(LEAN) and "PYTHONOPTIMIZE=2" in environ
