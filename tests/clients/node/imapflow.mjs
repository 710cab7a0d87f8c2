// imapflow: a mailbox is shared, read, watched by IDLE and emptied by another account; octets and flags stay what they were.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { ImapFlow } from 'imapflow';

const [host, port, authority, ada, ben, password] = process.argv.slice(2);
const mail = Buffer.from('From: a@b.example\r\nSubject: Grüße\r\n\r\nhello\r\n.dot\r\n');

async function connected(user) {
  const tls = { ca: fs.readFileSync(authority) };
  const client = new ImapFlow({ host, port: Number(port), secure: true, tls, auth: { user, pass: password }, logger: false });
  await client.connect();
  return client;
}

const owner = await connected(ada);
const other = await connected(ben);
assert(owner.enabled.has('IMAP4REV2') && owner.enabled.has('CONDSTORE'));
await owner.mailboxCreate('Family');
await owner.append('Family', mail, ['\\Flagged', '$Label1']);
const words = ['Family', ben, 'lrswite'].map((value) => ({ type: 'STRING', value }));
(await owner.exec('SETACL', words)).next();

const shared = (await other.list()).find((one) => one.path === 'Shared/Family');
assert(shared.subscribed && !shared.specialUse);
const lock = await other.getMailboxLock('Shared/Family');
const first = await other.fetchOne('1', { source: true, flags: true, envelope: true });
assert(first.source.equals(mail));
assert.deepEqual([...first.flags].sort(), ['$Label1', '\\Flagged']);
assert.equal(first.envelope.subject, 'Grüße');
const told = new Promise((done) => other.on('exists', done));
other.idle();
await owner.append('Family', mail);
assert.equal((await told).count, 2);
assert(await other.messageFlagsAdd('1:2', ['\\Answered']));
assert.equal((await other.messageMove('2', 'INBOX')).uidMap.size, 1);
lock.release();

assert.equal((await owner.status('Family', { messages: true })).messages, 1);
await owner.mailboxOpen('Family');
assert.deepEqual(await owner.search({ subject: 'GRÜSSE' }), [1]);
assert((await owner.fetchOne('1', { flags: true })).flags.has('\\Answered'));
await other.mailboxOpen('INBOX');
const moved = await other.fetchOne('*', { source: true, flags: true });
assert(moved.source.equals(mail) && moved.flags.has('\\Answered'));
assert.equal((await other.getQuota('Shared/Family')).quotaRoot, ada);
await owner.logout();
await other.logout();
