"""Compression of pages and JSON that are made for one request (RFC 9110 §12.5.3); files of the package are compressed beforehand.

By its length a compressed response could give a secret away to somebody who makes a browser ask for it again and again with a guess in
it. Here nobody can: cookies are SameSite=Strict, so another site's request has no session, and tokens are masked anew on each page.

Level 1: a list of 50 messages in JSON, 24 kB, takes 0.3 ms and becomes a third.
"""

import zlib

from appliance.protocol.http.negotiation import accepts_coding

from .message import HTML, JSON, HttpRequest, HttpResponse

TYPES = (HTML, JSON)
LEAST_OCTETS, MOST_OCTETS = 1_000, 256 * 2**10
"""Shorter ones gain nothing; longer ones would hold up the loop for some milliseconds."""
GZIP, LEVEL = 31, 1


def compress(request: HttpRequest, response: HttpResponse) -> None:
    """Changes a response in place where the client takes gzip and it is worth it; one with an entity tag or a coding stays."""
    body = response.body
    if not isinstance(body, bytes) or not LEAST_OCTETS <= len(body) <= MOST_OCTETS or response.media_type not in TYPES:
        return
    if response.status != 200 or response.tag or not accepts_coding(request.fields.get("accept-encoding"), "gzip"):
        return
    packer = zlib.compressobj(LEVEL, wbits=GZIP)
    response.body = packer.compress(body) + packer.flush()
    response.fields += [("content-encoding", "gzip"), ("vary", "accept-encoding")]
