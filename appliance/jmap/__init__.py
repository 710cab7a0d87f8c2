"""The JMAP server: methods over the store, the queue and the accounts (RFC 8620, RFC 8621). It knows no HTTP: `web` calls it."""
