"""Limits in octets, counts and seconds, each with its reason or RFC section."""

MB = 1_000_000
"""A megabyte in settings and in texts for users."""

# --- messages ---------------------------------------------------------------------------------
MESSAGE_OCTETS = 150 * 2**20
"""Largest message accepted by default; a 100 MB attachment in base64 fits (RFC 1870)."""
HEADER_OCTETS = 256 * 2**10
"""Header octets the scanner describes; a message over SMTP with a larger header is refused, 552."""
SMTP_LINE_OCTETS = 998 + 2
"""RFC 5321 §4.5.3.1.6: a text line; longer ones are accepted, since real mail has them, up to TEXT_LINE_OCTETS."""
TEXT_LINE_OCTETS = 1 << 20
"""A longer line in a message over SMTP is refused: no real program sends it and many cannot read it."""
HOPS = 50
"""More Received fields than this are a mail loop (RFC 5321 §6.3 suggests at least 100; fewer is safe for a home server)."""
NESTING_LEVELS = 100
"""MIME nesting levels described; a deeper part is one opaque leaf, its octets are kept."""
MIME_PARTS = 10_000
"""Parts described in one message; the rest is one opaque leaf."""

# --- SMTP ------------------------------------------------------------------------------------
SMTP_COMMAND_OCTETS = 2048
"""RFC 5321 §4.5.3.1.4 requires 512, extensions add to it; AUTH lines have a limit of their own."""
AUTH_LINE_OCTETS = 12_288
"""RFC 4954 §4."""
LOCAL_PART_OCTETS = 255
"""RFC 5321 §4.5.3.1.1 requires 64; forwarders that rewrite senders (SRS) make longer ones."""
DOMAIN_OCTETS = 255
"""RFC 5321 §4.5.3.1.2."""
RECIPIENTS = 1000
"""RFC 5321 §4.5.3.1.8: at least 100."""
SMTP_COMMAND_S = 300
"""RFC 5321 §4.5.3.2.7."""
SMTP_DATA_BLOCK_S = 180
"""RFC 5321 §4.5.3.2.5: three minutes for each block of data."""
SMTP_MESSAGE_S = 3600
"""Longest time from 354 to the last octet of a message: 150 MB at 45 kB/s. Without it a trickle of octets holds a connection for ever."""
SMTP_LINGER_S = 5
"""How long input of a refused client is still read before the connection closes, so that a TCP reset does not discard the reply."""
SMTP_ERRORS = 20
"""Erroneous commands after which a session is closed with 421."""

# --- IMAP ------------------------------------------------------------------------------------
IMAP_LINE_OCTETS = 64 * 2**10
"""RFC 7162 §4 requires at least 8192 (long UID sets)."""
IMAP_COMMAND_OCTETS = 512 * 2**10
"""One command with its literals, except for the messages of APPEND."""
LITERAL_BEFORE_LOGIN_OCTETS = 1024
LITERAL_DISCARD_OCTETS = 64 * 2**10
"""A refused non-synchronizing literal is read and discarded up to this size; a larger one ends the session with BYE."""
IMAP_IDLE_S = 30 * 60
"""RFC 3501 §5.4: at least 30 minutes."""
IMAP_BEFORE_LOGIN_S = 60
IMAP_ERRORS = 50
"""Consecutive BAD responses after which the session ends."""
MAILBOX_NAME_OCTETS = 1000
MAILBOXES = 5000
"""Mailboxes of one account."""
METADATA_VALUE_OCTETS = 16 * 2**10
"""The largest value that clients keep with a mailbox (RFC 5464): names, colours, filter scripts."""
METADATA_ENTRIES = 100
"""Values of one mailbox, and of the account itself."""
METADATA_ACCOUNT_OCTETS = 2**20
"""All values of an account."""
ACCOUNT_MESSAGES = 10_000_000
"""Messages of one account: their rows take 1 GB of the database, and a sequence view of them all 40 MB."""
MAILBOX_LEVELS = 32

# --- POP3 ------------------------------------------------------------------------------------
POP3_LINE_OCTETS = 512
"""RFC 2449 §4 requires 255; SASL responses are longer and use AUTH_LINE_OCTETS."""
POP3_IDLE_S = 600
"""RFC 1939 §3."""

# --- connections -----------------------------------------------------------------------------
CONNECTIONS = 1000
CONNECTIONS_PER_ADDRESS = 60
"""A family behind one NAT address needs at least 40 (Thunderbird opens five for each account)."""
TLS_HANDSHAKE_S = 30
CLOSE_S = 2
"""How long a TLS closing handshake may take."""
LOOK_S = 3
"""How often the server checks that a waiting client is still connected; longer than a failed login is delayed."""
CLOSE_DRAINING_S = 0.25
"""The same when the server shuts down: idle clients have nothing to say, and shutdown waits for the last of them."""

# --- reading and writing ---------------------------------------------------------------------
READ_OCTETS = 64 * 2**10
"""Most octets read from a socket at once."""
MESSAGE_READ_OCTETS = 4 * READ_OCTETS
"""The same while a message comes in without TLS: each read costs a large message a turn of all other sessions."""
BATCH_ROWS = 500
"""Rows of one read batch; the statement is closed before anything is sent."""
RECEIVE_BUDGET_OCTETS = 16 * 2**20
"""Octets of messages buffered in memory while they are received, for the whole server."""
RECEIVE_WAIT_S = 60
"""How long a new message waits for that budget before 452."""
WRITER_REQUESTS = 512
WRITER_OCTETS = 16 * 2**20
"""Capacity of the database writer's queue; further requests wait."""
LAZY_S = 5.0
"""Longest a lazy change (\\Seen by reading, last login) waits for other changes to be committed with."""
RESERVE_OCTETS = 8 * 2**20
"""Free storage that arriving mail may not use, so that deleting still works when storage is full."""

# --- signing in ------------------------------------------------------------------------------
PASSWORD_OCTETS = 1024
LOGIN_NAME_OCTETS = 320
GUESSES_PER_MINUTE = 10
"""Different wrong passwords a minute from one source before login is delayed."""
LOGIN_S = 60
"""Longest delay of a login response."""
