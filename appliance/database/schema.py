"""All tables in one place, in plain SQL for SQLite 3.40 and later.

Rules kept here: hot rows are small (a flag change rewrites `message` alone, `fact` never changes), ids come
from durable counters and never from SQLite's rowid, and every statement can be read by whoever opens the
file with the sqlite3 command. Steps that change a table that has been shipped go into `migrations`.
"""

TABLES: tuple[str, ...] = (
    # --- the server -------------------------------------------------------------------------------------
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    # `next`: the first id nobody may have been given; ids below it are used up or skipped
    "CREATE TABLE counter(name TEXT PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID",
    # --- people ----------------------------------------------------------------------------------------
    "CREATE TABLE domain(name TEXT PRIMARY KEY, catch_all TEXT)",
    "CREATE TABLE account(id INTEGER PRIMARY KEY, address TEXT NOT NULL UNIQUE, quota_octets INTEGER, added_at INTEGER NOT NULL)",
    "CREATE TABLE alias(address TEXT, target TEXT, PRIMARY KEY(address, target)) WITHOUT ROWID",
    """CREATE TABLE password(id INTEGER PRIMARY KEY, account INTEGER NOT NULL, label TEXT NOT NULL DEFAULT '',
        argon2 TEXT, scram_salt BLOB, scram_iterations INTEGER, scram_stored BLOB, scram_server BLOB,
        set_at INTEGER, used_at INTEGER)""",
    "CREATE INDEX password_account ON password(account)",
    # --- mailboxes -------------------------------------------------------------------------------------
    """CREATE TABLE mailbox(id INTEGER PRIMARY KEY, account INTEGER NOT NULL, name TEXT NOT NULL,
        special_use TEXT NOT NULL DEFAULT '', selectable INTEGER NOT NULL DEFAULT 1,
        uid_validity INTEGER NOT NULL, uid_next INTEGER NOT NULL DEFAULT 1, modseq INTEGER NOT NULL DEFAULT 1,
        messages INTEGER NOT NULL DEFAULT 0, unseen INTEGER NOT NULL DEFAULT 0, deleted INTEGER NOT NULL DEFAULT 0,
        octets INTEGER NOT NULL DEFAULT 0, recent_from INTEGER NOT NULL DEFAULT 1,
        horizon INTEGER NOT NULL DEFAULT 0, tombstones INTEGER NOT NULL DEFAULT 0, UNIQUE(account, name))""",
    # the highest UIDVALIDITY a name had before its mailbox was deleted or renamed away
    "CREATE TABLE deleted_mailbox(account INTEGER, name TEXT, uid_validity INTEGER NOT NULL, PRIMARY KEY(account, name)) WITHOUT ROWID",
    "CREATE TABLE subscription(account INTEGER, name TEXT, PRIMARY KEY(account, name)) WITHOUT ROWID",
    "CREATE TABLE keyword(mailbox INTEGER, bit INTEGER, name TEXT NOT NULL, PRIMARY KEY(mailbox, bit)) WITHOUT ROWID",
    # --- messages --------------------------------------------------------------------------------------
    """CREATE TABLE message(mailbox INTEGER, uid INTEGER, modseq INTEGER NOT NULL, flags INTEGER NOT NULL,
        internal_at INTEGER NOT NULL, octets INTEGER NOT NULL, body INTEGER NOT NULL, fact INTEGER NOT NULL,
        PRIMARY KEY(mailbox, uid)) WITHOUT ROWID""",
    "CREATE INDEX message_modseq ON message(mailbox, modseq)",
    # cold and ready to send; its id is the MessageId; `holders` counts the message rows that share it (copies)
    """CREATE TABLE fact(id INTEGER PRIMARY KEY, refcount INTEGER NOT NULL DEFAULT 1, described_by INTEGER NOT NULL,
        sent_at INTEGER, prefix BLOB NOT NULL, envelope BLOB NOT NULL, bodystructure BLOB NOT NULL, parts BLOB NOT NULL,
        preview TEXT NOT NULL DEFAULT '')""",
    # one row is a run of consecutive UIDs, `uid` to `last`; below `mailbox.horizon` runs have been dropped
    "CREATE TABLE expunged(mailbox INTEGER, modseq INTEGER, uid INTEGER, last INTEGER, PRIMARY KEY(mailbox, modseq, uid)) WITHOUT ROWID",
    # --- bodies ----------------------------------------------------------------------------------------
    # `holders` counts the fact and queue rows that need the octets; `digest` names the file, NULL when the octets are in `body_data`
    """CREATE TABLE body(id INTEGER PRIMARY KEY, octets INTEGER NOT NULL, stored_octets INTEGER NOT NULL,
        refcount INTEGER NOT NULL, digest BLOB)""",
    "CREATE UNIQUE INDEX body_digest ON body(digest) WHERE digest IS NOT NULL",
    "CREATE INDEX body_unreferenced ON body(id) WHERE refcount = 0",
    "CREATE TABLE body_data(id INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    # --- comings and goings ----------------------------------------------------------------------------
    "CREATE TABLE import_progress(account INTEGER, source TEXT, position TEXT, PRIMARY KEY(account, source)) WITHOUT ROWID",
)

