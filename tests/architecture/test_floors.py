"""The floors, doors and hands of the server, read from its imports.

1 imports point down · 2 doors · 3 a dot means my own room · 4 few hands touch the outside · 5 no module-level mutable state.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SERVER = Path(__file__).resolve().parents[2] / "appliance"

FLOORS: dict[str, int] = {
    "mail": 0,
    "status": 1, "protocol": 1, "database": 1, "mailauth": 1,
    "network": 2, "accounts": 2, "store": 2,
    "auth": 3, "filters": 3, "queue": 3,
    "delivery": 4,
    "smtpd": 5, "imapd": 5, "pop3d": 5, "sieved": 5, "collect": 5, "web": 5, "system": 5,
    "cli": 6,
}  # fmt: skip
LISTENING_SOCKETS: dict[str, set[str]] = {
    "store": {"mailbox", "bodies", "transfer"},
    "queue": {"queue", "history", "item"},
    "delivery": {"intake", "runner"},
    "auth": {"mechanisms", "login", "identity"},
    "filters": {"chain", "verdict"},
    "smtpd": {"service"}, "imapd": {"service"}, "pop3d": {"service"}, "sieved": {"service"}, "collect": {"service"}, "web": {"service"},
    "panel": {"service"},
}  # fmt: skip
OWN_COMPONENTS_TOO = {"protocol", "database", "mail", "status", "network", "accounts", "system", "cli", "mailauth"}
TOP = {"app", "hands", "outgoing", "panels", "servers", "reading", "queue_words", "serving", "__main__"}
"""Files of floor 7, beside the rooms: the composition root, the one implementation of the Controls port, the entry."""

OUTSIDE: dict[str, set[str]] = {
    "socket": {"network", "system", "cli", "app"},
    "threading": {"database"},
    "sqlite3": {"database", "store", "accounts", "queue"},
    "subprocess": {"system", "database", "app"},
    "asyncio": set(),
    "logging": set(),
    "email": set(),
    "sqlite_utils": {"database"},
    "cryptography": {"system", "mailauth", "delivery"},
    "argon2": {"accounts"},
}
"""Who may touch what: a module of the outside to the rooms (or top files) that may import it."""
WALL_CLOCK = {("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "utcnow"), ("date", "today")}


def files() -> list[Path]:
    return sorted(SERVER.rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(SERVER.parent).with_suffix("").parts)


def room_of(path: Path) -> str:
    parts = path.relative_to(SERVER).with_suffix("").parts
    return parts[0]


def imports(path: Path) -> Iterator[tuple[int, int, str]]:
    """(line, relative level, dotted name) of every import, also those inside functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, 0, alias.name
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.level, node.module or ""


def floor_of(room: str) -> int:
    return 7 if room in TOP or room == "__init__" else FLOORS.get(room, -1)


@pytest.mark.parametrize("path", files(), ids=name_of)
def test_imports_point_down_and_go_through_listening_sockets(path: Path) -> None:
    room = room_of(path)
    assert room == "panel" or floor_of(room) >= 0, f"{name_of(path)}: the room {room} has no floor in this test"
    for line, level, target in imports(path):
        where = f"{name_of(path)}:{line}"
        if level:
            depth = len(path.relative_to(SERVER).parts) - 1
            assert level <= max(depth, 1), f"{where}: a dot means my own room, this leaves it (rule 3)"
            continue
        parts = target.split(".")
        if parts[0] != "appliance" or len(parts) < 2:
            continue
        other = parts[1]
        if other == room:
            assert room in TOP, f"{where}: siblings are imported with a dot (rule 3)"
            continue
        if room == "panel":
            assert other == "status", f"{where}: the panel looks at status only (rule 1)"
            continue
        assert floor_of(other) < floor_of(room) or (room in TOP and other in TOP), (
            f"{where}: {room} (floor {floor_of(room)}) imports {target} (floor {floor_of(other)}); imports point down (rule 1)"
        )
        if room not in TOP and other in LISTENING_SOCKETS:
            assert len(parts) >= 3 and parts[2] in LISTENING_SOCKETS[other], f"{where}: {target} is not a door of {other} (rule 2)"


