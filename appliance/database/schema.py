"""The tables, as the text of each step that made them, in plain SQL for SQLite 3.40 and later.

`STEP_1` is what the first release made: frozen, never changed. A later change is a step of its own below it (see
`migrations`): new tables, and new columns with a default; rows are filled by a background task, never at start.

Rules kept here: rows that change often are small (a flag change rewrites `message` alone; `message_data` is written once),
ids come from durable counters (`counter`) and never from SQLite's rowid, a column that refers to a row has the name of its
table, `_at` is UTC seconds, and whoever opens the file with the sqlite3 command can read every statement.
"""

STEP_1: tuple[str, ...] = (
    # --- the server -------------------------------------------------------------------------------------
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    # `next`: the first number that nothing can have been given; those below it are used or skipped
    "CREATE TABLE counter(name TEXT PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID",
    # --- accounts --------------------------------------------------------------------------------------
    "CREATE TABLE domain(name TEXT PRIMARY KEY, catch_all TEXT)",
    # `name` is shown to people; a `disabled` account receives and cannot sign in; a removed one keeps its rows until it is purged
    """CREATE TABLE account(id INTEGER PRIMARY KEY, address TEXT NOT NULL UNIQUE, name TEXT NOT NULL DEFAULT '',
        quota_octets INTEGER, added_at INTEGER NOT NULL, disabled INTEGER NOT NULL DEFAULT 0, removed_at INTEGER)""",
    "CREATE TABLE alias(address TEXT, target TEXT, PRIMARY KEY(address, target)) WITHOUT ROWID",
    # the account's own password has no label, an app password has one; `used_from` is the client's address
    """CREATE TABLE password(id INTEGER PRIMARY KEY, account INTEGER NOT NULL, label TEXT NOT NULL DEFAULT '',
        argon2 TEXT, scram_salt BLOB, scram_iterations INTEGER, scram_stored BLOB, scram_server BLOB,
        set_at INTEGER, used_at INTEGER, used_from TEXT NOT NULL DEFAULT '', used_protocol TEXT NOT NULL DEFAULT '')""",
    "CREATE INDEX password_account ON password(account)",
    # --- mailboxes -------------------------------------------------------------------------------------
    # MODSEQs are the account's (store/modseq): `modseq` of the last change in the mailbox, `created_modseq` of its creation,
    # `changed_modseq` of the last change of the mailbox itself: creation, name, special use, subscription
    # `messages` to `octets` sum up the mailbox's rows in `message`; UIDs from `recent_from` on were shown to no session as \Recent;
    # `expunged_runs` counts the rows in `expunged`, of which those up to MODSEQ `expunged_horizon` have been dropped
    """CREATE TABLE mailbox(id INTEGER PRIMARY KEY, account INTEGER NOT NULL, name TEXT NOT NULL,
        special_use TEXT NOT NULL DEFAULT '', selectable INTEGER NOT NULL DEFAULT 1,
        uid_validity INTEGER NOT NULL, uid_next INTEGER NOT NULL DEFAULT 1, modseq INTEGER NOT NULL DEFAULT 1,
        created_modseq INTEGER NOT NULL DEFAULT 1, changed_modseq INTEGER NOT NULL DEFAULT 1,
        messages INTEGER NOT NULL DEFAULT 0, unseen INTEGER NOT NULL DEFAULT 0, deleted INTEGER NOT NULL DEFAULT 0,
        octets INTEGER NOT NULL DEFAULT 0, recent_from INTEGER NOT NULL DEFAULT 1,
        expunged_horizon INTEGER NOT NULL DEFAULT 0, expunged_runs INTEGER NOT NULL DEFAULT 0, UNIQUE(account, name))""",
    # which mailboxes were deleted, and the MODSEQ of that; the newest of each account
    "CREATE TABLE deleted_mailbox(account INTEGER, modseq INTEGER, mailbox INTEGER, PRIMARY KEY(account, modseq, mailbox)) WITHOUT ROWID",
    # the highest UIDVALIDITY a name had before its mailbox was deleted or renamed
    "CREATE TABLE used_uid_validity(account INTEGER, name TEXT, uid_validity INTEGER NOT NULL, PRIMARY KEY(account, name)) WITHOUT ROWID",
    "CREATE TABLE subscription(account INTEGER, name TEXT, PRIMARY KEY(account, name)) WITHOUT ROWID",
    # the name of flag bit KEYWORD_SHIFT + `bit` in one mailbox
    "CREATE TABLE keyword(mailbox INTEGER, bit INTEGER, name TEXT NOT NULL, PRIMARY KEY(mailbox, bit)) WITHOUT ROWID",
    # --- messages --------------------------------------------------------------------------------------
    # a message in a mailbox: the small row that changes with its flags
    """CREATE TABLE message(mailbox INTEGER, uid INTEGER, modseq INTEGER NOT NULL, flags INTEGER NOT NULL,
        internal_at INTEGER NOT NULL, octets INTEGER NOT NULL, body INTEGER NOT NULL, message_data INTEGER NOT NULL,
        PRIMARY KEY(mailbox, uid)) WITHOUT ROWID""",
    "CREATE INDEX message_modseq ON message(mailbox, modseq)",
    # what copies of a message share, ready to send; its id is the message's identity (MessageId); `refcount` counts the rows in
    # `message` that share it; `created_modseq` is that of its first append. `thread` is the id of the thread's first message, set once;
    # `root_hash` is set where a thread begins with a reply to a message that is not here (store/threads). `described_by` is the version
    # of the scanner that made `message_id_hash`, `subject_hash`, `reference_ids` (References and In-Reply-To), and `sent_at` to `preview`
    """CREATE TABLE message_data(id INTEGER PRIMARY KEY, account INTEGER NOT NULL, refcount INTEGER NOT NULL DEFAULT 1,
        created_modseq INTEGER NOT NULL, thread INTEGER NOT NULL, message_id_hash INTEGER, root_hash INTEGER,
        subject_hash INTEGER NOT NULL, reference_ids TEXT NOT NULL DEFAULT '', described_by INTEGER NOT NULL, sent_at INTEGER,
        prefix BLOB NOT NULL, envelope BLOB NOT NULL, bodystructure BLOB NOT NULL, parts BLOB NOT NULL,
        preview TEXT NOT NULL DEFAULT '')""",
    "CREATE INDEX message_data_message_id ON message_data(message_id_hash) WHERE message_id_hash IS NOT NULL",
    "CREATE INDEX message_data_root ON message_data(root_hash) WHERE root_hash IS NOT NULL",
    # one row is a run of consecutive UIDs that were expunged together
    """CREATE TABLE expunged(mailbox INTEGER, modseq INTEGER, first_uid INTEGER, last_uid INTEGER NOT NULL,
        PRIMARY KEY(mailbox, modseq, first_uid)) WITHOUT ROWID""",
    # --- bodies ----------------------------------------------------------------------------------------
    # `refcount` counts the rows of `message_data` and `queue` that need the octets; `digest` names the file, NULL when the octets are
    # in `body_data`
    """CREATE TABLE body(id INTEGER PRIMARY KEY, octets INTEGER NOT NULL, stored_octets INTEGER NOT NULL,
        refcount INTEGER NOT NULL, digest BLOB)""",
    "CREATE UNIQUE INDEX body_digest ON body(digest) WHERE digest IS NOT NULL",
    "CREATE INDEX body_unreferenced ON body(id) WHERE refcount = 0",
    "CREATE TABLE body_data(id INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    # bodies that grow when every line ends in CRLF, and by how many octets (store/wire_sizes)
    "CREATE TABLE body_crlf(id INTEGER PRIMARY KEY, missing_octets INTEGER NOT NULL)",
    "CREATE TRIGGER body_crlf_delete AFTER DELETE ON body BEGIN DELETE FROM body_crlf WHERE id = OLD.id; END",
    # where an interrupted import goes on
    "CREATE TABLE import_progress(account INTEGER, source TEXT, position TEXT, PRIMARY KEY(account, source)) WITHOUT ROWID",
    # --- queue -----------------------------------------------------------------------------------------
    # one message to one destination (queue/entry); `recipients` is JSON: options of each, and the last reply
    """CREATE TABLE queue(id INTEGER PRIMARY KEY, destination TEXT NOT NULL, held INTEGER NOT NULL DEFAULT 0, due_at INTEGER NOT NULL,
        tries INTEGER NOT NULL DEFAULT 0, waited_s INTEGER NOT NULL DEFAULT 0, interval_s INTEGER NOT NULL DEFAULT 0,
        refusals INTEGER NOT NULL DEFAULT 0, delay_sent INTEGER NOT NULL DEFAULT 0, recipients TEXT NOT NULL, message TEXT NOT NULL,
        accepted_at INTEGER NOT NULL, release_at INTEGER NOT NULL DEFAULT 0, account INTEGER, sender TEXT, origin TEXT,
        body INTEGER NOT NULL, prefix BLOB NOT NULL, octets INTEGER NOT NULL, header_octets INTEGER NOT NULL,
        options TEXT NOT NULL DEFAULT '', outbox_mailbox INTEGER, outbox_uid INTEGER)""",
    "CREATE INDEX queue_due ON queue(destination, due_at) WHERE held = 0",
    "CREATE INDEX queue_message ON queue(message)",
    "CREATE INDEX queue_outbox ON queue(outbox_mailbox, outbox_uid) WHERE outbox_mailbox IS NOT NULL",
    # what became of each queued message (queue/history); the id rises, so the oldest rows have the lowest
    """CREATE TABLE history(id INTEGER PRIMARY KEY, message TEXT NOT NULL, at INTEGER NOT NULL, event TEXT NOT NULL,
        details TEXT NOT NULL)""",
    "CREATE INDEX history_message ON history(message)",
    # --- TLS of other servers ---------------------------------------------------------------------------
    # which domains spoke TLS before, so that a downgrade is noticed
    "CREATE TABLE tls_memory(domain TEXT PRIMARY KEY, seen_at INTEGER NOT NULL, tls TEXT NOT NULL) WITHOUT ROWID",
    # MTA-STS policies (RFC 8461) that other domains publish
    """CREATE TABLE mta_sts_policy(domain TEXT PRIMARY KEY, id TEXT NOT NULL, policy BLOB NOT NULL, expires_at INTEGER NOT NULL)
        WITHOUT ROWID""",
    # --- rows ------------------------------------------------------------------------------------------
    # UIDVALIDITY (32 bits) begins at a random number, so that a new server on the same storage is not taken for the old one
    "INSERT INTO counter VALUES('uid_validity', abs(random() % 1073741824) + 1)",
)

