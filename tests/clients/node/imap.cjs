// node-imap: append, search, fetch, flag, move and thread; octets and flags stay what they were.
const assert = require('node:assert/strict');
const fs = require('node:fs');
const { promisify } = require('node:util');
const Imap = require('imap');

const [host, port, authority, user, , password] = process.argv.slice(2);
const mail = 'From: a@b.example\r\nSubject: x\r\n\r\nhello\r\n.dot\r\n';
const imap = new Imap({ user, password, host, port: Number(port), tls: true, tlsOptions: { ca: fs.readFileSync(authority) } });
const call = (name, ...values) => promisify(imap[name]).apply(imap, values);

function fetched(uids) {
  return new Promise((done, fail) => {
    const found = { octets: '', flags: [] };
    const fetch = imap.fetch(uids, { bodies: '', struct: true });
    fetch.on('message', (message) => {
      message.on('body', (stream) => stream.on('data', (chunk) => (found.octets += chunk)));
      message.once('attributes', (attributes) => (found.flags = attributes.flags.filter((flag) => flag !== '\\Recent')));
    });
    fetch.once('error', fail);
    fetch.once('end', () => done(found));
  });
}

async function run() {
  assert.equal(imap.namespaces.other[0].prefix, 'Shared/');
  await call('append', mail, { mailbox: 'INBOX', flags: ['Flagged'] });
  await call('openBox', 'INBOX', false);
  const uids = await call('search', [['SUBJECT', 'x']]);
  assert.deepEqual(await fetched(uids), { octets: mail, flags: ['\\Flagged'] });
  await call('addFlags', uids, 'Answered');
  assert.equal((await call('thread', 'REFERENCES', ['ALL'])).length, 1);
  await call('move', uids, 'Archive');
  await call('openBox', 'Archive', true);
  const moved = await fetched(await call('search', ['ALL']));
  assert.deepEqual([moved.octets, moved.flags.sort()], [mail, ['\\Answered', '\\Flagged']]);
  imap.end();
}

imap.once('error', (error) => { throw error; });
imap.once('ready', () => run().catch((error) => { console.error(error); process.exit(1); }));
imap.connect();
