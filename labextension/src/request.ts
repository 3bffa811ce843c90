import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

/** Why a request has no answer, in the terms that the panel shows. */
export type Trouble =
  /** The Jupyter server answers, but knows nothing of Covalent. */
  | 'missing'
  /** The extension is there; the service behind it is not (yet). */
  | 'starting'
  /** The Jupyter server itself does not answer. */
  | 'unreachable'
  /** The request was refused; the message says why. */
  | 'refused';

export class RequestError extends Error {
  constructor(
    readonly trouble: Trouble,
    readonly status: number,
    message: string
  ) {
    super(message);
    this.name = 'RequestError';
  }
}

export interface Answer<T> {
  data: T;
  /** Seconds by which the server's clock is ahead of the browser's; 0 when they agree within two. */
  skew: number;
}

export type Query = Record<string, string | number | undefined>;

/**
 * Call `<base url>covalent/<path>` of the Jupyter server, with its login and its XSRF token.
 *
 * Feed requests keep no server alive: each carries `no_track_activity=1`.
 */
export async function requestAPI<T>(
  settings: ServerConnection.ISettings,
  path: string,
  query: Query = {},
  init: RequestInit = {}
): Promise<Answer<T>> {
  const url = address(settings, path, query);
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
  const text = await response.text();
  const body = parsed(text);
  if (!response.ok) {
    const said = (body as { message?: unknown } | undefined)?.message;
    const message = typeof said === 'string' && said ? said : response.statusText;
    throw new RequestError(troubleOf(response, body), response.status, message);
  }
  if (body === undefined) {
    throw new RequestError('missing', response.status, 'the answer is not JSON');
  }
  return { data: body as T, skew: skewOf(response) };
}

function address(settings: ServerConnection.ISettings, path: string, query: Query): string {
  const all: Query = { ...query, no_track_activity: 1 };
  const given = Object.entries(all).filter(
    ([, value]) => value !== undefined && value !== ''
  );
  const parameters = new URLSearchParams(given.map(([key, value]) => [key, String(value)]));
  return `${URLExt.join(settings.baseUrl, 'covalent', path)}?${parameters}`;
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

function skewOf(response: Response): number {
  const date = Date.parse(response.headers.get('Date') ?? '');
  const skew = (date - Date.now()) / 1000;
  return Number.isFinite(skew) && Math.abs(skew) > 2 ? skew : 0;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
