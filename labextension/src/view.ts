import { ISignal, Signal } from '@lumino/signaling';

/** How the sidebar shows what it shows, and what it knows of the place where it is. */
export class View {
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  showInputs = true;
  showTags = true;
  /** Whole path of the current notebook, "" where there is none. */
  notebook = '';

  set(change: Partial<Pick<View, 'showInputs' | 'showTags' | 'notebook'>>): void {
    Object.assign(this, change);
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
}
