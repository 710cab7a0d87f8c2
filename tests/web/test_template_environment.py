"""Templates compiled beforehand: used for exactly the templates they were made of, and then without jinja2's compiler."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.web import template_environment
from appliance.web.template_environment import DIRECTORY, compile_templates
from tests.support.server import ROOT

RENDER = """
import sys
from pathlib import Path
from appliance.web import template_environment
from appliance.languages.catalogues import ENGLISH
from appliance.runtime.clock import RealClock
if sys.argv[2:]:
    template_environment.COMPILER = (("jinja2.compiler", ()),)
environment = template_environment.template_environment(RealClock(), Path(sys.argv[1]))
for name in Path(sys.argv[1]).iterdir():
    environment.get_template(name.name)
page = environment.get_template("page.html").render(octets=1500, token=lambda: "<", _=ENGLISH)
print(hasattr(sys.modules["jinja2.lexer"], "__file__"), page)
"""


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    """A directory of the real templates and one that uses a macro, a filter and escaping."""
    place = shutil.copytree(DIRECTORY, tmp_path / "templates")
    (place / "page.html").write_text('{% from "macros.html" import hidden %}{{ hidden(token) }}{{ octets|size }}')
    return place


def rendered(templates: Path, lean: Path, *words: str) -> tuple[str, str]:
    """Was jinja2's compiler loaded, and the page, in a process whose compiled code is in `lean`."""
    command = [sys.executable, "-B", "-X", f"pycache_prefix={lean}", "-c", RENDER, str(templates), *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment)
    loaded, _, page = done.stdout.strip().partition(" ")
    return loaded, page


PAGE = '<input type="hidden" name="token" value="&lt;">1.5 kB'


def test_pages_need_no_compiler_once_their_templates_are_compiled(templates: Path, tmp_path: Path) -> None:
    assert rendered(templates, tmp_path) == ("True", PAGE)
    compile_templates(tmp_path, templates)
    assert rendered(templates, tmp_path) == ("False", PAGE)


def test_code_of_other_templates_is_never_used(templates: Path, tmp_path: Path) -> None:
    compile_templates(tmp_path, templates)
    (templates / "page.html").write_text("now {{ octets|size }}")
    assert rendered(templates, tmp_path) == ("True", "now 1.5 kB")
    compile_templates(tmp_path, templates)
    assert rendered(templates, tmp_path) == ("False", "now 1.5 kB")
    assert len(list(tmp_path.glob("templates-*"))) == 1


def test_another_python_has_other_code(templates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = template_environment._file(tmp_path, templates)
    monkeypatch.setattr(template_environment, "MAGIC_NUMBER", b"another Python")
    assert template_environment._file(tmp_path, templates) != before


def test_a_jinja2_that_wants_more_of_its_compiler_gets_all_of_it(templates: Path, tmp_path: Path) -> None:
    compile_templates(tmp_path, templates)
    assert rendered(templates, tmp_path, "names missing") == ("True", PAGE)
