// jmap-jam: a message with an attachment is written, sent, read by another account, answered by flags, followed by changes and destroyed.
import assert from 'node:assert/strict';
import JamClient from 'jmap-jam';

const [sessionUrl, ben, adaToken, benToken] = process.argv.slice(2);
const [owner, other] = [adaToken, benToken].map((bearerToken) => new JamClient({ sessionUrl, bearerToken }));
const own = await owner.getPrimaryAccount();
const others = await other.getPrimaryAccount();

const [{ list: mailboxes }] = await owner.api.Mailbox.get({ accountId: own });
const named = (role) => mailboxes.find((one) => one.role === role).id;
const [{ list: identities }] = await owner.api.Identity.get({ accountId: own });
const [{ state: before }] = await other.api.Email.get({ accountId: others, ids: [] });

const octets = Buffer.from('Grüße\0\r\n'.repeat(1000));
const uploaded = await owner.uploadBlob(own, octets, { headers: { Authorization: owner.authHeader, 'Content-Type': 'image/png' } });
assert.equal(uploaded.size, octets.length);
const [sent, { createdIds }] = await owner.requestMany(
  (t) => ({
    draft: t.Email.set({
      accountId: own,
      create: {
        d: {
          mailboxIds: { [named('drafts')]: true },
          keywords: { $draft: true },
          from: [{ email: identities[0].email }],
          to: [{ name: 'Ben', email: ben }],
          subject: 'Grüße',
          textBody: [{ partId: 't', type: 'text/plain' }],
          bodyValues: { t: { value: 'hello\n.dot\n' } },
          attachments: [{ blobId: uploaded.blobId, type: 'image/png', name: 'bild.png', disposition: 'attachment' }],
        },
      },
    }),
    submission: t.EmailSubmission.set({
      accountId: own,
      create: { s: { emailId: '#d', identityId: identities[0].id } },
      onSuccessUpdateEmail: {
        '#s': { [`mailboxIds/${named('drafts')}`]: null, [`mailboxIds/${named('sent')}`]: true, 'keywords/$draft': null },
      },
    }),
  }),
  { createdIds: {} },
);
assert.equal(createdIds.d, sent.draft?.created?.d.id ?? createdIds.d);
const [{ list: [kept] }] = await owner.api.Email.get({ accountId: own, ids: [createdIds.d], properties: ['mailboxIds', 'keywords'] });
assert.deepEqual(kept.mailboxIds, { [named('sent')]: true });
assert(!kept.keywords.$draft);

async function arrived() {
  for (;;) {
    const [changes] = await other.api.Email.changes({ accountId: others, sinceState: before });
    if (changes.created.length) return changes;
    await new Promise((done) => setTimeout(done, 100));
  }
}
const changes = await arrived();
const [{ emails }] = await other.requestMany((t) => {
  const found = t.Email.query({ accountId: others, filter: { text: 'grüße', hasAttachment: true }, sort: [{ property: 'receivedAt', isAscending: false }] });
  const emails = t.Email.get({
    accountId: others, ids: found.$ref('/ids'), properties: ['from', 'subject', 'attachments', 'textBody', 'bodyValues', 'threadId'], fetchTextBodyValues: true,
  });
  return { found, emails };
});
const [email] = emails.list;
assert.deepEqual(changes.created, [email.id]);
assert.equal(email.subject, 'Grüße');
assert.equal(email.bodyValues[email.textBody[0].partId].value, 'hello\n.dot\n');
const [{ blobId, type, name }] = email.attachments;
assert.equal(name, 'bild.png');
const download = await other.downloadBlob({ accountId: others, blobId, mimeType: type, fileName: name });
assert.equal(download.headers.get('content-type'), 'image/png');
assert(Buffer.from(await download.arrayBuffer()).equals(octets));

await other.api.Email.set({ accountId: others, update: { [email.id]: { 'keywords/$seen': true } } });
const [seen] = await other.api.Email.changes({ accountId: others, sinceState: changes.newState });
assert.deepEqual(seen.updated, [email.id]);
const [gone] = await other.api.Email.set({ accountId: others, destroy: [email.id] });
assert.deepEqual(gone.destroyed, [email.id]);
await assert.rejects(other.api.Email.get({ accountId: 'A999', ids: [] }), { type: 'accountNotFound' });
const stranger = new JamClient({ sessionUrl, bearerToken: `${benToken.slice(0, -4)}AAAA` });
await assert.rejects(stranger.api.Mailbox.get({ accountId: others }));
