"""`python -m tests.support.local_push PORT AUTHORITY serve ...`: the server, for which every push service is at that port of the loopback,
with a certificate of that authority; it dials nothing else."""

import ssl
import sys
from typing import Any

from appliance.network import public_dial


def main() -> int:
    port, authority, *words = sys.argv[1:]

    async def resolve(name: str) -> tuple[str, ...]:
        return ("127.0.0.1",)

    async def own_addresses() -> tuple[str, ...]:
        return ()

    class LocalDialer(public_dial.PublicDialer):
        def __init__(self, *given: Any) -> None:
            context = ssl.create_default_context(cafile=authority)
            super().__init__(resolve, own_addresses, lambda: context, may_dial="127.0.0.1".__eq__, ports={443: int(port)})

    public_dial.PublicDialer = LocalDialer  # type: ignore[misc]
    from appliance.__main__ import settings_of
    from appliance.app.server import serve
    from appliance.cli.serve import parse_serving

    args = parse_serving(words)
    return serve(args.data, settings_of(args))


if __name__ == "__main__":
    sys.exit(main())
