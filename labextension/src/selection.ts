import { ISignal, Signal } from '@lumino/signaling';

/** What is selected in a list, and which entry the keyboard is at. Orders are the ids as they are shown. */
export class Selection {
  /** Emitted after any change. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get ids(): ReadonlySet<string> {
    return this._ids;
  }

  /** Where the keyboard is. */
  get active(): string | null {
    return this._active;
  }

  has(id: string): boolean {
    return this._ids.has(id);
  }

  /** This one alone. */
  only(id: string): void {
    this._ids = new Set([id]);
    this._active = this._anchor = id;
    this._changed.emit();
  }

  /** This one more, or one less. */
  toggle(id: string): void {
    this._ids = new Set(this._ids);
    if (!this._ids.delete(id)) {
      this._ids.add(id);
    }
    this._active = this._anchor = id;
    this._changed.emit();
  }

  /** All from where the selection began to this one. */
  extend(id: string, order: readonly string[]): void {
    const from = this._anchor === null ? -1 : order.indexOf(this._anchor);
    const to = order.indexOf(id);
    if (from < 0 || to < 0) {
      this.only(id);
      return;
    }
    this._ids = new Set(order.slice(Math.min(from, to), Math.max(from, to) + 1));
    this._active = id;
    this._changed.emit();
  }

  /** By so many entries up or down, from where the keyboard is; `extending` as with the shift key. */
  move(by: number, order: readonly string[], extending: boolean): void {
    if (order.length === 0) {
      return;
    }
    const at = this._active === null ? -1 : order.indexOf(this._active);
    const to = at < 0 ? (by > 0 ? 0 : order.length - 1) : Math.max(0, Math.min(order.length - 1, at + by));
    if (extending) {
      this.extend(order[to], order);
    } else {
      this.only(order[to]);
    }
  }

  all(order: readonly string[]): void {
    this._ids = new Set(order);
    this._active = this._active ?? order[0] ?? null;
    this._anchor = this._anchor ?? this._active;
    this._changed.emit();
  }

  clear(): void {
    this._ids = new Set();
    this._anchor = this._active;
    this._changed.emit();
  }

  /** These are gone. */
  drop(ids: Iterable<string>): void {
    const left = new Set(this._ids);
    let changed = false;
    for (const id of ids) {
      changed = left.delete(id) || changed;
      if (this._active === id) {
        this._active = null;
        changed = true;
      }
      if (this._anchor === id) {
        this._anchor = null;
      }
    }
    if (changed) {
      this._ids = left;
      this._changed.emit();
    }
  }

  private readonly _changed = new Signal<this, void>(this);
  private _ids = new Set<string>();
  private _active: string | null = null;
  private _anchor: string | null = null;
}
