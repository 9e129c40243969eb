// Part of Inkstone. Licence: see LICENSE.

/** A failure with what the page needs to word it. */
export class ServiceError extends Error {
  constructor(code, message, retryAfter) {
    super(message);
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** Sent with every call where the server asks for one. */
let apiKey = '';

export function useKey(key) {
  apiKey = key.trim();
}

/** Relative, so that the page works below any path of a reverse proxy. */
const address = (path) => new URL(path, document.baseURI);

/** The models, the default one first; empty while none is loaded. */
export async function fetchModels() {
  const response = await send('api/models');
  return response.json();
}

/** The texts of a language. */
export async function fetchTexts(language) {
  const response = await send(`assets/${language}.json`);
  return response.json();
}

/**
 * Runs a request and calls `onEvent(name, data)` for everything that happens to it.
 * Aborting the signal closes the connection, which cancels the work on the server.
 */
export async function generate(parameters, signal, onEvent) {
  const response = await send('api/generate', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(parameters),
    signal,
  });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = '';
  for (;;) {
    let part;
    try {
      part = await reader.read();
    } catch (error) {
      if (signal.aborted) throw error;
      throw new ServiceError('interrupted', String(error));
    }
    if (part.done) throw new ServiceError('interrupted', 'The stream ended early.');
    pending += part.value;
    const frames = pending.split('\n\n');
    pending = frames.pop();
    for (const frame of frames) {
      const event = parseFrame(frame);
      if (!event) continue;
      if (event.name === 'done') return;
      if (event.name === 'error') throw failure(event.data);
      onEvent(event.name, event.data);
    }
  }
}

/** Name and data of a server-sent event, or null for a comment. */
export function parseFrame(frame) {
  let name = 'message';
  let data = '';
  for (const line of frame.split('\n')) {
    if (line.startsWith('event: ')) name = line.slice(7);
    if (line.startsWith('data: ')) data += line.slice(6);
  }
  return data ? { name, data: JSON.parse(data) } : null;
}

async function send(path, options = {}) {
  let response;
  try {
    const headers = apiKey ? { ...options.headers, authorization: `Bearer ${apiKey}` } : options.headers;
    response = await fetch(address(path), { ...options, headers });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ServiceError('network', String(error));
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  throw failure(body, response);
}

function failure(body, response) {
  const retryAfter = Number(response?.headers.get('retry-after')) || 5;
  const message = body.error?.message ?? `${response?.status} ${response?.statusText}`;
  return new ServiceError(body.error?.code ?? 'unknown', message, retryAfter);
}
