import { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { DispatchModel } from '../dispatch';
import { clock, dateAndTime } from '../format';
import { ISource } from '../source';
import { Health } from '../types';
import { Trans } from '../views/context';
import { isEnded } from '../states';
import { Bundle } from './bundle';
import { StillSource } from './still';
import { Sweep, sweepTag } from './sweep';

/** Time after its end in which a dispatch is still followed, in ms: what is on its way arrives. */
const LINGER = 3000;

/** A dispatch in a notebook: the service's, and where the service knows nothing of it, what the notebook kept. */
export class Memory implements IDisposable {
  constructor(
    private readonly source: ISource,
    private _bundle: Bundle,
    /** Whether it is shown inside the panel of its sweep. */
    private readonly isPart = false
  ) {
    this._live = new DispatchModel(source, _bundle.dispatch_id);
    this._still = new DispatchModel(new StillSource(_bundle), _bundle.dispatch_id);
    this._live.changed.connect(this._onChanged, this);
    this._still.start();
  }

  /** Emitted when another model is to be shown, or there is something else to say about it. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get bundle(): Bundle {
    return this._bundle;
  }

  /** What is to be drawn. */
  get shown(): DispatchModel {
    return this.isStill ? this._still : this._live;
  }

  /** Whether it is shown as the notebook kept it. */
  get isStill(): boolean {
    return this._live.row === null && this._bundle.row !== null;
  }

  /** Why the service does not answer. */
  get why(): string {
    return this._live.problem;
  }

  /** The run that somebody started from here. */
  get again(): Memory | null {
    return this._again;
  }

  /** The sweep that the dispatch is one of; null for what is none, and where only what the notebook kept is known. */
  get sweep(): Sweep | null {
    return this.isStill ? null : this._sweep;
  }

  /** The dispatch of the sweep that is looked at: this one, until somebody chooses another. */
  get chosen(): Memory {
    return this._chosen ?? this;
  }

  /** Look at a dispatch of the sweep. */
  choose(id: string): void {
    let part = this._parts.get(id) ?? null;
    if (id !== this._live.id && !part) {
      part = new Memory(this.source, { ...NOTHING, dispatch_id: id }, true);
      this._parts.set(id, part);
    }
    this._chosen = part;
    part?.start();
    this._changed.emit();
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  /** What there is to say about how old, or from where, it is; "" while it is alive. */
  words(trans: Trans): string {
    const { presence, link } = this._live;
    const when = moment(this._bundle.as_of);
    if (presence === 'unknown') {
      return this._elsewhere ? trans.__('as of %1, from another store', when) : trans.__('as of %1; it was deleted', when);
    }
    if (presence === 'deleted') {
      return trans.__('deleted');
    }
    if (this.isStill) {
      return this._live.problem ? trans.__('as of %1; the service cannot be reached', when) : '';
    }
    const { row } = this._live;
    if (!row || isEnded(row.status)) {
      return '';
    }
    return link === 'online' || link === 'loading'
      ? this.source.problem
      : trans.__('The service cannot be reached; the panel goes on as soon as it can.');
  }

  /** Follow it, while somebody may look. */
  start(): void {
    const { row } = this._live;
    if (this._disposed) {
      return;
    }
    if (!(row && isEnded(row.status))) {
      this._live.start();
    }
    this._wanted = true;
    this._sweep?.start();
    this._chosen?.start();
    this._again?.start();
  }

  stop(): void {
    window.clearTimeout(this._timer);
    this._wanted = false;
    this._live.stop();
    this._sweep?.stop();
    this._parts.forEach(part => part.stop());
    this._again?.stop();
  }

  /** The notebook's output was written anew. */
  renew(bundle: Bundle): void {
    this._bundle = bundle;
    this._still.dispose();
    this._still = new DispatchModel(new StillSource(bundle), bundle.dispatch_id);
    this._still.start();
    this._changed.emit();
  }

  /** Run it again; the new run is shown below, that of a sweep in its place. */
  async redispatch(id: string, reuse: string): Promise<void> {
    if (id !== this._live.id && this._again) {
      return this._again.redispatch(id, reuse);
    }
    const answer = await this.source.request<{ dispatch_id: string }>(`dispatches/${id}/redispatch`, {}, {
      method: 'POST',
      body: JSON.stringify({ reuse })
    });
    if (this._sweep) {
      await this._sweep.look();
      this.choose(answer.dispatch_id);
      return;
    }
    this._again?.dispose();
    this._again = new Memory(this.source, { ...NOTHING, dispatch_id: answer.dispatch_id });
    this._again.start();
    this._changed.emit();
  }

  dispose(): void {
    if (this._disposed) {
      return;
    }
    this._disposed = true;
    window.clearTimeout(this._timer);
    this._live.dispose();
    this._still.dispose();
    this._sweep?.dispose();
    this._parts.forEach(part => part.dispose());
    this._again?.dispose();
    Signal.clearData(this);
  }

  private _onChanged(): void {
    const { presence, row } = this._live;
    if (presence === 'unknown' && !this._asked) {
      this._asked = true;
      void this._compare();
    }
    if (row && isEnded(row.status) && !this._timer) {
      this._timer = window.setTimeout(() => this._live.stop(), LINGER);
    }
    const tag = row && !this.isPart ? sweepTag(row) : '';
    if (tag && !this._sweep) {
      this._sweep = new Sweep(this.source, tag);
      if (this._wanted) {
        this._sweep.start();
      }
      this._changed.emit();
    }
    const said = `${presence} ${this._live.link} ${this.isStill} ${this._live.problem}`;
    if (said !== this._said) {
      this._said = said;
      this._changed.emit();
    }
  }

  /** Is what the notebook kept from the store that was asked? */
  private async _compare(): Promise<void> {
    try {
      const health = await this.source.request<Health>('health');
      this._elsewhere = health.store_id !== this._bundle.store_id;
    } catch {
      return; // it stays "another store": nobody can say
    }
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  private readonly _live: DispatchModel;
  private _still: DispatchModel;
  private _again: Memory | null = null;
  private _sweep: Sweep | null = null;
  private readonly _parts = new Map<string, Memory>();
  private _chosen: Memory | null = null;
  /** Between `start` and `stop`. */
  private _wanted = false;
  private _elsewhere = true;
  private _asked = false;
  private _said = '';
  private _timer = 0;
  private _disposed = false;
}

/** What a notebook kept of a dispatch that it does not hold. */
const NOTHING = { version: 1, store_id: '', as_of: 0, row: null, electrons: [], graph: null, result: null, more: 0 };

/** "11:03" today, the date before. */
function moment(seconds: number): string {
  const today = new Date(seconds * 1000).toDateString() === new Date().toDateString();
  return today ? clock(seconds) : dateAndTime(seconds);
}
