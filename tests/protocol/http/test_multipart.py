"""Forms with files, in any chunks."""

import pytest

from appliance.mail.errors import MisuseError
from appliance.protocol.http.multipart import FormPart, MultipartReader, boundary_of

FORM = (
    b'--XX\r\nContent-Disposition: form-data; name="token"\r\n\r\nabc\r\n'
    b'--XX\r\nContent-Disposition: form-data; name="file"; filename="\xc3\xbc %22.mbox"\r\nContent-Type: text/plain\r\n\r\n'
    b"one\r\n--X\r\n\r\n--XY\rtwo\r\n\r\n--XX--\r\n"
)


def read(octets: bytes, size: int) -> list[tuple[FormPart, bytes]]:
    reader, found = MultipartReader(b"XX"), []
    for at in range(0, len(octets), size):
        for one in reader.feed(octets[at : at + size]):
            if isinstance(one, FormPart):
                found.append((one, b""))
            else:
                found[-1] = (found[-1][0], found[-1][1] + one)
    reader.end()
    return found


@pytest.mark.parametrize("size", range(1, 60))
def test_fields_and_files_come_whole(size: int) -> None:
    assert read(FORM, size) == [(FormPart("token", None), b"abc"), (FormPart("file", 'ü ".mbox'), b"one\r\n--X\r\n\r\n--XY\rtwo\r\n")]


def test_an_empty_part() -> None:
    assert read(b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n--XX--', 7) == [(FormPart("a", None), b"")]


@pytest.mark.parametrize(
    "octets",
    [
        b"", b"hello there", FORM[:-8], b"--XX\r\n\r\n\r\n--XX--", b"--XXY\r\n", b"--XX\r\n" + b"x" * 10_000,
        b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 60,
    ],
)  # fmt: skip
def test_what_is_broken_is_refused(octets: bytes) -> None:
    with pytest.raises(MisuseError):
        read(octets, 5)


def test_the_boundary() -> None:
    assert boundary_of('multipart/form-data; boundary="a b"') == b"a b" and boundary_of("Multipart/Form-Data; boundary=----x") == b"----x"
    for wrong in ("text/plain; boundary=x", "multipart/form-data", "multipart/form-data; boundary=" + "x" * 100):
        with pytest.raises(MisuseError):
            boundary_of(wrong)
