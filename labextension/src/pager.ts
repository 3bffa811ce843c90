import { DispatchList, DispatchRow } from './types';

/** Those dispatched last come first; of two at one moment, as the service sorts them. */
export function newestFirst(a: DispatchRow, b: DispatchRow): number {
  return b.created - a.created || (a.dispatch_id < b.dispatch_id ? 1 : -1);
}

/** The beginning of a long list that the service keeps: what was fetched of it, newest first, and how to go on. */
export class Pager {
  /** Ids, newest first. */
  readonly ids: string[] = [];
  /** Of the next page; null when all is here, undefined before the first page. */
  next: string | null | undefined = undefined;
  loading = false;

  constructor(private readonly row: (id: string) => DispatchRow | undefined) {}

  get isComplete(): boolean {
    return this.next === null;
  }

  /** Whether what was fetched goes back to the time of this dispatch. */
  reaches(row: DispatchRow): boolean {
    const last = this.row(this.ids[this.ids.length - 1]);
    return this.isComplete || (last !== undefined && newestFirst(row, last) < 0);
  }

  /** Take a page in. */
  append(page: DispatchList): void {
    const known = new Set(this.ids);
    for (const { dispatch_id } of page.dispatches) {
      if (!known.has(dispatch_id)) {
        this.ids.push(dispatch_id);
      }
    }
    this.next = page.next;
  }

  /** Put a dispatch at its place, unless that lies beyond what was fetched. Whether it is here now. */
  insert(row: DispatchRow): boolean {
    if (this.ids.includes(row.dispatch_id)) {
      return true;
    }
    let [low, high] = [0, this.ids.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.row(this.ids[middle]);
      if (other && newestFirst(other, row) < 0) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    if (low === this.ids.length && !this.isComplete) {
      return false;
    }
    this.ids.splice(low, 0, row.dispatch_id);
    return true;
  }

  remove(id: string): void {
    const at = this.ids.indexOf(id);
    if (at >= 0) {
      this.ids.splice(at, 1);
    }
  }
}
