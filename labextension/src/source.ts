import { IDisposable } from '@lumino/disposable';
import { ISignal } from '@lumino/signaling';

import { Changes } from './types';

/** Why a request has no answer, in the terms that the views show. */
export type Trouble =
  /** The Jupyter server answers, but knows nothing of Covalent. */
  | 'missing'
  /** The extension is there; the service behind it is not (yet). */
  | 'starting'
  /** No service runs, and nothing has asked for one. */
  | 'stopped'
  /** The Jupyter server itself does not answer. */
  | 'unreachable'
  /** The request was refused; the message says why. */
  | 'refused';

export type Link = 'loading' | 'online' | Trouble;

export type Query = Record<string, string | number | boolean | undefined>;

export class RequestError extends Error {
  constructor(
    readonly trouble: Trouble,
    readonly status: number,
    message: string,
    readonly details: Record<string, unknown> = {}
  ) {
    super(message);
    this.name = 'RequestError';
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Where views and models get their data from: the REST routes below `<base_url>covalent/`, or, in a notebook widget, the
 * widget's comm. Everything that draws is written against this alone.
 */
export interface ISource {
  /** One REST call below `<base_url>covalent/`: the JSON of its answer. Rejects with `RequestError`. */
  request<T>(path: string, query?: Query, init?: RequestInit): Promise<T>;

  /** The same for what is not JSON: a log. `next` is the offset to go on from. */
  text(path: string, query?: Query): Promise<{ text: string; next: number | null }>;

  /**
   * Coalesced changes: of one dispatch with its electrons and logs (and the rows of its sublattices' runs), or (null) of
   * all dispatches, rows only.
   *
   * The first call has `reset`, and so has each after which something may have been missed: take a snapshot by `request`.
   * What has changed since is told from then on, some of it twice: of two rows, the one with the higher `seq` counts.
   */
  follow(dispatch: string | null, onChanges: (changes: Changes) => void): IDisposable;

  /** State of the connection. */
  readonly link: Link;

  /** What the last failed request said, "" while all is well. */
  readonly problem: string;

  /** Emitted when `link` or `problem` has changed. */
  readonly linkChanged: ISignal<this, void>;

  /** Seconds since the epoch in the service's clock. */
  now(): number;
}

/** A request that does something. */
export function post(body: object, method = 'POST'): RequestInit {
  return { method, body: JSON.stringify(body) };
}
