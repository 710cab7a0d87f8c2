"""Every octet, count and seconds limit in one table, each with its reason or RFC section."""

MB = 1_000_000
"""A megabyte as settings and people count it."""

# --- messages ---------------------------------------------------------------------------------
MESSAGE_OCTETS = 150 * 2**20
"""Largest message taken in by default; a 100 MB attachment in base64 fits (RFC 1870)."""
HEADER_OCTETS = 256 * 2**10
"""Header octets the scanner describes; a message over SMTP with a larger header is refused, 552."""
SMTP_LINE_OCTETS = 998 + 2
"""RFC 5321 §4.5.3.1.6: a text line; longer ones are kept (real mail breaks this), up to TEXT_LINE_OCTETS."""
TEXT_LINE_OCTETS = 1 << 20
"""A longer line inside a message over SMTP is refused: nothing real sends it and it defeats every reader."""
HOPS = 50
"""Received fields above which a message loops (RFC 5321 §6.3 asks for at least 100 or less with care)."""
NESTING_LEVELS = 100
"""MIME levels described; deeper parts are one opaque leaf, the octets are kept whole."""
MIME_PARTS = 10_000
"""Parts described in one message; the rest is one opaque leaf."""

# --- SMTP ------------------------------------------------------------------------------------
SMTP_COMMAND_OCTETS = 2048
"""RFC 5321 §4.5.3.1.4 asks 512, SMTPUTF8 and AUTH want more (RFC 4954 §4: 12,288 for AUTH lines alone)."""
AUTH_LINE_OCTETS = 12_288
LOCAL_PART_OCTETS = 255
"""RFC 5321 §4.5.3.1.1 promises 64; forwarders that rewrite senders make longer ones."""
DOMAIN_OCTETS = 255
"""RFC 5321 §4.5.3.1.2."""
RECIPIENTS = 1000
"""RFC 5321 §4.5.3.1.8: at least 100."""
SMTP_COMMAND_S = 300
"""RFC 5321 §4.5.3.2.7."""
SMTP_DATA_BLOCK_S = 180
"""RFC 5321 §4.5.3.2.5 gives the sender three minutes a block."""
SMTP_MESSAGE_S = 3600
"""Longest one message may take from 354 to its last octet: 150 MB at 45 kB/s. Else an octet now and then holds a place for ever."""
SMTP_LINGER_S = 5
"""How long a refused sender is read on before the connection closes, so that the refusal reaches it."""
SMTP_ERRORS = 20
"""Bad commands after which a session is closed with 421."""

# --- IMAP ------------------------------------------------------------------------------------
IMAP_LINE_OCTETS = 64 * 2**10
"""RFC 7162 §4 asks for at least 8192 (long UID sets)."""
IMAP_COMMAND_OCTETS = 512 * 2**10
"""One command with its literals, APPEND's message aside."""
LITERAL_BEFORE_LOGIN_OCTETS = 1024
LITERAL_THROWN_AWAY_OCTETS = 64 * 2**10
"""A non-synchronising literal that is refused is read and thrown away up to this; beyond it BYE."""
IMAP_IDLE_S = 30 * 60
"""RFC 3501 §5.4: at least 30 minutes."""
IMAP_BEFORE_LOGIN_S = 60
IMAP_ERRORS = 50
"""BAD answers in a row after which the session ends."""
MAILBOX_NAME_OCTETS = 1000
MAILBOXES = 5000
"""Mailboxes of one person."""
MAILBOX_LEVELS = 32

# --- POP3 ------------------------------------------------------------------------------------
POP3_LINE_OCTETS = 512
"""RFC 2449 §4 asks for 255; SASL responses are longer and use AUTH_LINE_OCTETS."""
POP3_IDLE_S = 600
"""RFC 1939 §3."""

# --- connections -----------------------------------------------------------------------------
CONNECTIONS = 1000
CONNECTIONS_PER_ADDRESS = 60
"""A family behind one address: at least 40 (Thunderbird opens five a mailbox owner)."""
TLS_HANDSHAKE_S = 30
CLOSE_S = 2
"""How long a closing handshake may take."""
LOOK_S = 3
"""How often the server looks whether a client it keeps waiting is still there; longer than a refusal is held."""
CLOSE_DRAINING_S = 0.25
"""The same when the server closes: clients that idle have nothing to say, and everybody waits for the last of them."""

# --- reading and writing ---------------------------------------------------------------------
READ_OCTETS = 64 * 2**10
"""Octets asked of a socket at once."""
BATCH_ROWS = 500
"""Rows of one read window; the statement is closed before anything is sent."""
RECEIVE_BUDGET_OCTETS = 16 * 2**20
"""Octets of messages held in memory while they are received, the whole server together."""
RECEIVE_WAIT_S = 60
"""How long a new message waits for that budget before 452."""
WRITER_REQUESTS = 512
WRITER_OCTETS = 16 * 2**20
"""The writer's inbox; who comes later waits."""
LAZY_S = 5.0
"""Longest a lazy change (\\Seen by reading, last login) waits for company."""
RESERVE_OCTETS = 8 * 2**20
"""Card space that arriving mail may not use, so that deleting still works on a full card."""

# --- signing in ------------------------------------------------------------------------------
PASSWORD_OCTETS = 1024
LOGIN_NAME_OCTETS = 320
GUESSES_PER_MINUTE = 10
"""Different wrong passwords a minute from one source before answers slow down."""
LOGIN_S = 60
"""Longest a login answer is held back."""
