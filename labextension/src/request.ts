import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import { messageOf, Query, RequestError, Trouble } from './source';

export interface Answer<T> {
  data: T;
  /** Seconds by which the server's clock is ahead of the browser's; 0 when they agree within two, null when this does not tell. */
  skew: number | null;
}

/**
 * Call `<base url>covalent/<path>` of the Jupyter server, with its login and its XSRF token.
 *
 * What only reads keeps no server alive: it carries `no_track_activity=1`.
 */
export async function requestAPI<T>(
  settings: ServerConnection.ISettings,
  path: string,
  query: Query = {},
  init: RequestInit = {}
): Promise<Answer<T>> {
  const sent = Date.now();
  const response = await ask(settings, path, query, init);
  const received = Date.now();
  if (response.status === 204) {
    throw new RequestError('stopped', 204, 'the Covalent service does not run');
  }
  const body = parsed(await response.text());
  if (body === undefined) {
    throw new RequestError('missing', response.status, 'the answer is not JSON');
  }
  return { data: body as T, skew: skewOf(response, sent, received) };
}

/** The same for a text, such as a log; `next` is the offset to go on from. */
export async function fetchText(
  settings: ServerConnection.ISettings,
  path: string,
  query: Query = {}
): Promise<{ text: string; next: number | null }> {
  const response = await ask(settings, path, query, {});
  const next = response.headers.get('X-Next-Offset');
  return { text: await response.text(), next: next === null ? null : Number(next) };
}

async function ask(
  settings: ServerConnection.ISettings,
  path: string,
  query: Query,
  init: RequestInit
): Promise<Response> {
  const reads = (init.method ?? 'GET') === 'GET';
  const url = address(settings, path, reads ? { ...query, no_track_activity: 1 } : query);
  let response: Response;
  try {
    // no time stamp in the URL: every answer says itself that it is not to be kept
    response = await ServerConnection.makeRequest(url, { cache: 'no-cache', ...init }, settings);
  } catch (error) {
    if (init.signal?.aborted) {
      throw error;
    }
    throw new RequestError('unreachable', 0, messageOf(error));
  }
  if (!response.ok) {
    const body = parsed(await response.text());
    const { message, details } = (body ?? {}) as { message?: unknown; details?: unknown };
    const said = typeof message === 'string' && message ? message : response.statusText;
    const more = typeof details === 'object' && details !== null ? (details as Record<string, unknown>) : {};
    throw new RequestError(troubleOf(response, body), response.status, said, more);
  }
  return response;
}

function address(settings: ServerConnection.ISettings, path: string, query: Query): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  const parameters = new URLSearchParams(given.map(([key, value]) => [key, String(value)]));
  const url = URLExt.join(settings.baseUrl, 'covalent', path);
  return given.length > 0 ? `${url}?${parameters}` : url;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function troubleOf(response: Response, body: unknown): Trouble {
  if (response.status === 502 || response.status === 503 || response.status === 504) {
    return 'starting';
  }
  // Every answer of ours says which version speaks; a 404 without one is Jupyter's own.
  const ours = response.headers.has('X-Covalent-Version');
  return response.status === 404 && (!ours || body === undefined) ? 'missing' : 'refused';
}

/** Ms within which an answer must come to tell the time: its date is that of the question, which may have been held back. */
const PROMPT = 2000;

function skewOf(response: Response, sent: number, received: number): number | null {
  const date = Date.parse(response.headers.get('Date') ?? '') + 500; // it is in whole seconds
  if (!Number.isFinite(date) || received - sent > PROMPT) {
    return null;
  }
  const skew = (date - (sent + received) / 2) / 1000;
  return Math.abs(skew) > 2 ? skew : 0;
}