STEP_2: tuple[str, ...] = (
    # how many rows of `message` share a row of `message_data`, where more than one does: no row here means one. It takes the place of
    # `message_data.refcount`, which nobody reads or writes any more: COPY and EXPUNGE rewrote a wide row for each message
    "CREATE TABLE shared_data(message_data INTEGER PRIMARY KEY, refcount INTEGER NOT NULL)",
    # counted from the narrow rows, a twentieth of the octets of the wide ones
    "INSERT INTO shared_data SELECT message_data, count(*) FROM message GROUP BY message_data HAVING count(*) > 1",
)

STEP_3: tuple[str, ...] = (
    # seconds from `internal_at` to when the message was saved in this mailbox (RFC 8514); 0 takes no octet; NULL: not known
    "ALTER TABLE message ADD COLUMN saved_after_s INTEGER",
    # of how many of `reference_ids` References consists, those behind are In-Reply-To's; and whether the subject is that of a reply or
    # forward (RFC 5256 §2.1, §3); NULL: not known, described by an older scanner
    "ALTER TABLE message_data ADD COLUMN own_references INTEGER",
    "ALTER TABLE message_data ADD COLUMN is_reply INTEGER",
)

STEP_4: tuple[str, ...] = (
    # which messages left the account (`gone`: JSON of [id, thread, created_modseq] each) or one mailbox of several (`remaining`: ids);
    # one row for each commit that expunges (store/departures)
    """CREATE TABLE departure(account INTEGER, modseq INTEGER, gone TEXT, remaining TEXT, PRIMARY KEY(account, modseq)) WITHOUT ROWID""",
)

