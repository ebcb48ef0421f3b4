// SCRAM-SHA-256 (RFC 5802, RFC 7677): how one logs in to pytel's servers; @xmpp/client itself knows SCRAM-SHA-1 only.
import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";

const hmac = (key, text) => createHmac("sha256", key).update(text).digest();

export class ScramSha256 {
  name = "SCRAM-SHA-256";
  clientFirst = true;
  #nonce = randomBytes(18).toString("base64");
  #challenge = null;

  challenge(text) {
    this.#challenge = text;
  }

  response({ username, password }) {
    const name = username.replaceAll("=", "=3D").replaceAll(",", "=2C");
    const first = `n=${name},r=${this.#nonce}`;
    if (this.#challenge === null) return `n,,${first}`;
    const told = Object.fromEntries(this.#challenge.split(",").map((part) => [part[0], part.slice(2)]));
    const rounds = Number(told.i);
    if (!told.r?.startsWith(this.#nonce) || !(rounds >= 4096 && rounds <= 1_000_000)) {
      throw new Error("this is no answer of the server to our log-in");
    }
    const last = `c=biws,r=${told.r}`;
    const salted = pbkdf2Sync(password, Buffer.from(told.s, "base64"), rounds, 32, "sha256");
    const key = hmac(salted, "Client Key");
    const stored = createHash("sha256").update(key).digest();
    const signature = hmac(stored, `${first},${this.#challenge},${last}`);
    const proof = Buffer.from(key.map((byte, at) => byte ^ signature[at]));
    return `${last},p=${proof.toString("base64")}`;
  }
}
