// What thunderbird.py has Thunderbird do, by the interfaces its own windows use. Runs with the program's rights.

const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const WITHIN_MS = 120000;

const server = MailServices.accounts.accounts.find(account => account.incomingServer.type == "imap").incomingServer;

const AGAIN_MS = 2000;

// What `holds` returns as soon as that is true. `again` is called at first and every two seconds.
async function until(what, holds, again = () => {}) {
  const began = Date.now();
  let value;
  for (let next = began; !(value = holds()); ) {
    const now = Date.now();
    if (now > began + WITHIN_MS) {
      throw new Error(`${what}: waited in vain`);
    }
    if (now >= next) {
      again();
      next = now + AGAIN_MS;
    }
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  return value;
}

// A listener of URLs and copies, and what it was told: 0 is success.
function listener() {
  const told = Promise.withResolvers();
  const end = status => (status ? told.reject(new Error(`status 0x${status.toString(16)}`)) : told.resolve());
  return {
    told: told.promise,
    OnStartRunningUrl() {},
    OnStopRunningUrl(_url, status) { end(status); },
    onStartCopy() {},
    onProgress() {},
    setMessageKey() {},
    getMessageId() { return null; },
    onStopCopy(status) { end(status); },
    QueryInterface: ChromeUtils.generateQI(["nsIUrlListener", "nsIMsgCopyServiceListener"]),
  };
}

function find(path) {
  return path.split("/").reduce((folder, name) => folder.getChildNamed(name), server.rootFolder);
}

function header(path, subject) {
  return [...find(path).messages].find(one => one.mime2DecodedSubject == subject);
}

async function addPasswords(user, password) {
  for (const scheme of ["imap", "smtp"]) {
    const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
    login.init(`${scheme}://localhost`, null, `${scheme}://localhost`, user, password, "", "");
    await Services.logins.addLoginAsync(login);
  }
}

// The names of all mailboxes, with Thunderbird's flags.
async function discover(count) {
  await until("mailboxes", () => server.rootFolder.descendants.length == count, () => {
    server.performExpand(null);
    find("INBOX").updateFolder(null);
  });
  return Object.fromEntries(server.rootFolder.descendants.map(folder => [folder.name, folder.flags]));
}

// Each message of a mailbox after its download: UID, flags, tags and octets.
async function download(path, count) {
  const folder = find(path);
  const missing = () => [...folder.messages].filter(one => !(one.flags & Ci.nsMsgMessageFlags.Offline));
  await until(`download of ${path}`, () => [...folder.messages].length == count && !missing().length, () => {
    if (folder.locked) {
      return; // it downloads by itself
    }
    if (missing().length) {
      folder.downloadMessagesForOffline(missing(), null);
    } else {
      folder.updateFolder(null);
    }
  });
  return [...folder.messages].map(one => ({
    uid: one.messageKey,
    subject: one.mime2DecodedSubject,
    read: one.isRead,
    flagged: one.isFlagged,
    tags: one.getStringProperty("keywords"),
    octets: btoa(whole(folder.getMsgInputStream(one))),
  }));
}

// The octets of a message in a mailbox that is not kept for offline use, as its window asks for them.
async function read(path, subject) {
  const folder = find(path);
  folder.clearFlag(Ci.nsMsgFolderFlags.Offline);
  await until(subject, () => header(path, subject), () => folder.updateFolder(null));
  const uri = folder.getUriForMsg(header(path, subject));
  const ended = Promise.withResolvers();
  let all = "";
  MailServices.messageServiceFromURI(uri).streamMessage(uri, {
    onStartRequest() {},
    onDataAvailable(_request, stream, _offset, count) { all += octets(stream, count); },
    onStopRequest(_request, status) { status ? ended.reject(new Error(`status 0x${status.toString(16)}`)) : ended.resolve(); },
    QueryInterface: ChromeUtils.generateQI(["nsIStreamListener"]),
  }, null, null, false, "", false);
  await ended.promise;
  return btoa(all);
}

function octets(stream, count) {
  const binary = Cc["@mozilla.org/binaryinputstream;1"].createInstance(Ci.nsIBinaryInputStream);
  binary.setInputStream(stream);
  return binary.readBytes(count);
}

// All octets of a stream that ends.
function whole(stream) {
  let all = "";
  for (let count; (count = stream.available()); ) {
    all += octets(stream, count);
  }
  return all;
}

async function mark(path, subject) {
  const folder = find(path);
  const one = header(path, subject);
  folder.markMessagesRead([one], true);
  folder.markMessagesFlagged([one], true);
  folder.addKeywordsToMessages([one], "$label1 garden");
}

async function unmark(path, subject) {
  const folder = find(path);
  const one = header(path, subject);
  folder.markMessagesFlagged([one], false);
  folder.removeKeywordsFromMessages([one], "garden");
}

async function create(name) {
  server.rootFolder.createSubfolder(name, null);
  await until(name, () => server.rootFolder.getChildNamed(name));
}

// Copies or moves messages within the account, as dragging them does.
async function copy(from, subjects, to, moves) {
  const ended = listener();
  const messages = subjects.map(subject => header(from, subject));
  MailServices.copy.copyMessages(find(from), messages, find(to), moves, ended, null, false);
  await ended.told;
}

// Deletes as the key does: into the trash, or for good with Shift.
async function remove(path, subjects, forGood) {
  const ended = listener();
  find(path).deleteMessages(subjects.map(subject => header(path, subject)), null, forGood, false, ended, false);
  await ended.told;
}

async function compact(path) {
  const ended = listener();
  find(path).compact(ended, null);
  await ended.told;
}

async function emptyTrash() {
  const ended = listener();
  server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Trash).emptyTrash(ended);
  await ended.told;
}

