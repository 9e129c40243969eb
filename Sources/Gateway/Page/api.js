// Part of Inkstone. Licence: see LICENSE.

/** An error with what the page needs to describe it. */
export class ServiceError extends Error {
  constructor(code, message, retryAfter) {
    super(message);
    this.code = code;
    this.retryAfter = retryAfter;
  }

  /** Whether there was no answer; the condition may be temporary. */
  get isLoss() { return this.code === 'network' || this.code === 'interrupted'; }
}

/** Sent with every call if the server requires a key. */
let apiKey = '';

export function useKey(key) {
  apiKey = key.trim();
}

const root = new URL('.', document.baseURI).pathname;
/** Relative, so that the page works below any path of a reverse proxy, whether or not the server's paths have it. */
export const address = (path) => new URL(path.startsWith(root) ? path : path.replace(/^\//, ''), document.baseURI).href;

/** JSON with seeds as text: they have 64 bits, of which JavaScript's numbers hold 53. */
const parse = (text) => JSON.parse(text.replace(/"((?:variation_)?seed)":(\d+)/g, '"$1":"$2"'));
const json = async (path, options) => parse(await (await send(path, options)).text());
const post = (body, headers = {}) => ({
  method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body),
});
const inPath = encodeURIComponent;

/** The models, the default one first; empty while none is loaded. */
export const fetchModels = () => json('api/models');
/** The words that a model knows, by language; none if it does not list them. */
export const fetchWords = (model) => json(`api/models/${inPath(model)}/words`).catch(() => ({}));
/** The texts of a language. */
export const fetchTexts = (language) => json(`assets/${language}.json`);
/** The estimate of a request's cost. */
export const fetchEstimate = (parameters, signal) => json('api/estimate', { ...post(parameters), signal });
/** Models with their workers, memory and queue. */
export const fetchStatus = () => json('api/status');
/** All metrics, as text for Prometheus. */
export const fetchMetrics = async () => (await send('metrics')).text();
/** The generation parameters in an image file. */
export const readPictureFile = (base64) => json('sdapi/v1/png-info', post({ image: base64 }));

/** LoRA files that requests may name, and those that cannot be used; none if the server has no such list. */
export async function fetchLoras() {
  try {
    const { loras = [], skipped = [] } = await json('api/loras');
    return { loras, skipped };
  } catch {
    return { loras: [], skipped: [] };
  }
}

/** Samplers and schedules that requests may name. */
export const fetchSampling = () => Promise.all([json('sdapi/v1/samplers'), json('sdapi/v1/schedulers')]);
/** ControlNets, and what makes their maps; none if the server has no such list. */
export const fetchControls = async () => Promise.all([
  json('controlnet/model_list').catch(() => ({ model_list: [] })),
  json('controlnet/module_list').catch(() => ({ module_list: [], module_detail: {} })),
]);
/** The map that a preprocessor makes of an image, both in base64. */
export const fetchMap = (fields, signal) => json('controlnet/detect', { ...post(fields), signal });

/** Adds a LoRA file. */
export const addLora = (name, file) => json(`api/loras?name=${inPath(name)}`, { method: 'POST', body: file });
export const removeLora = (name) => send(`api/loras/${inPath(name)}`, { method: 'DELETE' });

/** Submits a request as a job; the same key again is the same job. */
export const submitJob = (parameters, key) => json('api/jobs', post(parameters, { 'idempotency-key': key }));
export const fetchJob = (id) => json(`api/jobs/${inPath(id)}`);
// The server reads + as it is.
export const fetchJobs = (query) => json(`api/jobs?${String(new URLSearchParams(query)).replaceAll('+', '%20')}`);
export const cancelJob = (id) => send(`api/jobs/${inPath(id)}/cancel`, { method: 'POST' });
export const removeJob = (id) => send(`api/jobs/${inPath(id)}`, { method: 'DELETE' });

/** Removes a job by a request that the page need not outlive. */
export const removeJobAtEnd = (id) => send(`api/jobs/${inPath(id)}`, { method: 'DELETE', keepalive: true }).catch(() => {});
/** Gives an image a star, which keeps it, or takes it. */
export const starImage = (job, index, isStarred) => (
  send(`api/jobs/${inPath(job)}/images/${index}/star`, { method: isStarred ? 'PUT' : 'DELETE' }));

/** Results of load tests. */
export const fetchRuns = async () => (await json('api/benchmarks')).data;
export const runFile = (run, file) => `api/benchmarks/${inPath(run)}/${file}`;
export const fetchText = async (path) => (await send(path)).text();
export const fetchBlob = async (path) => (await send(path)).blob();

/** Whether the server answers. */
export async function isAlive() {
  try {
    return (await fetch(address('livez'), { cache: 'no-store' })).ok;
  } catch {
    return false;
  }
}

/** Shows an image of the server; an element cannot send a key, so with a key the page fetches the file. */
export async function showPicture(element, path) {
  element.dataset.path = path;
  if (!apiKey) {
    element.src = address(path);
    return;
  }
  const url = URL.createObjectURL(await fetchBlob(path));
  if (element.dataset.path === path) element.src = url;
  element.addEventListener('load', () => URL.revokeObjectURL(url), { once: true });
}

/** Calls `onEvent(name, data)` for every event of a job, until its end. */
export async function followJob(id, signal, onEvent) {
  const response = await send(`api/jobs/${inPath(id)}/events`, { signal });
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
  return data ? { name, data: parse(data) } : null;
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
  // A proxy answers for a server that is down.
  if (!body.error && [502, 504].includes(response.status)) throw new ServiceError('network', response.statusText);
  throw failure(body, response);
}

function failure(body, response) {
  const retryAfter = Number(response?.headers.get('retry-after')) || 5;
  const message = body.error?.message ?? `${response?.status} ${response?.statusText}`;
  return new ServiceError(body.error?.code ?? 'unknown', message, retryAfter);
}
