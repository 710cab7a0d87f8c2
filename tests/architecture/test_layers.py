"""The layers and public modules of the packages, read from the imports in the code.

1 imports point down · 2 only public modules are imported from outside a package · 3 a relative import stays in its package ·
4 few packages touch files, sockets, threads and the clock · 5 no module-level mutable state · 6 no import cycles.
Imports below TYPE_CHECKING and inside functions count as well.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "appliance"

LAYERS: dict[str, int] = {
    "mail": 0,
    "languages": 1, "status": 1, "protocol": 1, "database": 1, "mailauth": 1,
    "network": 2, "accounts": 2, "store": 2, "control": 2, "config": 2, "runtime": 2,
    "auth": 3, "filters": 3, "queue": 3,
    "dsn": 4,
    "delivery": 5,
    "outbound": 6,
    "smtpd": 7, "imapd": 7, "pop3d": 7, "sieved": 7, "collect": 7, "jmap": 7, "web": 7, "certificates": 7, "dns_setup": 7, "system": 7,
    "cli": 8,
    "app": 9, "__main__": 10,
}  # fmt: skip
BESIDE: dict[str, set[str]] = {"panel": {"mail", "status", "control", "languages"}}
"""Packages beside the layers, and all they may import."""
MAY_IMPORT_PANEL = {"app", "cli"}
PUBLIC: dict[str, set[str]] = {
    "accounts": {
        "accounts", "directory", "domains", "forwarding", "passkey_record", "passkeys", "passwords", "push_subscriptions", "second_factor",
        "send_quota", "setup_code", "setup_progress", "states", "throttle", "totp", "web_sessions",
    },
    "app": {"low_ports", "process", "read_only", "server"},
    "auth": {"connection_info", "exchange", "identity", "login", "mechanisms"},
    "certificates": {"certificates", "contents"},
    "cli": {"main", "serve", "system", "wording"},
    "config": {"settings", "settings_edit", "settings_file", "settings_lines", "time_zone"},
    "control": {"client", "exchange", "import_result", "local_socket", "requests", "stream"},
    "database": {"check", "database", "group", "migrations", "read_only", "scrub", "writer"},
    "delivery": {"arrival", "authors", "bcc", "body_chunks", "enqueuer", "executor", "generated", "intake", "local_transport",
        "missing_fields", "plan", "rights", "route", "sender_rewriting", "submission", "trace", "transport"},
    "dns_setup": {"check", "records"},
    "dsn": {"compose", "policy", "report"},
    "imapd": {"service"},
    "jmap": {"push_client", "push_encryption", "push_sender", "pushing", "service"},
    "languages": {"catalogues"},
    "mailauth": {"agreement", "crypto", "dkim_keys", "dkim_sign", "spf"},
    "network": {"addresses", "certificate_fault", "dial", "https", "listener", "public_dial", "ratelimit", "resolver", "sockets", "stream",
        "tls", "tls_end", "x509"},
    "outbound": {"mta_sts", "mx", "port25", "preparation", "queue_state", "recorder", "relay_check", "relay_sizes", "routing", "runner",
        "smtp_transport", "tls_policy"},
    "panel": {"button", "led_display", "ports", "service"},
    "pop3d": {"service"},
    "queue": {"admin", "attempt_result", "entry", "history", "queue", "schedule", "submissions"},
    "runtime": {
        "atomic_file", "clock", "data_directory", "dkim_key_files", "host", "identity", "memory", "notify", "privileges", "serial_line",
            "standard_streams", "supervisor", "vapid_key_file",
    },
    "smtpd": {"service"},
    "web": {"access", "context", "jmap", "message", "rendering", "routes", "service", "template_environment", "webmail"},
    "system": {"box_settings", "first_boot", "install"},
    "status": {"board", "events", "journal", "plain", "snapshot", "storage_life", "text"},
    "store": {"account_changes", "account_messages", "account_rows", "bodies", "body_readers", "file_imports", "incoming", "loading",
        "mailbox", "message_create", "message_ids", "message_update", "modseq", "received_files", "reclaim", "redescription",
        "observers", "reports", "search_filling", "search_found", "search_index", "scope", "sharing", "store",
        "mailbox_counts", "transfer", "transfer_service",
        "uploads", "values", "view", "visible", "zip_export",
        "account_watch", "identities", "object_changes"},
}  # fmt: skip
"""What may be imported from outside each package. `mail` and `protocol` are values and grammars: all of them is public."""

OUTSIDE: dict[str, set[str]] = {
    "socket": {"network", "control", "runtime", "certificates", "cli", "app"},
    "threading": {"database"},
    "sqlite3": {"database", "store", "accounts", "queue"},
    "subprocess": {"certificates", "runtime", "database", "app", "system"},
    "asyncio": set(),
    "logging": set(),
    "email": set(),
    "sqlite_utils": {"database"},
    "cryptography": {"certificates", "runtime", "mailauth", "outbound"},
    "argon2": {"accounts"},
    "h11": {"web"},
    "jinja2": {"web", "languages"},  # languages reads templates where it extracts their sentences, never in a server
    "wsproto": {"web"},
    "markupsafe": {"web"},
    "nh3": {"web"},
    "tomlkit": {"config"},
}
"""Modules of the standard library and others, and the packages that may import them."""
WALL_CLOCK = {("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "utcnow"), ("date", "today")}


@cache
def files() -> tuple[Path, ...]:
    return tuple(sorted(ROOT.rglob("*.py")))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)


def package_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imports(path: Path) -> Iterator[tuple[int, int, str, tuple[str, ...]]]:
    """(line, relative level, dotted module, names) of every import, those inside functions too."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, 0, alias.name, ()
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.level, node.module or "", tuple(alias.name for alias in node.names)