STEP_5: tuple[str, ...] = (
    # sessions of browsers: `digest` is the SHA-256 of the cookie's secret, `password` the row signed in with, `agent` the browser
    """CREATE TABLE web_session(digest BLOB PRIMARY KEY, account INTEGER NOT NULL, password INTEGER NOT NULL,
        made_at INTEGER NOT NULL, used_at INTEGER NOT NULL, peer TEXT NOT NULL DEFAULT '', agent TEXT NOT NULL DEFAULT '',
        language TEXT NOT NULL DEFAULT '') WITHOUT ROWID""",
)

STEP_6: tuple[str, ...] = (
    # which mailboxes hold a message: its id only rises, so a commit adds to the last page (1.3 kB written for one message alone)
    "CREATE INDEX message_by_data ON message(message_data)",
    # which messages a thread has besides its first; a message that begins one costs nothing
    "CREATE INDEX message_data_thread ON message_data(thread) WHERE thread <> id",
)

STEP_7: tuple[str, ...] = (
    # values that clients keep with a mailbox, or with the account (mailbox 0), by name in lower case (RFC 5464; store/metadata)
    """CREATE TABLE metadata(account INTEGER, mailbox INTEGER, entry TEXT, value BLOB NOT NULL, PRIMARY KEY(account, mailbox, entry))
        WITHOUT ROWID""",
)

