import { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { Feed } from './feed';
import { UNDER_WAY } from './filter';
import { post } from './source';
import { hasEnded } from './states';
import { Changes, DispatchList, DispatchRow } from './types';

/** Dispatches under way that are looked at; there are rarely more. */
const MOST = 500;

/** A dispatch before and after it changed. */
export interface Move {
  /** Undefined for one that was not known before. */
  before: DispatchRow | undefined;
  after: DispatchRow;
}

/**
 * The dispatches under way, for the parts of JupyterLab that are there without the sidebar.
 *
 * It looks once, listens to what others ask for, and follows by itself only as long as something runs: a page on which
 * nothing happens keeps no connection, and starts no service.
 */
export class Watcher implements IDisposable {
  constructor(private readonly feed: Feed) {
    feed.overheard.connect(this._onOverheard, this);
  }

  /** Emitted when `running` has changed. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Emitted for each change of a dispatch that was under way, or was not known. */
  get moved(): ISignal<this, Move> {
    return this._moved;
  }

  /** Newest first. */
  get running(): DispatchRow[] {
    return [...this._running.values()].sort((a, b) => b.created - a.created);
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  /** What is under way now. Whoever calls it need not mind that there may be no service. */
  async look(): Promise<void> {
    try {
      const query = { status: UNDER_WAY, parent: 'none', limit: MOST };
      const { dispatches } = await this.feed.request<DispatchList>('dispatches', query);
      if (this._disposed) {
        return;
      }
      const found = new Set(dispatches.map(row => row.dispatch_id));
      const gone = [...this._running.values()].filter(row => !found.has(row.dispatch_id));
      dispatches.forEach(row => this.take(row));
      await Promise.all(gone.map(row => this.lookAt(row)));
      this.settle();
    } catch {
      return; // no service, so nothing that it could tell
    }
  }

  cancel(id: string): Promise<unknown> {
    return this.feed.request(`dispatches/${encodeURIComponent(id)}/cancel`, {}, post({ nodes: null }));
  }

  dispose(): void {
    if (!this._disposed) {
      this._disposed = true;
      this._following?.dispose();
      Signal.clearData(this);
    }
  }

  private async lookAt(row: DispatchRow): Promise<void> {
    try {
      this.take(await this.feed.request<DispatchRow>(`dispatches/${row.dispatch_id}`));
    } catch {
      this._running.delete(row.dispatch_id); // deleted meanwhile
    }
  }

  private _onOverheard(_: unknown, changes: Changes): void {
    const roots = changes.dispatches.filter(row => row.parent_id === null);
    roots.forEach(row => this.take(row));
    changes.deleted.forEach(id => this._running.delete(id));
    if (roots.length > 0 || changes.deleted.length > 0) {
      this.settle();
    }
  }

  private take(after: DispatchRow): void {
    const before = this._running.get(after.dispatch_id);
    if (before && before.seq >= after.seq) {
      return;
    }
    if (hasEnded(after)) {
      this._running.delete(after.dispatch_id);
    } else {
      this._running.set(after.dispatch_id, after);
    }
    this._moved.emit({ before, after });
  }

  private settle(): void {
    if (this._running.size === 0) {
      this._following?.dispose();
      this._following = null;
    } else {
      this._following ??= this.feed.follow(null, changes => {
        if (changes.reset) {
          void this.look();
        }
      });
    }
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  private readonly _moved = new Signal<this, Move>(this);
  private readonly _running = new Map<string, DispatchRow>();
  private _following: IDisposable | null = null;
  private _disposed = false;
}
