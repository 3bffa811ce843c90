import { DisposableDelegate, IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { Bundle } from '../output/bundle';
import { answerFrom } from '../output/still';
import { ISource, Link, Query, RequestError } from '../source';
import { Changes } from '../types';

/** Time after which a kernel that does not answer is said to be busy, in ms. */
const PATIENCE = 2000;

/** The model of the widget, as anywidget gives it. */
export interface WidgetModel {
  get(name: string): unknown;
  on(event: string, callback: (...args: any[]) => void): void;
  off(event: string, callback: (...args: any[]) => void): void;
  send(content: unknown): void;
}

/** What the kernel sends. */
interface Said {
  kind: 'answer' | 'changes' | 'link';
  number?: string;
  status?: number;
  next?: string | null;
  message?: string;
  dispatch?: string;
  reset?: boolean;
  link?: Link;
  problem?: string;
  /** Seconds since the epoch, in the kernel's clock. */
  now?: number;
}

interface Open {
  path: string;
  query: Query;
  resolve: (answer: { text: string; next: number | null }) => void;
  reject: (error: Error) => void;
  timer: number;
}

/**
 * The source of data of a widget: its kernel asks the service, and passes on what it hears.
 *
 * A kernel that runs a cell may not hear us, though we hear it: until it does, questions are answered from what it told
 * when the panel was displayed.
 */
export class CommSource implements ISource, IDisposable {
  constructor(
    private readonly model: WidgetModel,
    private readonly bundle: () => Bundle,
    private readonly busy: string
  ) {
    model.on('msg:custom', this._hear);
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

  get isDisposed(): boolean {
    return this._disposed;
  }

  now(): number {
    return Date.now() / 1000 + this._skew;
  }

  async request<T>(path: string, query: Query = {}, init: RequestInit = {}): Promise<T> {
    const { text } = await this._ask(path, query, init);
    return JSON.parse(text) as T;
  }

  text(path: string, query: Query = {}): Promise<{ text: string; next: number | null }> {
    return this._ask(path, query, {});
  }

  follow(dispatch: string | null, onChanges: (changes: Changes) => void): IDisposable {
    const id = dispatch ?? '';
    const follower = { id, tell: onChanges };
    this._followers.add(follower);
    if (this._followed(id) === 1) {
      this.model.send({ kind: 'follow', dispatch: id });
    }
    // what was missed until now is asked for; what comes from now on is told
    queueMicrotask(() => this._followers.has(follower) && onChanges(RESET));
    return new DisposableDelegate(() => {
      if (this._followers.delete(follower) && this._followed(id) === 0 && !this._disposed) {
        this.model.send({ kind: 'leave', dispatch: id });
      }
    });
  }

  dispose(): void {
    if (this._disposed) {
      return;
    }
    this._disposed = true;
    this.model.off('msg:custom', this._hear);
    this._open.forEach(open => window.clearTimeout(open.timer));
    this._open.clear();
    this._followers.clear();
    Signal.clearData(this);
  }

  private _followed(id: string): number {
    return [...this._followers].filter(follower => follower.id === id).length;
  }

  private _ask(path: string, query: Query, init: RequestInit): Promise<{ text: string; next: number | null }> {
    const number = `${PAGE}-${(count += 1)}`;
    const method = init.method ?? 'GET';
    const body = typeof init.body === 'string' ? JSON.parse(init.body) : undefined;
    return new Promise((resolve, reject) => {
      const timer = window.setTimeout(() => this._lose(number, method), PATIENCE);
      this._open.set(number, { path, query, resolve, reject, timer });
      this.model.send({ kind: 'ask', number, method, path, query, body });
    });
  }

  /** It takes long: the kernel is busy. What the notebook holds has to do; the answer may still come. */
  private _lose(number: string, method: string): void {
    const open = this._open.get(number);
    const left = this._answered + PATIENCE - Date.now();
    if (open && left > 0) {
      // it answers others, of which it sends so many a second: this one waits for its turn
      open.timer = window.setTimeout(() => this._lose(number, method), left);
      return;
    }
    const kept = open && method === 'GET' ? answerFrom(this.bundle(), open.path, open.query) : undefined;
    this._silent = true;
    this._say(this._link, this.busy);
    if (open && kept !== undefined) {
      this._open.delete(number);
      open.resolve({ text: JSON.stringify(kept), next: null });
    }
  }

  private readonly _hear = (said: Said, buffers: DataView[] = []): void => {
    // one after the other: a short message is unpacked sooner than a long one before it
    this._taken = this._taken
      .then(() => this._take(said, buffers[0]))
      .catch(error => console.warn('covalent-jupyter: a message of the kernel was not understood', error));
  };

  private async _take(said: Said, data: DataView | undefined): Promise<void> {
    const text = data ? await unpacked(data) : '';
    if (typeof said.now === 'number') {
      const skew = said.now - Date.now() / 1000;
      this._skew = Math.abs(skew) > 2 ? skew : 0;
    }
    switch (said.kind) {
      case 'answer':
        return this._answer(said, text);
      case 'link':
        return this._say(said.link ?? 'online', said.problem ?? '');
      case 'changes':
        return this._tell(said, JSON.parse(text) as Changes);
    }
  }

  private _answer(said: Said, text: string): void {
    const number = said.number ?? '';
    const open = this._open.get(number);
    if (!number.startsWith(PAGE)) {
      return; // of another page on the same kernel
    }
    this._answered = Date.now();
    if (this._silent) {
      this._silent = false;
      this._say(this._link, '');
      this._followers.forEach(follower => follower.tell(RESET));
    }
    if (!open) {
      return;
    }
    window.clearTimeout(open.timer);
    this._open.delete(number);
    const status = said.status ?? 503;
    if (status >= 400) {
      const trouble = status >= 500 ? 'starting' : 'refused';
      open.reject(new RequestError(trouble, status, said.message ?? ''));
    } else {
      open.resolve({ text, next: said.next ? Number(said.next) : null });
    }
  }

  private _tell(said: Said, changes: Changes): void {
    this._say('online', this._silent ? this.busy : '');
    this._followers.forEach(follower => {
      if (follower.id !== said.dispatch) {
        return;
      }
      if (said.reset && !this._silent) {
        follower.tell(RESET);
      }
      follower.tell({ ...changes, reset: false });
    });
  }

  private _say(link: Link, problem: string): void {
    if (this._link !== link || this._problem !== problem) {
      this._link = link;
      this._problem = problem;
      this._linkChanged.emit();
    }
  }

  private readonly _open = new Map<string, Open>();
  private readonly _followers = new Set<{ id: string; tell: (changes: Changes) => void }>();
  private readonly _linkChanged = new Signal<this, void>(this);
  private _taken: Promise<void> = Promise.resolve();
  private _link: Link = 'loading';
  private _problem = '';
  private _skew = 0;
  /** When it last answered anything, in ms since the epoch. */
  private _answered = 0;
  /** Something was asked, and has had no answer for a while. */
  private _silent = false;
  private _disposed = false;
}

const RESET: Changes = { seq: 0, reset: true, dispatches: [], electrons: [], deleted: [], logs: [] };
/** Tells this page's questions from those of others on the same kernel. */
const PAGE = Math.random().toString(36).slice(2, 10);
let count = 0;

async function unpacked(data: DataView): Promise<string> {
  const stream = new Response(data as unknown as BodyInit).body!.pipeThrough(new DecompressionStream('deflate'));
  return new Response(stream).text();
}