STEP_8: tuple[str, ...] = (
    # what a user sends as, beside the defaults of their addresses (store/identities); `details` is JSON: name, replyTo, bcc, signatures
    """CREATE TABLE identity(id INTEGER PRIMARY KEY, account INTEGER NOT NULL, address TEXT NOT NULL, is_default INTEGER NOT NULL,
        details TEXT NOT NULL, created_modseq INTEGER NOT NULL, modseq INTEGER NOT NULL, destroyed INTEGER NOT NULL DEFAULT 0)""",
    "CREATE INDEX identity_account ON identity(account, modseq)",
    # messages submitted by JMAP (queue/submissions); `message` as in `queue` and `history`, `recipients` JSON, `undo` pending, final or
    # canceled
    """CREATE TABLE submission(id INTEGER PRIMARY KEY, account INTEGER NOT NULL, message TEXT NOT NULL, identity TEXT NOT NULL,
        email INTEGER NOT NULL, thread INTEGER NOT NULL, envelope TEXT NOT NULL, recipients TEXT NOT NULL, send_at INTEGER NOT NULL,
        undo TEXT NOT NULL, created_modseq INTEGER NOT NULL, modseq INTEGER NOT NULL, destroyed INTEGER NOT NULL DEFAULT 0)""",
    "CREATE INDEX submission_account ON submission(account, modseq)",
    "CREATE INDEX submission_message ON submission(message)",
    # up to which MODSEQ it is not known any more what was destroyed in one of these tables (store/object_changes)
    "CREATE TABLE forgotten_change(account INTEGER, kind TEXT, modseq INTEGER NOT NULL, PRIMARY KEY(account, kind)) WITHOUT ROWID",
    # where to push changes to (accounts/push_subscriptions): `password` and `session` are the credentials it was made with, `secrets`
    # JSON: url, keys, verification code
    """CREATE TABLE push_subscription(id INTEGER PRIMARY KEY, account INTEGER NOT NULL, password INTEGER NOT NULL,
        session BLOB NOT NULL DEFAULT x'', device TEXT NOT NULL, secrets TEXT NOT NULL, verified INTEGER NOT NULL DEFAULT 0,
        types TEXT NOT NULL DEFAULT '', expires_at INTEGER NOT NULL)""",
)

STEP_9: tuple[str, ...] = (
    # octets that a client uploaded, to be used in a message within a day (RFC 8620 §6.1; store/uploads); `body` counts the row
    """CREATE TABLE upload(id INTEGER PRIMARY KEY, account INTEGER NOT NULL, body INTEGER NOT NULL, octets INTEGER NOT NULL,
        media_type TEXT NOT NULL, uploaded_at INTEGER NOT NULL)""",
)

STEP_10: tuple[str, ...] = (
    # what another account may do with a mailbox, as characters (mail/rights); `number` rises with each grant: in that order names are given
    # to shared mailboxes (store/sharing)
    """CREATE TABLE mailbox_right(mailbox INTEGER, account INTEGER, rights TEXT NOT NULL, number INTEGER NOT NULL,
        PRIMARY KEY(mailbox, account)) WITHOUT ROWID""",
    "CREATE INDEX mailbox_right_account ON mailbox_right(account)",
)

STEP_11: tuple[str, ...] = (
    # may the account administrate the server? There is always one that may and can sign in (accounts/states)
    "ALTER TABLE account ADD COLUMN is_admin INTEGER NOT NULL DEFAULT 0",
    # until now the first account did, by being the first: one row is written, and no other
    "UPDATE account SET is_admin = 1 WHERE id = (SELECT id FROM account ORDER BY removed_at IS NOT NULL, disabled, id LIMIT 1)",
    # the serial console had a password of its own
    "DELETE FROM meta WHERE key = 'admin_password'",
    # set by an administrator: the owner has to choose another at the next sign-in in a browser
    "ALTER TABLE password ADD COLUMN must_change INTEGER NOT NULL DEFAULT 0",
    # secrets of TOTP: `last_step` is the newest time step whose code was used, `salt` that of the recovery codes
    """CREATE TABLE second_factor(account INTEGER PRIMARY KEY, secret BLOB NOT NULL, salt BLOB NOT NULL, made_at INTEGER NOT NULL,
        last_step INTEGER NOT NULL)""",
    # recovery codes that were not used yet, hashed
    "CREATE TABLE recovery_code(account INTEGER, digest BLOB, PRIMARY KEY(account, digest)) WITHOUT ROWID",
)

