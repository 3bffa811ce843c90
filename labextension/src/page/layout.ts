import { IStateDB } from '@jupyterlab/statedb';
import { JSONObject } from '@lumino/coreutils';
import { ISignal, Signal } from '@lumino/signaling';

import { Layout, USUAL_LAYOUT } from '../views/dispatch';

const KEY = 'covalent-jupyter:page:layout';

/** How people have arranged their pages: the same for all of them, and after a reload. */
export class LayoutMemory {
  constructor(private readonly state: IStateDB | null) {}

  get value(): Layout {
    return this._value;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Take what was kept; of what makes no sense, the usual. */
  async load(): Promise<void> {
    const kept = (await this.state?.fetch(KEY)) as Partial<Layout> | undefined;
    const { width, columns } = kept ?? {};
    this._value = {
      width: typeof width === 'number' && width > 0 ? width : USUAL_LAYOUT.width,
      columns: Array.isArray(columns) && columns.length > 0 ? columns.map(String) : USUAL_LAYOUT.columns
    };
  }

  set(part: Partial<Layout>): void {
    this._value = { ...this._value, ...part };
    this._changed.emit();
    void this.state?.save(KEY, { ...this._value } as unknown as JSONObject);
  }

  private readonly _changed = new Signal<this, void>(this);
  private _value: Layout = USUAL_LAYOUT;
}
