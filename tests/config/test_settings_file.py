"""Settings: the defaults work; every fault is reported with its line and a remedy; nothing is taken in part."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config.settings import Settings, example
from appliance.config.settings_file import SettingsError, parse, parse_listen, read
from appliance.config.settings_lines import lines_of
from appliance.mail.errors import SetupError


def faults(text: str) -> list[tuple[int, str]]:
    with pytest.raises(SettingsError) as caught:
        parse(text.encode(), "x.toml")
    return [(fault.line, f"{fault.problem} {fault.remedy}") for fault in caught.value.faults]


def test_relays_are_read_and_everything_wrong_with_them_is_reported_with_its_line() -> None:
    made = parse(b'[[relay]]\nname = "one"\nhost = "smtp.one.example"\n[[relay]]\nname = "two"\nhost = "192.0.2.1"\n', "x")
    assert [relay.name for relay in made.relay] == ["one", "two"] and "password='" not in repr(made.relay[0])
    reported = faults(
        '[[relay]]\nname = "A b"\nhost = "-"\nuser = "me"\n[[relay]]\nname = "p"\nhost = "h.example"\nsecurity = "none"\nuser = "u"\n'
        'password = "x"\naddress = "a@b.example"\n[[relay]]\nname = "p"\nhost = "h.example"\nport = "x"\ndomains = ["a..b"]\n'
        '[sending]\nname_servers = "x"\ndirect = "maybe"\n'
    )
    assert [line for line, _ in reported] == [2, 3, 4, 8, 11, 13, 15, 16, 18, 19], reported
    assert faults("relay = 3\n")[0][1].startswith('"relay" is a list of tables.')


def test_a_panel_setting_that_is_not_understood_has_its_line() -> None:
    reported = faults('[panel]\nleds = ["led:17", "candle:1"]\nnight = "25:00-6"\n')
    assert [line for line, _ in reported] == [2, 3] and "candle:1" in reported[0][1] and "22:00-06:30" in reported[1][1]
    taken = (3, '"panel.button": The pin 6 is an LED\'s. See: pillarbox settings example')
    assert faults('[panel]\nleds = ["rgb:5,6,13"]\nbutton = "6"\n') == [taken]
    assert parse(b'[panel]\nleds = "board:6"\nbutton = "6"\nnight = ""\n', "x").panel.button == "6"


def test_an_empty_file_is_the_defaults() -> None:
    assert parse(b"", "x.toml") == Settings()


def test_the_example_is_the_defaults_and_every_line_of_it_works_uncommented() -> None:
    text = example()
    assert parse(text.encode(), "x.toml") == Settings()
    opened = "\n".join(line[2:] if line.startswith("# ") and " = " in line and line[2].islower() else line for line in text.splitlines())
    assert parse(opened.encode(), "x.toml") == Settings()


def test_a_value_is_taken() -> None:
    made = parse(
        b'[server]\ndomain = "smith.example"\n[listen]\nsmtp = "0.0.0.0:25"\npop3 = ""\nimap = ["[::]:143", "10.0.0.1:143"]\n', "x"
    )
    assert made.server.domain == "smith.example"
    assert made.listen == replace(Settings().listen, smtp=("0.0.0.0:25",), pop3=(), imap=("[::]:143", "10.0.0.1:143"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[server]\ndomain = smith\n", 2),
        ("[server\n", 1),
        ("a = 1\na = 2\n", 2),
        ('[server]\n\ndomain = "x\n', 3),
        ("[accounts]\nquota_mb = [1,\n", 2),
    ],
)
def test_a_syntax_error_is_reported_with_its_line(text: str, line: int) -> None:
    ((reported, remedy),) = faults(text)
    assert reported == line
    assert ("A section is [NAME]" in remedy) == (text == "[server\n")


def test_all_faults_at_once_in_the_order_of_their_lines() -> None:
    reported = faults(
        '[messages]\nlargest_mb = "big"\nrecipients = 5\nrecipients_ = 1\n[acounts]\nx = 1\n[accounts]\n'
        'plaintext_login = 1\nscram_for = "some"\n[certificate]\nkey = "k"\n'
    )
    assert [line for line, _ in reported] == [2, 3, 4, 5, 8, 9, 11]
    text = " ".join(sentence for _, sentence in reported)
    for part in (
        "a whole number",
        "The least is 100",
        'Did you mean "recipients"?',
        'Did you mean "accounts"?',
        "true or false",
        "all, app-passwords",
        "Set both",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("messages.recipients = 5\n", 1),
        ("\n'messages' . \"recip\\u0069ents\" = 5\n", 2),
        ('server = { domain = "a.example",\n host_name = 5 }\n' if False else 'server = { domain = "a.example", host_name = 5 }\n', 1),
        ('# [messages]\n[listen] # x\nsmtp = [ # [a]\n  "0.0.0.0:25",\n  "nowhere", # "]"\n]\n', 5),
        ('[server]\ndomain = """\n[messages]\nrecipients = 5\n"""\n[messages]\nrecipients = 5\n', 7),
        ("[server]\ndomain = '''a'''\n[messages]\n\nrecipients = 5\n", 5),
        ("[[messages]]\nrecipients = 5\n", 1),
        ("recipients = 500\n", 1),
        ("messages = 5\r\n", 1),
    ],
)  # fmt: skip
def test_the_line_is_found_again(text: str, line: int) -> None:
    assert line in [reported for reported, _ in faults(text)]


def test_lines_of_tables_arrays_and_inline_tables() -> None:
    text = (
        "top = 1\n[a.b]\nc.d = 1\n[[r]]\nh = 1\n[[r]]\nh = [ { x = 1 },\n { x = 2, y = {'z' = 3} } ]\n"
        '[r.sub]\nk = "\\"]"\n[[r.in]]\nq = 1\n'
    )
    assert tomllib.loads(text)
    lines = lines_of(text)
    assert lines[("top",)] == 1
    assert lines[("a", "b", "c", "d")] == 3
    assert (lines[("r", 0, "h")], lines[("r", 1, "h")]) == (5, 7)
    assert (lines[("r", 1, "h", 0, "x")], lines[("r", 1, "h", 1, "y", "z")]) == (7, 8)
    assert lines[("r", 1, "sub", "k")] == 10
    assert lines[("r", 1, "in", 0, "q")] == 12


_KEYS = st.sampled_from(["a", "b-c", "d_1", '"q u"', "'l.i'", '"\\u00e9"'])
_LEAVES = st.sampled_from(
    [
        "1",
        '"#["',
        "'}'",
        "[1, [2], 3]",
        "[\n1, # ]\n2,\n]",
        '"""\na\\"b\n"""',
        "'''\n[x]\n'''",
        "true",
        "1979-05-27T07:32:00Z",
        "{}",
        "{ k = [1,2] }",
    ]
)