STEP_12: tuple[str, ...] = (
    # where an account's messages go besides, or instead (accounts/forwarding); `confirmed` 0: the code that went there is awaited
    """CREATE TABLE forwarding(account INTEGER, confirmed INTEGER, target TEXT NOT NULL, keep INTEGER NOT NULL, code BLOB,
        asked_at INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(account, confirmed)) WITHOUT ROWID""",
)

STEP_13: tuple[str, ...] = (
    # the language that the account's owner chose, as a tag; '' for none (languages/catalogues)
    "ALTER TABLE account ADD COLUMN language TEXT NOT NULL DEFAULT ''",
)

STEP_14: tuple[str, ...] = (
    # credentials of Web Authentication (accounts/passkeys); the id is one of `password`'s numbers: what a session signed in with. `host` is
    # the name (RP ID) it works for, `public_key` in DER, `sign_count` that of the last use; `credential` the authenticator's name for it
    """CREATE TABLE passkey(id INTEGER PRIMARY KEY, account INTEGER NOT NULL, name TEXT NOT NULL, host TEXT NOT NULL,
        credential BLOB NOT NULL UNIQUE, algorithm INTEGER NOT NULL, public_key BLOB NOT NULL, sign_count INTEGER NOT NULL,
        made_at INTEGER NOT NULL, used_at INTEGER)""",
)

STEP_15: tuple[str, ...] = (
    # how `viewer` sees a mailbox of `account` (store/shared_sight): is it in sight, and the owner's MODSEQs of when that changed, and of
    # when the right to read did
    """CREATE TABLE shared_sight(viewer INTEGER, account INTEGER, mailbox INTEGER, listed INTEGER NOT NULL, listed_modseq INTEGER NOT NULL,
        read_modseq INTEGER NOT NULL, PRIMARY KEY(viewer, account, mailbox)) WITHOUT ROWID""",
    """WITH state(account, modseq) AS (SELECT account, max(max(modseq, changed_modseq)) FROM mailbox GROUP BY account)
        INSERT INTO shared_sight SELECT r.account, b.account, b.id, 1, state.modseq, state.modseq FROM mailbox_right AS r
        JOIN mailbox AS b ON b.id = r.mailbox JOIN state ON state.account = b.account WHERE r.rights LIKE '%l%'""",
    # which messages came into a mailbox that others see, and which left it, as JSON (store/shared_members)
    "CREATE TABLE shared_change(mailbox INTEGER, modseq INTEGER, came TEXT, gone TEXT, PRIMARY KEY(mailbox, modseq)) WITHOUT ROWID",
)

STEP_16: tuple[str, ...] = (
    # nothing was ever kept in the table of step 8
    "DROP TABLE push_subscription",
    # where changes are pushed to (accounts/push_subscriptions): `password` and `session` are the credentials it was made with, `wanted`
    # JSON of what is pushed, `secrets` JSON: URL, the client's keys, verification code, the server's public key
    """CREATE TABLE push_subscription(id INTEGER PRIMARY KEY, account INTEGER NOT NULL, password INTEGER NOT NULL, session BLOB NOT NULL,
        device TEXT NOT NULL, made_at INTEGER NOT NULL, expires_at INTEGER, verified INTEGER NOT NULL, wanted TEXT NOT NULL,
        secrets TEXT NOT NULL)""",
)

STEP_17: tuple[str, ...] = (
    # which messages were added or changed with a MODSEQ: a run of UIDs, whose messages that have this MODSEQ are meant (store/change_runs).
    # The newest runs of a mailbox; it takes the place of an index of all messages by MODSEQ, of which a change of flags wrote two entries
    # for each message
    """CREATE TABLE changed(mailbox INTEGER, modseq INTEGER, first_uid INTEGER, last_uid INTEGER NOT NULL,
        PRIMARY KEY(mailbox, modseq, first_uid)) WITHOUT ROWID""",
    "DROP INDEX message_modseq",
)
