import { ServerConnection } from '@jupyterlab/services';
import { DisposableDelegate, IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { fetchText, requestAPI } from './request';
import { ISource, Link, messageOf, Query, RequestError } from './source';
import { Changes, DispatchList, DispatchRow, FeedAnswer } from './types';

/** Seconds that the service may hold an answer while nothing happens. */
const WAIT = 25;
/** Least time between two questions, in ms: a busy dispatch changes many times a second. */
const PACE = 250;
/** Longest pause after failures, in ms. */
const LONGEST_PAUSE = 30_000;
/** Time between two questions of a hidden page, in ms. */
const NOW_AND_THEN = 15_000;
/** Time between two looks whether there is a service again, in ms. */
const GLANCE = 3000;
/** In the query of a request that is no reason to start a service. */
const NO_START = { no_start: 1 };
/** Dispatches whose electrons one question may ask for. */
const MOST = 100;

interface Follower {
  dispatch: string | null;
  tell: (changes: Changes) => void;
  /** Has had its first reset. */
  begun: boolean;
}

/**
 * The one connection of a browser page to the service: a single long poll ("what came after N?") for all followers.
 *
 * It asks only while somebody follows and the page can be seen.
 */
export class Feed implements ISource, IDisposable {
  constructor(private readonly settings: ServerConnection.ISettings) {
    document.addEventListener('visibilitychange', this._wake);
  }

  get link(): Link {
    return this._link;
  }

  get problem(): string {
    return this._problem;
  }

  get linkChanged(): ISignal<this, void> {
    return this._linkChanged;
  }

  /** Emitted with every answer, whoever asked: for those who listen, but need no connection of their own. */
  get overheard(): ISignal<this, Changes> {
    return this._overheard;
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  /** Whether a hidden page looks now and then, without waiting: for the browser's notifications. */
  isPatient = false;

  now(): number {
    return Date.now() / 1000 + this._skew;
  }

  async request<T>(path: string, query: Query = {}, init: RequestInit = {}): Promise<T> {
    const reads = (init.method ?? 'GET') === 'GET';
    const answer = await requestAPI<T>(this.settings, path, reads ? { ...query, ...NO_START } : query, init);
    this._skew = answer.skew ?? this._skew;
    return answer.data;
  }

  text(path: string, query: Query = {}): Promise<{ text: string; next: number | null }> {
    return fetchText(this.settings, path, { ...query, ...NO_START });
  }

  follow(dispatch: string | null, onChanges: (changes: Changes) => void): IDisposable {
    const follower: Follower = { dispatch, tell: onChanges, begun: false };
    this._followers.add(follower);
    this._wake();
    return new DisposableDelegate(() => {
      this._followers.delete(follower);
      this._wake();
    });
  }

  /** Have a service started, if none runs. Rejects with what the server says if that fails. */
  async start(): Promise<void> {
    this.mayStart = false;
    this._starts += 1;
    if (this._link === 'stopped') {
      this.say('starting', '');
    }
    try {
      await requestAPI(this.settings, 'health');
    } finally {
      this._starts -= 1;
      this._patience?.abort();
    }
  }

  /** Whether a service is started where none runs and somebody opens a dispatch: not twice, nor where one was stopped. */
  mayStart = true;

  /** Ask at once, and have all followers take a fresh snapshot. */
  refresh(): void {
    this._cursor = null;
    this._patience?.abort();
    this._interrupt();
  }

  dispose(): void {
    if (this._disposed) {
      return;
    }
    this._disposed = true;
    document.removeEventListener('visibilitychange', this._wake);
    this._followers.clear();
    this._interrupt();
    Signal.clearData(this);
  }

  private get wanted(): boolean {
    return !this._disposed && this._followers.size > 0 && (this.isPatient || !isHidden());
  }

  /** What is to be asked for may have changed: ask anew, once, when everybody has said what he wants. */
  private readonly _wake = (): void => {
    if (this._waking) {
      return;
    }
    this._waking = true;
    queueMicrotask(() => {
      this._waking = false;
      if (this._asked !== null && (!this.wanted || isHidden() || this._asked !== this.electronsOf() || this.hasNew())) {
        this._interrupt();
      }
      if (this.wanted) {
        this._patience?.abort();
        void this.run();
      }
    });
  };

  private _interrupt(): void {
    this._poll?.abort();
  }

  private hasNew(): boolean {
    return [...this._followers].some(follower => !follower.begun);
  }

  private async run(): Promise<void> {
    if (this._running) {
      return;
    }
    this._running = true;
    let failures = 0;
    while (this.wanted) {
      const poll = (this._poll = new AbortController());
      try {
        await this.step(poll.signal);
        failures = 0;
        this.say('online', '');
        this._patience = isHidden() ? new AbortController() : null;
        await pause(isHidden() ? NOW_AND_THEN : PACE, this._patience?.signal ?? null);
        this._patience = null;
      } catch (error) {
        if (poll.signal.aborted) {
          continue;
        }
        failures += 1;
        this._checked = false;
        const trouble = error instanceof RequestError ? error.trouble : 'unreachable';
        const begun = trouble === 'stopped' && this._starts > 0; // and not so far yet that it is found
        this.say(begun ? 'starting' : trouble, begun ? '' : messageOf(error));
        if (this._link === 'stopped' && this.mayStart && this.electronsOf() !== '') {
          this.start().catch(() => undefined); // its own question tells how it goes on
        }
        this._patience = new AbortController();
        const patience = { starting: 1000, stopped: GLANCE }[this._link as string];
        await pause(patience ?? Math.min(LONGEST_PAUSE, 500 * 2 ** failures), this._patience.signal);
        this._patience = null;
      }
    }
    this._running = false;
    this._poll = null;
    // a service that goes while nobody looks went because it was idle
    this.mayStart ||= this._link === 'online';
  }

  /** One question and its answer. */
  private async step(signal: AbortSignal): Promise<void> {
    if (this._cursor === null) {
      const list = await this.request<DispatchList>('dispatches', { limit: 1 }, { signal });
      this.begin(list.seq);
    } else if (!this._checked) {
      await this.check(signal, this._cursor);
    }
    this.welcome();
    const electronsOf = (this._asked = this.electronsOf());
    try {
      const answer = await this.request<FeedAnswer>(
        'events',
        {
          after: this._cursor ?? 0,
          wait: isHidden() ? 0 : WAIT,
          electrons: electronsOf !== '',
          electrons_of: electronsOf,
          pictures: false // each may be 60 kB; whoever shows one asks for it
        },
        { signal }
      );
      if (answer.reset) {
        this.begin(answer.seq);
        this.welcome();
      } else {
        this._cursor = answer.next ?? answer.seq;
        this.tell(answer);
      }
    } finally {
      this._asked = null;
    }
  }

  /** After a failure: is it the same store, and has it all that was told of it? */
  private async check(signal: AbortSignal, cursor: number): Promise<void> {
    const list = await this.request<DispatchList>('dispatches', { limit: 1 }, { signal });
    if (list.seq < cursor) {
      this.begin(list.seq);
    }
    this._checked = true;
    this.say('online', '');
  }

  /** From here on changes are told; everybody needs a snapshot. */
  private begin(seq: number): void {
    this._cursor = seq;
    this._checked = true;
    this._followers.forEach(follower => (follower.begun = false));
    this.say('online', '');
  }

  /** Those who have just come: from now on they hear of all changes. */
  private welcome(): void {
    const none = { dispatches: [], electrons: [], deleted: [], logs: [] };
    for (const follower of [...this._followers]) {
      if (!follower.begun) {
        follower.begun = true;
        follower.tell({ seq: this._cursor ?? 0, reset: true, ...none });
      }
    }
  }

  private tell(answer: FeedAnswer): void {
    const { seq, dispatches, electrons, deleted, logs } = answer;
    if (!dispatches.length && !electrons.length && !deleted.length && !logs.length) {
      return;
    }
    const all: Changes = { seq, reset: false, dispatches, electrons, deleted, logs };
    this._overheard.emit(all);
    for (const follower of [...this._followers]) {
      const changes = follower.dispatch === null ? { ...all, electrons: [], logs: [] } : only(all, follower.dispatch);
      if (changes.dispatches.length || changes.electrons.length || changes.deleted.length || changes.logs.length) {
        follower.tell(changes);
      }
    }
  }

  private electronsOf(): string {
    const ids = new Set<string>();
    this._followers.forEach(follower => follower.dispatch !== null && ids.add(follower.dispatch));
    return [...ids].sort().slice(0, MOST).join(',');
  }

  private say(link: Link, problem: string): void {
    if (this._link !== link || this._problem !== problem) {
      this._link = link;
      this._problem = problem;
      this._linkChanged.emit();
    }
  }

  private readonly _followers = new Set<Follower>();
  private readonly _linkChanged = new Signal<this, void>(this);
  private readonly _overheard = new Signal<this, Changes>(this);
  private _link: Link = 'loading';
  private _problem = '';
  private _cursor: number | null = null;
  /** The store behind the cursor was looked at since the last failure. */
  private _checked = false;
  private _skew = 0;
  private _running = false;
  private _waking = false;
  /** Requests under way that start the service. */
  private _starts = 0;
  /** Whose electrons the open question asks for; null while none is open. */
  private _asked: string | null = null;
  private _poll: AbortController | null = null;
  private _patience: AbortController | null = null;
  private _disposed = false;
}

function isHidden(): boolean {
  return document.visibilityState === 'hidden';
}

/** What concerns one dispatch: its row and those of its sublattices' runs, its electrons, its logs. */
function only(changes: Changes, id: string): Changes {
  const near = (row: DispatchRow) => row.dispatch_id === id || row.parent_id === id || row.root_id === id;
  return {
    ...changes,
    dispatches: changes.dispatches.filter(near),
    electrons: changes.electrons.filter(row => row.dispatch_id === id),
    deleted: changes.deleted.filter(deleted => deleted === id),
    logs: changes.logs.filter(log => log.dispatch_id === id)
  };
}

/** Until the time is over, or somebody loses patience. */
function pause(ms: number, signal: AbortSignal | null): Promise<void> {
  return new Promise(resolve => {
    const timer = window.setTimeout(resolve, ms);
    signal?.addEventListener('abort', () => {
      window.clearTimeout(timer);
      resolve();
    });
  });
}
