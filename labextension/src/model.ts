import { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import {
  counted,
  EVERYTHING,
  Filter,
  groupOf,
  Grouping,
  isFiltering,
  NO_TOTALS,
  passes,
  pastQueryOf,
  queryOf,
  summaryQueryOf,
  Totals,
  UNDER_WAY
} from './filter';
import { newestFirst, Pager } from './pager';
import { Selection } from './selection';
import { ISource, Link, messageOf, post, Query, RequestError } from './source';
import { hasEnded } from './states';
import { countingFilter, Tally } from './tally';
import { Changes, DispatchList, DispatchRow, Group, Summary } from './types';

/** Rows fetched at once. */
const PAGE = 200;
/** Time without a keystroke after which the service is asked to search, in ms. */
const SEARCH_AFTER = 200;
/** Time from a change to the next count by the service, in ms. */
const COUNT_AFTER = 1000;

/**
 * The dispatches that the sidebar lists: those under way, and, page by page, those that have ended; kept current while
 * it follows, between `start()` and `stop()`.
 */
export class CovalentModel implements IDisposable {
  constructor(readonly source: ISource) {
    source.linkChanged.connect(this._onLink, this);
    this.selection.changed.connect(this._emit, this);
  }

  readonly selection = new Selection();

  /** Emitted after any change. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Emitted when somebody wants the list to show the active row. */
  get revealed(): ISignal<this, string> {
    return this._revealed;
  }

  /** Emitted with each dispatch whose end was seen: those of sublattices left out. */
  get ended(): ISignal<this, DispatchRow> {
    return this._ended;
  }

  /** Emitted when what a changed filter leaves is here. */
  get filtered(): ISignal<this, void> {
    return this._filtered;
  }

  /** Emitted with what is to be said to those who do not see the list. */
  get said(): ISignal<this, string> {
    return this._said;
  }

  say(text: string): void {
    this._said.emit(text);
  }

  get link(): Link {
    return this.source.link === 'online' && !this._loaded ? 'loading' : this.source.link;
  }

  get problem(): string {
    return this._problem || this.source.problem;
  }

  get totals(): Totals {
    return this._totals;
  }

  get filter(): Filter {
    return this._filter;
  }

  get isFiltered(): boolean {
    return isFiltering(this._filter);
  }

  get grouping(): Grouping {
    return this._grouping;
  }

  /** Dispatches by lattice or notebook, where they are grouped so. */
  get groups(): readonly Group[] {
    return this._groups;
  }

  /** New dispatches that are not shown because nothing moves under the pointer. */
  get held(): number {
    return this._held ? [...this._held].filter(id => !this._placed.has(id)).length : 0;
  }

  /** The dispatch whose name is being edited. */
  get renaming(): string | null {
    return this._renaming;
  }

  set renaming(id: string | null) {
    this._renaming = id;
    this._changed.emit();
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  /** Seconds since the epoch in the clock of the service. */
  now(): number {
    return this.source.now();
  }

  row(id: string): DispatchRow | undefined {
    return this._rows.get(id);
  }

  /** Dispatches under way, newest first. */
  get running(): Pager {
    return this._running;
  }

  /** How many under way match. */
  get runningTotal(): number {
    const { ids, isComplete } = this._running;
    return isComplete ? ids.length : Math.max(this._totals.running, ids.length);
  }

  /** Those that have ended; `group` is a key of `groups`, or "" where they are not grouped. */
  past(group: string): Pager {
    let pager = this._past.get(group);
    if (!pager) {
      pager = this.pager();
      this._past.set(group, pager);
    }
    return pager;
  }

  /** How many ended ones match. */
  pastTotal(group: string): number {
    const pager = this.past(group);
    if (pager.isComplete) {
      return pager.ids.length;
    }
    const found = this._groups.find(one => one.key === group);
    const told = this._grouping === 'day' ? this._pastTotal : found ? found.total - found.running : 0;
    return Math.max(told, pager.ids.length);
  }

  /** Whether a group, or the sublattices of a dispatch, are shown. */
  isOpen(key: string): boolean {
    return this._open.has(key);
  }

  get open(): readonly string[] {
    return [...this._open];
  }

  /** What was open before a reload. */
  restoreOpen(keys: readonly string[]): void {
    keys.forEach(key => this._open.add(key));
    this._choseGroups = keys.length > 0;
  }

  setOpen(key: string, open: boolean): void {
    if (open) {
      this._open.add(key);
    } else {
      this._open.delete(key);
    }
    if (open && this._rows.has(key)) {
      void this.loadChildren(key);
    }
    this._changed.emit();
  }

  /** How many runs of sublattices a dispatch has. */
  childCount(id: string): number {
    return Math.max(this._childCount.get(id) ?? 0, this._children.get(id)?.size ?? 0);
  }

  /** Runs of a dispatch's sublattices, oldest first, as far as they are known. */
  children(id: string): DispatchRow[] {
    const found = [...(this._children.get(id) ?? [])].flatMap(child => this._rows.get(child) ?? []);
    return found.sort((a, b) => (a.parent_node ?? 0) - (b.parent_node ?? 0) || newestFirst(b, a));
  }

  /** Whether a cancel was asked for and the dispatch has not ended. */
  isCancelling(id: string): boolean {
    return this._cancelling.has(id);
  }

  /** The rows of these ids, as far as they are known. */
  rows(ids: Iterable<string>): DispatchRow[] {
    return [...ids].flatMap(id => this._rows.get(id) ?? []);
  }

  start(): void {
    if (!this._following && !this._disposed) {
      this._following = this.source.follow(null, this._onChanges);
    }
  }

  stop(): void {
    this._following?.dispose();
    this._following = null;
  }

  /** Begin again from a fresh snapshot. */
  refresh(): Promise<void> {
    return this.load();
  }

  /** Show what matches. */
  setFilter(change: Partial<Filter>): void {
    this._filter = { ...this._filter, ...change };
    window.clearTimeout(this._searchTimer);
    const look = () => void this.load().then(() => this._filtered.emit());
    this._searchTimer = window.setTimeout(look, 'text' in change ? SEARCH_AFTER : 0);
    this._changed.emit();
  }

  showAll(): void {
    this.setFilter(EVERYTHING);
  }

  /** Emitted when a person has chosen another grouping here. */
  get groupingChosen(): ISignal<this, Grouping> {
    return this._groupingChosen;
  }

  chooseGrouping(grouping: Grouping): void {
    this.setGrouping(grouping);
    this._groupingChosen.emit(grouping);
  }

  setGrouping(grouping: Grouping): void {
    if (grouping !== this._grouping) {
      this._grouping = grouping;
      if (this._loaded) {
        void this.load();
      }
      this._changed.emit();
    }
  }

  /** Fetch the next page of ended ones, or (null) of those under way. */
  async more(group: string | null): Promise<void> {
    const pager = group === null ? this._running : this.past(group);
    if (pager.loading || pager.isComplete || this.source.link !== 'online') {
      return;
    }
    pager.loading = true;
    try {
      const query = group === null ? queryOf(this._filter, UNDER_WAY) : pastQueryOf(this._filter, this._grouping, group);
      await this.loadPage(pager, query);
    } catch (error) {
      this.fail(error);
    } finally {
      pager.loading = false;
    }
    this._changed.emit();
  }

  /** Fetch all that match, and select them. */
  async selectAll(): Promise<void> {
    const groups = this._grouping === 'day' ? [''] : this._groups.map(group => group.key).filter(key => this.isOpen(key));
    for (const group of [null, ...groups]) {
      const pager = () => (group === null ? this._running : this.past(group));
      for (let before = -1; before !== pager().ids.length && !pager().isComplete; ) {
        before = pager().ids.length;
        await this.more(group);
      }
    }
    this.selection.all([...this._running.ids, ...groups.flatMap(group => this.past(group).ids)]);
  }

  /** While held, rows keep their places and show their new states; new ones are counted. */
  hold(): void {
    this._held ??= new Set();
  }

  release(): void {
    const held = this._held;
    this._held = null;
    if (held?.size) {
      held.forEach(id => this.place(id));
      this._changed.emit();
    }
  }

  /** Have the list show this row. */
  reveal(id: string): void {
    this._revealed.emit(id);
  }

  /** What was asked of a dispatch is under way, and shown until it has happened. */
  async cancel(id: string): Promise<void> {
    this._cancelling.add(id);
    this._changed.emit();
    try {
      await this.source.request(`dispatches/${encodeURIComponent(id)}/cancel`, {}, post({ nodes: null }));
    } catch (error) {
      this._cancelling.delete(id);
      this._changed.emit();
      throw error;
    }
  }

  dispose(): void {
    if (this._disposed) {
      return;
    }
    this._disposed = true;
    this.stop();
    window.clearTimeout(this._searchTimer);
    window.clearTimeout(this._countTimer);
    Signal.clearData(this);
  }

  private readonly _onChanges = (changes: Changes): void => {
    if (changes.reset) {
      void this.load();
      return;
    }
    const news = new Set(changes.dispatches.filter(row => this.isNews(row)).map(row => row.dispatch_id));
    const moved = changes.dispatches.filter(row => this.keep(row));
    changes.deleted.forEach(id => this.forget(id, changes.seq));
    this.selection.drop(changes.deleted);
    moved.forEach(row => this.settle(row.dispatch_id));
    moved.filter(row => news.has(row.dispatch_id)).forEach(row => this.tally(row.seq, undefined, row));
    this.count();
    if (moved.length > 0 || changes.deleted.length > 0) {
      this.countSoon();
    }
    this._changed.emit();
  };

  private _onLink(): void {
    this._problem = '';
    this._changed.emit();
  }

  private _emit(): void {
    this._changed.emit();
  }

  /** A fresh snapshot of all that is shown. What is there stays until the new is here. */
  private async load(): Promise<void> {
    const generation = ++this._generation;
    this._touched.clear();
    try {
      const running = this.pager();
      const past = new Map<string, Pager>();
      const [summary] = await Promise.all([
        this.summary(),
        this.loadPage(running, queryOf(this._filter, UNDER_WAY)),
        this._grouping === 'day' ? this.loadInto(past, '') : undefined
      ]);
      const open = this._grouping === 'day' ? [] : summary.groups.map(group => group.key).filter(key => this.isOpen(key));
      await Promise.all(open.map(key => this.loadInto(past, key)));
      if (generation !== this._generation || this._disposed) {
        return;
      }
      this._running = running;
      this._past = past;
      this._loaded = true;
      this._problem = '';
      this._placed = new Set([running, ...past.values()].flatMap(pager => pager.ids));
      this._tally.take(summary, this._grouping, true);
      this.count();
      if (this.rows(this._touched).some(row => row.seq > summary.seq)) {
        this.countSoon(); // whether it is counted yet is not known
      }
      this._touched.forEach(id => this.place(id));
      this._held?.clear();
      this.open.filter(id => this._rows.has(id)).forEach(id => void this.loadChildren(id));
    } catch (error) {
      this.fail(error);
    }
    this._changed.emit();
  }

  private pager(): Pager {
    return new Pager(id => this._rows.get(id));
  }

  private async loadInto(past: Map<string, Pager>, group: string): Promise<void> {
    const pager = this.pager();
    past.set(group, pager);
    await this.loadPage(pager, pastQueryOf(this._filter, this._grouping, group));
  }

  private async loadPage(pager: Pager, query: Query): Promise<void> {
    if (query.status === '') {
      pager.next = null;
      return;
    }
    const page = await this.source.request<DispatchList>('dispatches', { ...query, limit: PAGE, before: pager.next ?? '' });
    page.dispatches.forEach(row => this.keep(row));
    Object.entries(page.children ?? {}).forEach(([id, count]) => this._childCount.set(id, count));
    pager.append(page);
    pager.ids.forEach(id => this._placed.add(id));
  }

  private async loadChildren(parent: string): Promise<void> {
    try {
      const page = await this.source.request<DispatchList>('dispatches', { parent, limit: 1000 });
      page.dispatches.forEach(row => this.keep(row));
      Object.entries(page.children ?? {}).forEach(([id, count]) => this._childCount.set(id, count));
      this._changed.emit();
    } catch (error) {
      this.fail(error);
    }
  }

  private summary(): Promise<Summary> {
    const by = this._grouping === 'day' ? '' : this._grouping;
    return this.source.request<Summary>('summary', { ...summaryQueryOf(this._filter), by });
  }

  /** Whether nobody can have counted the dispatch yet: it is none of those that are known where it would be. */
  private isNews(row: DispatchRow): boolean {
    const { state } = this._filter;
    const known = this._loaded && this._running.isComplete && (state === 'all' || state === 'running');
    if (!known || row.parent_id !== null || this._rows.has(row.dispatch_id)) {
      return false;
    }
    return !hasEnded(row) || Boolean(state === 'all' && this._past.get(groupOf(row, this._grouping))?.reaches(row));
  }

  /** A dispatch was, or is, one of those that are counted. */
  private tally(seq: number, before: DispatchRow | undefined, after: DispatchRow | undefined): void {
    const filter = countingFilter(this._filter);
    const id = (before ?? after)!.dispatch_id;
    const found = [this._running, ...this._past.values()].some(pager => pager.ids.includes(id));
    const counts = (row: DispatchRow | undefined) => (row && passes(row, filter, found) ? row : undefined);
    this._tally.move(seq, counts(before), counts(after));
  }

  private count(): void {
    const { totals, past, groups } = counted(this._tally.summary, this._filter);
    this._totals = totals;
    this._pastTotal = past;
    this._groups = groups;
    if (this._grouping !== 'day' && this._groups.length > 0 && !this._groups.some(group => this.isOpen(group.key))) {
      this.openFirst();
    }
  }

  /** Where groups were never opened or closed, the first one is open. */
  private openFirst(): void {
    if (!this._choseGroups) {
      this._choseGroups = true;
      this.setOpen(this._groups[0].key, true);
      void this.more(this._groups[0].key);
    }
  }

  private countSoon(): void {
    if (this._countTimer === 0 && this._loaded) {
      this._countTimer = window.setTimeout(() => {
        this._countTimer = 0;
        const generation = this._generation;
        this.summary().then(
          summary => {
            if (generation === this._generation && !this._disposed) {
              this._tally.take(summary, this._grouping, false);
              this.count();
              this._changed.emit();
            }
          },
          error => this.fail(error)
        );
      }, COUNT_AFTER);
    }
  }

  /** Take a row in, unless a newer state of it is known. Whether its state or place may have changed. */
  private keep(row: DispatchRow): boolean {
    const id = row.dispatch_id;
    const known = this._rows.get(id);
    if (known && known.seq > row.seq) {
      return false;
    }
    this._rows.set(id, row);
    this._touched.add(id);
    if (hasEnded(row)) {
      this._cancelling.delete(id);
    }
    if (row.parent_id !== null) {
      const siblings = this._children.get(row.parent_id) ?? new Set();
      this._children.set(row.parent_id, siblings.add(id));
      return false;
    }
    if (known && known.status !== row.status) {
      this.tally(row.seq, known, row);
      if (hasEnded(row) && !hasEnded(known)) {
        this._ended.emit(row);
      }
    }
    return known?.status !== row.status || known.label !== row.label;
  }

  private settle(id: string): void {
    if (this._held) {
      this._held.add(id);
    } else {
      this.place(id);
    }
  }

  /** Put a row into the list where it belongs, and out of those where it does not. */
  private place(id: string): void {
    const row = this._rows.get(id);
    if (!row || row.parent_id !== null) {
      return;
    }
    const ended = hasEnded(row);
    const home = ended ? this._past.get(groupOf(row, this._grouping)) : this._running;
    const pagers = [this._running, ...this._past.values()];
    const found = pagers.some(pager => pager.ids.includes(id));
    for (const pager of pagers) {
      if (pager !== home) {
        pager.remove(id);
      }
    }
    if (!passes(row, this._filter, found)) {
      home?.remove(id);
    } else if (home?.insert(row)) {
      this._placed.add(id);
    }
  }

  private forget(id: string, seq: number): void {
    const row = this._rows.get(id);
    if (row && row.parent_id === null) {
      this.tally(seq, row, undefined);
    }
    this._rows.delete(id);
    this._placed.delete(id);
    this._held?.delete(id);
    this._childCount.delete(id);
    this._open.delete(id);
    this._running.remove(id);
    this._past.forEach(pager => pager.remove(id));
    if (row?.parent_id) {
      this._children.get(row.parent_id)?.delete(id);
    }
  }

  private fail(error: unknown): void {
    // a service that is away is told by the source
    if (!(error instanceof RequestError) || error.trouble === 'refused') {
      this._problem = messageOf(error);
    }
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  private readonly _ended = new Signal<this, DispatchRow>(this);
  private readonly _filtered = new Signal<this, void>(this);
  private readonly _said = new Signal<this, string>(this);
  private readonly _groupingChosen = new Signal<this, Grouping>(this);
  private readonly _revealed = new Signal<this, string>(this);
  private readonly _rows = new Map<string, DispatchRow>();
  private readonly _children = new Map<string, Set<string>>();
  private readonly _childCount = new Map<string, number>();
  private readonly _cancelling = new Set<string>();
  private readonly _open = new Set<string>();
  /** Rows that were heard of since the last snapshot was begun. */
  private readonly _touched = new Set<string>();
  private _running = this.pager();
  private _past = new Map<string, Pager>();
  private _placed = new Set<string>();
  private _held: Set<string> | null = null;
  private readonly _tally = new Tally();
  private _totals: Totals = NO_TOTALS;
  private _pastTotal = 0;
  private _groups: Group[] = [];
  private _choseGroups = false;
  private _filter: Filter = EVERYTHING;
  private _grouping: Grouping = 'day';
  private _loaded = false;
  private _problem = '';
  private _renaming: string | null = null;
  private _generation = 0;
  private _searchTimer = 0;
  private _countTimer = 0;
  private _following: IDisposable | null = null;
  private _disposed = false;
}
