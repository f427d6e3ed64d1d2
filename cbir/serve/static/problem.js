// Answers of the API, and what went wrong, in words.

const TRIES = 4;

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** Fetch; a server that is busy is asked again. Raises an Error whose message is for people. */
export async function ask(address, options = {}) {
  for (let tried = 1; ; tried += 1) {
    let answer;
    try {
      answer = await fetch(address, options);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Error("The server does not answer. Is it still running?");
    }
    if (answer.status !== 503 || tried === TRIES) return answer;
    await pause(Math.min(5, Number(answer.headers.get("Retry-After")) || 1));
  }
}

/** Fetch JSON; a problem document becomes an Error with its detail. */
export async function json(address, options = {}) {
  const answer = await ask(address, options);
  const content = answer.status === 204 ? {} : await answer.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    if (answer.ok) throw new Error("The server's answer broke off. Is it still running?");
    return {};
  });
  if (!answer.ok) {
    const error = new Error(content.detail || `The server answered ${answer.status}.`);
    error.status = answer.status;
    throw error;
  }
  return content;
}
