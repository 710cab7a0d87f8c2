// Makes a passkey or signs in with one: browsers give passkeys to scripts only. The form of the page says which, what the server asks is
// fetched when its button is pressed, and what the browser says goes back. Without passkeys or scripts the page keeps its sentence.
const CANCELLED = ["NotAllowedError", "AbortError"];
const form = document.querySelector("form[data-passkey]");
const button = form.querySelector("button");
const fault = form.querySelector("[role=alert]");

const encode = (octets) => btoa(String.fromCharCode(...new Uint8Array(octets))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const decode = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));

async function create(asked) {
  const { response } = await navigator.credentials.create({
    publicKey: {
      challenge: decode(asked.challenge),
      rp: { id: asked.host, name: "Pillarbox" },
      user: { id: decode(asked.handle), name: asked.address, displayName: asked.name },
      pubKeyCredParams: asked.algorithms.map((alg) => ({ type: "public-key", alg })),
      excludeCredentials: asked.known.map((id) => ({ type: "public-key", id: decode(id) })),
      authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
      attestation: "none",
    },
  });
  return {
    client_data: encode(response.clientDataJSON),
    authenticator_data: encode(response.getAuthenticatorData()),
    public_key: encode(response.getPublicKey() ?? []),
    algorithm: response.getPublicKeyAlgorithm(),
  };
}

async function get(asked) {
  const { rawId, response } = await navigator.credentials.get({
    publicKey: { challenge: decode(asked.challenge), rpId: asked.host, userVerification: "required" },
  });
  return {
    credential: encode(rawId),
    client_data: encode(response.clientDataJSON),
    authenticator_data: encode(response.authenticatorData),
    signature: encode(response.signature),
    handle: encode(response.userHandle ?? []),
  };
}

// The answer's facts. Throws { detail } for a refusal.
async function ask(place, more) {
  const body = new URLSearchParams([...new FormData(form), ...Object.entries(more)]);
  const headers = { Accept: "application/json", "X-Form-Token": form.elements.token.value };
  const response = await fetch(place, { method: "POST", body, headers }).catch(() => undefined);
  const facts = await response?.json().catch(() => undefined);
  if (response?.ok && facts) return facts;
  throw { detail: facts?.detail ?? form.dataset.failed };
}

function why(trouble) {
  if (trouble.detail) return trouble.detail;
  if (trouble.name === "InvalidStateError") return form.dataset.known ?? form.dataset.failed;
  return CANCELLED.includes(trouble.name) ? form.dataset.cancelled : form.dataset.failed;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  fault.hidden = true;
  try {
    const asked = await ask(`${form.dataset.passkey}/begin`, {});
    const said = await (form.dataset.way === "create" ? create : get)(asked);
    const { place } = await ask(form.dataset.passkey, said);
    location.assign(place);
  } catch (trouble) {
    fault.textContent = why(trouble);
    fault.hidden = false;
    button.disabled = false;
    button.focus();
  }
});

if (window.PublicKeyCredential) {
  form.hidden = false;
  document.querySelector("[data-without-passkeys]")?.remove();
}
