"""What the session object says of blobs (RFC 9404 §3.1), and the limits it announces."""

from typing import Any

from appliance.protocol.jmap.request import JmapLimits

BLOB = "urn:ietf:params:jmap:blob"
MOST_SOURCES = 100
DIGESTS = {"sha": "sha1", "sha-256": "sha256", "sha-512": "sha512"}
"""Names of digests, and what hashlib calls them."""
TYPES = ("Mailbox", "Thread", "Email")


def blob_facts(limits: JmapLimits) -> dict[str, Any]:
    """What the session object says of the capability (RFC 9404 §3.1)."""
    return {
        "maxSizeBlobSet": limits.upload_octets,
        "maxDataSources": MOST_SOURCES,
        "supportedTypeNames": list(TYPES),
        "supportedDigestAlgorithms": list(DIGESTS),
    }