QUEUE_TABLES: tuple[str, ...] = (
    # one message in one destination: see queue/entry. `recipients` is JSON: what is asked for each, and what the last attempt said
    """CREATE TABLE queue(id INTEGER PRIMARY KEY, destination TEXT NOT NULL, held INTEGER NOT NULL DEFAULT 0, due_at INTEGER NOT NULL,
        tries INTEGER NOT NULL DEFAULT 0, waited_s INTEGER NOT NULL DEFAULT 0, interval_s INTEGER NOT NULL DEFAULT 0,
        refusals INTEGER NOT NULL DEFAULT 0, delay_sent INTEGER NOT NULL DEFAULT 0, recipients TEXT NOT NULL, message TEXT NOT NULL,
        accepted_at INTEGER NOT NULL, release_at INTEGER NOT NULL DEFAULT 0, account INTEGER, sender TEXT, origin TEXT,
        body INTEGER NOT NULL, prefix BLOB NOT NULL, octets INTEGER NOT NULL, header_octets INTEGER NOT NULL,
        options TEXT NOT NULL DEFAULT '', outbox_mailbox INTEGER, outbox_uid INTEGER)""",
    "CREATE INDEX queue_due ON queue(destination, due_at) WHERE held = 0",
    "CREATE INDEX queue_message ON queue(message)",
    "CREATE INDEX queue_outbox ON queue(outbox_mailbox, outbox_uid) WHERE outbox_mailbox IS NOT NULL",
    # what became of each message, for people; its id rises, so the oldest have the lowest
    "CREATE TABLE history(id INTEGER PRIMARY KEY, message TEXT NOT NULL, at INTEGER NOT NULL, what TEXT NOT NULL, facts TEXT NOT NULL)",
    "CREATE INDEX history_message ON history(message)",
    # which domains spoke TLS before, so that a downgrade is noticed
    "CREATE TABLE tls_memory(domain TEXT PRIMARY KEY, seen_at INTEGER NOT NULL, tls TEXT NOT NULL) WITHOUT ROWID",
)

CRLF_TABLES: tuple[str, ...] = (
    # bodies that grow when every line ends in CRLF, and by how many octets: see store/wire_sizes
    "CREATE TABLE body_crlf(id INTEGER PRIMARY KEY, missing INTEGER NOT NULL)",
    "CREATE TRIGGER body_crlf_gone AFTER DELETE ON body BEGIN DELETE FROM body_crlf WHERE id = OLD.id; END",
    # bodies below this number are older than the table
    "INSERT INTO meta SELECT 'crlf_known_from', next FROM counter WHERE name = 'body'",
)

PASSWORD_COLUMNS: tuple[str, ...] = (
    # where a password was last used from, and by which protocol
    "ALTER TABLE password ADD COLUMN used_from TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE password ADD COLUMN used_protocol TEXT NOT NULL DEFAULT ''",
)

POLICY_TABLES: tuple[str, ...] = (
    # what domains publish about their mail servers, believed until `until_at`
    "CREATE TABLE sts_policy(domain TEXT PRIMARY KEY, id TEXT NOT NULL, policy BLOB NOT NULL, until_at INTEGER NOT NULL) WITHOUT ROWID",
)

ACCOUNT_STATES: tuple[str, ...] = (
    # a display name; `disabled` accounts receive and cannot sign in; removed ones keep their rows until they are purged
    "ALTER TABLE account ADD COLUMN name TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE account ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE account ADD COLUMN removed_at INTEGER",
)

ROWS: tuple[str, ...] = (
    # UIDVALIDITY (32 bits) begins at a random place, so that a card set up anew is not taken for the old one
    "INSERT INTO counter VALUES('uid_validity', abs(random() % 1073741824) + 1)",
)
"""What a new server starts with."""
