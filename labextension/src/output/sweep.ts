import { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { ISource } from '../source';
import { isEnded, Trans } from '../states';
import { Counts, DispatchList, DispatchRow, Status } from '../types';
import { settled } from '../views/figures';

/** Dispatches of one sweep that are looked for. */
const MOST = 200;

/** The tag that all dispatches of its sweep bear; "" for what is no sweep. */
export function sweepTag(row: DispatchRow): string {
  return row.lattice.startsWith('sweep of ') ? (row.tags.find(tag => tag.startsWith('sweep:')) ?? '') : '';
}

/** The dispatches of a sweep: the first, and one for each time that points were added or run again. */
export class Sweep implements IDisposable {
  constructor(
    private readonly source: ISource,
    readonly tag: string
  ) {}

  /** Emitted when there is another dispatch, or one has gone on. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The oldest first; those that a later one has run again as a whole are left out. */
  get rows(): DispatchRow[] {
    const replaced = new Set([...this._rows.values()].map(row => row.redispatch_of));
    return [...this._rows.values()]
      .filter(row => !replaced.has(row.dispatch_id))
      .sort((a, b) => a.created - b.created);
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  /** Look what there is, and follow what has not ended. */
  start(): void {
    if (!this._started && !this._disposed) {
      this._started = true;
      void this.look();
    }
  }

  stop(): void {
    this._started = false;
    this._following.forEach(following => following.dispose());
    this._following.clear();
  }

  /** Ask for its dispatches. Where nobody answers, what is known stays. */
  async look(): Promise<void> {
    try {
      const query = { tag: this.tag, parent: 'none', limit: MOST };
      const list = await this.source.request<DispatchList>('dispatches', query);
      const here = new Set(list.dispatches.map(row => row.dispatch_id));
      [...this._rows.keys()].filter(id => !here.has(id)).forEach(id => this._rows.delete(id));
      list.dispatches.forEach(row => this._take(row));
    } catch {
      return;
    }
    this._changed.emit();
    this._follow();
  }

  dispose(): void {
    if (!this._disposed) {
      this._disposed = true;
      this.stop();
      Signal.clearData(this);
    }
  }

  private _follow(): void {
    for (const [id, row] of this._rows) {
      if (this._started && !isEnded(row.status) && !this._following.has(id)) {
        let begun = false;
        const following = this.source.follow(id, changes => {
          if (changes.reset && begun) {
            void this.look(); // something may have been missed
          }
          begun = true;
          changes.dispatches.filter(changed => changed.dispatch_id === id).forEach(changed => this._take(changed));
          changes.deleted.forEach(gone => this._rows.delete(gone));
          this._changed.emit();
        });
        this._following.set(id, following);
      } else if (isEnded(row.status)) {
        this._following.get(id)?.dispose();
        this._following.delete(id);
      }
    }
  }

  private _take(row: DispatchRow): void {
    const known = this._rows.get(row.dispatch_id);
    if (!known || known.seq <= row.seq) {
      this._rows.set(row.dispatch_id, row);
    }
    if (isEnded(row.status)) {
      this._following.get(row.dispatch_id)?.dispose();
    }
  }

  private readonly _changed = new Signal<this, void>(this);
  private readonly _rows = new Map<string, DispatchRow>();
  private readonly _following = new Map<string, IDisposable>();
  private _started = false;
  private _disposed = false;
}

/** What one of its dispatches is in the sweep. */
export function kindOf(row: DispatchRow, tag: string): 'first' | 'more' | 'again' {
  if (tag.endsWith(row.dispatch_id.slice(0, 8))) {
    return 'first';
  }
  // Sweep.add and Sweep.retry_failed give these names; one that people give is a label
  return / × \d+ again$/.test(row.name) ? 'again' : / × \d+ more$/.test(row.name) ? 'more' : 'first';
}

export interface Whole {
  status: Status;
  /** Of points, each by its newest run. */
  counts: Counts;
  /** "8 of 9 points · 1 running" */
  words: string;
}

/**
 * How the whole sweep stands. A point is run again only if it failed or was cancelled, so that none has completed twice, and
 * what has neither completed nor goes on has failed.
 */
export function wholeOf(rows: readonly DispatchRow[], tag: string, trans: Trans): Whole {
  const sum = (of: (row: DispatchRow) => number | undefined) => rows.reduce((all, row) => all + (of(row) ?? 0), 0);
  const completed = sum(row => row.counts.completed);
  const running = sum(row => row.counts.running);
  const open = sum(row => (isEnded(row.status) ? 0 : (row.counts.total ?? 0) - settled(row.counts)));
  const total = Math.max(
    completed + open,
    sum(row => (kindOf(row, tag) === 'again' ? 0 : row.counts.total))
  );
  const lost = total - completed - open;
  const failed = sum(row => row.counts.failed);
  const cancelled = sum(row => (row.counts.cancelled ?? 0) + (row.counts.skipped ?? 0));
  const going = rows.some(row => !isEnded(row.status));
  const words = [
    completed === total
      ? trans._n('%1 point', '%1 points', total)
      : trans.__('%1 of %2 points completed', completed, total),
    running > 0 && trans.__('%1 running', running),
    open > running && trans.__('%1 waiting', open - running),
    lost > 0 &&
      (cancelled === 0
        ? trans.__('%1 failed', lost)
        : failed === 0
          ? trans.__('%1 cancelled', lost)
          : trans.__('%1 failed or cancelled', lost))
  ];
  return {
    status: going ? 'RUNNING' : lost === 0 ? 'COMPLETED' : failed === 0 ? 'CANCELLED' : 'FAILED',
    counts: { total, completed, running, failed: failed === 0 ? 0 : lost, cancelled: failed === 0 ? lost : 0 },
    words: words.filter(Boolean).join(' · ')
  };
}
