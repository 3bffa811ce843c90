import { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { Counts, Question } from './counts';
import { EVERYTHING, Filter, Grouping, isFiltering, passes, pastQueryOf, queryOf, Totals, UNDER_WAY } from './filter';
import { Listing } from './listing';
import { Pager } from './pager';
import { Rows } from './rows';
import { Selection } from './selection';
import { ISource, Link, messageOf, post, Query, RequestError } from './source';
import { hasEnded } from './states';
import { countingFilter } from './tally';
import { Changes, DispatchList, DispatchRow, Group } from './types';

/** Rows fetched at once. */
const PAGE = 200;
/** Time without a keystroke after which the service is asked to search, in ms. */
const SEARCH_AFTER = 200;

/**
 * The dispatches that the sidebar lists: those under way, and, page by page, those that have ended; kept current while
 * it follows, between `start()` and `stop()`.
 */
export class CovalentModel implements IDisposable {
  constructor(readonly source: ISource) {
    this._counts = new Counts(source, this._question, this._onCounted);
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
    return this._counts.totals;
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
    return this._counts.groups;
  }

  /** New dispatches that are not shown because nothing moves under the pointer. */
  get held(): number {
    return this._listing.held;
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
    return this._listing.running;
  }

  /** How many under way match. */
  get runningTotal(): number {
    const { ids, isComplete } = this.running;
    return isComplete ? ids.length : Math.max(this._counts.totals.running, ids.length);
  }

  /** Those that have ended; `group` is a key of `groups`, or "" where they are not grouped. */
  past(group: string): Pager {
    return this._listing.past(group);
  }

  /** How many ended ones match. */
  pastTotal(group: string): number {
    const pager = this.past(group);
    if (pager.isComplete) {
      return pager.ids.length;
    }
    const found = this.groups.find(one => one.key === group);
    const told = this._grouping === 'day' ? this._counts.past : found ? found.total - found.running : 0;
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
    return this._rows.childCount(id);
  }

  /** Runs of a dispatch's sublattices, oldest first, as far as they are known. */
  children(id: string): DispatchRow[] {
    return this._rows.children(id);
  }

  /** Whether a cancel was asked for and the dispatch has not ended. */
  isCancelling(id: string): boolean {
    return this._cancelling.has(id);
  }

  /** The rows of these ids, as far as they are known. */
  rows(ids: Iterable<string>): DispatchRow[] {
    return this._rows.of(ids);
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
    const pager = group === null ? this.running : this.past(group);
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
    const groups = this._grouping === 'day' ? [''] : this.groups.map(group => group.key).filter(key => this.isOpen(key));
    for (const group of [null, ...groups]) {
      const pager = () => (group === null ? this.running : this.past(group));
      for (let before = -1; before !== pager().ids.length && !pager().isComplete; ) {
        before = pager().ids.length;
        await this.more(group);
      }
    }
    this.selection.all([...this.running.ids, ...groups.flatMap(group => this.past(group).ids)]);
  }

  /** While held, rows keep their places and show their new states; new ones are counted. */
  hold(): void {
    this._listing.hold();
  }

  release(): void {
    if (this._listing.release()) {
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
    this._counts.dispose();
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
    moved.forEach(row => this._listing.settle(row.dispatch_id));
    moved.filter(row => news.has(row.dispatch_id)).forEach(row => this.tally(row.seq, undefined, row));
    this._counts.renew();
    this.openFirst();
    if (this._loaded && (moved.length > 0 || changes.deleted.length > 0)) {
      this._counts.soon();
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
      const running = this._listing.pager();
      const past = new Map<string, Pager>();
      const [summary] = await Promise.all([
        this._counts.anew(),
        this.loadPage(running, queryOf(this._filter, UNDER_WAY)),
        this._grouping === 'day' ? this.loadInto(past, '') : undefined
      ]);
      const open = this._grouping === 'day' ? [] : summary.groups.map(group => group.key).filter(key => this.isOpen(key));
      await Promise.all(open.map(key => this.loadInto(past, key)));
      if (generation !== this._generation || this._disposed) {
        return;
      }
      this._listing.begin(running, past);
      this._loaded = true;
      this._problem = '';
      this._counts.begin(summary);
      this.openFirst();
      if (this.rows(this._touched).some(row => row.seq > summary.seq)) {
        this._counts.soon(); // whether it is counted yet is not known
      }
      this._touched.forEach(id => this._listing.place(id));
      this.open.filter(id => this._rows.has(id)).forEach(id => void this.loadChildren(id));
    } catch (error) {
      this.fail(error);
    }
    this._changed.emit();
  }

  private async loadInto(past: Map<string, Pager>, group: string): Promise<void> {
    const pager = this._listing.pager();
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
    this._rows.keepCounts(page);
    pager.append(page);
    this._listing.placed(pager.ids);
  }

  private async loadChildren(parent: string): Promise<void> {
    try {
      const page = await this.source.request<DispatchList>('dispatches', { parent, limit: 1000 });
      page.dispatches.forEach(row => this.keep(row));
      this._rows.keepCounts(page);
      this._changed.emit();
    } catch (error) {
      this.fail(error);
    }
  }

  /** Whether nobody can have counted the dispatch yet: it is none of those that are known where it would be. */
  private isNews(row: DispatchRow): boolean {
    const { state } = this._filter;
    const known = this._loaded && this.running.isComplete && (state === 'all' || state === 'running');
    if (!known || row.parent_id !== null || this._rows.has(row.dispatch_id)) {
      return false;
    }
    return !hasEnded(row) || (state === 'all' && this._listing.reaches(row));
  }

  /** A dispatch was, or is, one of those that are counted. */
  private tally(seq: number, before: DispatchRow | undefined, after: DispatchRow | undefined): void {
    const filter = countingFilter(this._filter);
    const id = (before ?? after)!.dispatch_id;
    const found = this._listing.includes(id);
    const counts = (row: DispatchRow | undefined) => (row && passes(row, filter, found) ? row : undefined);
    this._counts.move(seq, counts(before), counts(after));
  }

  /** Where groups were never opened or closed, the first one is open. */
  private openFirst(): void {
    const [first] = this._grouping === 'day' ? [] : this.groups;
    if (first && !this._choseGroups && !this.groups.some(group => this.isOpen(group.key))) {
      this._choseGroups = true;
      this.setOpen(first.key, true);
      void this.more(first.key);
    }
  }

  private readonly _onCounted = (error?: unknown): void => {
    if (error !== undefined) {
      this.fail(error);
      return;
    }
    this.openFirst();
    this._changed.emit();
  };

  /** Take a row in, unless a newer state of it is known. Whether its state or place may have changed. */
  private keep(row: DispatchRow): boolean {
    const id = row.dispatch_id;
    const known = this._rows.get(id);
    if (!this._rows.keep(row)) {
      return false;
    }
    this._touched.add(id);
    if (hasEnded(row)) {
      this._cancelling.delete(id);
    }
    if (row.parent_id !== null) {
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

  private forget(id: string, seq: number): void {
    const row = this._rows.get(id);
    if (row && row.parent_id === null) {
      this.tally(seq, row, undefined);
    }
    this._rows.forget(id);
    this._open.delete(id);
    this._listing.forget(id);
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
  private readonly _rows = new Rows();
  private readonly _cancelling = new Set<string>();
  private readonly _open = new Set<string>();
  /** Rows that were heard of since the last snapshot was begun. */
  private readonly _touched = new Set<string>();
  private readonly _question = (): Question => ({ filter: this._filter, grouping: this._grouping });
  private readonly _listing = new Listing(this._rows, this._question);
  private readonly _counts: Counts;
  private _choseGroups = false;
  private _filter: Filter = EVERYTHING;
  private _grouping: Grouping = 'day';
  private _loaded = false;
  private _problem = '';
  private _renaming: string | null = null;
  private _generation = 0;
  private _searchTimer = 0;
  private _following: IDisposable | null = null;
  private _disposed = false;
}
