// Asks the API. A key is kept for this tab only and goes out in the X-API-Key header only; a token is
// kept in memory only and goes out in Authorization only.

const STORED_AS = "agentstats.key";
const TIMEOUT_MS = 20_000;

export const storedKey = {
  read: () => sessionStorage.getItem(STORED_AS),
  write: (key) => sessionStorage.setItem(STORED_AS, key),
  remove: () => sessionStorage.removeItem(STORED_AS),
};

/**
 * What a request says of who asks.
 * @typedef {{kind: "key" | "token" | "cookie", headers: Record<string, string>, cookies: RequestCredentials}} Credential
 */

/** @returns {Credential} */
export const byKey = (key) => ({ kind: "key", headers: { "X-API-Key": key }, cookies: "omit" });

/** @returns {Credential} */
export const byToken = (token) => ({
  kind: "token",
  headers: { Authorization: `Bearer ${token}` },
  cookies: "omit",
});

/** The cookie that the platform has set, which no script sees. @returns {Credential} */
export const byCookie = () => ({ kind: "cookie", headers: {}, cookies: "same-origin" });

/** An answer that is not the numbers; `code` is the API's, or UNREACHABLE where it gave none. */
export class Refusal extends Error {
  /**
   * @param {string} message
   * @param {{status?: number, code?: string, requestId?: string | null, retryAfter?: number | null}} [what]
   */
  constructor(message, { status = 0, code = "UNREACHABLE", requestId = null, retryAfter = null } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.requestId = requestId;
    this.retryAfter = retryAfter;
  }
}

/** The API as one customer sees it; caches answers as long as they are of the same snapshot. */
export class Client {
  #credential;
  #answers = new Map();
  /** @type {Set<string> | null} */
  #scope = null;

  /** @param {Credential} credential */
  constructor(credential) {
    this.#credential = credential;
  }

  /** What it asks with: `key`, `token` or `cookie`. */
  get kind() {
    return this.#credential.kind;
  }

  /** The families of endpoints that a token opens, as the last answer said; null is all. */
  get scope() {
    return this.#scope;
  }

  /** Forget the answers of all snapshots but this one. */
  keepOnly(snapshotId) {
    for (const [address, answer] of this.#answers) {
      if (answer.snapshotId !== snapshotId) this.#answers.delete(address);
    }
  }

  /** Forget all answers. */
  clearCache() {
    this.#answers.clear();
  }

  /**
   * The answer of an endpoint: `{body, snapshotId, dataAsOf, coveredFrom}`; dataAsOf is a Date or
   * null, coveredFrom is the first UTC date (YYYY-MM-DD) that is kept. Rejects with a Refusal.
   */
  async get(endpoint, parameters, { cached = true } = {}) {
    const address = `api/stats/${endpoint}?${new URLSearchParams(parameters)}`;
    if (cached && this.#answers.has(address)) return this.#answers.get(address);
    const answer = await this.#fetch(address);
    this.#answers.set(address, answer);
    return answer;
  }

  async #fetch(address) {
    let response;
    let body;
    try {
      response = await fetch(address, {
        headers: { ...this.#credential.headers, Accept: "application/json" },
        cache: "no-store", // the numbers must not outlive the tab
        credentials: this.#credential.cookies,
        redirect: "error",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      body = await response.json();
    } catch (error) {
      const timedOut = error instanceof DOMException && error.name === "TimeoutError";
      throw new Refusal(
        timedOut
          ? `The server gave no answer in ${TIMEOUT_MS / 1000} s.`
          : "The server cannot be reached, or its answer broke off.",
        { requestId: response?.headers.get("X-Request-ID") ?? null },
      );
    }
    const headers = response.headers;
    const scope = headers.get("X-Scope");
    this.#scope = scope === null ? null : new Set(scope.split(" "));
    if (!response.ok) {
      throw new Refusal(body.error ?? `The server answered ${response.status}.`, {
        status: response.status,
        code: body.error_code ?? "UNKNOWN",
        requestId: headers.get("X-Request-ID"),
        retryAfter: Number(headers.get("Retry-After")) || null,
      });
    }
    const dataAsOf = headers.get("X-Data-As-Of");
    return {
      body,
      snapshotId: headers.get("X-Snapshot-Id"),
      dataAsOf: dataAsOf === null ? null : new Date(dataAsOf),
      coveredFrom: headers.get("X-Covered-From") ?? "1970-01-01",
    };
  }
}

/** Whether a text can be sent as a key or token at all. */
export function canBeKey(text, longest = 256) {
  return /^[\x21-\x7e]+$/.test(text) && text.length <= longest;
}
