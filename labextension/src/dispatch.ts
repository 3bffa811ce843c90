import { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { ISource, Link, messageOf, RequestError } from './source';
import { telling } from './telling';
import {
  Changes,
  DispatchRow,
  ElectronDetail,
  ElectronList,
  ElectronRow,
  Graph,
  LiveLog,
  Status
} from './types';

/** Rows of electrons that are fetched at once. */
const PAGE = 500;
/** Rows that are kept; of larger dispatches, these and what was asked for. */
export const MOST_ROWS = 20_000;
/** Rows that are fetched before all others: those that have something to tell. */
const TELLING: readonly Status[] = ['FAILED', 'RUNNING', 'CANCELLED'];
const FIRST = 200;

export type Presence =
  /** Not known yet. */
  | 'loading'
  | 'here'
  /** There is no such dispatch; `problem` says what there is. */
  | 'unknown'
  /** It was here, and somebody deleted it. */
  | 'deleted';

/** What of a dispatch somebody wants to see. Nothing else is fetched. */
export type Want = 'telling' | 'electrons' | 'graph';

/**
 * One dispatch, kept current while it is followed: its row, its electrons, its graph, what running electrons have printed.
 *
 * The id may be a unique prefix; `id` is the whole one as soon as it is known. It draws nothing, and asks only between
 * `start()` and `stop()`.
 */
export class DispatchModel implements IDisposable {
  constructor(
    readonly source: ISource,
    id: string
  ) {
    this._id = id;
    source.linkChanged.connect(this._onLink, this);
  }

  /** Emitted after any change. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get id(): string {
    return this._id;
  }

  get presence(): Presence {
    return this._presence;
  }

  /** Why there is nothing to show, or why the last request failed; "" while all is well. */
  get problem(): string {
    return this._problem || this.source.problem;
  }

  get link(): Link {
    return this.source.link;
  }

  get row(): DispatchRow | null {
    return this._row;
  }

  /** Those that were fetched or told of: all of them as soon as `complete`. */
  get electrons(): ReadonlyMap<number, ElectronRow> {
    return this._electrons;
  }

  /** Electrons that there are, fetched or not. */
  get total(): number {
    return this._row?.counts.total ?? this._electrons.size;
  }

  /** Whether `electrons` holds every electron. */
  get complete(): boolean {
    return this._row !== null && this._electrons.size >= this.total;
  }

  get graph(): Graph | null {
    return this._graph;
  }

  /** What running electrons have printed so far: read it by offset. */
  get logs(): ReadonlyMap<number, LiveLog> {
    return this._logs;
  }

  /** Rows of the runs of its sublattices, by id. */
  get children(): ReadonlyMap<string, DispatchRow> {
    return this._children;
  }

  /** Grows whenever an electron has changed. */
  get revision(): number {
    return this._revision;
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  now(): number {
    return this.source.now();
  }

  /** The state of an electron, as new as it is known. */
  statusOf(node: number): Status {
    return this._electrons.get(node)?.status ?? this._states.get(node) ?? 'NEW_OBJECT';
  }

  /** What tells an electron from its siblings, such as "C=0.1"; "" until the graph is there. */
  inputsOf(node: number): string {
    return this._telling.get(node) ?? '';
  }

  /** All that an electron was given, besides values of others: "C=0.1, gamma=0.7". */
  givenOf(node: number): string {
    return this._graph?.inputs?.[node] ?? '';
  }

  /** Follow the dispatch. */
  start(): void {
    if (this._started || this._disposed) {
      return;
    }
    this._started = true;
    void this._identify();
  }

  /** Ask no more, for instance while nobody looks. What is known stays. */
  stop(): void {
    this._started = false;
    this._following?.dispose();
    this._following = null;
  }

  /** Fetch what somebody wants to see, now and after every gap. */
  want(...wants: Want[]): void {
    const fresh = wants.filter(want => !this._wants.has(want));
    fresh.forEach(want => this._wants.add(want));
    const rests = !this._started && this._presence === 'here';
    if ((this._following || rests) && fresh.length > 0) {
      void this._fetch(fresh);
    }
  }

  /** Fetch what is wanted once more, after a failure. */
  again(): void {
    this._problem = '';
    this._revision += 1;
    this._changed.emit();
    if (this._presence === 'here') {
      void this._refresh();
    }
  }

  /** Electrons of a large dispatch that match, fetched from the service; they are kept. */
  async find(name: string, status: readonly Status[], limit = PAGE): Promise<number[]> {
    const list = await this.source.request<ElectronList>(`dispatches/${this._id}/electrons`, {
      name,
      status: status.join(','),
      limit,
      pictures: false
    });
    this._keep(list.electrons);
    this._changed.emit();
    return list.electrons.map(row => row.node);
  }

  /** Everything about one electron. */
  async detail(node: number): Promise<ElectronDetail> {
    return this.source.request<ElectronDetail>(`dispatches/${this._id}/electrons/${node}`);
  }

  dispose(): void {
    if (this._disposed) {
      return;
    }
    this._disposed = true;
    this.stop();
    this.source.linkChanged.disconnect(this._onLink, this);
    Signal.clearData(this);
  }

  /** The row, by whatever part of the id is known; then the feed. */
  private async _identify(): Promise<void> {
    let pause = 500;
    const round = ++this._round;
    const wanted = () => this._started && this._round === round;
    while (wanted() && !this._following) {
      try {
        const row = await this.source.request<DispatchRow>(`dispatches/${encodeURIComponent(this._id)}`);
        if (!wanted()) {
          return;
        }
        this._take(row);
        this._following = this.source.follow(this._id, changes => this._apply(changes));
      } catch (error) {
        if (!this._lost(error)) {
          await new Promise(resolve => window.setTimeout(resolve, pause));
          pause = Math.min(30_000, 2 * pause);
        }
      }
      this._changed.emit();
    }
  }

  /** Take a failure in; whether asking again is of no use. */
  private _lost(error: unknown): boolean {
    this._problem = messageOf(error);
    const status = error instanceof RequestError && error.trouble === 'refused' ? error.status : 0;
    if (status === 404 || (status >= 400 && status < 500 && !this._row)) {
      this._presence = this._row ? 'deleted' : 'unknown';
      this._started = false;
      return true;
    }
    return false;
  }

  private _take(row: DispatchRow): void {
    this._id = row.dispatch_id;
    if (!this._row || this._row.seq <= row.seq) {
      this._row = row;
    }
    this._presence = 'here';
    this._problem = '';
  }

  private _apply(changes: Changes): void {
    if (changes.reset) {
      void this._refresh();
      return;
    }
    if (changes.deleted.includes(this._id)) {
      this._presence = 'deleted';
      this.stop();
    }
    for (const row of changes.dispatches) {
      if (row.dispatch_id === this._id) {
        this._take(row);
      } else {
        this._children.set(row.dispatch_id, row);
      }
    }
    this._keep(changes.electrons);
    for (const log of changes.logs) {
      this._grow(log);
    }
    this._changed.emit();
  }

  private _grow(log: LiveLog): void {
    this._logs.set(log.node, log);
    const row = this._electrons.get(log.node);
    if (row && log.progress && row.status === 'RUNNING') {
      this._electrons.set(log.node, { ...row, progress: log.progress });
      this._revision += 1;
    }
  }

  /** After the first connection and after every gap. */
  private async _refresh(): Promise<void> {
    try {
      this._take(await this.source.request<DispatchRow>(`dispatches/${this._id}`));
    } catch (error) {
      if (this._lost(error)) {
        this.stop();
      }
      this._changed.emit();
      return;
    }
    this._changed.emit();
    await this._fetch([...this._wants]);
  }

  private async _fetch(wants: Want[]): Promise<void> {
    try {
      if (wants.includes('graph')) {
        await this._fetchGraph();
      }
      if (wants.includes('telling') || (wants.includes('electrons') && this.total > PAGE)) {
        await this._fetchPage(0, { limit: FIRST, status: TELLING.join(',') });
      }
      if (wants.includes('electrons')) {
        await this._fetchAll();
      }
    } catch (error) {
      this._problem = messageOf(error);
      this._changed.emit();
    }
  }

  private async _fetchGraph(): Promise<void> {
    const graph = await this.source.request<Graph>(`dispatches/${this._id}/graph`);
    this._states = new Map(graph.nodes.map(([node, , , status]) => [node, status]));
    this._graph = graph;
    this._telling = telling(graph);
    this._revision += 1;
    this._changed.emit();
  }

  private async _fetchAll(): Promise<void> {
    for (let offset = 0; offset < Math.min(this.total, MOST_ROWS); offset += PAGE) {
      const got = await this._fetchPage(offset, { limit: PAGE });
      if (got < PAGE || this._disposed) {
        break;
      }
    }
  }

  private async _fetchPage(offset: number, query: { limit: number; status?: string }): Promise<number> {
    const list = await this.source.request<ElectronList>(`dispatches/${this._id}/electrons`, {
      offset,
      ...query,
      pictures: false
    });
    this._keep(list.electrons);
    this._changed.emit();
    return list.electrons.length;
  }

  /** Take rows in, unless a newer state of them is known. */
  private _keep(rows: readonly ElectronRow[]): void {
    for (const row of rows) {
      const known = this._electrons.get(row.node);
      if (!known || known.seq <= row.seq) {
        this._electrons.set(row.node, row);
      }
      if (this._logs.has(row.node) && row.ended !== null) {
        this._logs.delete(row.node);
      }
    }
    this._revision += rows.length > 0 ? 1 : 0;
  }

  private _onLink(): void {
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  private readonly _electrons = new Map<number, ElectronRow>();
  private readonly _logs = new Map<number, LiveLog>();
  private readonly _children = new Map<string, DispatchRow>();
  private readonly _wants = new Set<Want>();
  private _states: ReadonlyMap<number, Status> = new Map();
  private _id: string;
  private _row: DispatchRow | null = null;
  private _graph: Graph | null = null;
  private _telling: ReadonlyMap<number, string> = new Map();
  private _presence: Presence = 'loading';
  private _problem = '';
  private _revision = 0;
  private _following: IDisposable | null = null;
  private _started = false;
  /** Of two searches for the row, the last counts. */
  private _round = 0;
  private _disposed = false;
}
