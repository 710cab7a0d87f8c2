"""The project's own test messages, one for each path through the scanner, for clones without the shared corpus. CRLF throughout."""

from base64 import encodebytes


def wire(text: str) -> bytes:
    """UTF-8 with CRLF line ends; the first line end, which only makes the source readable, is removed."""
    return text.removeprefix("\n").encode().replace(b"\n", b"\r\n")


PLAIN = wire("""
Received: from mx.example.org by mail.example.net; Tue, 2 Jan 2024 10:11:13 +0100
From: Alice Example <alice@example.org>
To: "Bob \\"the Builder\\" Example" <bob@example.net>, carol@example.net (Carol)
Subject: A plain message
Date: Tue, 02 Jan 2024 10:11:12 +0100
Message-ID: <plain@example.org>

Hello Bob,
> a quoted line
this is all.
""")

LATIN = wire("""
From: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>
To: team: ann@example.org, Ben <ben@example.org>;
Cc: undisclosed-recipients:;
Subject: =?utf-8?b?R3LDvMOf?= =?utf-8?b?ZQ==?=
 aus	der Ferne
In-Reply-To: <one@example.org>
MIME-Version: 1.0
Content-Type: text/plain; charset="iso-8859-1"; format=flowed
Content-Transfer-Encoding: quoted-printable
Content-Language: de, en
Content-ID: <part@example.org>

Sch=F6ne Gr=FC=DFe, eine lange Zeile =
geht weiter.
""")

MIXED = (
    wire("""
From: alice@example.org
To: bob@example.net
Subject: With two attachments
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer"

This is the preamble.
--outer
Content-Type: multipart/alternative; boundary="outer inner"

--outer inner
Content-Type: text/plain

Words.
--outer inner
Content-Type: text/html; charset=utf-8

<p>Words &amp; <b>more</b></p>
--outer inner--
--outer
Content-Type: application/octet-stream; name=data.bin
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename*0="a very long "; filename*1="name.bin"
Content-Description: Some data
Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==

""")
    + encodebytes(bytes(range(200))).replace(b"\n", b"\r\n")
    + wire("""
--outer
Content-Type: image/png
Content-Transfer-Encoding: BASE64
Content-Location: http://example.org/
 picture.png
Content-Disposition: inline; filename*=utf-8''na%C3%AFve.png

iVBORw0KGgo=
--outer--
The epilogue.
--outer
is no part.
""")
)

FORWARDED = wire("""
From: alice@example.org
Subject: Fwd: hello
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b

See below.
--b
Content-Type: message/rfc822

From: carol@example.com
Subject: hello
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=c

--c
Content-Type: text/plain
Content-Transfer-Encoding: quoted-printable

caf=C3=A9
--c
Content-Type: message/rfc822

Subject: innermost

deep
--c--
--b--
""")

DIGEST = wire("""
From: list@example.org
Subject: digest
Content-Type: multipart/digest; boundary="__--__--"

--__--__--

From: a@example.org
Subject: one

First.
--__--__--

From: b@example.org
Subject: two

Second.
--__--__----
""")

MESSAGE_ALONE = wire("""
From: a@example.org
Content-Type: message/rfc822

From: b@example.org
Subject: inside

text
""")

NO_PARTS = wire("""
From: a@example.org
Content-Type: multipart/mixed

nothing here
""")

UNCLOSED = wire("""
From: a@example.org
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=open

--open
Content-Type: multipart/mixed; boundary=inner

--inner

one
--open

two
""")

CUT_HEADER = wire("""
From: a@example.org
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=x

--x
Content-Type: text/plain; charset=utf-8
--x
Content-Type: message/rfc822
--x--
""")

NOT_MIME = wire("""
From: a@example.org
Content-Transfer-Encoding: base64
Content-Description: means nothing without MIME-Version

SGVsbG8=
""")

BROKEN = wire("""
From: "Nobody
To: <only@>, alone, "quoted alone", <@route.example:user@example.org>
Cc: a@b, c d e, <f@g> trailing
Subject:
MIME-Version: 1.0
Content-Type: text
Content-Type: text/html
Content-Disposition: ; filename=x
Date: yesterday at noon

x
""")

RAW_OCTETS = b'From: \xe4\xf6 <x@example.org>\r\nSubject: caf\xc3\xa9\0 "x"\r\n\r\n\x80\r\n'

ONLY_HEADER = b"From: a@example.org\r\nSubject: nothing follows"

EMPTY = b""

BARE_ENDS = b"From: a@example.org\nSubject: unix\n\nline one\nline two\rthree\n"

LONG_LINES = b"Subject: long\r\n\r\n" + b"x" * 5000 + b"\r\n" + b"y" * 3000

MESSAGES: tuple[tuple[str, bytes], ...] = (
    ("plain", PLAIN),
    ("latin", LATIN),
    ("mixed", MIXED),
    ("forwarded", FORWARDED),
    ("digest", DIGEST),
    ("message alone", MESSAGE_ALONE),
    ("no parts", NO_PARTS),
    ("unclosed", UNCLOSED),
    ("cut header", CUT_HEADER),
    ("not MIME", NOT_MIME),
    ("broken", BROKEN),
    ("raw octets", RAW_OCTETS),
    ("only a header", ONLY_HEADER),
    ("empty", EMPTY),
    ("bare ends", BARE_ENDS),
    ("long lines", LONG_LINES),
)
