"""The collation i;unicode-casemap: text to what is compared in its place (RFC 5051 §2).

Each character is mapped to title case, by the one character that Unicode's simple mapping names, and then decomposed, as long as it can
be. Two texts are equal when the results are, and are ordered as the results are by their code points.
"""


def casemap(text: str) -> str:
    """The text to compare by. ASCII costs no table; else Unicode's tables are loaded."""
    if text.isascii():
        return text.upper()
    from unicodedata import decomposition  # its tables are large and most text is ASCII

    mapped: list[str] = []
    todo = [character if len(title := character.title()) > 1 else title for character in reversed(text)]
    while todo:
        character = todo.pop()
        parts = decomposition(character) if character > "\x7f" else ""
        if parts:
            todo.extend([chr(int(code, 16)) for code in reversed(parts.split()) if code[0] != "<"])
        else:
            mapped.append(character)
    return "".join(mapped)