// Writes a plain text with a file and begins to send it.
async function send(to, subject, body, file, contentType) {
  const identity = MailServices.accounts.defaultAccount.defaultIdentity;
  const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
  Object.assign(fields, { from: identity.email, to, subject, body, forcePlainText: true });
  const attachment = Cc["@mozilla.org/messengercompose/attachment;1"].createInstance(Ci.nsIMsgAttachment);
  const path = Cc["@mozilla.org/file/local;1"].createInstance(Ci.nsIFile);
  path.initWithPath(file);
  Object.assign(attachment, { url: Services.io.newFileURI(path).spec, name: path.leafName, contentType });
  fields.addAttachment(attachment);
  const parameters = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
  parameters.composeFields = fields;
  parameters.identity = identity;
  parameters.format = Ci.nsIMsgCompFormat.PlainText;
  const progress = Cc["@mozilla.org/messenger/progress;1"].createInstance(Ci.nsIMsgProgress);
  const compose = MailServices.compose.initCompose(parameters);
  compose.sendMsg(Ci.nsIMsgSend.nsMsgDeliverNow, identity, MailServices.accounts.defaultAccount.key, null, progress);
}

// Subjects of what a search finds: on the server, or in what was downloaded.
async function search(path, attribute, text, onServer) {
  const session = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession);
  session.addScopeTerm(onServer ? Ci.nsMsgSearchScope.onlineMail : Ci.nsMsgSearchScope.offlineMail, find(path));
  const term = session.createTerm();
  const value = term.value;
  value.attrib = term.attrib = Ci.nsMsgSearchAttrib[attribute];
  value.str = text;
  term.value = value;
  term.op = Ci.nsMsgSearchOp.Contains;
  session.appendTerm(term);
  const found = [];
  const ended = Promise.withResolvers();
  session.registerListener({
    onSearchHit(one) { found.push(one.mime2DecodedSubject); },
    onSearchDone(status) { status ? ended.reject(new Error(`status 0x${status.toString(16)}`)) : ended.resolve(); },
    onNewSearch() {},
    QueryInterface: ChromeUtils.generateQI(["nsIMsgSearchNotify"]),
  });
  session.search(null);
  await ended.promise;
  return found.sort();
}

async function update(path) {
  find(path).updateFolder(null);
}

// Waits until a message is there, without asking the server for it.
async function arrives(path, subject) {
  await until(subject, () => header(path, subject));
}

// After a connection was lost: as pressing the key for new messages, again and again.
async function reconnect(path, subject) {
  await until(subject, () => header(path, subject), () => find(path).updateFolder(null));
}
