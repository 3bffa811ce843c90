import { DisposableDelegate, IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { ISource, Link, Query, RequestError } from '../source';
import { Changes } from '../types';
import { Bundle } from './bundle';

/** A source that knows what a notebook kept of one dispatch, and nothing else: time stands still in it. */
export class StillSource implements ISource {
  constructor(private readonly bundle: Bundle) {}

  readonly link: Link = 'online';
  readonly problem = '';

  get linkChanged(): ISignal<this, void> {
    return this._linkChanged;
  }

  now(): number {
    return this.bundle.as_of;
  }

  async request<T>(path: string, query: Query = {}, init: RequestInit = {}): Promise<T> {
    const asks = !init.method || init.method === 'GET';
    // one that is too large to be kept is an empty one: the rest is read all the same
    const none = asks && path === `dispatches/${this.bundle.dispatch_id}/graph` ? NO_GRAPH : undefined;
    const found = (asks ? answerFrom(this.bundle, path, query) : undefined) ?? none;
    if (found === undefined) {
      throw new RequestError('unreachable', 0, 'this was not saved in the notebook');
    }
    return found as T;
  }

  text(): Promise<{ text: string; next: number | null }> {
    return Promise.reject(new RequestError('unreachable', 0, 'what was printed was not saved in the notebook'));
  }

  follow(dispatch: string | null, onChanges: (changes: Changes) => void): IDisposable {
    let wanted = true;
    queueMicrotask(() => {
      if (wanted) {
        onChanges({ seq: 0, reset: true, dispatches: [], electrons: [], deleted: [], logs: [] });
      }
    });
    return new DisposableDelegate(() => {
      wanted = false;
    });
  }

  private readonly _linkChanged = new Signal<this, void>(this);
}

const NO_GRAPH = { nodes: [], edges: [] };

/** What the service would answer to this question, as far as the bundle holds it; else undefined. */
export function answerFrom(bundle: Bundle, path: string, query: Query): unknown {
  const [base, id, part, node] = path.split('/');
  if (base !== 'dispatches' || !bundle.dispatch_id.startsWith(decodeURIComponent(id ?? '-'))) {
    return undefined;
  }
  switch (part) {
    case undefined:
      return bundle.row ?? undefined;
    case 'graph':
      return bundle.graph ?? undefined;
    case 'result':
      return bundle.result ?? undefined;
    case 'electrons':
      return node === undefined ? page(bundle, query) : path.split('/').length === 4 ? detail(bundle, Number(node)) : undefined;
    default:
      return undefined;
  }
}

function page(bundle: Bundle, query: Query): unknown {
  const states = String(query.status ?? '').split(',').filter(Boolean);
  const name = String(query.name ?? '').toLowerCase();
  const found = bundle.electrons
    .filter(row => states.length === 0 || states.includes(row.status))
    .filter(row => row.name.toLowerCase().includes(name))
    .sort((a, b) => a.node - b.node);
  const offset = Number(query.offset ?? 0);
  return { electrons: found.slice(offset, offset + Number(query.limit ?? 200)), total: found.length, seq: 0 };
}

function detail(bundle: Bundle, node: number): unknown {
  const row = bundle.electrons.find(electron => electron.node === node);
  const nothing = { inputs: [], source: '', signature: '', doc: '', file: '', line: 0, captured: {}, options: {}, after: [] };
  return row && { ...row, ...nothing, attempts: [] };
}