@pytest.mark.parametrize("path", files(), ids=name_of)
def test_few_admin_api_touch_the_outside(path: Path) -> None:
    room = room_of(path)
    for line, level, target in imports(path):
        head = target.split(".")[0]
        if not level and head in OUTSIDE:
            assert room in OUTSIDE[head], f"{name_of(path)}:{line}: {head} belongs to {sorted(OUTSIDE[head])} (rule 4)"
    if (room, path.stem) == ("system", "clock"):
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            of = node.func.value
            owner = of.id if isinstance(of, ast.Name) else of.attr if isinstance(of, ast.Attribute) else ""
            assert (owner, node.func.attr) not in WALL_CLOCK, (
                f"{name_of(path)}:{node.lineno}: the wall clock is read in runtime/clock only (rule 4)"
            )


@pytest.mark.parametrize("path", files(), ids=name_of)
def test_no_mutable_state_at_module_level(path: Path) -> None:
    """Tables are tuples (or frozen); a dict or set literal must be a constant nobody writes: CAPITALS and annotated Final or Mapping."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if value is None:
            continue
        names = [t.id for t in (node.targets if isinstance(node, ast.Assign) else [node.target]) if isinstance(t, ast.Name)]
        if isinstance(value, ast.List | ast.ListComp) or (
            isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in {"list", "bytearray"}
        ):
            pytest.fail(f"{name_of(path)}:{node.lineno}: {names} is a mutable list at module level (rule 5)")
        if isinstance(value, ast.Dict | ast.Set | ast.DictComp | ast.SetComp):
            assert all(n.strip("_").isupper() for n in names), f"{name_of(path)}:{node.lineno}: {names} is mutable at module level (rule 5)"
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Global), f"{name_of(path)}:{node.lineno}: `global` is module-level state (rule 5)"


@pytest.mark.parametrize("path", [p for p in files() if p.name == "__init__.py"], ids=name_of)
def test_package_faces_hold_only_a_docstring(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert len(tree.body) == 1 and ast.get_docstring(tree), f"{name_of(path)}: a room's face holds its docstring only (rule 3)"


def test_every_file_says_what_it_is() -> None:
    silent = [name_of(p) for p in files() if not ast.get_docstring(ast.parse(p.read_text(encoding="utf-8")))]
    assert not silent, f"without a module docstring: {silent}"


def test_no_import_cycles_inside_a_room() -> None:
    graph: dict[str, set[str]] = {}
    for path in files():
        me = name_of(path)
        package = path.relative_to(SERVER.parent).parent.parts
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:  # at import time only: a late import inside a function ties nothing
            if isinstance(node, ast.ImportFrom) and node.level:
                base = package[: len(package) - node.level + 1]
                module = ".".join([*base, *([node.module] if node.module else [])])
                targets = [module] if node.module else [f"{module}.{a.name}" for a in node.names]
                graph.setdefault(me, set()).update(targets)
    for start in graph:
        seen: set[str] = set()
        todo = list(graph[start])
        while todo:
            here = todo.pop()
            assert here != start, f"{start} imports itself through its room"
            if here not in seen:
                seen.add(here)
                todo += graph.get(here, ())


def test_the_serving_path_imports_nothing_heavy() -> None:
    """What costs megabytes is imported where it is used, or runs in a child process."""
    import subprocess

    code = "import sys, appliance.app.server; print(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())
    heavy = {"sqlite_utils", "cryptography", "click", "asyncio", "email", "argon2", "dns", "argparse", "tomllib", "multiprocessing"}
    assert not loaded & heavy, f"imported at start: {sorted(loaded & heavy)}"
