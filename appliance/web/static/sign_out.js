// What webmail keeps of unfinished messages in this browser goes to Drafts before a sign-out clears it: webmail does both.
document.querySelector("form.account").addEventListener("submit", (event) => {
  if (!Object.keys(localStorage).some((name) => name.startsWith("draft "))) return;
  event.preventDefault();
  sessionStorage.setItem("sign-out", "1");
  location.assign("/mail/");
});