@pytest.mark.parametrize("path", files(), ids=name_of)
def test_imports_point_down_and_name_public_modules(path: Path) -> None:
    package = package_of(path)
    if package == "__init__":
        return
    assert package in LAYERS or package in BESIDE, f"{name_of(path)}: the package {package} has no layer in this test"
    for line, level, target, names in imports(path):
        where = f"{name_of(path)}:{line}"
        if level:
            depth = len(path.relative_to(ROOT).parts) - 1
            assert level <= max(depth, 1), f"{where}: a relative import stays in its package (rule 3)"
            continue
        parts = target.split(".")
        if parts[0] != "appliance" or len(parts) < 2:
            continue
        other = parts[1]
        assert other != package, f"{where}: modules of the same package are imported relatively (rule 3)"
        if package in BESIDE:
            assert other in BESIDE[package], f"{where}: {package} imports {sorted(BESIDE[package])} only (rule 1)"
        elif other in BESIDE:
            assert package in MAY_IMPORT_PANEL or package == "__main__", f"{where}: only {sorted(MAY_IMPORT_PANEL)} import {other} (rule 1)"
        else:
            assert LAYERS[other] < LAYERS[package], (
                f"{where}: {package} (layer {LAYERS[package]}) imports {target} (layer {LAYERS[other]}) (rule 1)"
            )
        if other in PUBLIC:
            modules = {parts[2]} if len(parts) > 2 else set(names)
            assert modules <= PUBLIC[other], f"{where}: {sorted(modules - PUBLIC[other])} is not public in {other} (rule 2)"


@pytest.mark.parametrize("path", files(), ids=name_of)
def test_few_packages_touch_the_outside(path: Path) -> None:
    package = package_of(path)
    for line, level, target, _ in imports(path):
        head = target.split(".")[0]
        if not level and head in OUTSIDE:
            assert package in OUTSIDE[head], f"{name_of(path)}:{line}: {head} belongs to {sorted(OUTSIDE[head])} (rule 4)"
    if (package, path.stem) == ("runtime", "clock"):
        return
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            of = node.func.value
            owner = of.id if isinstance(of, ast.Name) else of.attr if isinstance(of, ast.Attribute) else ""
            assert (owner, node.func.attr) not in WALL_CLOCK, (
                f"{name_of(path)}:{node.lineno}: the wall clock is read in runtime/clock only (rule 4)"
            )


@pytest.mark.parametrize("path", files(), ids=name_of)
def test_no_mutable_state_at_module_level(path: Path) -> None:
    """Tables are tuples (or frozen); a dict or set literal must be a constant nobody writes: CAPITALS."""
    tree = tree_of(path)
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
def test_package_inits_hold_only_a_docstring(path: Path) -> None:
    tree = tree_of(path)
    assert len(tree.body) == 1 and ast.get_docstring(tree), f"{name_of(path)}: a package's __init__ holds its docstring only (rule 3)"


def test_every_file_has_a_docstring() -> None:
    silent = [name_of(p) for p in files() if not ast.get_docstring(tree_of(p))]
    assert not silent, f"without a module docstring: {silent}"


def import_graph() -> dict[str, set[str]]:
    """Module to the modules it imports, however late and for whatever reason."""
    modules = {name_of(path) for path in files()}
    graph: dict[str, set[str]] = {}
    for path in files():
        me = name_of(path)
        package = me.split(".")[:-1]
        for _, level, target, names in imports(path):
            base = target if not level else ".".join([*package[: len(package) - level + 1], *([target] if target else [])])
            for found in [f"{base}.{name}" for name in names] or [base]:
                module = found if found in modules else base
                if module in modules:
                    graph.setdefault(me, set()).add(module)
    return graph


def test_no_import_cycles() -> None:
    graph = import_graph()
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path[path.index(module) :], module))
        if module not in done:
            for other in sorted(graph.get(module, ())):
                visit(other, (*path, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())


def test_the_serving_path_imports_nothing_heavy() -> None:
    """What costs megabytes is imported where it is used, or runs in a child process."""
    code = "import sys, appliance.app.server; print(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())
    heavy = {"sqlite_utils", "cryptography", "click", "asyncio", "email", "argon2", "dns", "argparse", "tomllib", "multiprocessing"}
    heavy |= {"h11", "jinja2", "nh3"}
    assert not loaded & heavy, f"imported at start: {sorted(loaded & heavy)}"
