import { Question } from './counts';
import { groupOf, passes } from './filter';
import { Pager } from './pager';
import { Rows } from './rows';
import { hasEnded } from './states';
import { DispatchRow } from './types';

/**
 * Which dispatches are listed, and where: those under way, and those that have ended, by group, each as many pages as are here.
 *
 * While it is held, what is listed keeps its place.
 */
export class Listing {
  constructor(
    private readonly rows: Rows,
    private readonly question: () => Question
  ) {
    this._running = this.pager();
  }

  /** Dispatches under way, newest first. */
  get running(): Pager {
    return this._running;
  }

  /** Those that have ended; `group` is "" where they are not grouped. */
  past(group: string): Pager {
    let pager = this._past.get(group);
    if (!pager) {
      pager = this.pager();
      this._past.set(group, pager);
    }
    return pager;
  }

  /** A list of its own, which `begin` may put in its place. */
  pager(): Pager {
    return new Pager(id => this.rows.get(id));
  }

  /** Other lists, for another filter or grouping. */
  begin(running: Pager, past: Map<string, Pager>): void {
    this._running = running;
    this._past = past;
    this._placed = new Set(this.pagers.flatMap(pager => pager.ids));
    this._held?.clear();
  }

  includes(id: string): boolean {
    return this.pagers.some(pager => pager.ids.includes(id));
  }

  /** Whether an ended one would be among those of its group that are here. */
  reaches(row: DispatchRow): boolean {
    return this._past.get(groupOf(row, this.question().grouping))?.reaches(row) ?? false;
  }

  /** How many new ones are not listed because it is held. */
  get held(): number {
    return this._held ? [...this._held].filter(id => !this._placed.has(id)).length : 0;
  }

  hold(): void {
    this._held ??= new Set();
  }

  /** Whether there is anything that had been held back. */
  release(): boolean {
    const held = this._held;
    this._held = null;
    held?.forEach(id => this.place(id));
    return Boolean(held?.size);
  }

  /** A page of one of the lists has come. */
  placed(ids: Iterable<string>): void {
    for (const id of ids) {
      this._placed.add(id);
    }
  }

  /** Put a row where it belongs, as soon as the list is not held. */
  settle(id: string): void {
    if (this._held) {
      this._held.add(id);
    } else {
      this.place(id);
    }
  }

  /** Put a row into the list where it belongs, and out of those where it does not. */
  place(id: string): void {
    const row = this.rows.get(id);
    if (!row || row.parent_id !== null) {
      return;
    }
    const { filter, grouping } = this.question();
    const home = hasEnded(row) ? this._past.get(groupOf(row, grouping)) : this._running;
    const found = this.includes(id);
    for (const pager of this.pagers) {
      if (pager !== home) {
        pager.remove(id);
      }
    }
    if (!passes(row, filter, found)) {
      home?.remove(id);
    } else if (home?.insert(row)) {
      this._placed.add(id);
    }
  }

  forget(id: string): void {
    this._placed.delete(id);
    this._held?.delete(id);
    this.pagers.forEach(pager => pager.remove(id));
  }

  private get pagers(): Pager[] {
    return [this._running, ...this._past.values()];
  }

  private _running: Pager;
  private _past = new Map<string, Pager>();
  private _placed = new Set<string>();
  private _held: Set<string> | null = null;
}
