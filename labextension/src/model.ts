import { ServerConnection } from '@jupyterlab/services';
import { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { requestAPI } from './request';
import { Link, messageOf, Query, RequestError } from './source';
import { hasEnded } from './states';
import { DispatchList, DispatchRow, FeedAnswer, Health } from './types';

/** Rows fetched at once. */
const PAGE = 60;
/** Seconds that the service may hold an answer while nothing happens. */
const WAIT = 25;
/** Least time between two questions, in ms: a busy dispatch changes many times a second. */
const PACE = 300;
/** Time between two looks at the service's health, in ms. It writes to its store for each. */
const HEALTH_EVERY = 30_000;
/** Time without a keystroke after which the service is asked to search, in ms. */
const SEARCH_AFTER = 250;

/** The states of a dispatch that has not ended. */
const UNDER_WAY = 'NEW_OBJECT,PENDING_REUSE,DISPATCHING,RUNNING';

/** Runs of sublattices belong to the row of their root. */
const ROOTS: Query = { parent: 'none' };

export type StateFilter = 'all' | 'running' | 'failed';

export interface Filter {
  text: string;
  state: StateFilter;
}

export interface Totals {
  all: number;
  running: number;
  failed: number;
}

/**
 * What the panel knows: the service's health and the dispatches, kept current by long polls of "what came after N?".
 *
 * It asks only between `start()` and `stop()`, one question at a time.
 */
export class CovalentModel implements IDisposable {
  constructor(private readonly settings: ServerConnection.ISettings) {}

  /** Emitted after any change. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get link(): Link {
    return this._link;
  }

  /** What the last failed request said, "" while all is well. */
  get problem(): string {
    return this._problem;
  }

  get health(): Health | null {
    return this._health;
  }

  get totals(): Totals {
    return this._totals;
  }

  get filter(): Filter {
    return this._filter;
  }

  get hasOlder(): boolean {
    return this._older !== null;
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  /** Seconds since the epoch in the clock of the service. */
  now(): number {
    return Date.now() / 1000 + this._skew;
  }

  /** The dispatches that pass the filter: those under way first, then newest first. */
  visible(): DispatchRow[] {
    return [...this._rows.values()]
      .filter(row => this.passes(row))
      .sort((a, b) => Number(hasEnded(a)) - Number(hasEnded(b)) || b.created - a.created);
  }

  row(id: string): DispatchRow | undefined {
    return this._rows.get(id);
  }

  /** Whether a cancel was asked for and the dispatch has not ended. */
  isCancelling(id: string): boolean {
    return this._cancelling.has(id);
  }

  start(): void {
    if (this._follower || this._disposed) {
      return;
    }
    this._follower = new AbortController();
    void this.follow(this._follower.signal);
  }

  stop(): void {
    this._follower?.abort();
    this._follower = null;
  }

  /** Begin again from a fresh snapshot, without waiting for a pause to end. */
  refresh(): void {
    this.stop();
    this._cursor = null;
    this._healthAt = 0;
    this.start();
  }

  /** Show what matches; the service is asked too, as it knows older ones. */
  setFilter(change: Partial<Filter>): void {
    this._filter = { ...this._filter, ...change };
    this._found.clear();
    window.clearTimeout(this._searchTimer);
    this._searchTimer = window.setTimeout(() => void this.search(), SEARCH_AFTER);
    this._changed.emit();
  }

  /** Fetch the next page of older dispatches. */
  async showOlder(): Promise<void> {
    if (this._older !== null) {
      await this.search(this._older);
    }
  }

  /** Cancel a dispatch. Throws what the service says if it refuses. */
  async cancel(id: string): Promise<void> {
    this._cancelling.add(id);
    this._changed.emit();
    try {
      await requestAPI(this.settings, `dispatches/${encodeURIComponent(id)}/cancel`, {}, {
        method: 'POST',
        body: JSON.stringify({ nodes: null })
      });
    } catch (error) {
      this._cancelling.delete(id);
      this._changed.emit();
      throw error;
    }
  }

  dispose(): void {
    if (this._disposed) {
      return;
    }
    this._disposed = true;
    this.stop();
    window.clearTimeout(this._searchTimer);
    Signal.clearData(this);
  }

  private async follow(signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      try {
        await this.step(signal);
        failures = 0;
        await pause(PACE, signal);
      } catch (error) {
        if (signal.aborted) {
          return;
        }
        this.fail(error);
        failures += 1;
        await pause(this._link === 'starting' ? 1000 : Math.min(30_000, 500 * 2 ** failures), signal);
      }
    }
  }

  /** One question and its answer. */
  private async step(signal: AbortSignal): Promise<void> {
    if (Date.now() - this._healthAt > HEALTH_EVERY) {
      this._health = await this.ask<Health>('health', {}, signal);
      this._healthAt = Date.now();
    }
    if (this._cursor === null) {
      await this.snapshot(signal);
    } else {
      const query = { after: this._cursor, wait: WAIT, electrons: 'false' };
      await this.take(await this.ask<FeedAnswer>('events', query, signal), signal);
    }
    this._link = 'online';
    this._problem = '';
    this._changed.emit();
  }

  private async snapshot(signal: AbortSignal): Promise<void> {
    const list = await this.ask<DispatchList>('dispatches', this.query(), signal);
    this._rows.clear();
    this._found.clear();
    this.keep(list.dispatches);
    this.found(list);
    await this.count(signal);
    // the oldest of the sequence numbers: what came between the questions comes once more
    this._cursor = list.seq;
  }

  private async take(changes: FeedAnswer, signal: AbortSignal): Promise<void> {
    if (changes.reset) {
      this._cursor = null;
      return;
    }
    const rows = changes.dispatches.filter(row => row.parent_id === null);
    const deleted = changes.deleted.filter(id => this._rows.delete(id));
    const moved = rows.some(row => this._rows.get(row.dispatch_id)?.status !== row.status);
    this.keep(rows);
    if (moved || deleted.length > 0) {
      await this.count(signal);
    }
    this._cursor = changes.next ?? changes.seq;
  }

  /** The numbers on the chips; and those under way, however old. */
  private async count(signal: AbortSignal): Promise<void> {
    const list = (query: Query) => this.ask<DispatchList>('dispatches', { ...ROOTS, ...query }, signal);
    const all = await list({ limit: 1 });
    const running = await list({ limit: PAGE, status: UNDER_WAY });
    const failed = await list({ limit: 1, status: 'FAILED' });
    this.keep(running.dispatches);
    this._totals = { all: all.total, running: running.total, failed: failed.total };
  }

  private async search(before?: string): Promise<void> {
    const filter = this._filter;
    try {
      const list = await this.ask<DispatchList>('dispatches', { ...this.query(), before });
      if (filter === this._filter) {
        this.keep(list.dispatches);
        this.found(list);
      }
    } catch (error) {
      this.fail(error);
    }
    this._changed.emit();
  }

  private query(): Query {
    const { text, state } = this._filter;
    const status = { all: undefined, running: UNDER_WAY, failed: 'FAILED' }[state];
    return { ...ROOTS, limit: PAGE, q: text.trim(), status };
  }

  private found(list: DispatchList): void {
    list.dispatches.forEach(row => this._found.add(row.dispatch_id));
    this._older = list.next;
  }

  /** Take rows in, unless a newer state of them is known. */
  private keep(rows: DispatchRow[]): void {
    for (const row of rows) {
      const known = this._rows.get(row.dispatch_id);
      if (row.parent_id === null && (!known || known.seq <= row.seq)) {
        this._rows.set(row.dispatch_id, row);
      }
      if (hasEnded(row)) {
        this._cancelling.delete(row.dispatch_id);
      }
    }
  }

  private passes(row: DispatchRow): boolean {
    const { text, state } = this._filter;
    if (state === 'running' && hasEnded(row)) {
      return false;
    }
    if (state === 'failed' && row.status !== 'FAILED') {
      return false;
    }
    const wanted = text.trim().toLowerCase();
    return wanted === '' || this._found.has(row.dispatch_id) || told(row).includes(wanted);
  }

  private fail(error: unknown): void {
    this._problem = messageOf(error);
    this._link = error instanceof RequestError ? error.trouble : 'unreachable';
    this._cursor = null;
    this._healthAt = 0;
    this._changed.emit();
  }

  private async ask<T>(path: string, query: Query, signal?: AbortSignal): Promise<T> {
    const answer = await requestAPI<T>(this.settings, path, query, { signal });
    this._skew = answer.skew;
    return answer.data;
  }

  private readonly _changed = new Signal<this, void>(this);
  private readonly _rows = new Map<string, DispatchRow>();
  private readonly _found = new Set<string>();
  private readonly _cancelling = new Set<string>();
  private _link: Link = 'loading';
  private _problem = '';
  private _health: Health | null = null;
  private _healthAt = 0;
  private _totals: Totals = { all: 0, running: 0, failed: 0 };
  private _filter: Filter = { text: '', state: 'all' };
  private _older: string | null = null;
  private _cursor: number | null = null;
  private _skew = 0;
  private _searchTimer = 0;
  private _follower: AbortController | null = null;
  private _disposed = false;
}

/** What of a dispatch is searched, in lower case. */
function told(row: DispatchRow): string {
  const parts = [row.dispatch_id, row.name, row.label, row.lattice, row.error, row.notebook, ...row.tags];
  return parts.join('\n').toLowerCase();
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = window.setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      window.clearTimeout(timer);
      resolve();
    });
  });
}