@given(st.lists(st.tuples(_KEYS, _LEAVES), max_size=6, unique_by=lambda pair: pair[0]), st.integers(0, 3))
def test_lines_agree_with_where_the_text_was_put(pairs: list[tuple[str, str]], blank: int) -> None:
    text, want = "", {}
    for n, (key, value) in enumerate(pairs):
        text += "\n" * blank + f"[t{n}]\n"
        want[n] = text.count("\n") + 1
        text += f"{key} = {value}\n"
    tree = tomllib.loads(text)
    lines = lines_of(text)
    for n, line in want.items():
        (key,) = tree[f"t{n}"]
        assert lines[(f"t{n}", key)] == line


@given(st.text(max_size=200))
def test_no_text_makes_the_line_scanner_fail_or_hang(text: str) -> None:
    try:
        tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return
    lines_of(text)


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be read"):
        read(tmp_path / "none.toml")


def test_not_utf8_is_reported_with_its_line() -> None:
    with pytest.raises(SettingsError) as caught:
        parse(b"[server]\n\ndomain = '\xff'\n", "x")
    assert caught.value.faults[0].line == 3


def test_a_byte_order_mark_is_no_character_of_the_file() -> None:
    """Editors of Windows write it in front of UTF-8."""
    assert parse(b"\xef\xbb\xbf[server]\r\ndomain = 'a.example'\r\n", "x").server.domain == "a.example"
    with pytest.raises(SettingsError) as caught:
        parse(b"\xef\xbb\xbf[server]\ndomain = 3\n", "x")
    assert caught.value.faults[0].line == 2


@pytest.mark.parametrize("name", ["192.0.2.1", "[192.0.2.1]", "a.1", "_a.example"])
def test_no_address_is_a_domain(name: str) -> None:
    for key in ("domain", "host_name"):
        with pytest.raises(SettingsError, match="not a domain name"):
            parse(f"[server]\n{key} = '{name}'\n".encode(), "x")


@pytest.mark.parametrize("word", ["imap", "smtp=25", "gopher=1.2.3.4:70", "imap=localhost:99999", "imap=::1:143", "imap=:143", "imap=h:x"])
def test_wrong_listen_words_are_refused(word: str) -> None:
    with pytest.raises(SetupError):
        parse_listen([word])


def test_listen_words() -> None:
    assert parse_listen(["imap=127.0.0.1:0", "imap=[::1]:143", "smtp=localhost:25"]) == {
        "imap": ("127.0.0.1:0", "[::1]:143"),
        "smtp": ("localhost:25",),
    }


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(SettingsError, match="more than 1,048,576 octets"):
        read(Path("/dev/zero"))
