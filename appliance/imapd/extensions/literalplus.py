"""LITERAL+: literals sent without waiting (RFC 7888).

The framing knows them; LITERAL- would promise less and is not announced.
"""

from ..contract import Extension

EXTENSION = Extension(name="LITERAL+", rfc="RFC 7888", capability=lambda session: (b"LITERAL+",))
