// Asks the API. The key is kept for this tab only and goes out in the X-API-Key header only.

const STORED_AS = "agentstats.key";
const TIMEOUT_MS = 20_000;

export const storedKey = {
  read: () => sessionStorage.getItem(STORED_AS),
  write: (key) => sessionStorage.setItem(STORED_AS, key),
  remove: () => sessionStorage.removeItem(STORED_AS),
};

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
  #key;
  #answers = new Map();

  constructor(key) {
    this.#key = key;
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
        headers: { "X-API-Key": this.#key, Accept: "application/json" },
        cache: "no-store", // the numbers must not outlive the tab
        credentials: "omit",
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

/** Whether a text can be sent as a key at all. */
export function canBeKey(text) {
  return /^[\x21-\x7e]{1,256}$/.test(text);
}
