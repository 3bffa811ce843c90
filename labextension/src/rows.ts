import { newestFirst } from './pager';
import { DispatchList, DispatchRow } from './types';

/** The dispatches that are known, each in its newest state, and which of them are runs of whose sublattices. */
export class Rows {
  get(id: string): DispatchRow | undefined {
    return this._rows.get(id);
  }

  has(id: string): boolean {
    return this._rows.has(id);
  }

  /** Those of these ids that are known. */
  of(ids: Iterable<string>): DispatchRow[] {
    return [...ids].flatMap(id => this._rows.get(id) ?? []);
  }

  /** Take a row in; false if a newer state of it is known. */
  keep(row: DispatchRow): boolean {
    const id = row.dispatch_id;
    const known = this._rows.get(id);
    if (known && known.seq > row.seq) {
      return false;
    }
    this._rows.set(id, row);
    if (row.parent_id !== null) {
      const siblings = this._children.get(row.parent_id) ?? new Set();
      this._children.set(row.parent_id, siblings.add(id));
    }
    return true;
  }

  /** Take in how many runs of sublattices each dispatch of a page has. */
  keepCounts(page: DispatchList): void {
    Object.entries(page.children ?? {}).forEach(([id, count]) => this._childCount.set(id, count));
  }

  /** The row that was known until now. */
  forget(id: string): DispatchRow | undefined {
    const row = this._rows.get(id);
    this._rows.delete(id);
    this._childCount.delete(id);
    if (row?.parent_id) {
      this._children.get(row.parent_id)?.delete(id);
    }
    return row;
  }

  /** How many runs of sublattices a dispatch has. */
  childCount(id: string): number {
    return Math.max(this._childCount.get(id) ?? 0, this._children.get(id)?.size ?? 0);
  }

  /** Runs of a dispatch's sublattices, oldest first, as far as they are known. */
  children(id: string): DispatchRow[] {
    const found = this.of(this._children.get(id) ?? []);
    return found.sort((a, b) => (a.parent_node ?? 0) - (b.parent_node ?? 0) || newestFirst(b, a));
  }

  private readonly _rows = new Map<string, DispatchRow>();
  private readonly _children = new Map<string, Set<string>>();
  private readonly _childCount = new Map<string, number>();
}
