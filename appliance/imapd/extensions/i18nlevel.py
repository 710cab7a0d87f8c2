"""I18NLEVEL=1: SEARCH, SORT and THREAD compare text as Unicode (RFC 5255 §4).

SORT and THREAD compare by i;unicode-casemap (`mail/collation`, RFC 5051). SEARCH compares decoded text by compatibility decomposition and
full case folding (`mail/query.folded`): each two characters that i;unicode-casemap holds equal are equal there, and some more, so that
"STRASSE" finds "Straße".
"""

from ..contract import ImapExtension

EXTENSION = ImapExtension(name="I18NLEVEL", rfc="RFC 5255", capability=lambda session: (b"I18NLEVEL=1",))
