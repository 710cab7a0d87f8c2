"""Seeded messages: of every ten, six of some 4 KB text, three of 30 KB with HTML, one with a 400 KB attachment.

Prose compresses as prose does (words by their usual frequency); attachments are random, as photographs are.
"""

import base64
import random
from collections.abc import Iterator

WORDS = (  # noqa: SIM905 - read as prose
    "the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which one you were all "
    "her she there would their we him been has when who will no more if out so up said what its about than into them can only other time "
    "new some could these two may first then do any like my now over such our man me even most made after also well many must before back "
    "through years where much your way down should because long each just state those people too mr how little good world make very year "
    "still see own work men day get here old between both life being under three never know same last another while us off might great go "
    "come since against right came take used himself few server american use place during high without again home around small however "
    "found mrs part school thought went say general once upon war left number course until always public put away something fact though "
    "water less far hand enough almost took head yet government system better set told nothing night end why called eyes find going look "
    "asked later knew point next program city business give group toward young days let room word side present given several per order"
).split()


def prose(chance: random.Random, octets: int) -> str:
    weights = [1 / (n + 2) for n in range(len(WORDS))]
    lines, count = [], 0
    while count < octets:
        line = " ".join(chance.choices(WORDS, weights, k=12)).capitalize() + f" {chance.randint(1, 9999)}."
        lines.append(line)
        count += len(line) + 2
    return "\r\n".join(lines)


def message(chance: random.Random, number: int, to: str, kind: str) -> bytes:
    mark = f"{chance.getrandbits(96):024x}"
    signature = base64.b64encode(chance.randbytes(256)).decode()
    head = (
        f"Received: from mx{number % 7}.example.net (mx{number % 7}.example.net [192.0.2.{number % 250 + 1}])\r\n"
        f" by relay.example.org with ESMTPS id {mark[:11]}\r\n for <{to}>; Tue, 14 Nov 2023 22:13:20 +0000\r\n"
        f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.net; s=k1;\r\n b={signature[:70]}\r\n {signature[70:140]}\r\n"
        f"From: Sender {number % 50} <s{number % 50}@example.net>\r\nTo: <{to}>\r\nSubject: {prose(chance, 30)[:40]} {number}\r\n"
        f"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <{mark}@example.net>\r\nMIME-Version: 1.0\r\n"
    )
    if kind == "text":
        return (head + "Content-Type: text/plain; charset=utf-8\r\n\r\n" + prose(chance, chance.randint(2000, 4000)) + "\r\n").encode()
    edge = f"=_{mark}"
    first = f"--{edge}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{prose(chance, 4000)}\r\n"
    if kind == "html":
        rows = "".join(
            f'<tr><td style="padding:12px;color:#333">{prose(chance, 150)}</td><td><a href="https://x.example/{chance.getrandbits(64):x}">more</a></td></tr>\r\n'
            for _ in range(90)
        )
        second = f"--{edge}\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body><table>{rows}</table></body></html>\r\n"
        head += f'Content-Type: multipart/alternative; boundary="{edge}"\r\n\r\n'
    else:
        data = base64.encodebytes(chance.randbytes(chance.randint(280_000, 310_000))).replace(b"\n", b"\r\n").decode()
        second = f"--{edge}\r\nContent-Type: image/jpeg; name=photo.jpg\r\nContent-Transfer-Encoding: base64\r\n\r\n{data}"
        head += f'Content-Type: multipart/mixed; boundary="{edge}"\r\n\r\n'
    return (head + first + second + f"--{edge}--\r\n").encode()


def mixed(count: int, accounts: list[str], seed: int = 1) -> list[tuple[str, bytes]]:
    chance = random.Random(seed)
    kinds = (["text"] * 6 + ["html"] * 3 + ["file"]) * (count // 10 + 1)
    kinds = kinds[:count]
    chance.shuffle(kinds)
    return [(accounts[n % len(accounts)], message(chance, n, accounts[n % len(accounts)], kind)) for n, kind in enumerate(kinds)]


def small(count: int, to: str, seed: int = 2) -> Iterator[bytes]:
    chance = random.Random(seed)
    for number in range(count):
        yield message(chance, number, to, "text")
